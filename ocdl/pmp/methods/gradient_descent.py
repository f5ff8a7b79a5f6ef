"""Gradient descent with a fixed step, and with backtracking, as printed."""

from __future__ import annotations

from dataclasses import dataclass

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.pmp.iterate import Ground
from ocdl.pmp.loop import Move, descend
from ocdl.pmp.moves.steps import Armijo, FixedStep
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.gradient_arcs import GradientArc
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem


@dataclass(frozen=True)
class GradientDescent(Method):
    """(u, p) ← (u, p) − τ ∇J, ∇J by the symplectic adjoint, projected on the box where there is one.

    ``backtracking=False`` (algorithm 1): τ = ``step`` throughout; nothing makes the cost go down.
    ``backtracking=True`` (algorithm 2): τ = 1/L, L ← ``increase``·L until φ⁺ ≤ φ + ⟨g, u⁺ − u⟩ + L/2 ‖u⁺ − u‖², and
    L ← ``decrease``·L after an accepted step; ``step`` = 1/L at first. Norms and gradients are those of function space.

    tolerance: for the norm of (u, p) − Π((u, p) − ∇J); it stands as ``gap`` in the history.
    Source: Benning, Celledoni, Ehrhardt, Owren and Schönlieb, "Deep learning as optimal control problems",
    algorithms 1 and 2, with their factors 1.5 and 0.99 and L = 0.1.
    """

    step: float = 10.0
    backtracking: bool = True
    increase: float = 1.5
    decrease: float = 0.99
    max_iterations: int = 1000
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        infinity = float("inf")
        if not isinstance(self.backtracking, bool):
            raise InvalidInput(f"GradientDescent(backtracking={self.backtracking!r}): True or False is needed.")
        check_count(self.name, "max_iterations", self.max_iterations)
        check_number(self.name, "tolerance", self.tolerance, 0.0, infinity, "the tolerance must be positive")
        check_number(self.name, "step", self.step, 0.0, infinity, "the step must be positive")
        check_number(self.name, "increase", self.increase, 1.0, infinity, "a factor above 1 is needed")
        check_number(self.name, "decrease", self.decrease, 0.0, 1.0, "a factor between 0 and 1 is needed")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        move: Move = FixedStep(self.step)
        if self.backtracking:
            move = Armijo(size=self.step, sufficient=0.5, shrink=1.0 / self.increase, grow=1.0 / self.decrease)
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            GradientArc,
            [move],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
