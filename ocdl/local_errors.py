"""The local error of every layer: the layer integrated anew, by Gauss collocation of higher order, from its own node.

With x̃_{k+1} its end from x_k, L̃ its running cost, and p the costate, layer k is wrong, to first order in J, by

    ⟨p_{k+1}, x̃_{k+1} − x_{k+1}⟩ + ∫_k (L̃ − L) dt.

Every layer restarts, so that an unstable plant amplifies nothing.
Source: Becker and Rannacher, Acta Numerica 10 (2001), for the dual weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.arrays import Array
from ocdl.control_shapes import PerStage, PiecewiseConstant
from ocdl.depth import DepthScheme, gauss_tableau
from ocdl.fine_mesh import FineMesh, control_at
from ocdl.problem import ControlProblem
from ocdl.sweeps import Sweeper, Trajectory


@dataclass(frozen=True, eq=False)
class LocalErrors:
    """cost (N,): what every layer is wrong by in J; ends (N, S, n): x̃_{k+1} − x_{k+1}; and what they were found with:
    the scheme of higher order, its sweeper, the controls on it, and the trajectory through the restarted layers.
    """

    cost: Array
    ends: Array
    fine: FineMesh
    sweeper: Sweeper
    controls: Array
    trajectory: Trajectory


def local_errors(
    problem: ControlProblem,
    depth: DepthScheme,
    own: Sweeper,
    trajectory: Trajectory,
    costate: Array,
    u: Array,
    p: Array,
) -> LocalErrors:
    """The errors of controls u (Q, m) along a trajectory with Euclidean costates (N+1, S, n), by the sweeper of its own
    scheme. Raises SweepFailed where a layer cannot be integrated.
    """
    x = trajectory.x
    fine, controls = _finer(problem, depth, own.t, u)
    sweeper = Sweeper(problem, fine)
    ends, inner = sweeper.restarted(x[:-1], controls, p)
    finer = Trajectory(fine.nodes, sweeper.h, sweeper.stage_t, np.concatenate([x[:1], ends]), inner)
    cost = np.sum(costate[1:] * (ends - x[1:]), axis=(1, 2))
    cost += _running(problem, sweeper, finer, controls, p) - _running(problem, own, trajectory, u, p)
    return LocalErrors(cost, ends - x[1:], fine, sweeper, controls, finer)


def _finer(problem: ControlProblem, depth: DepthScheme, mesh: Array, u: Array) -> tuple[FineMesh, Array]:
    """The same layers by a scheme of higher order, and the same controls as functions of depth on it."""
    tableau = gauss_tableau(int(np.clip(depth.tableau.order // 2 + 2, 3, 8)))
    layers = np.arange(mesh.size - 1)
    constant = isinstance(depth.controls, PiecewiseConstant)
    fine = FineMesh(tableau, mesh, layers, PiecewiseConstant() if constant else PerStage())
    values = u
    if not constant:
        t = fine.stage_t.ravel()
        values = control_at(depth, mesh, u, np.repeat(layers, tableau.stages), t)
        values = np.clip(values, *problem.control_box_at(t))
    return fine, values


def _running(problem: ControlProblem, sweeper: Sweeper, trajectory: Trajectory, u: Array, p: Array) -> Array:
    """The running cost of every layer by the sweeper's own quadrature, (N,)."""
    density = sweeper.effort(u, p)
    if problem.running is not None:
        density = density + sweeper.running(trajectory, u, p) @ np.asarray(problem.weights)
    return np.asarray(np.sum(sweeper.h[:, None] * sweeper.tableau.b * density, axis=1))
