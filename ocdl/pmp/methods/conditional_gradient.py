"""Conditional gradient: towards the corner of the box that the gradient points at, by Armijo's rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Trial, descend
from ocdl.pmp.moves.steps import Armijo
from ocdl.pmp.options import check_count, check_number
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ConditionalGradient(Method):
    """(u, p) ← (u, p) + λ (v − (u, p)), v the corner of the box that minimises the linearised Hamiltonian.

    λ ∈ (0, 1] by Armijo's rule: J falls by at least ``sufficient`` times λ ⟨∇J, (u, p) − v⟩. For one sample of a
    selection problem v is the bang-bang synthesis of the maximum principle. The box must be finite (NotSupported).

    tolerance: for ⟨∇J, (u, p) − v⟩, which stands as ``gap`` in the history; where J is convex it bounds J − min J.
    Sources: Frank and Wolfe, Naval Res. Logist. 3 (1956); Demyanov and Rubinov (1970), for control problems.
    """

    max_iterations: int = 1000
    tolerance: float = 1e-6
    sufficient: float = 0.1
    shrink: float = 0.5

    def __post_init__(self) -> None:
        check_count(self.name, "max_iterations", self.max_iterations)
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the tolerance must be positive")
        for name in ("sufficient", "shrink"):
            check_number(self.name, name, getattr(self, name), 0.0, 1.0, "a number between 0 and 1 is needed")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        if not np.all(np.isfinite(problem.control_box)):
            raise NotSupported("ConditionalGradient: a finite box is needed for every control.")
        if not np.all(np.isfinite(problem.parameter_box)):
            raise NotSupported(
                f"ConditionalGradient: this problem {problem.also_free}; a finite interval is needed for all of it."
            )
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            TowardsCorner,
            [Armijo(size=1.0, sufficient=self.sufficient, shrink=self.shrink, grow=1.0 / self.shrink)],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )


@dataclass(frozen=True, eq=False)
class TowardsCorner:
    """The segment λ ↦ (u, p) + λ (v − (u, p)); where the gradient is 0 the control stays."""

    iterate: Iterate
    suggested: float | None = None
    largest: float = 1.0

    @cached_property
    def _direction(self) -> tuple[Array, Array]:
        problem, at = self.iterate.ground.problem, self.iterate
        gradients = (at.adjoint.gradient_u, at.adjoint.gradient_p)
        corners = [
            np.where(g > 0.0, low, np.where(g < 0.0, high, now))
            for g, (low, high), now in zip(
                gradients, (problem.control_box, problem.parameter_box), (at.u, at.p), strict=True
            )
        ]
        return corners[0] - at.u, corners[1] - at.p

    @cached_property
    def gap(self) -> float:
        in_u, in_p = self._direction
        adjoint = self.iterate.adjoint
        return -float(np.sum(adjoint.gradient_u * in_u) + np.sum(adjoint.gradient_p * in_p))

    def trial(self, size: float) -> Trial | None:
        in_u, in_p = self._direction
        problem, predicted = self.iterate.ground.problem, size * self.gap
        if predicted <= np.finfo(float).eps * abs(self.iterate.cost):
            return None
        u = np.clip(self.iterate.u + size * in_u, *problem.control_box)
        return Trial(u, np.clip(self.iterate.p + size * in_p, *problem.parameter_box), predicted)
