"""Needle steps with sufficient decrease, then a quasi-Newton polish."""

from __future__ import annotations

from dataclasses import dataclass

from ocdl.depth.schemes import DepthScheme
from ocdl.pmp.iterate import Ground
from ocdl.pmp.loop import Move, descend
from ocdl.pmp.moves.quasi_newton import Polish, chart_makers
from ocdl.pmp.moves.steps import Armijo
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.needles import needles
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem

WORTHWHILE = 0.1  # needles that promise less than this share of the gap wait until the polish is done
GROW = 4.0


@dataclass(frozen=True)
class NeedleSteps(Method):
    """Flip the needles (layer, neuron) of the largest ΔH to the minimiser of H, as many as lower the cost enough.

    The cost must fall by at least ``sufficient`` times the predicted Σ h ΔH of the flipped set; otherwise the set's
    measure is multiplied by ``shrink``. Every step lowers the cost. When a tenth of the gap is out of their reach, the
    polish takes over: L-BFGS-B on the reduced controls θ (one a neuron and layer) for one sample of a selection
    problem, on all controls and parameters otherwise; then needles again, until the gap Σ h [H(u) − min H] is at most
    ``tolerance``.
    Needles move the controls; parameters p (a readout) are moved by the polish only.

    tolerance: for the gap on layers, in units of the cost. max_iterations: needle steps and rounds of polish together.
    starts: random points of the box from which H is minimised, too, where it has no closed form (several samples).
    polish: without it the method ends where no needle is accepted. polish_iterations, memory: of one L-BFGS-B round.

    On layers of finite width the maximum principle is exact for one sample and one stage only. Otherwise J may be
    stationary, no needle lower it, and a gap that vanishes with the layers' width stay: ACCEPTABLE.
    Other ends: CONVERGED, REACHABLE (r ≡ 0: many controls are optimal), STALLED, ITERATION_LIMIT, INTERRUPTED.
    """

    max_iterations: int = 200
    tolerance: float = 1e-9
    sufficient: float = 0.1
    shrink: float = 0.5
    polish: bool = True
    polish_iterations: int = 1000
    memory: int = 20
    starts: int = 0

    def __post_init__(self) -> None:
        for name in ("max_iterations", "polish_iterations", "memory"):
            check_count(self.name, name, getattr(self, name))
        check_count(self.name, "starts", self.starts, least=0)
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the gap's tolerance must be positive")
        for name in ("sufficient", "shrink"):
            check_number(self.name, name, getattr(self, name), 0.0, 1.0, "a number between 0 and 1 is needed")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        ground = Ground(problem, depth)
        any_needles, worthwhile_needles = self._needles(0.0), self._needles(WORTHWHILE)
        rounds = [Polish(chart, self.polish_iterations, self.memory, self.tolerance) for chart in chart_makers(ground)]
        moves: list[Move] = [worthwhile_needles, *rounds, any_needles] if self.polish else [any_needles]
        return descend(
            self.name,
            ground,
            start,
            lambda iterate: needles(iterate, starts=self.starts),
            moves,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )

    def _needles(self, least: float) -> Armijo:
        return Armijo(size=1.0, sufficient=self.sufficient, shrink=self.shrink, grow=GROW, least=least)
