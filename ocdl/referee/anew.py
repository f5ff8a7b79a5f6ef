"""Layers integrated anew, each from the answer's own node x_k, by Gauss collocation of higher order.

The controls are the same functions of depth. Every layer restarts, so that an unstable plant amplifies nothing; along
its polynomial the bounds of states and the rows of path can be evaluated everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import PerStage, PiecewiseConstant, lagrange
from ocdl.depth.fine_mesh import FineMesh, control_at
from ocdl.depth.schemes import DepthScheme, Tableau, gauss_tableau
from ocdl.referee.constraints import Constrained, Constraints
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, Trajectory

Array = NDArray[np.float64]

SAMPLES = np.linspace(0.0, 1.0, 13)  # relative depths of a layer at which its constraints are looked at

# Euler's steps from the start of the layer to every sample: only their places are used
EVERYWHERE = Tableau(
    np.outer(SAMPLES, np.arange(SAMPLES.size) == 0), np.full(SAMPLES.size, 1.0 / SAMPLES.size), SAMPLES, 1
)


@dataclass(frozen=True, eq=False)
class Anew:
    """The layers integrated anew: ``trajectory.x[1:]`` are the ends that they reach from the x_k (N+1, S, n) given."""

    fine: FineMesh
    sweeper: Sweeper
    trajectory: Trajectory
    u: Array
    p: Array

    @classmethod
    def of(cls, problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, x: Array) -> Anew:
        """Raises SweepFailed where a layer cannot be integrated."""
        fine = layers_of(problem, depth, gauss_tableau(int(np.clip(depth.tableau.order // 2 + 2, 3, 8))))
        sweeper, u = Sweeper(problem, fine), controls_on(problem, depth, fine, u)
        ends, inner = sweeper.restarted(x[:-1], u, p)
        trajectory = Trajectory(fine.nodes, sweeper.h, sweeper.stage_t, np.concatenate([x[:1], ends]), inner)
        return cls(fine, sweeper, trajectory, u, p)

    def sampled(self, problem: ControlProblem, depth: DepthScheme, u: Array, x: Array) -> Anew:
        """The same at the relative depths ``SAMPLES``, by the polynomial of every layer; u (Q, m) of the scheme."""
        fine = layers_of(problem, depth, EVERYWHERE)
        sweeper = Sweeper(problem, fine)
        known = np.concatenate([x[:-1, None], self.trajectory.stages], axis=1)
        weights = lagrange(np.append(0.0, self.fine.tableau.c), SAMPLES)
        trajectory = replace(
            self.trajectory, stage_t=sweeper.stage_t, stages=np.einsum("qi,kisn->kqsn", weights, known)
        )
        return Anew(fine, sweeper, trajectory, controls_on(problem, depth, fine, u), self.p)

    def constraints(self) -> list[Constrained]:
        """Bounds of states and path inside the layers, everywhere; rows (N, s, S, ...)."""
        constraints = Constraints(self.sweeper.problem, self.fine, self.sweeper)
        none = constraints.no_multipliers()
        families = constraints.families(self.trajectory, self.u, self.p, none, everywhere=True)
        return [family for family in families if family.name in ("state at the stages", "path")]


def layers_of(problem: ControlProblem, depth: DepthScheme, tableau: Tableau) -> FineMesh:
    """The layers of ``depth`` with the stages of ``tableau``."""
    mesh = depth.mesh(problem.span)
    constant = isinstance(depth.controls, PiecewiseConstant)
    return FineMesh(tableau, mesh, np.arange(mesh.size - 1), PiecewiseConstant() if constant else PerStage())


def controls_on(problem: ControlProblem, depth: DepthScheme, fine: FineMesh, u: Array) -> Array:
    """The coefficients on ``fine`` of the same controls as functions of depth, inside their box."""
    if isinstance(depth.controls, PiecewiseConstant):
        return u
    t = fine.stage_t.ravel()
    values = control_at(depth, fine.nodes, u, np.repeat(fine.layer, fine.tableau.stages), t)
    return np.clip(values, *problem.control_box_at(t))
