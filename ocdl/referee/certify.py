"""The referee: judges the trajectory of any route, layer by layer, from the problem's formulas alone.

An answer's own states and costates are taken where it has them; for one that has controls only, one state sweep and one
costate sweep supply the rest. Nothing of it is believed: the referee evaluates

    the defects δ of the state equation, the feasibility with the violation of every constraint;
    the defects ρ of the adjoint equation at the costates and multipliers that were handed in;
    cost, Hamiltonian, and the gap  Σ h b [H(u) − min H] + Σ |λ| slack + Σ |ρ_k| |x|,

with H + Σ ν_j u_j in the place of H where controls j have budgets, ν those of a unit projected step (``Stationarity``).
The last two terms are what wrong multipliers and wrong costates can be worth, |x| the size of each state. To first
order δ changed the cost by Σ ⟨p_{k+1}, δ_k⟩ (``defect_worth``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import real_array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.referee.constraints import Constraints
from ocdl.referee.defects import judged_adjoint, trajectory_of
from ocdl.referee.hamiltonian import Hamiltonian
from ocdl.referee.outcome import Multipliers
from ocdl.referee.stationarity import Stationarity, stationarity
from ocdl.statement.discrete import check_layers
from ocdl.statement.problem import ControlProblem
from ocdl.statement.spending import priced, spent
from ocdl.sweeps.sweeper import Adjoint, Sweeper, Trajectory

Array = NDArray[np.float64]

PROVEN, THOROUGH, LOCAL = "proven", "thorough", "local"  # searches for min H
FIRST_ORDER: Literal["first order"] = "first order"  # there was none


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the referee finds, in Euclidean coordinates.

    ``hamiltonian`` and ``excess`` = H(u) − min_u H at the stages, (N, s); ``gap`` = Σ h_k b_i excess plus the duality
    gap of the constraints and what the defects of the adjoint equation can be worth. ``violations``: the largest of
    every family of constraints, by name; of the state equation, ``dynamics``, in units of max(1, |x|).
    ``state_defect``, ``costate_defect`` (N+1, S, n): what the answer's own states and costates miss of their equations
    at the nodes, zero where they are the referee's sweeps; ``defect_worth``: Σ ⟨p, δ⟩, what the former changed J by.
    ``stationarity``: what a unit step along the projected gradient gains.
    ``search``: how min H was found, ``PROVEN``, ``THOROUGH`` (sought in the whole box) or ``LOCAL``; ``FIRST_ORDER``
    where it was not sought, and excess and gap are NaN.
    """

    cost: float
    trajectory: Trajectory
    adjoint: Adjoint
    hamiltonian: Array
    excess: Array
    gap: float
    gap_is_exact: bool
    feasibility: float
    violations: dict[str, float]
    state_defect: Array
    costate_defect: Array
    defect_worth: float
    stationarity: Stationarity
    search: str


@dataclass(frozen=True, eq=False)
class Judged:
    """An answer judged: controls u (Q, m) and parameters p (P,) of a problem on its mesh, and their verdict."""

    problem: ControlProblem
    depth: DepthScheme
    u: Array
    p: Array
    verdict: Verdict


def certify(
    problem: ControlProblem,
    depth: DepthScheme,
    u: Array,
    p: Array,
    multipliers: Multipliers | None = None,
    *,
    x: Array | None = None,
    stages: Array | None = None,
    costate: Array | None = None,
    thorough: bool = False,
    first_order: bool = False,
) -> Verdict:
    """Judge controls u (Q, m) and parameters p (P,); ``multipliers`` of its constraints, zero by default.

    x (N+1, S, n), stages (N, s, S, n): the answer's own states at nodes and stages; costate (N+1, S, n): its own
    Euclidean costates at the nodes. Swept where they are missing; stages from the answer's own nodes.
    thorough: seek min H in the whole box, however long that takes; else only where it takes little
    (``Hamiltonian.least``), and of many samples or wide layers by some sixty evaluations of H, so that the gap is the
    same at every call and at least as good a lower bound as one descent gives.
    first_order: min H is not sought, and the gap is NaN; where the controls are in a set that is no box it is.
    Raises InvalidInput for wrong shapes, SweepFailed where the state equation has no solution.
    """
    if not isinstance(problem, ControlProblem) or not isinstance(depth, DepthScheme):
        raise InvalidInput(
            f"certify({type(problem).__name__}, {type(depth).__name__}, ...): give a ControlProblem "
            "(SelectionProblem.discretise makes one) and a depth scheme."
        )
    check_layers(problem, depth)
    u, p = _shaped("u", u, (depth.control_rows, problem.m)), _shaped("p", p, (problem.P,))
    nodes, inner = _grids(problem, depth)
    x, stages, costate = _own("x", x, nodes), _own("stages", stages, inner), _own("costate", costate, nodes)
    sweeper = Sweeper(problem, depth)
    trajectory = trajectory_of(sweeper, u, p, x, stages)
    constraints = Constraints(problem, depth, sweeper)
    multipliers = constraints.no_multipliers() if multipliers is None else multipliers
    families = list(constraints.families(trajectory, u, p, multipliers))
    forces = constraints.forces(trajectory, u, p, multipliers) if families else None
    adjoint, defects = judged_adjoint(sweeper, trajectory, u, p, forces, costate, x is not None)
    hamiltonian = stage_hamiltonian(sweeper, trajectory, adjoint, u, p)
    found = stationarity(problem, depth, u, p, adjoint.gradient_u, adjoint.gradient_p)
    excess, search = np.full_like(hamiltonian, np.nan), str(FIRST_ORDER)
    if not first_order or problem.control_set is not None:
        law = Hamiltonian(priced(problem, depth, found.multipliers) if problem.budgets else problem)
        excess, search = stage_excess(sweeper, trajectory, adjoint, u, p, law, thorough=thorough)
    weights = sweeper.h[:, None] * sweeper.tableau.b
    violations = {family.name: float(np.max(family.violation, initial=0.0)) for family in families}
    violations["controls"] = _controls_violation(problem, depth, sweeper, u)
    violations["parameters"] = _violation(p, problem.parameter_box)
    violations["dynamics"] = defects.violation
    if problem.budgets:
        missed = spent(problem, depth, u) - [budget.total for budget in problem.budgets]
        violations["budget"] = float(np.max(np.abs(missed)))
    gap = float(np.sum(weights * excess)) + sum(family.duality_gap for family in families) + defects.costate_worth
    return Verdict(
        cost=sweeper.cost(trajectory, u, p),
        trajectory=trajectory,
        adjoint=adjoint,
        hamiltonian=hamiltonian,
        excess=excess,
        gap=gap if np.all(np.isfinite(adjoint.costate)) else np.nan,
        gap_is_exact=search == PROVEN,
        search=search,
        feasibility=float(np.max(list(violations.values()))),
        violations=violations,
        state_defect=defects.state,
        costate_defect=defects.costate,
        defect_worth=defects.state_worth,
        stationarity=found,
    )


def _grids(problem: ControlProblem, depth: DepthScheme) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of states at the nodes and at the stages."""
    N, s, S, n = depth.count, depth.tableau.stages, problem.samples, problem.n
    return (N + 1, S, n), (N, s, S, n)


def _own(name: str, values: Any, shape: tuple[int, ...]) -> Array | None:
    return None if values is None else _shaped(name, values, shape)


def _shaped(name: str, values: Any, shape: tuple[int, ...]) -> Array:
    array = real_array(f"certify({name}=...)", values)
    if array.shape != shape:
        raise InvalidInput(f"certify({name}=...): this problem and mesh need the shape {shape}; got {array.shape}.")
    return array


def _controls_violation(problem: ControlProblem, depth: DepthScheme, sweeper: Sweeper, u: Array) -> float:
    """How far the controls leave their bounds where their coefficients live, at the stages, too, if the bounds vary;
    and their control set.
    """
    violation = _violation(u, problem.coefficient_box(depth))
    stages = sweeper.stage_controls(u)
    if problem.bounds.varies("u"):
        violation = max(violation, _violation(stages, problem.control_box_at(sweeper.stage_t.ravel())))
    if problem.control_set is not None:
        violation = max(violation, problem.control_set.violation(problem.unpack(stages)))
    return violation


def _violation(values: Array, box: tuple[Array, Array]) -> float:
    """Largest distance of a value from its interval."""
    low, high = box
    return float(np.maximum(np.max(low - values, initial=0.0), np.max(values - high, initial=0.0)))


def stage_excess(
    sweeper: Sweeper,
    trajectory: Trajectory,
    adjoint: Adjoint,
    u: Array,
    p: Array,
    law: Hamiltonian,
    *,
    thorough: bool = False,
) -> tuple[Array, str]:
    """H(u) − min H of the ``law`` at the stages, (N, s), over all controls that box and path constraints admit there:
    infinite where H falls without end, 0 where b_i = 0. And how the minima were found: unless they are proven they may
    lie lower, and the excess is at least this.
    """
    problem, (N, s, S, n) = sweeper.problem, trajectory.stages.shape
    counted = np.tile(sweeper.tableau.b != 0.0, N)
    costate, x = np.nan_to_num(adjoint.stages).reshape(-1, S, n)[counted], trajectory.stages.reshape(-1, S, n)[counted]
    t, controls = sweeper.stage_t.ravel()[counted], sweeper.stage_controls(u)[counted]
    given = (t, x, costate, np.asarray(problem.weights), controls, p)
    least = law.least(*given, thorough=thorough)
    excess = np.zeros(N * s)
    excess[counted] = law.values(*given)[0] - least.value
    return excess.reshape(N, s), PROVEN if least.proven else THOROUGH if least.thorough else LOCAL


def stage_hamiltonian(sweeper: Sweeper, trajectory: Trajectory, adjoint: Adjoint, u: Array, p: Array) -> Array:
    """H = Σ_s ⟨Λ_s, φ_s⟩ + ω_s L_s + E at the stages, (N, s)."""
    values = np.einsum("kisn,kisn->ki", np.nan_to_num(adjoint.stages), sweeper.rates(trajectory, u, p))
    if sweeper.problem.running is not None:
        values = values + sweeper.running(trajectory, u, p) @ sweeper.problem.weights
    return values + sweeper.effort(u, p)


def on_true_depths(problem: ControlProblem, verdict: Verdict, p: Array) -> Verdict:
    """The verdict on true times; where the horizon is free H and its excess are per unit of t."""
    times, old = problem.times, verdict.trajectory
    scale = times.scale(p)
    trajectory = replace(old, t=times.at(old.t, p), h=scale * old.h, stage_t=times.at(old.stage_t, p))
    return replace(
        verdict, trajectory=trajectory, hamiltonian=verdict.hamiltonian / scale, excess=verdict.excess / scale
    )
