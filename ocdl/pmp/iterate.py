"""Iterates of the indirect route: controls with their sweeps, each swept once and counted."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.referee.hamiltonian import Hamiltonian
from ocdl.referee.separated import SeparatedHamiltonian
from ocdl.solving.diagnosis import LOST, lost_along
from ocdl.statement.problem import ControlProblem
from ocdl.statement.regularisers import thresholds
from ocdl.sweeps.fused.efforts import Penalty, penalty_form
from ocdl.sweeps.fused.form import Terminal
from ocdl.sweeps.fused.terminal import terminal_form
from ocdl.sweeps.sweeper import Adjoint, Sweeper, SweepFailed, Trajectory

Array = NDArray[np.float64]

VANISHING = 1e-6  # a costate function below this everywhere says nothing about the controls


@dataclass(frozen=True, eq=False)
class Trial:
    """Controls and parameters to try, with the decrease of the cost that first order predicts for them."""

    u: Array
    p: Array
    predicted: float


@dataclass(frozen=True, eq=False)
class Iterate:
    """Controls u (N, m), parameters p (P,), their state sweep and cost; the costate sweep when first asked for."""

    ground: Ground
    u: Array
    p: Array
    trajectory: Trajectory
    cost: float

    @cached_property
    def adjoint(self) -> Adjoint:
        return self.ground.costate(self)

    @cached_property
    def stage_costates(self) -> Array:
        """b_i Λ_i at the stages, (N, s, S, n); zero where b_i = 0."""
        b = self.ground.sweeper.tableau.b
        return np.nan_to_num(self.adjoint.stages) * b[:, None, None]

    @cached_property
    def smooth_gradient(self) -> tuple[Array, Array]:
        """∂J/∂u (N, m) and ∂J/∂p (P,) without the slopes of λ|u| and λ|p|, whose sign(0) = 0 is but one of many."""
        (in_u, in_p), (kinks_u, kinks_p) = self.ground.metric, self.ground.kinks
        adjoint = self.adjoint
        if not (np.any(kinks_u) or np.any(kinks_p)):
            return adjoint.gradient_u, adjoint.gradient_p
        in_controls = adjoint.gradient_u - in_u * kinks_u * np.sign(self.u)
        return in_controls, adjoint.gradient_p - in_p * kinks_p * np.sign(self.p)

    @property
    def largest_costate(self) -> float:
        """max |r(y, t)| over width, depth and samples, in function space."""
        return float(np.max(np.abs(self.adjoint.costate / np.asarray(self.ground.problem.state_metric))))

    @property
    def parameter_gain(self) -> float:
        """What a unit projected gradient step in the parameters would gain to first order."""
        metric, box = self.ground.metric[1], self.ground.problem.parameter_box
        return _projected_gain(self.p, self.adjoint.gradient_p, metric, box)

    @property
    def control_gain(self) -> float:
        """The same for the controls; zero where J is stationary in them."""
        metric, box = self.ground.metric[0], self.ground.problem.control_box
        return _projected_gain(self.u, self.adjoint.gradient_u, metric, box)


def _projected_gain(values: Array, gradient: Array, metric: Array, box: tuple[Array, Array]) -> float:
    """⟨g, v − Π(v − g/metric)⟩ ≥ 0."""
    return float(np.sum(gradient * (values - np.clip(values - gradient / metric, *box))))


class Ground:
    """What one solve stands on: the sweeps and the Hamiltonian of one problem on one depth scheme.

    Counts its sweeps, keeps the best iterate seen, and calls ``watch`` after each sweep. A move that is itself an
    iteration calls ``passed`` with every iterate that it accepts on its way, and with its gap where that is known.
    """

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self.problem = problem
        self.sweeper = Sweeper(problem, depth)
        self.law = Hamiltonian(problem)
        self.sweeps = 0
        self.best: Iterate | None = None
        self.watch: Callable[[], object] = lambda: None
        self.passed: Callable[[Iterate, float], object] = lambda iterate, gap: None
        if np.any(self.sweeper.tableau.b < 0.0):
            raise NotSupported(f"{depth!r}: the maximum principle on a layer needs a scheme with weights b_i ≥ 0.")

    @cached_property
    def separated(self) -> SeparatedHamiltonian:
        """H by groups of controls that do not meet."""
        return self.law.separated

    def on_samples(self, rows: NDArray[np.intp]) -> Ground:
        """The ground of some samples only, with the same compiled functions; its sweeps are not counted here."""
        problem, other = self.problem, copy(self)
        x0, data, weights = problem.x0[rows], np.asarray(problem.data)[rows], np.asarray(problem.weights)[rows]
        other.problem = replace(problem, initial=x0, data=data, weights=weights)
        other.sweeper = self.sweeper.for_samples(other.problem)
        other.best, other.watch, other.passed = None, lambda: None, lambda iterate, gap: None
        return other

    def at(self, u: Array, p: Array) -> Iterate:
        """The iterate of controls u and parameters p. Raises SweepFailed where it has no finite state or cost."""
        self.sweeps += 1
        trajectory = self.sweeper.state(u, p)
        cost = self.sweeper.cost(trajectory, u, p)
        if not np.isfinite(cost):
            raise SweepFailed(f"the cost became {cost} although the state is finite.")
        iterate = Iterate(self, u, p, trajectory, cost)
        if self.best is None or cost < self.best.cost:
            self.best = iterate
        self.watch()
        return iterate

    def costate(self, iterate: Iterate) -> Adjoint:
        """The costate sweep. Raises SweepFailed, naming the formula, where it or a gradient is not finite."""
        self.sweeps += 1
        adjoint = self.sweeper.costate(iterate.trajectory, iterate.u, iterate.p)
        if not all(np.all(np.isfinite(part)) for part in (adjoint.costate, adjoint.gradient_u, adjoint.gradient_p)):
            cause = lost_along(self.sweeper, iterate.trajectory, iterate.u, iterate.p) or "the costate."
            raise SweepFailed(f"{LOST} along the trajectory: {cause}")
        self.watch()
        return adjoint

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """∂J/∂u (N, m) and ∂J/∂p (P,) at a point that is no iterate, and may lie outside of the box."""
        self.sweeps += 2
        adjoint = self.sweeper.costate(self.sweeper.state(u, p), u, p)
        return adjoint.gradient_u, adjoint.gradient_p

    @cached_property
    def terminal(self) -> Terminal:
        """The terminal losses of blocks of samples."""
        return terminal_form(self.problem)

    @cached_property
    def penalty(self) -> Penalty:
        return penalty_form(self.problem)

    @cached_property
    def metric(self) -> tuple[Array, Array]:
        """Quadrature weights of function space: h_k times the control metric (N, m), and the parameters' (P,)."""
        problem = self.problem
        return self.sweeper.h[:, None] * np.asarray(problem.control_metric), np.asarray(problem.parameter_metric)

    @cached_property
    def kinks(self) -> tuple[Array, Array]:
        """λ of what the cost holds of λ|u| (m,) and λ|p| (P,), in function space; 0 where it holds none."""
        problem = self.problem
        of_controls = thresholds(problem.effort, np.asarray(problem.control_metric))
        return of_controls, thresholds(problem.penalty, np.asarray(problem.parameter_metric))
