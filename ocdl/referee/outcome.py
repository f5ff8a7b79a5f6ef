"""What a route hands to the referee: how it ended, and its answer, a trajectory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.depth.schemes import Layers
from ocdl.interrupts import uninterrupted
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

FEASIBLE = 1e-6  # what a success may violate a bound, a constraint or the state equation by


class Status(Enum):
    """How a solve ended; the value is the sentence a user reads, with the remedy."""

    CONVERGED = "Converged."
    ACCEPTABLE = "Stopped at a looser tolerance than asked; refine the grid or restart from this solution to go on."
    BETWEEN = (
        "Converged at the points where the constraints are imposed, but between them they are violated. Refine the "
        "mesh, or let the controls vary otherwise in a layer: controls=PiecewiseLinear() or PerStage(), and "
        "PiecewiseConstant() for constraints on controls alone."
    )
    REACHABLE = (
        "The target is reached: the costate vanishes and the maximum principle says nothing about the controls; "
        "many controls are optimal."
    )
    NO_EXTREMAL = (
        "The method ended, but not at an extremal: other admissible controls lower the Hamiltonian by many times "
        "the whole cost (see the gap). Start elsewhere, with another seed, or from ValueIteration's feedback."
    )
    CYCLE = (
        "The method cycles between the same controls and will not converge; the best iterate is returned. "
        "Use NeedleSteps, which accepts only steps that lower the cost."
    )
    STALLED = (
        "No step lowers the cost enough although the stated tolerance is not met; "
        "try another start, a finer depth grid, or another method."
    )
    FLAT = (
        "The gradient vanishes in a flat region of the activation, not at an optimum: the costate does not vanish and "
        "other controls would lower the cost. Start elsewhere, or use NeedleSteps, which needs no gradient."
    )
    ITERATION_LIMIT = (
        "Stopped at the iteration limit; the last iterate is kept. Raise max_iterations or pass this solution as start."
    )
    INTERRUPTED = "Interrupted by the user; the best iterate so far is kept. Pass this solution as start to go on."
    INFEASIBLE = (
        "The solver found no feasible point; the last iterate is kept. "
        "Loosen the bounds or constraints, or give a start that satisfies them."
    )
    NOT_A_NUMBER = (
        "The model returned NaN or infinity; the last iterate is kept. "
        "Bound the controls and states away from the singularity, or start elsewhere."
    )
    REFUTED = (
        "The method reports a success that the figures of its own answer contradict; the answer is kept as it is. "
        "Tighten the method's tolerance, refine the grid, or start elsewhere."
    )
    OVERDETERMINED = (
        "More is prescribed than the controls can meet; the last iterate is kept. Use more layers or controls that "
        "vary in a layer, prescribe less at the end, or leave out what is redundant."
    )
    FAILED = "The solver failed; the last iterate is kept. Try another start, a coarser grid or other solver options."
    EDGE = (
        "The edge of the value function's domain cut the flow: V is not valid at the start and may lie far from the "
        "optimum; the controls are admissible, but not known to be good. Give ValueIteration a larger domain=."
    )
    ROLLED_OUT = "The value function was computed on its grid and its feedback rolled out."

    @property
    def failed(self) -> bool:
        """True where the answer is not what was asked for (``solve`` raises SolveFailed by default)."""
        return self in (
            Status.ITERATION_LIMIT,
            Status.INFEASIBLE,
            Status.OVERDETERMINED,
            Status.NOT_A_NUMBER,
            Status.REFUTED,
            Status.FAILED,
        )


@dataclass(frozen=True, eq=False)
class Multipliers:
    """Euclidean multipliers λ of the Lagrangian J + Σ λ·c: positive where a value presses on its upper bound.

    nodes (N+1, S, n): of states at the nodes (their box, and what is prescribed at the end); stages (N, s, S, n): of
    states at the stages; path (N, s, S, rows); boundary (S, rows).
    """

    nodes: Array
    stages: Array
    path: Array
    boundary: Array

    @classmethod
    def zeros(cls, problem: ControlProblem, depth: Layers) -> Multipliers:
        N, s, S, n = depth.count, depth.tableau.stages, problem.samples, problem.n
        return cls(
            np.zeros((N + 1, S, n)),
            np.zeros((N, s, S, n)),
            np.zeros((N, s, S, problem.rows("path"))),
            np.zeros((S, problem.rows("boundary"))),
        )


@dataclass(frozen=True)
class Outcome:
    """What a method hands back, in Euclidean coordinates: a trajectory, or what the referee's sweeps make one from.

    ``u`` (Q, m): controls, one row a layer where they are constant there; ``p`` (P,): parameters;
    ``x`` (N+1, S, n), ``stages`` (N, s, S, n): the answer's own states at nodes and stages; the sweep of ``u`` where it
    has none, and each layer from its own node where it has no ``stages``;
    ``costate`` (N+1, S, n): its own costates at the nodes, each the one just behind; the costate sweep without;
    ``detail``: one sentence with this run's figures;
    ``claim``: the route's own report, under the keys ``cost`` (float), ``costate`` (N+1, S, n),
    ``stage_costate`` (N, s, S, n); never used in a comparison;
    ``multipliers``: of constraints beyond the boxes of u and p; the referee's costate needs them;
    ``judge``: the problem with the method's own control set, where that is smaller than the box: the referee's gap is
    taken over it;
    ``history``: equally long lists, one entry an iteration;
    ``extras``: labelled arrays worth saving (the value function).
    """

    u: Array
    p: Array
    status: Status
    detail: str = ""
    claim: dict[str, Any] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    extras: Mapping[str, xr.DataArray] = field(default_factory=dict)
    multipliers: Multipliers | None = None
    judge: ControlProblem | None = None
    x: Array | None = None
    stages: Array | None = None
    costate: Array | None = None


def wrapped_up(outcome: Callable[[], Outcome]) -> Outcome:
    """What a method that has ended hands back, put together while Ctrl-C waits; one that came is in the status."""
    with uninterrupted() as ctrl_c:
        made = outcome()
        return replace(made, status=Status.INTERRUPTED) if ctrl_c.taken() else made
