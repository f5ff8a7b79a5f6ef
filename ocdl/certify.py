"""The referee: judges the controls of any route by one state sweep and one costate sweep.

Cost, costate, feasibility, Hamiltonian and maximum-principle gap are recomputed from the controls alone. Only where
the problem has constraints on states, paths or ends does a costate need their multipliers too: those are taken as
given, and weighed in the gap, which then also counts what a multiplier pushes against no bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.arrays import real_array
from ocdl.certificate import Certificate, certified
from ocdl.constraints import Constraints
from ocdl.depth import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.hamiltonian import Hamiltonian
from ocdl.method import Multipliers, Outcome, Status
from ocdl.problem import ControlProblem
from ocdl.solution import FORMAT, Solution
from ocdl.sweeps import Adjoint, Sweeper, Trajectory

Array = NDArray[np.float64]

VANISHING = 1e-6  # a costate function below this everywhere: the target is reached


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the referee finds, in Euclidean coordinates.

    ``hamiltonian`` and ``excess`` = H(u) − min_u H at the stages, (N, s); ``gap`` = Σ h_k b_i excess plus the duality
    gap of the constraints. ``violations``: the largest of every family of constraints, by name.
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


def certify(
    problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, multipliers: Multipliers | None = None
) -> Verdict:
    """Judge controls u (Q, m) and parameters p (P,); ``multipliers`` of its constraints, zero by default.

    Raises InvalidInput for wrong shapes, SweepFailed where the state equation has no solution.
    """
    if not isinstance(problem, ControlProblem) or not isinstance(depth, DepthScheme):
        raise InvalidInput(
            f"certify({type(problem).__name__}, {type(depth).__name__}, ...): give a ControlProblem "
            "(SelectionProblem.discretise makes one) and a depth scheme."
        )
    u, p = _shaped("u", u, (depth.control_rows, problem.m)), _shaped("p", p, (problem.P,))
    sweeper = Sweeper(problem, depth)
    trajectory = sweeper.state(u, p)
    constraints = Constraints(problem, depth, sweeper)
    multipliers = constraints.no_multipliers() if multipliers is None else multipliers
    families = list(constraints.families(trajectory, u, p, multipliers))
    forces = constraints.forces(trajectory, u, p, multipliers) if families else None
    adjoint = sweeper.costate(trajectory, u, p, forces)
    hamiltonian = stage_hamiltonian(sweeper, trajectory, adjoint, u, p)
    excess, exact = stage_excess(sweeper, trajectory, adjoint, u, p)
    weights = sweeper.h[:, None] * sweeper.tableau.b
    violations = {family.name: float(np.max(family.violation, initial=0.0)) for family in families}
    violations["controls"] = _controls_violation(problem, depth, sweeper, u)
    violations["parameters"] = _violation(p, problem.parameter_box)
    return Verdict(
        cost=sweeper.cost(trajectory, u, p),
        trajectory=trajectory,
        adjoint=adjoint,
        hamiltonian=hamiltonian,
        excess=excess,
        gap=float(np.sum(weights * excess)) + sum(family.duality_gap for family in families),
        gap_is_exact=exact,
        feasibility=max(violations.values()),
        violations=violations,
    )


def _controls_violation(problem: ControlProblem, depth: DepthScheme, sweeper: Sweeper, u: Array) -> float:
    """How far the controls leave their bounds where their coefficients live; at the stages, too, if the bounds vary."""
    violation = _violation(u, problem.coefficient_box(depth))
    if not problem.bounds.varies("u"):
        return violation
    return max(violation, _violation(sweeper.stage_controls(u), problem.control_box_at(sweeper.stage_t.ravel())))


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


def judged(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, *, method: str, seconds: float) -> Solution:
    """The labelled ``Solution`` of a route's outcome: the referee's verdict beside the route's own claim."""
    verdict = on_true_depths(problem, certify(problem, depth, outcome.u, outcome.p, outcome.multipliers), outcome.p)
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
    controls = _controls(problem, depth, outcome.u, verdict)
    groups = {
        "nodes": _nodes(problem, verdict),
        "layers": _layers(verdict, depth.tableau.b),
        "stages": _stages(problem, verdict),
        "parameters": _parameters(problem, outcome.p, verdict),
        "claim": _claim(problem, verdict, outcome.claim),
        "history": xr.Dataset({name: ("iteration", np.asarray(v, float)) for name, v in outcome.history.items()}),
        "extras": xr.Dataset(dict(outcome.extras)),
    }
    groups[depth.controls.group] = groups[depth.controls.group].merge(controls)
    for name, dataset in _multipliers(problem, outcome, verdict).items():
        groups[name] = groups[name].merge(dataset)
    tree = xr.DataTree.from_dict({name: dataset for name, dataset in groups.items() if dataset.variables})
    tree.attrs = {
        "format": FORMAT,
        "method": method,
        "status": _status(problem, outcome, verdict).name,
        "detail": outcome.detail,
        "seconds": seconds,
        "cost": verdict.cost,
        "gap": verdict.gap,
        "gap_is_exact": int(verdict.gap_is_exact),
        "feasibility": verdict.feasibility,
        "scheme": repr(depth),
    } | {f"violation of {name}": value for name, value in verdict.violations.items()}
    tree.attrs.update({} if certificate is None else certificate.attributes())
    return Solution(tree)


def _status(problem: ControlProblem, outcome: Outcome, verdict: Verdict) -> Status:
    """The route's status; a success whose costate vanishes everywhere is named for what it is."""
    vanishes = np.max(np.abs(verdict.adjoint.costate / problem.state_metric)) < VANISHING
    done = outcome.status in (Status.CONVERGED, Status.ACCEPTABLE, Status.STALLED)
    plain = not problem.has_running_cost and not problem.constraints
    return Status.REACHABLE if done and vanishes and plain else outcome.status


def _nodes(problem: ControlProblem, verdict: Verdict) -> xr.Dataset:
    x = verdict.trajectory.x
    return xr.Dataset(
        {
            "states": _at_nodes(problem, verdict, x, "states"),  # "state" is a ControlProblem's dimension
            "costate": _at_nodes(problem, verdict, verdict.adjoint.costate / problem.state_metric, "costate"),
        }
    )


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
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = verdict.adjoint.gradient_u / (weights[:, None] * np.asarray(problem.control_metric))
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
    layout, rows = problem.layout, depth.control_rows
    assert layout is not None
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
    """The verdict on depths t = T τ where the horizon is free: H and its excess are per unit of t."""
    T = problem.depth_scale(p)
    if T == 1.0:
        return verdict
    old = verdict.trajectory
    trajectory = replace(old, t=T * old.t, h=T * old.h, stage_t=T * old.stage_t)
    return replace(verdict, trajectory=trajectory, hamiltonian=verdict.hamiltonian / T, excess=verdict.excess / T)


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
