"""Projected gradient descent in function space with backtracking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.pmp.iterate import Ground
from ocdl.pmp.loop import descend
from ocdl.pmp.moves.steps import Armijo
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.gradient_arcs import GradientArc, SpectralArcs
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem


@dataclass(frozen=True)
class ProjectedGradient(Method):
    """(u, p) ← Π((u, p) − τ ∇J), ∇J the gradient in function space, Π the projection on the box.

    The step τ is shrunk until J falls by at least ``sufficient`` times ⟨∇J, (u, p) − (u, p)⁺⟩. The first τ to try is
    the ``"spectral"`` one, ⟨s, s⟩/⟨s, y⟩ with s and y the last changes of (u, p) and of ∇J, or with ``first="grown"``
    the last accepted one times ``grow`` (with sufficient = ½ and no bounds that is the rule as printed, τ = 1/L).
    ∇J is the costate sweep's gradient divided by the quadrature weights (h_k w_i for a, h_k w_i w_j for b), so τ and
    the iterates do not depend on the grid. Any problem, with controls, trained parameters, or both.

    tolerance: for the norm of (u, p) − Π((u, p) − ∇J) in function space; it stands as ``gap`` in the history.
    step: τ of the very first step.

    Sources: Benning, Celledoni, Ehrhardt, Owren and Schönlieb, "Deep learning as optimal control problems",
    algorithm 2; Barzilai and Borwein, IMA J. Numer. Anal. 8 (1988).
    """

    measured: ClassVar[bool] = True

    max_iterations: int = 1000
    tolerance: float = 1e-6
    first: Literal["spectral", "grown"] = "spectral"
    step: float = 1.0
    sufficient: float = 0.1
    shrink: float = 0.5
    grow: float = 1.5

    def __post_init__(self) -> None:
        infinity = float("inf")
        if self.first not in ("spectral", "grown"):
            raise InvalidInput(f"{self.name}(first={self.first!r}): one of 'spectral', 'grown' is needed.")
        check_count(self.name, "max_iterations", self.max_iterations)
        check_number(self.name, "tolerance", self.tolerance, 0.0, infinity, "the tolerance must be positive")
        check_number(self.name, "step", self.step, 0.0, infinity, "the first step must be positive")
        for name in ("sufficient", "shrink"):
            check_number(self.name, name, getattr(self, name), 0.0, 1.0, "a number between 0 and 1 is needed")
        if self.grow != 1.0:
            check_number(self.name, "grow", self.grow, 1.0, infinity, "a number of at least 1 is needed")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            SpectralArcs() if self.first == "spectral" else GradientArc,
            [Armijo(size=self.step, sufficient=self.sufficient, shrink=self.shrink, grow=self.grow)],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
