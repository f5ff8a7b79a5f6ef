"""Projected Newton on all controls at once, the Hessian by products: truncated conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Move, Moved, Update, descend
from ocdl.pmp.moves.quasi_newton import Chart, ChartMaker, Gains, Stationarity, all_controls, reduced_controls
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.needles import needles
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]

DIFFERENCE = 1e-7  # step of the gradient's differences, in function space
NEAR = 0.01  # furthest from its bound that a variable is held
SUFFICIENT = 1e-4
HALVINGS = 25


@dataclass(frozen=True)
class ProjectedNewton(Method):
    """z ← Π(z + λ d), d from H d = −∇J over the variables that no bound holds, λ by Armijo's rule.

    z are the reduced controls θ ∈ [−1, 1]^M of each layer for one sample of a selection problem on layers of one
    stage, else all controls and trained parameters. H d = −∇J is solved by conjugate gradients in function space, the
    products H v by differences of gradients, until the residual is as small as superlinear convergence needs, curvature
    is negative, or ``inner_iterations`` are done.

    tolerance: for the maximum-principle gap where it is in closed form; elsewhere for what a unit projected
    gradient step would gain.
    Sources: Bertsekas, SIAM J. Control Optim. 20 (1982); Steihaug, SIAM J. Numer. Anal. 20 (1983).
    """

    max_iterations: int = 200
    tolerance: float = 1e-9
    inner_iterations: int = 50

    def __post_init__(self) -> None:
        for name in ("max_iterations", "inner_iterations"):
            check_count(self.name, name, getattr(self, name))
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the gap's tolerance must be positive")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        ground = Ground(problem, depth)
        update: Update = needles if ground.law.closed_form else Stationarity
        one_stage = ground.law.closed_form and ground.sweeper.tableau.stages == 1
        move: Move = NewtonStep(reduced_controls if one_stage else all_controls, self.inner_iterations)
        return descend(
            self.name,
            ground,
            start,
            update,
            [move],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )


@dataclass(frozen=True)
class NewtonStep:
    """One step in the iterate's ``chart``; None where no length of it lowers the cost enough."""

    chart: ChartMaker
    inner_iterations: int

    def __call__(self, iterate: Iterate, proposal: Gains) -> Moved | None:
        space = ScaledChart(iterate, self.chart(iterate, proposal))
        direction = space.newton_direction(self.inner_iterations)
        length = 1.0
        for _ in range(HALVINGS):
            z = np.clip(space.z + length * direction, space.low, space.high)
            predicted = -float(space.gradient @ (z - space.z))
            if predicted > 0.0:
                try:
                    following = iterate.ground.at(*space.controls(z))
                except SweepFailed:
                    following = None
                if following is not None and following.cost < iterate.cost - SUFFICIENT * predicted:
                    return Moved(following, predicted)
            length *= 0.5
        return None


class ScaledChart:
    """The coordinates √metric · z of one chart: Euclidean there is function space here."""

    def __init__(self, iterate: Iterate, chart: Chart) -> None:
        self.iterate, self.chart, self.scale = iterate, chart, np.sqrt(chart.metric)
        self.low, self.high = chart.low * self.scale, chart.high * self.scale
        self.z = np.clip(chart.start * self.scale, self.low, self.high)
        self.gradient = self._gradient(self.z)

    def controls(self, z: Array) -> tuple[Array, Array]:
        u, p = self.chart.controls(z / self.scale)
        return np.clip(u, *self.iterate.ground.problem.control_box), p

    def _gradient(self, z: Array) -> Array:
        z = z / self.scale
        return self.chart.gradient(z, *self.iterate.ground.gradients(*self.chart.controls(z))) / self.scale

    def newton_direction(self, iterations: int) -> Array:
        """d over the free variables, −∇J over those held at their bounds."""
        z, g = self.z, self.gradient
        near = self.scale * min(NEAR, float(np.linalg.norm(z - np.clip(z - g, self.low, self.high))))
        held = ((z <= self.low + near) & (g > 0.0)) | ((z >= self.high - near) & (g < 0.0))
        direction = np.where(held, -g, self._conjugate_gradients(np.where(held, 0.0, -g), ~held, iterations))
        finite = np.isfinite(self.high - self.low)
        longest = np.max(np.abs(direction[finite]) / (self.high - self.low)[finite], initial=1.0, where=~held[finite])
        return np.where(held, direction, direction / longest)

    def _conjugate_gradients(self, right: Array, free: NDArray[np.bool_], iterations: int) -> Array:
        """An approximate solution of H d = right on the ``free`` variables, along which J falls."""
        found, residual, along = np.zeros_like(right), right, right
        square = begin = float(right @ right)
        enough = min(0.25, begin**0.5) * begin
        for _ in range(iterations):
            if square <= enough or square == 0.0:
                break
            try:
                product = np.where(free, self._product(along), 0.0)
            except SweepFailed:
                break
            curvature = float(along @ product)
            if curvature <= 1e-12 * float(along @ along):
                return found if np.any(found) else along
            step = square / curvature
            found, residual = found + step * along, residual - step * product
            square, before = float(residual @ residual), square
            along = residual + (square / before) * along
        return found if np.any(found) else right

    def _product(self, v: Array) -> Array:
        """H v by a difference of gradients."""
        step = DIFFERENCE / float(np.linalg.norm(v))
        return (self._gradient(self.z + step * v) - self.gradient) / step
