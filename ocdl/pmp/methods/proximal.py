"""Proximal alternating minimisation: a, then b, each with a quadratic hold on where it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Moved, descend
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.gradient_arcs import GradientArc
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ProximalAlternatingMinimisation(Method):
    """a ← argmin J(·, b) + ‖· − a‖²/(2τ), then b ← argmin J(a, ·) + ‖· − b‖²/(2τ), in the box; repeat.

    The blocks are the problem's own named controls, and last its trained parameters. Norms are those of function space.
    Whatever τ > 0, J falls in every block by at least ‖change‖²/(2τ): the inner minimisation, L-BFGS-B from the point
    in force, returns no point of higher value. This is checked at every step; the sum of the two terms stands as
    ``predicted`` in the history. With a regulariser J includes it.

    step: τ. inner_iterations: of L-BFGS-B for one block. tolerance: for the norm of (u, p) − Π((u, p) − ∇J).
    Source: Liu and Markowich, "Selection dynamics for deep neural networks", algorithm 1; Attouch, Bolte, Redont and
    Soubeyran, Math. Oper. Res. 35 (2010).
    """

    step: float = 100.0
    inner_iterations: int = 20
    max_iterations: int = 200
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        infinity = float("inf")
        for name in ("inner_iterations", "max_iterations"):
            check_count(self.name, name, getattr(self, name))
        check_number(self.name, "tolerance", self.tolerance, 0.0, infinity, "the tolerance must be positive")
        check_number(self.name, "step", self.step, 0.0, infinity, "the step must be positive")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            GradientArc,
            [Alternate(self.step, self.inner_iterations)],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )


@dataclass(frozen=True)
class Alternate:
    """Every block in turn; None where no block lowers J by more than rounding."""

    step: float
    iterations: int

    def __call__(self, iterate: Iterate, proposal: GradientArc) -> Moved | None:
        now, promised = iterate, 0.0
        for block in blocks(iterate.ground.problem):
            held = _ProximalObjective(now, block, self.step)
            scipy.optimize.minimize(
                held,
                held.start,
                jac=True,
                method="L-BFGS-B",
                bounds=held.bounds,
                options={"maxiter": self.iterations, "ftol": 0.0, "gtol": 1e-14},
            )
            now, promised = held.best, promised + held.proximal
        gained = iterate.cost - now.cost
        return Moved(now, promised) if gained > np.finfo(float).eps * abs(iterate.cost) else None


def blocks(problem: ControlProblem) -> list[NDArray[np.intp]]:
    """Where each named control stands in (u, p) flat over one layer, then the parameters."""
    assert problem.layout is not None
    sizes = [part.size for part in problem.layout.controls if part.size] + ([problem.P] if problem.P else [])
    ends = np.cumsum(sizes)
    return [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]


class _ProximalObjective:
    """J + ‖· − z₀‖²/(2τ) and its gradient over one block, in coordinates scaled by √metric; keeps the best point."""

    def __init__(self, iterate: Iterate, block: NDArray[np.intp], step: float) -> None:
        problem, (in_u, in_p) = iterate.ground.problem, iterate.ground.metric
        self.begin, self.best, self.proximal = iterate, iterate, 0.0
        self.value, self.step = iterate.cost, step
        self.columns = block if block[0] < problem.m else None  # None: the parameters
        metric = in_p if self.columns is None else in_u[:, self.columns]
        low, high = problem.parameter_box if self.columns is None else (b[block] for b in problem.control_box)
        self.low, self.high = (np.broadcast_to(end, metric.shape).ravel() for end in (low, high))
        self.scale = np.sqrt(metric.ravel())
        self.start = self._block(iterate.u, iterate.p) * self.scale
        self.bounds = np.stack([self.low * self.scale, self.high * self.scale], axis=1)
        self.worst, self.slope = iterate.cost, np.zeros(self.start.size)

    def _block(self, u: Array, p: Array) -> Array:
        return p if self.columns is None else u[:, self.columns].ravel()

    def __call__(self, scaled: Array) -> tuple[float, Array]:
        z = np.clip(scaled / self.scale, self.low, self.high)
        u, p = self.begin.u, z
        if self.columns is not None:
            u, p = self.begin.u.copy(), self.begin.p
            u[:, self.columns] = z.reshape(-1, self.columns.size)
        try:
            iterate = self.begin.ground.at(u, p)
        except SweepFailed:  # a step too long: worse than all so far, so that the line search comes back
            return self.worst + 1.0 + abs(self.worst), self.slope
        away = z * self.scale - self.start
        proximal = float(away @ away) / (2.0 * self.step)
        value = iterate.cost + proximal
        self.slope = self._block(iterate.adjoint.gradient_u, iterate.adjoint.gradient_p) / self.scale + away / self.step
        self.worst = max(self.worst, value)
        if value < self.value:
            self.best, self.proximal, self.value = iterate, proximal, value
        return value, self.slope
