"""The method of successive approximations, as printed."""

from __future__ import annotations

from dataclasses import dataclass

from ocdl.depth.schemes import DepthScheme
from ocdl.pmp.iterate import Ground
from ocdl.pmp.loop import descend
from ocdl.pmp.moves.steps import FullStep
from ocdl.pmp.options import check_controls_only, check_count, check_number
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
    Problems with trained parameters are NotSupported: the maximum principle moves the controls only.

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
        check_controls_only(self.name, problem)
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            syntheses,
            [FullStep()],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
