"""The local error of every layer: the layer integrated anew, by a scheme of higher order, from the answer's own node.

With x̃_{k+1} its end from x_k, L̃ its running cost, and p the costate, layer k is wrong, to first order in J, by

    ⟨p_{k+1}, x̃_{k+1} − x_{k+1}⟩ + ∫_k (L̃ − L) dt.

Source: Becker and Rannacher, Acta Numerica 10 (2001), for the dual weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.referee.anew import Anew
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, Trajectory


@dataclass(frozen=True, eq=False)
class LocalErrors:
    """cost (N,): what every layer is wrong by in J; ends (N, S, n): x̃_{k+1} − x_{k+1}; and the layers ``anew``."""

    cost: Array
    ends: Array
    anew: Anew


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
    anew = Anew.of(problem, depth, u, p, trajectory.x)
    ends = anew.trajectory.x[1:] - trajectory.x[1:]
    ahead, measured = costate[1:].copy(), own.with_measurements(trajectory, p, None)
    if measured is not None:
        ahead[:-1] += measured.nodes[1:-1]
    cost = np.sum(ahead * ends, axis=(1, 2))
    cost += _running(problem, anew.sweeper, anew.trajectory, anew.u, p) - _running(problem, own, trajectory, u, p)
    return LocalErrors(cost, ends, anew)


def _running(problem: ControlProblem, sweeper: Sweeper, trajectory: Trajectory, u: Array, p: Array) -> Array:
    """The running cost of every layer by the sweeper's own quadrature, (N,)."""
    density = sweeper.effort(u, p)
    if problem.running is not None:
        density = density + sweeper.running(trajectory, u, p) @ np.asarray(problem.weights)
    return np.asarray(np.sum(sweeper.h[:, None] * sweeper.tableau.b * density, axis=1))
