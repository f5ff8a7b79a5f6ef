"""The method of successive approximations, as printed."""

from __future__ import annotations

from dataclasses import dataclass

from ocdl.depth.schemes import DepthScheme
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import descend
from ocdl.pmp.moves.steps import FullStep
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.last_layer import AlsoLast, LastLayer, check_last_layer
from ocdl.pmp.updates.needles import syntheses
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem


@dataclass(frozen=True)
class SuccessiveApproximations(Method):
    """State sweep, costate sweep, (a, b) ← argmin H on every layer and neuron at once; repeat.

    Nothing makes the cost go down, and on reachable targets the method usually cycles: a cycle (the same
    controls again, exactly) is detected, its length reported in ``detail``, and the best iterate returned.
    Where r = 0 the printed rule says nothing: the controls stay as they are there. A vanishing costate ends in
    ``Status.REACHABLE``, a gap Σ h [H(u) − min H] of at most ``tolerance`` in ``Status.CONVERGED``.
    Parameters of the terminal loss and the penalty (a readout) are a last layer, minimised at the present final states;
    problems with parameters in their layers are NotSupported.

    Source: Liu and Markowich, "Selection dynamics for deep neural networks", algorithm 2.
    """

    max_iterations: int = 200
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        check_count(self.name, "max_iterations", self.max_iterations)
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the gap's tolerance must be positive")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        check_last_layer(self.name, problem)
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            _synthesis,
            [FullStep()],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )


def _synthesis(iterate: Iterate) -> AlsoLast:
    return AlsoLast(syntheses(iterate), iterate, lambda size: LastLayer(iterate))
