"""The sequential quadratic Hamiltonian method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Trial, descend
from ocdl.pmp.moves.steps import AdaptivePenalty
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.last_layer import AlsoLast, LastLayer, check_last_layer
from ocdl.pmp.updates.needles import first_order_gap, layer_columns
from ocdl.pmp.updates.proximal_column import held_minimum, one_column
from ocdl.referee.dense import DenseHamiltonian
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

LAYER_ITERATIONS = 10


@dataclass(frozen=True)
class SequentialQuadraticHamiltonian(Method):
    """u⁺ = argmin_w H(w) + ε ‖w − u‖² on every layer; accepted where J falls by at least η ‖u⁺ − u‖², else ε grows.

    The cost falls at every accepted step. ``penalty``: ε at first; ``sufficient``: η; ``tighten`` > 1 multiplies ε
    after a rejected step, ``relax`` < 1 after an accepted one. The layer problems separate over the neurons and
    are solved all at once: for one sample on layers of one stage along one line a neuron, else by projected Newton from
    u and from the corner of the box along −∇H.

    tolerance: for the gap Σ h [H(u) − min H] where it is in closed form; elsewhere for what a unit projected gradient
    step would gain. Parameters of the terminal loss and the penalty (a readout) are a last layer,
    held likewise. Problems with parameters in their layers, or with more than 80 controls that meet in one layer's
    Hamiltonian, are NotSupported.
    Source: Breitenbach and Borzì, J. Optim. Theory Appl. 183 (2019), algorithm 1.
    """

    penalty: float = 0.1
    sufficient: float = 1e-8
    tighten: float = 4.0
    relax: float = 0.5
    max_iterations: int = 500
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        infinity = float("inf")
        check_count(self.name, "max_iterations", self.max_iterations)
        for name in ("penalty", "sufficient", "tolerance"):
            check_number(self.name, name, getattr(self, name), 0.0, infinity, "a positive number is needed")
        check_number(self.name, "tighten", self.tighten, 1.0, infinity, "a factor above 1 is needed")
        check_number(self.name, "relax", self.relax, 0.0, 1.0, "a factor between 0 and 1 is needed")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        check_last_layer(self.name, problem)
        ground = Ground(problem, depth)
        if not ground.separated.small:
            size = ground.separated.groups.shape[1]
            raise NotSupported(f"{self.name}: {size} controls of a layer meet in the Hamiltonian; at most 80 may.")
        rule = AdaptivePenalty(penalty=self.penalty, sufficient=self.sufficient, tighten=self.tighten, relax=self.relax)
        return descend(
            self.name,
            ground,
            start,
            _held,
            [rule],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )


def _held(iterate: Iterate) -> AlsoLast:
    metric = np.asarray(iterate.ground.problem.parameter_metric)
    return AlsoLast(HeldControls(iterate), iterate, lambda size: LastLayer(iterate, hold=metric / size))


@dataclass(frozen=True, eq=False)
class HeldControls:
    """``trial(1/ε)`` minimises H(w) + ε ‖w − u‖² on every layer."""

    iterate: Iterate
    suggested: float | None = None
    largest: float = float("inf")

    @cached_property
    def gap(self) -> float:
        return first_order_gap(self.iterate)

    def trial(self, size: float) -> Trial | None:
        at = self.iterate
        hold = np.asarray(at.ground.problem.control_metric) / size
        law, columns = at.ground.separated, layer_columns(at)
        if isinstance(law, DenseHamiltonian) and one_column(law, columns[1]):
            _, x, costate, _, u, p = columns
            gains, u = held_minimum(law, x, costate, u, p, hold)
        else:
            gains, u = law.minimum(*columns, hold=hold, iterations=LAYER_ITERATIONS)
        if not np.any(gains > 0.0):
            return None
        return Trial(u, at.p, float(at.ground.sweeper.h @ gains.sum(axis=1)))
