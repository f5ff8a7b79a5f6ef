"""What an answer's own states and costates miss of the state and the adjoint equation, and what that can be worth.

With δ the defects of the state equation and ρ those of the adjoint equation, to first order in J,

    worth of δ  =  Σ_k ⟨p_k, δ_k⟩ + Σ_ki ⟨G_ki, δ_ki⟩       (G the costates of the stage equations),
    worth of ρ  ≤  Σ_k ⟨|ρ_k|, |x|⟩                          (|x| the largest of each state over depth).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.arrays import Array
from ocdl.sweeps.sweeper import Adjoint, Forces, Given, Sweeper, Trajectory


@dataclass(frozen=True, eq=False)
class Defects:
    """``state`` and ``costate`` (N+1, S, n) at the nodes; ``violation``: the largest defect of the state equation, at
    nodes or stages, in units of max(1, |x|); ``state_worth`` with its sign, ``costate_worth`` ≥ 0.
    """

    state: Array
    costate: Array
    violation: float
    state_worth: float
    costate_worth: float


def trajectory_of(sweeper: Sweeper, u: Array, p: Array, x: Array | None, stages: Array | None) -> Trajectory:
    """The answer's own trajectory; swept where it has none, stages from its own nodes where it has none of these.

    Raises SweepFailed where a sweep is needed and fails.
    """
    if x is None:
        return sweeper.state(u, p)
    inner = sweeper.restarted(x[:-1], u, p)[1] if stages is None else stages
    return Trajectory(sweeper.t, sweeper.h, sweeper.stage_t, x, inner)


def judged_adjoint(
    sweeper: Sweeper,
    trajectory: Trajectory,
    u: Array,
    p: Array,
    forces: Forces | None,
    costate: Array | None,
    own_states: bool,
) -> tuple[Adjoint, Defects]:
    """The adjoint at the answer's own costates (swept where it has none), and its defects; zero by construction where
    both are the referee's sweeps.
    """
    if costate is None:
        adjoint = sweeper.costate(trajectory, u, p, forces)
        if not own_states:
            nothing = np.zeros(trajectory.x.shape)
            return adjoint, Defects(nothing, nothing, 0.0, 0.0, 0.0)
        costate = adjoint.costate
    adjoint, given = sweeper.given_costate(trajectory, u, p, costate, forces)
    return adjoint, _weighed(sweeper, trajectory, u, p, costate, given, forces)


def _weighed(
    sweeper: Sweeper,
    trajectory: Trajectory,
    u: Array,
    p: Array,
    costate: Array,
    given: Given,
    forces: Forces | None,
) -> Defects:
    missed = sweeper.defects(trajectory, u, p)
    size = np.max(np.abs(trajectory.x), axis=0)
    unit = np.maximum(1.0, size)
    forces = sweeper.with_measurements(trajectory, p, forces)
    ahead = costate.copy()  # the multipliers of x_{k+1} = ...: the costate just before a jump
    if forces is not None:
        ahead[1:-1] += forces.nodes[1:-1]
    return Defects(
        state=missed.nodes,
        costate=given.missed,
        violation=float(max_of(np.abs(missed.nodes) / unit, np.abs(missed.stages) / unit)),
        state_worth=float(np.sum(ahead * missed.nodes) + np.sum(given.pulled * missed.stages)),
        costate_worth=float(np.sum(np.abs(given.missed) * np.where(size > 0.0, size, 1.0))),
    )


def max_of(*arrays: Array) -> float:
    """The largest entry of all, NaN where there is one."""
    return float(np.max([np.max(array, initial=0.0) for array in arrays]))
