"""L-BFGS-B on the reduced controls, as a method of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.pmp.iterate import Ground
from ocdl.pmp.loop import descend
from ocdl.pmp.moves.quasi_newton import Polish, Stationarity, chart_makers
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.needles import needles
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem


@dataclass(frozen=True)
class LBFGSB(Method):
    """L-BFGS-B in function space: on the reduced controls θ ∈ [−1, 1]^M for one sample of a selection problem, on all
    controls and trained parameters otherwise; restarted until the gap is at most ``tolerance``.

    gap: ``"principle"``, the maximum-principle gap, searched for where it has no closed form; ``"gradient"``, what a
    unit projected gradient step would gain, which costs nothing. The history has an entry for every iteration.
    max_iterations: rounds; round_iterations: of one round; memory: pairs kept.
    Source: Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995).
    """

    max_iterations: int = 20
    tolerance: float = 1e-9
    round_iterations: int = 1000
    memory: int = 20
    gap: Literal["principle", "gradient"] = "principle"

    def __post_init__(self) -> None:
        for name in ("max_iterations", "round_iterations", "memory"):
            check_count(self.name, name, getattr(self, name))
        if self.gap not in ("principle", "gradient"):
            raise InvalidInput(f"{self.name}(gap={self.gap!r}): one of 'principle', 'gradient' is needed.")
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the gap's tolerance must be positive")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        ground = Ground(problem, depth)
        return descend(
            self.name,
            ground,
            start,
            needles if self.gap == "principle" else Stationarity,
            [Polish(chart, self.round_iterations, self.memory, self.tolerance) for chart in chart_makers(ground)],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
