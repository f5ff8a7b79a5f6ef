"""L-BFGS-B on the reduced controls, as a method of its own."""

from __future__ import annotations

from dataclasses import dataclass

from ocdl.depth import DepthScheme
from ocdl.method import Method, Outcome, Start
from ocdl.pmp.iterate import Ground
from ocdl.pmp.loop import descend
from ocdl.pmp.needles import needles
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.quasi_newton import Polish, chart_makers
from ocdl.problem import ControlProblem


@dataclass(frozen=True)
class LBFGSB(Method):
    """L-BFGS-B in function space: on the reduced controls θ ∈ [−1, 1]^M for one sample of a selection problem, on all
    controls and trained parameters otherwise; restarted until the maximum-principle gap is at most ``tolerance``.

    max_iterations: rounds; round_iterations: of one round; memory: pairs kept.
    Source: Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995).
    """

    max_iterations: int = 20
    tolerance: float = 1e-9
    round_iterations: int = 1000
    memory: int = 20

    def __post_init__(self) -> None:
        for name in ("max_iterations", "round_iterations", "memory"):
            check_count(self.name, name, getattr(self, name))
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the gap's tolerance must be positive")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        ground = Ground(problem, depth)
        return descend(
            self.name,
            ground,
            start,
            needles,
            [Polish(chart, self.round_iterations, self.memory, self.tolerance) for chart in chart_makers(ground)],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
