"""A race of one method: its iterates with their CPU seconds, judged afterwards, outside the clock, by one measure.

The measure of all sides is the adjoint of ``network.py``: J, and the sup norm of w − P(w − ∇J), P the projection on the
box. It needs NumPy and SciPy alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from data import SETS
from network import Network
from scipy.optimize import minimize

Array = np.ndarray
ValueAndGradient = Callable[[Array], tuple[float, Array]]
Answer = dict[str, object]

LIMIT = {"maxcor": 20, "ftol": 1e-15, "gtol": 1e-11, "maxiter": 100_000, "maxfun": 1_000_000}


def network_of(name: str, weight: float, layers: int = 20) -> Network:
    """The net on the one draw of the set that all starts share."""
    return Network(*SETS[name](np.random.default_rng(0)), layers, weight)


class Record:
    """The iterates as they come; called with one, it stops the method (StopIteration) when its seconds are over."""

    def __init__(self, start: Array, limit: float) -> None:
        self.points, self.seconds, self.limit = [np.array(start)], [0.0], limit
        self.begin = time.process_time()

    def __call__(self, w: Array) -> None:
        self.seconds.append(time.process_time() - self.begin)
        self.points.append(np.array(w))
        if self.seconds[-1] > self.limit:
            raise StopIteration

    def judged(self, network: Network, box: float) -> Answer:
        costs, slopes = zip(*(measure(network, w, box) for w in self.points), strict=True)
        return {"seconds": self.seconds, "cost": costs, "slope": slopes}


def measure(network: Network, w: Array, box: float) -> tuple[float, float]:
    """J, and the projected gradient's sup norm."""
    cost, gradient = network.value_and_gradient(w)
    return cost, float(np.abs(w - np.clip(w - gradient, -box, box)).max())


def lbfgsb(value_and_gradient: ValueAndGradient, start: Array, box: float, limit: float) -> Record:
    """SciPy's L-BFGS-B, to the end of what its rounding allows."""
    value_and_gradient(start)
    record = Record(start, limit)
    bounds = None if np.isinf(box) else [(-box, box)] * start.size
    minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=record, options=LIMIT)
    return record
