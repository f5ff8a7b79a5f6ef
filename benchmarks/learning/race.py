"""A race of one method: its iterates with their CPU seconds, judged afterwards, outside the clock, by one measure.

The measure of all sides is the adjoint of ``network.py``: J, and the sup norm of w − P(w − ∇J), P the projection on the
box. It needs NumPy and SciPy alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from network import Network, sine, sine_start
from scipy.optimize import minimize

Array = np.ndarray
ValueAndGradient = Callable[[Array], tuple[float, Array]]
Answer = dict[str, object]

SciPy = "SciPy L-BFGS-B"
LIMIT = {"maxcor": 20, "gtol": 1e-11, "maxiter": 100_000, "maxfun": 1_000_000}


@cache
def trained_on(data: str, weight: float) -> Network:
    """One network for all jobs on the same data, so that a side compiles it once."""
    inputs, labels = map(np.array, json.loads(data))
    return Network(inputs, labels, weight=weight)


@dataclass(frozen=True)
class Sine:
    """Paper 002's sine from a start of a name."""

    begin: str
    limit: float
    method: str
    box: float = np.inf
    ftol = 0.0

    @property
    def network(self) -> Network:
        return sine()

    @property
    def start(self) -> Array:
        return sine_start(self.begin)


@dataclass(frozen=True)
class Job:
    """A net of 20 layers on inputs and labels, the start's seed, α, the box of all unknowns, and at most seconds."""

    inputs: list[list[float]]
    labels: list[float]
    seed: int
    weight: float
    box: float
    limit: float
    method: str
    rate: float = 0.0  # of a first-order rule
    ftol = 1e-15

    @property
    def network(self) -> Network:
        return trained_on(json.dumps([self.inputs, self.labels]), self.weight)

    @property
    def start(self) -> Array:
        return self.network.start(self.seed)


class Record:
    """The iterates as they come; called with one, it stops the method (StopIteration) when its seconds are over."""

    def __init__(self, start: Array, limit: float) -> None:
        self.points, self.seconds, self.limit = [np.array(start)], [0.0], limit
        self.begin, self.around = time.process_time(), 0.0  # and what a solve takes beside its method

    def __call__(self, w: Array) -> None:
        self.seconds.append(time.process_time() - self.begin)
        self.points.append(np.array(w))
        if self.seconds[-1] > self.limit:
            raise StopIteration

    def judged(self, job: Job | Sine) -> Answer:
        network = job.network
        costs, slopes = zip(*(measure(network, w, job.box) for w in self.points), strict=True)
        return {"seconds": self.seconds, "cost": costs, "slope": slopes}


def measure(network: Network, w: Array, box: float) -> tuple[float, float]:
    """J, and the projected gradient's sup norm."""
    cost, gradient = network.value_and_gradient(w)
    return cost, float(np.abs(w - np.clip(w - gradient, -box, box)).max())


def lbfgsb(value_and_gradient: ValueAndGradient, job: Job | Sine) -> Record:
    """SciPy's L-BFGS-B, to the end of what its rounding allows."""
    start = job.start
    value_and_gradient(start)
    record = Record(start, job.limit)
    bounds = None if np.isinf(job.box) else [(-job.box, job.box)] * start.size
    minimize(
        value_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        callback=record,
        options={**LIMIT, "ftol": job.ftol},
    )
    return record
