"""The referee: judges the trajectory of any route, layer by layer, from the problem's formulas alone.

An answer's own states and costates are taken where it has them; for one that has controls only, one state sweep and one
costate sweep supply the rest. Nothing of it is believed: the referee evaluates

    the defects δ of the state equation, the feasibility with the violation of every constraint;
    the defects ρ of the adjoint equation at the costates and multipliers that were handed in;
    cost, Hamiltonian, and the gap  Σ h b [H(u) − min H] + Σ |λ| slack + Σ |ρ_k| |x|,

the last two being what wrong multipliers and wrong costates can be worth, |x| the size of each state. To first order
δ changed the cost by Σ ⟨p_{k+1}, δ_k⟩ (``defect_worth``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.arrays import real_array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.referee.between import worst_between
from ocdl.referee.certificate import Certificate, certified
from ocdl.referee.constraints import Constraints
from ocdl.referee.defects import judged_adjoint, trajectory_of
from ocdl.referee.hamiltonian import Hamiltonian
from ocdl.referee.outcome import FEASIBLE, Multipliers, Outcome, Status
from ocdl.referee.schema import FORMAT
from ocdl.referee.solution import Answer, Solution
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Adjoint, Sweeper, Trajectory

Array = NDArray[np.float64]

FAR = 10.0  # times |J| + ∫|H|: a gap that no mesh and no slack of a tolerance explains
SUCCESSES = (Status.CONVERGED, Status.ACCEPTABLE)
ROUNDING = 1e-8  # of |J| and ∫|H|: what a gap may lie below zero
NOTEWORTHY, LARGE = 1e-6, 1e-2  # violations between the points, relative: told from the one, named from the other
VANISHING = 1e-6  # a costate function below this everywhere: the target is reached


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the referee finds, in Euclidean coordinates.

    ``hamiltonian`` and ``excess`` = H(u) − min_u H at the stages, (N, s); ``gap`` = Σ h_k b_i excess plus the duality
    gap of the constraints and what the defects of the adjoint equation can be worth. ``violations``: the largest of
    every family of constraints, by name; of the state equation, ``dynamics``, in units of max(1, |x|).
    ``state_defect``, ``costate_defect`` (N+1, S, n): what the answer's own states and costates miss of their equations
    at the nodes, zero where they are the referee's sweeps; ``defect_worth``: Σ ⟨p, δ⟩, what the former changed J by.
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
) -> Verdict:
    """Judge controls u (Q, m) and parameters p (P,); ``multipliers`` of its constraints, zero by default.

    x (N+1, S, n), stages (N, s, S, n): the answer's own states at nodes and stages; costate (N+1, S, n): its own
    Euclidean costates at the nodes. Swept where they are missing; stages from the answer's own nodes.
    Raises InvalidInput for wrong shapes, SweepFailed where the state equation has no solution.
    """
    if not isinstance(problem, ControlProblem) or not isinstance(depth, DepthScheme):
        raise InvalidInput(
            f"certify({type(problem).__name__}, {type(depth).__name__}, ...): give a ControlProblem "
            "(SelectionProblem.discretise makes one) and a depth scheme."
        )
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
    excess, exact = stage_excess(sweeper, trajectory, adjoint, u, p)
    weights = sweeper.h[:, None] * sweeper.tableau.b
    violations = {family.name: float(np.max(family.violation, initial=0.0)) for family in families}
    violations["controls"] = _controls_violation(problem, depth, sweeper, u)
    violations["parameters"] = _violation(p, problem.parameter_box)
    violations["dynamics"] = defects.violation
    gap = float(np.sum(weights * excess)) + sum(family.duality_gap for family in families) + defects.costate_worth
    return Verdict(
        cost=sweeper.cost(trajectory, u, p),
        trajectory=trajectory,
        adjoint=adjoint,
        hamiltonian=hamiltonian,
        excess=excess,
        gap=gap if np.all(np.isfinite(adjoint.costate)) else np.nan,
        gap_is_exact=exact,
        feasibility=float(np.max(list(violations.values()))),
        violations=violations,
        state_defect=defects.state,
        costate_defect=defects.costate,
        defect_worth=defects.state_worth,
    )


def _grids(problem: ControlProblem, depth: DepthScheme) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of states at the nodes and at the stages."""
    N, s, S, n = depth.count, depth.tableau.stages, problem.samples, problem.n
    return (N + 1, S, n), (N, s, S, n)


def _own(name: str, values: Any, shape: tuple[int, ...]) -> Array | None:
    return None if values is None else _shaped(name, values, shape)


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


def stage_excess(sweeper: Sweeper, trajectory: Trajectory, adjoint: Adjoint, u: Array, p: Array) -> tuple[Array, bool]:
    """H(u) − min H at the stages, (N, s), over all controls that box and path constraints admit there: infinite where H
    falls without end, 0 where b_i = 0. And whether the minima are proven: else they may lie lower, and the excess is at
    least this.
    """
    problem, (N, s, S, n) = sweeper.problem, trajectory.stages.shape
    law, counted = Hamiltonian(problem), np.tile(sweeper.tableau.b != 0.0, N)
    costate, x = np.nan_to_num(adjoint.stages).reshape(-1, S, n)[counted], trajectory.stages.reshape(-1, S, n)[counted]
    t, controls = sweeper.stage_t.ravel()[counted], sweeper.stage_controls(u)[counted]
    given = (t, x, costate, np.asarray(problem.weights), controls, p)
    least = law.least(*given)
    excess = np.zeros(N * s)
    excess[counted] = law.values(*given)[0] - least.value
    return excess.reshape(N, s), least.proven


def _shaped(name: str, values: Any, shape: tuple[int, ...]) -> Array:
    array = real_array(f"certify({name}=...)", values)
    if array.shape != shape:
        raise InvalidInput(f"certify({name}=...): this problem and mesh need the shape {shape}; got {array.shape}.")
    return array


def stage_hamiltonian(sweeper: Sweeper, trajectory: Trajectory, adjoint: Adjoint, u: Array, p: Array) -> Array:
    """H = Σ_s ⟨Λ_s, φ_s⟩ + ω_s L_s + E at the stages, (N, s)."""
    values = np.einsum("kisn,kisn->ki", np.nan_to_num(adjoint.stages), sweeper.rates(trajectory, u, p))
    if sweeper.problem.running is not None:
        values = values + sweeper.running(trajectory, u, p) @ sweeper.problem.weights
    return values + sweeper.effort(u, p)


def judged(
    problem: ControlProblem,
    depth: DepthScheme,
    outcome: Outcome,
    *,
    method: str,
    seconds: float,
    feasible: float = FEASIBLE,
) -> Solution:
    """The labelled ``Solution`` of a route's outcome: the referee's verdict beside the route's own claim.

    A success whose figures contradict it, such as a feasibility above ``feasible``, is none.
    """
    own = {name: _finite(getattr(outcome, name)) for name in ("x", "stages", "costate")}
    with np.errstate(invalid="ignore", over="ignore"):  # what is lost is found, and named, in the verdict
        verdict = certify(problem, depth, outcome.u, outcome.p, outcome.multipliers, **own)
    verdict = on_true_depths(problem, verdict, outcome.p)
    outcome = between_points(problem, depth, _confirmed(problem, outcome, verdict, feasible), verdict.trajectory.x)
    certificate = certified(
        problem,
        depth,
        outcome.u,
        outcome.p,
        cost=verdict.cost,
        gap=verdict.gap,
        trajectory=verdict.trajectory,
        adjoint=verdict.adjoint,
        hamiltonian=verdict.hamiltonian,
        seconds=seconds,
    )
    return labelled(problem, depth, outcome, verdict, method=method, seconds=seconds, certificate=certificate)


def _finite(values: Array | None) -> Array | None:
    """Nothing where a trajectory is not finite: the sweeps of the controls stand in for it."""
    return values if values is not None and np.all(np.isfinite(values)) else None


def _confirmed(problem: ControlProblem, outcome: Outcome, verdict: Verdict, feasible: float) -> Outcome:
    """The outcome with the status that the verdict leaves it."""
    if outcome.status.failed or outcome.status is Status.INTERRUPTED:
        return outcome
    figures = [verdict.cost, verdict.gap, verdict.feasibility]
    if not (np.all(np.isfinite(verdict.adjoint.costate)) and not np.any(np.isnan(figures))):
        return replace(outcome, status=Status.NOT_A_NUMBER)
    said = _contradiction(verdict, feasible)
    if said:
        return replace(outcome, status=Status.REFUTED, detail=f"{outcome.detail} {said}".strip())
    vanishes = np.max(np.abs(verdict.adjoint.costate / problem.state_metric)) < VANISHING
    plain = not problem.has_running_cost and not problem.constraints
    if outcome.status in (Status.CONVERGED, Status.ACCEPTABLE, Status.STALLED) and vanishes and plain:
        return replace(outcome, status=Status.REACHABLE)
    far = verdict.gap > FAR * _size(verdict) + FEASIBLE
    return replace(outcome, status=Status.NO_EXTREMAL) if far and outcome.status in SUCCESSES else outcome


def _size(verdict: Verdict) -> float:
    """|J| + ∫|H|: what a gap is large or small against."""
    return abs(verdict.cost) + float(np.sum(verdict.trajectory.h @ np.abs(verdict.hamiltonian)))


def _contradiction(verdict: Verdict, feasible: float) -> str:
    """What of the verdict no success can have; empty where there is nothing."""
    if verdict.feasibility > feasible:
        name, worst = max(verdict.violations.items(), key=lambda pair: pair[1])
        missed = "its own states miss the state equation" if name == "dynamics" else f"it violates its {name}"
        return f"The referee finds that {missed} by {worst:.2g}, more than {feasible:.1g}."
    if verdict.gap < -ROUNDING * (1.0 + _size(verdict)):
        return f"The referee finds a negative gap, {verdict.gap:.2g}: other controls than its own are admissible here."
    return ""


def unjudged(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, states: Array, *, method: str) -> Solution:
    """A ``Solution`` of controls without a trajectory: its states (k + 1, S, n) as far as they go, else NaN."""
    sweeper = Sweeper(problem, depth)
    N, s, S, n = depth.count, depth.tableau.stages, problem.samples, problem.n
    x = np.full((N + 1, S, n), np.nan)
    x[: len(states)] = states
    unknown = np.full((N, s, S, n), np.nan)
    no_gradients = np.full_like(outcome.u, np.nan), np.full_like(outcome.p, np.nan)
    adjoint = Adjoint(np.full_like(x, np.nan), unknown, *no_gradients, unknown)
    verdict = Verdict(
        cost=np.nan,
        trajectory=Trajectory(sweeper.t, sweeper.h, sweeper.stage_t, x, unknown),
        adjoint=adjoint,
        hamiltonian=np.full((N, s), np.nan),
        excess=np.full((N, s), np.nan),
        gap=np.nan,
        gap_is_exact=False,
        feasibility=np.nan,
        violations={},
        state_defect=np.full_like(x, np.nan),
        costate_defect=np.full_like(x, np.nan),
        defect_worth=np.nan,
    )
    return labelled(problem, depth, outcome, on_true_depths(problem, verdict, outcome.p), method=method, seconds=0.0)


def labelled(
    problem: ControlProblem,
    depth: DepthScheme,
    outcome: Outcome,
    verdict: Verdict,
    *,
    method: str,
    seconds: float,
    certificate: Certificate | None = None,
) -> Solution:
    """Outcome and verdict, on true depths, as the labelled arrays of a ``Solution``."""
    made: dict[str, Callable[[], xr.Dataset]] = {
        "nodes": lambda: _nodes(problem, verdict),
        "layers": lambda: _layers(verdict, depth.tableau.b),
        "stages": lambda: _stages(problem, verdict),
        "parameters": lambda: _parameters(problem, outcome.p, verdict),
        "claim": lambda: _claim(problem, verdict, outcome.claim),
        "history": lambda: xr.Dataset(
            {name: ("iteration", np.asarray(v, float)) for name, v in outcome.history.items()}
        ),
        "extras": lambda: xr.Dataset(dict(outcome.extras)),
    }

    def group(name: str) -> xr.Dataset:
        dataset = made[name]()
        if name == depth.controls.group:
            dataset = dataset.merge(_controls(problem, depth, outcome.u, verdict))
        multipliers = _multipliers(problem, outcome, verdict)
        return dataset.merge(multipliers[name]) if name in multipliers else dataset

    attrs = {
        "format": FORMAT,
        "method": method,
        "status": outcome.status.name,
        "detail": outcome.detail,
        "seconds": seconds,
        "cost": verdict.cost,
        "gap": verdict.gap,
        "gap_is_exact": int(verdict.gap_is_exact),
        "feasibility": verdict.feasibility,
        "defect_worth": verdict.defect_worth,
        "scheme": repr(depth),
    } | {f"violation of {name}": value for name, value in verdict.violations.items()}
    attrs |= {} if certificate is None else certificate.attributes()
    assert problem.layout is not None
    x, costate = verdict.trajectory.x, verdict.adjoint.costate
    groups = {name: partial(group, name) for name in made}
    answer = Answer(depth, problem.layout, outcome.u, outcome.p, x, costate, groups)
    return Solution.unlabelled(answer, attrs)


def between_points(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, x: Array) -> Outcome:
    """The outcome with what its constraints do between the points where they are imposed, in its detail.

    A success that violates a row there by more than ``LARGE`` · (1 + max |row|) is named for it. x (N+1, S, n): the
    states at the nodes.
    """
    worst = None if outcome.status.failed else worst_between(problem, depth, outcome.u, outcome.p, x)
    if worst is None or worst.relative < NOTEWORTHY:
        return outcome
    done = outcome.status in (Status.CONVERGED, Status.ACCEPTABLE, Status.STALLED)
    status = Status.BETWEEN if done and worst.relative > LARGE else outcome.status
    return replace(outcome, status=status, detail=f"{outcome.detail} Between the points, {worst}.".strip())


def _nodes(problem: ControlProblem, verdict: Verdict) -> xr.Dataset:
    found = {
        "states": verdict.trajectory.x,  # "state" is a ControlProblem's dimension
        "costate": verdict.adjoint.costate / problem.state_metric,
        "state_defect": verdict.state_defect,
        "costate_defect": verdict.costate_defect / problem.state_metric,
    }
    return xr.Dataset({name: _at_nodes(problem, verdict, values, name) for name, values in found.items()})


def _at_nodes(problem: ControlProblem, verdict: Verdict, values: Array, name: str) -> xr.DataArray:
    leading: dict[str, Any] = {"t": verdict.trajectory.t, "sample": np.arange(problem.samples)}
    return problem.layout.label(problem.layout.state, values, leading).rename(name)  # type: ignore[union-attr]


def _at_stages(problem: ControlProblem, verdict: Verdict, values: Array, name: str) -> xr.DataArray:
    trajectory = verdict.trajectory
    leading: dict[str, Any] = {
        "t": trajectory.t[:-1],
        "stage": np.arange(trajectory.stage_t.shape[1]),
        "sample": np.arange(problem.samples),
    }
    array = problem.layout.label(problem.layout.state, values, leading).rename(name)  # type: ignore[union-attr]
    return array.assign_coords(depth=(("t", "stage"), trajectory.stage_t))


def _stages(problem: ControlProblem, verdict: Verdict) -> xr.Dataset:
    costate = verdict.adjoint.stages / problem.state_metric
    return xr.Dataset(
        {
            "stage_state": _at_stages(problem, verdict, verdict.trajectory.stages, "stage_state"),
            "stage_costate": _at_stages(problem, verdict, costate, "stage_costate"),
            "excess": (("t", "stage"), verdict.excess, {"long_name": "H(u) − min_u H"}),
        }
    )


def _layers(verdict: Verdict, b: Array) -> xr.Dataset:
    return xr.Dataset(
        {
            "hamiltonian": ("t", verdict.hamiltonian @ b),
            "width": ("t", verdict.trajectory.h, {"long_name": "layer width h"}),
        },
        coords={"t": verdict.trajectory.t[:-1]},
    )


def _controls(problem: ControlProblem, depth: DepthScheme, u: Array, verdict: Verdict) -> xr.Dataset:
    """The controls and their gradients in function space, labelled as the scheme's shape has them."""
    layout, trajectory, shape = problem.layout, verdict.trajectory, depth.controls
    assert layout is not None
    N, s = trajectory.stage_t.shape
    weights = shape.basis(N, depth.tableau.c).T @ (trajectory.h[:, None] * depth.tableau.b).ravel()
    measure = weights[:, None] * np.asarray(problem.control_metric)  # 0 for a coefficient that no stage sees
    gradient = np.divide(verdict.adjoint.gradient_u, measure, out=np.zeros(u.shape), where=measure != 0.0)
    leading: dict[str, Any] = {"t": trajectory.t if shape.group == "nodes" else trajectory.t[:-1]}
    if shape.group == "stages":
        leading["stage"] = np.arange(s)
        u, gradient = u.reshape(N, s, -1), gradient.reshape(N, s, -1)
    controls, gradients = layout.unpack(layout.controls, u), layout.unpack(layout.controls, gradient)
    data = {}
    for part in layout.controls:
        name = part.name
        data[name] = layout.label(part, controls[name], leading, role="control", symbol=name)
        data[f"gradient_{name}"] = layout.label(part, gradients[name], leading, role="gradient", symbol=name)
    return xr.Dataset(data)


def coefficients(problem: ControlProblem, depth: DepthScheme, solution: Solution) -> tuple[Array, Array]:
    """Controls u (Q, m) and parameters p (P,) of a solution on its own grid, back from its labels.

    Raises InvalidInput where the problem or its grid has others.
    """
    layout, rows, answer = problem.layout, depth.control_rows, solution.answer
    assert layout is not None
    if answer is not None and answer.layout is layout and answer.depth == depth:
        return answer.u, answer.p
    controls = {
        name: np.concatenate(array.values) if "stage" in array.dims else array.values
        for name, array in solution.controls.items()
    }
    parameters = {name: array.values for name, array in solution.parameters.items()}
    return layout.pack(layout.controls, controls, (rows,)), layout.pack(layout.parameters, parameters, ())


def _multipliers(problem: ControlProblem, outcome: Outcome, verdict: Verdict) -> dict[str, xr.Dataset]:
    """The multipliers λ of the constraints, by group; a sum over the rows of the discrete problem, not a density."""
    found = outcome.multipliers
    if found is None or not problem.constraints:
        return {}
    metric = np.asarray(problem.state_metric)
    nodes = {"multiplier": _at_nodes(problem, verdict, found.nodes / metric, "multiplier")}
    stages: dict[str, Any] = {
        "stage_multiplier": _at_stages(problem, verdict, found.stages / metric, "stage_multiplier"),
        "path_multiplier": (("t", "stage", "sample", "path"), found.path),
    }
    ends = {"boundary_multiplier": (("sample", "boundary"), found.boundary)}
    return {"nodes": xr.Dataset({**nodes, **ends}), "stages": xr.Dataset(stages)}


def on_true_depths(problem: ControlProblem, verdict: Verdict, p: Array) -> Verdict:
    """The verdict on true times; where the horizon is free H and its excess are per unit of t."""
    times, old = problem.times, verdict.trajectory
    scale = times.scale(p)
    trajectory = replace(old, t=times.at(old.t, p), h=scale * old.h, stage_t=times.at(old.stage_t, p))
    return replace(
        verdict, trajectory=trajectory, hamiltonian=verdict.hamiltonian / scale, excess=verdict.excess / scale
    )


def _parameters(problem: ControlProblem, p: Array, verdict: Verdict) -> xr.Dataset:
    layout = problem.layout
    assert layout is not None
    gradient = verdict.adjoint.gradient_p / np.asarray(problem.parameter_metric)
    values, gradients = layout.unpack(layout.parameters, p), layout.unpack(layout.parameters, gradient)
    data = {}
    for part in layout.parameters:
        name = part.name
        data[name] = layout.label(part, values[name], {}, role="parameter", symbol=name)
        data[f"gradient_{name}"] = layout.label(part, gradients[name], {}, role="gradient", symbol=name)
    return xr.Dataset(data)


def _claim(problem: ControlProblem, verdict: Verdict, claim: dict[str, Any]) -> xr.Dataset:
    metric = np.asarray(problem.state_metric)
    data: dict[str, Any] = {}
    for name, value in claim.items():
        if name == "costate":
            data[name] = _at_nodes(problem, verdict, np.asarray(value) / metric, name)
        elif name == "stage_costate":
            data["stage_costate"] = _at_stages(problem, verdict, np.asarray(value) / metric, name).rename(t="layer")
        else:
            data[name] = float(value)
    return xr.Dataset(data)


def _violation(values: Array, box: tuple[Array, Array]) -> float:
    """Largest distance of a value from its interval."""
    low, high = box
    return float(np.max(np.maximum(low - values, values - high), initial=0.0))
