"""The certificate of a solution: what its controls are worth in continuous depth, and how well they obey the principle.

The discrete cost belongs to the scheme's own quadrature. Here the controls are taken as what they are, functions of
depth u(t) (constant, linear, or the polynomial of a layer clipped to the box, as anybody must who applies them), and
are integrated anew by the method of Dormand and Prince of order 8 on every layer cut in parts; twice as many parts give
the error bar. A stiff problem, on which that explicit method fails, is integrated by Gauss collocation.
Where the plant is unstable no forward sweep reproduces a good answer: there every layer restarts from the answer's
own node, the local errors weighted by the costate sum to the cost's correction and its error bar (``local_errors``),
and how far the controls drift in open loop is information, never the verdict.
Source: Hairer, Nørsett and Wanner, "Solving ordinary differential equations I", section II.5 (the coefficients).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.depth.control_shapes import PerStage, PiecewiseConstant
from ocdl.depth.fine_mesh import FineMesh, control_at
from ocdl.depth.schemes import DepthScheme, Tableau, gauss_tableau
from ocdl.referee.constraints import Constraints
from ocdl.referee.local_errors import LocalErrors, local_errors
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Adjoint, Sweeper, SweepFailed, Trajectory, matrix_free

Array = NDArray[np.float64]

PARTS, WIDE_PARTS = (2, 4), (1, 2)  # of a layer; where a sweep takes seconds, the order alone has to do
DRIFT = 1e-3  # of the states: what the open loop may leave the answer by and still be its re-integration
EXPLODED = 1e3  # times 1 + |x|
STEADY = 1e3  # times the local errors: what it may leave it by where the scheme is coarse, not the plant unstable
MOST_ENTRIES = 20_000_000  # of the layers' transition matrices
NEGLIGIBLE = 1e-7  # of the cost: what the discrete cost may lie below the re-integrated one without being flagged
AGREES = 1e-3
VANISHING = 1e-6  # a costate function below this everywhere says nothing of the controls
SECONDS = 4e-9  # an operation of a sweep, measured
PATIENCE = 1.0  # seconds that the certificate may always take
ALONG = ("dynamics", "lift", "running", "effort", "path")  # the functions along a trajectory
CUTS = 8  # of one layer where its controls meet their bounds
PREFIX = "certificate "
NAN = float("nan")


@dataclass(frozen=True)
class Certificate:
    """What the referee finds beyond the gap; NaN where a figure does not apply.

    cost: J of the controls as functions of depth, re-integrated; error: its error bar, both in units of J.
    excess: the discrete J minus that. end_error: largest difference of x(T), in units of the state.
    restarted: every layer was re-integrated from the answer's own node; drift: how far the trajectory of the controls
        alone, applied in open loop, leaves the answer's states at the nodes, NaN where it is lost; growth: by how much
        an error at one node is multiplied until T at most, where that was looked at.
    super_optimal: the discrete J lies below the re-integrated one by more than the error bar, 1e-7 of it, and the gap,
        which is what the controls may still lose to the optimum: the answer exploits its quadrature.
    relative_gap: the maximum-principle gap as a part of |J|.
    control_violation: how far u(t) leaves its box between the depths where it is bounded, in units of the control, and
        the depth of it; constraint_violation: the same of bounds of states, ends and paths along the re-integrated
        trajectory; ``constraint`` names the worst.
    hamiltonian_spread: max H − min H over the layers, in units of J per depth, where the problem does not depend on
        depth; hamiltonian_offset: the mean of H less the −∂ℓ/∂T that a free horizon prescribes; hamiltonian_note: why
        one of them does not apply.
    agreement: the share, between 0 and 1, of depth × controls (in their metrics) on which the control agrees with the
        switching function (``agreement``).
    skipped: why there is no re-integration.
    """

    cost: float = NAN
    error: float = NAN
    excess: float = NAN
    end_error: float = NAN
    restarted: bool = False
    drift: float = NAN
    growth: float = NAN
    super_optimal: bool = False
    relative_gap: float = NAN
    control_violation: float = NAN
    control_depth: float = NAN
    constraint_violation: float = NAN
    constraint_depth: float = NAN
    constraint: str = ""
    hamiltonian_spread: float = NAN
    hamiltonian_offset: float = NAN
    hamiltonian_note: str = ""
    agreement: float = NAN
    skipped: str = ""

    def attributes(self) -> dict[str, Any]:
        """Plain numbers and text, as a file keeps them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {PREFIX + name: int(v) if isinstance(v, bool) else v for name, v in values.items()}

    @classmethod
    def of(cls, attributes: Mapping[Any, Any]) -> Certificate | None:
        """The certificate that a file keeps, None where it has none."""
        kept = {f.name: attributes[PREFIX + f.name] for f in fields(cls) if PREFIX + f.name in attributes}
        if "cost" not in kept:
            return None
        kinds: dict[str, Any] = {f.name: type(f.default) for f in fields(cls)}
        return cls(**{name: kinds[name](value) for name, value in kept.items()})

    @property
    def warning(self) -> str:
        """What a super-optimal answer is told, and what to do; empty for an honest one."""
        if not self.super_optimal:
            return ""
        return (
            f"Super-optimal: the discrete cost lies {-self.excess:.2g} below the {self.cost:.10g} that these controls "
            "cost in continuous depth: the answer exploits its quadrature. Use a finer mesh, PiecewiseConstant "
            "controls, or nodes at the switches (polish), unless this scheme's layers are the network itself."
        )

    @property
    def open_loop(self) -> str:
        """What becomes of the controls applied without feedback where that is not the answer; else empty."""
        if not self.restarted:
            return ""
        drift = "are lost" if math.isnan(self.drift) else f"drift by {self.drift:.2g}"
        grown = "" if math.isnan(self.growth) else f"errors grow by {self.growth:.1g} over the horizon; "
        return f"open-loop unstable: {grown}applied alone the controls {drift}; use feedback"


def certified(
    problem: ControlProblem,
    depth: DepthScheme,
    u: Array,
    p: Array,
    *,
    cost: float,
    gap: float,
    trajectory: Trajectory,
    adjoint: Adjoint,
    hamiltonian: Array,
    seconds: float,
) -> Certificate:
    """The certificate of controls u (Q, m) and parameters p (P,), from the referee's sweeps on true depths.

    Not re-integrated where that would take longer than the solve did (``seconds``) and than ``PATIENCE``.
    """
    found: dict[str, Any] = {"relative_gap": gap / abs(cost) if cost else NAN}
    found |= _hamiltonian(problem, depth, p, trajectory, hamiltonian)
    if problem.velocity_box is None or problem.velocity_box.of_a_box:
        found["agreement"] = agreement(problem, depth, u, cost, trajectory, adjoint, hamiltonian)
    needed = _operations(problem, depth) * SECONDS
    if needed > max(seconds, PATIENCE):
        said = f"re-integration would take about {needed:.0f} s, longer than the solve took"
        return Certificate(**found, skipped=said)
    try:
        found |= _reintegrated(problem, depth, u, p, cost, gap, trajectory, adjoint)
    except SweepFailed as error:
        found["skipped"] = f"re-integration failed: {error}"
    return Certificate(**found)


# -- the controls in continuous depth ------------------------------------------------------------------------


def _reintegrated(
    problem: ControlProblem,
    depth: DepthScheme,
    u: Array,
    p: Array,
    cost: float,
    gap: float,
    trajectory: Trajectory,
    adjoint: Adjoint,
) -> dict[str, Any]:
    scale, growth = 1.0 + float(np.max(np.abs(trajectory.x))), NAN
    try:
        found = _in_open_loop(problem, depth, u, p, cost, scale)
    except SweepFailed:
        found = None
    drift = NAN if found is None else float(np.max(np.abs(found[0].x - trajectory.x)))
    if not drift <= DRIFT * scale and not _wide(problem, depth):
        local = local_errors(problem, depth, Sweeper(problem, depth), trajectory, adjoint.costate, u, p)
        steady = float(np.abs(local.ends).max(axis=(1, 2)).sum()) + 1e-15 * scale * depth.count
        if not drift <= STEADY * steady:
            found = _restarted(problem, depth, u, p, cost, local), 0.0
            growth = _growth(local, p)
    if found is None:
        raise SweepFailed("the controls have no trajectory in continuous depth")
    best, error = found
    excess = cost - best.cost
    family, value, at = best.worst
    return {
        "cost": best.cost,
        "error": max(error, best.error) + 1e-15 * abs(best.cost),
        "excess": excess,
        "end_error": float(np.max(np.abs(best.x[-1] - trajectory.x[-1]))),
        "restarted": best.restarted,
        "drift": drift,
        "growth": growth,
        "super_optimal": bool(excess < -error - NEGLIGIBLE * abs(best.cost) - 1e-12 - max(gap, 0.0)),
        "control_violation": best.control_violation,
        "control_depth": float(problem.times.at(best.control_depth, p)),
        "constraint_violation": value,
        "constraint_depth": at,
        "constraint": family,
    }


@dataclass(frozen=True, eq=False)
class _Integral:
    """One re-integration: cost and its error bar, states at the nodes of the layers (N+1, S, n), the largest violation
    of the box of u, and the worst constraint.
    """

    cost: float
    x: Array
    control_violation: float
    control_depth: float
    worst: tuple[str, float, float]
    error: float = 0.0
    restarted: bool = False


@cache
def dormand_prince() -> Tableau:
    """The explicit method of order 8 of Hairer, Nørsett and Wanner (1993, II.5), DOP853."""
    method = scipy.integrate.DOP853
    return Tableau(np.array(method.A), np.array(method.B), np.array(method.C), 8)


def _in_open_loop(
    problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, cost: float, scale: float
) -> tuple[_Integral, float]:
    """The finer of two integrations from the initial state, and what the cost of the coarser one differs by.

    Where both explode alike the plant is unstable, not the step too long for a stiff one.
    """
    parts = WIDE_PARTS if _wide(problem, depth) else PARTS
    implicit = gauss_tableau(int(np.clip(depth.tableau.stages + 1, 4, 7)))
    try:
        coarse, fine = _refined(problem, depth, u, p, dormand_prince(), parts)
        largest = float(np.max(np.abs(fine.x)))
        alike = largest > EXPLODED * scale and bool(np.max(np.abs(coarse.x - fine.x)) <= 0.1 * largest)
        stiff = not (alike or abs(coarse.cost - fine.cost) <= NEGLIGIBLE * max(abs(fine.cost), abs(cost)))
    except SweepFailed:
        stiff = True
    if stiff and not _wide(problem, depth):
        coarse, fine = _refined(problem, depth, u, p, implicit, parts)
    return fine, abs(fine.cost - coarse.cost)


def _restarted(
    problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, cost: float, local: LocalErrors
) -> _Integral:
    """J and its local errors; their absolute values sum to the error bar."""
    _, violation, at = _applied(problem, depth, u, local.anew.fine)
    return _Integral(
        cost=cost + float(local.cost.sum()),
        x=local.anew.trajectory.x,
        control_violation=violation,
        control_depth=at,
        worst=_worst(problem, local.anew.fine, local.anew.sweeper, local.anew.trajectory, local.anew.u, p),
        error=float(np.abs(local.cost).sum()),
        restarted=True,
    )


def _growth(local: LocalErrors, p: Array) -> float:
    """The largest ‖∂x_N/∂x_k‖₂ over nodes and samples; NaN where its matrices are too many."""
    N, s, S, n = local.anew.trajectory.stages.shape
    if N * S * (s * n) ** 2 > MOST_ENTRIES:
        return NAN
    onwards, largest = np.broadcast_to(np.eye(n), (S, n, n)), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in local.anew.sweeper.transitions(local.anew.trajectory, local.anew.u, p)[::-1]:
            onwards = onwards @ layer
            if not np.all(np.isfinite(onwards)):
                return float("inf")
            largest = max(largest, float(np.linalg.norm(onwards, 2, axis=(1, 2)).max()))
    return largest


def _refined(
    problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, tableau: Tableau, parts: tuple[int, ...]
) -> list[_Integral]:
    """The same controls with every layer cut in so many parts."""
    meshes = [_fine_mesh(problem, depth, u, tableau, part) for part in parts]
    return [_integral(problem, depth, u, p, fine, Sweeper(problem, fine)) for fine in meshes]


def _integral(
    problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, fine: FineMesh, sweeper: Sweeper
) -> _Integral:
    values, violation, at = _applied(problem, depth, u, fine)
    trajectory = sweeper.state(values, p)
    nodes = np.searchsorted(fine.layer, np.arange(depth.count + 1))
    worst = _worst(problem, fine, sweeper, trajectory, values, p)
    return _Integral(sweeper.cost(trajectory, values, p), trajectory.x[nodes], violation, at, worst)


def _worst(
    problem: ControlProblem, fine: FineMesh, sweeper: Sweeper, trajectory: Trajectory, values: Array, p: Array
) -> tuple[str, float, float]:
    """The constraint that the trajectory violates most, by how much, and at what depth."""
    constraints = Constraints(problem, fine, sweeper)
    worst = ("", NAN, NAN)
    for family in constraints.families(trajectory, values, p, constraints.no_multipliers(), everywhere=True):
        place = np.unravel_index(int(np.argmax(family.violation)), family.violation.shape)
        depths = family.depths if family.name != "boundary" else np.full(len(family.values), problem.times.end(p))
        if not family.violation[place] <= worst[1]:
            worst = (family.name, float(family.violation[place]), float(depths[place[: depths.ndim]]))
    return worst


def _applied(problem: ControlProblem, depth: DepthScheme, u: Array, fine: FineMesh) -> tuple[Array, float, float]:
    """The controls on the fine mesh, and how far and where u(t) leaves its box.

    A layer's polynomial is clipped to the box; controls that are bounded where they are given are taken as they are.
    """
    mesh, steady = depth.mesh(problem.span), not problem.bounds.varies("u")
    if isinstance(depth.controls, PiecewiseConstant) and steady:
        low, high = problem.control_box
        excess = np.maximum(low - u, u - high).max(axis=1, initial=0.0)
        k = int(np.argmax(excess))
        return u[fine.layer], float(excess[k]), float(mesh[k])
    t = fine.stage_t.ravel()
    values = control_at(depth, mesh, u, np.repeat(fine.layer, fine.tableau.stages), t)
    low, high = problem.control_box_at(t)
    excess = np.maximum(low - values, values - high).max(axis=1, initial=0.0)
    k = int(np.argmax(excess))
    if isinstance(depth.controls, PerStage):
        values = np.clip(values, low, high)
    return values, float(excess[k]), float(t[k])


def _fine_mesh(problem: ControlProblem, depth: DepthScheme, u: Array, tableau: Tableau, parts: int) -> FineMesh:
    """Every layer in ``parts``, and cut where a clipped polynomial has its kinks."""
    mesh = depth.mesh(problem.span)
    N, h = mesh.size - 1, np.diff(mesh)
    inner = np.arange(parts) / parts
    cuts = [_kinks(problem, depth, u[rows]) for rows in _clipped_layers(problem, depth, u, N)]
    relative = [np.unique(np.concatenate([inner, cut])) for cut in cuts] if cuts else [inner] * N
    nodes = np.append(np.concatenate([mesh[k] + h[k] * relative[k] for k in range(N)]), mesh[-1])
    layer = np.repeat(np.arange(N), [len(c) for c in relative])
    constant = isinstance(depth.controls, PiecewiseConstant) and not problem.bounds.varies("u")
    return FineMesh(tableau, nodes, layer, PiecewiseConstant() if constant else PerStage())


def _clipped_layers(problem: ControlProblem, depth: DepthScheme, u: Array, N: int) -> NDArray[np.int64]:
    """The coefficients of every layer, where polynomials may leave a steady box; else none."""
    if not isinstance(depth.controls, PerStage) or problem.bounds.varies("u") or depth.tableau.stages < 2:
        return np.zeros((0, 1), dtype=np.int64)
    return depth.controls.columns(N, depth.tableau.stages)


def _kinks(problem: ControlProblem, depth: DepthScheme, u: Array) -> Array:
    """The relative depths at which the polynomials through u (s, m) meet their bounds, by a fine sampling."""
    c = np.linspace(0.0, 1.0, 65)
    values = depth.controls.weights(c, depth.tableau.c) @ u
    low, high = problem.control_box
    with np.errstate(invalid="ignore"):
        slack = np.concatenate([values - low, high - values], axis=1)
    far = slack.min(axis=0) < -1e-6 * np.maximum(1.0, np.abs(values).max(initial=0.0))
    slack = slack[:, far & np.isfinite(slack).all(axis=0)]
    i, j = np.nonzero(slack[:-1] * slack[1:] < 0.0)
    cuts = c[i] + (c[1] - c[0]) * slack[i, j] / (slack[i, j] - slack[i + 1, j])
    return np.unique(np.round(cuts, 6))[:CUTS]


def _wide(problem: ControlProblem, depth: DepthScheme) -> bool:
    return isinstance(depth.controls, PiecewiseConstant) and matrix_free.suits(problem, dormand_prince())


def _operations(problem: ControlProblem, depth: DepthScheme) -> float:
    """About how many a re-integration takes: every stage of every sample of every part of a layer, and for wide
    problems as often as Picard's iteration goes round.
    """
    wide = _wide(problem, depth)
    parts = sum(WIDE_PARTS if wide else PARTS) * depth.count * dormand_prince().stages
    rate = 2 * problem.m + 20 * problem.n if problem.columnwise else problem.rate.n_instructions()
    return float(parts * problem.samples * rate * (8 if wide else 1))


# -- the maximum principle -----------------------------------------------------------------------------------


def agreement(
    problem: ControlProblem,
    depth: DepthScheme,
    u: Array,
    cost: float,
    trajectory: Trajectory,
    adjoint: Adjoint,
    hamiltonian: Array,
) -> float:
    """The share of depth × controls on which g, the gradient in function space, has nothing to gain.

    With d the distance of a control to the bound that −g points to, moving it there gains about g d in H. The control
    agrees where this is below 1e-3 of the mean |H| + |J|/T, spread evenly over the controls: it lies at the lower bound
    with g > 0, at the upper one with g < 0, or between them with g = 0. An interior-point method stops at the distance
    d = μ/|g| from a bound, far from it where |g| is small: the product g d = μ is the same everywhere, so that it, not
    the distance, is what tells. Where there is no bound d is max(1, |u|).
    NaN where the costate vanishes, where nothing can be said, or without controls.
    """
    shape, (N, _) = depth.controls, trajectory.stage_t.shape
    weights = shape.basis(N, depth.tableau.c).T @ (trajectory.h[:, None] * depth.tableau.b).ravel()
    measure = np.where(weights > 0.0, weights, 0.0)[:, None] * np.asarray(problem.control_metric)
    low, high = problem.coefficient_box(depth)
    with np.errstate(invalid="ignore"):
        gradient = np.divide(adjoint.gradient_u, measure, out=np.zeros_like(u), where=measure > 0.0)
        reach = np.where(gradient > 0.0, u - low, high - u)
    reach = np.where(np.isfinite(reach), np.maximum(reach, 0.0), max(1.0, float(np.max(np.abs(u), initial=0.0))))
    span = float(np.sum(trajectory.h))
    mean = float(np.sum(trajectory.h[:, None] * np.abs(depth.tableau.b) * np.abs(hamiltonian))) / span
    if problem.m == 0:
        return NAN
    typical = (mean + abs(cost) / span) / float(np.sum(problem.control_metric))
    vanishes = not problem.has_running_cost and np.max(np.abs(adjoint.costate / problem.state_metric)) < VANISHING
    if vanishes or not measure.sum() > 0.0 or not typical > 0.0:
        return NAN
    agrees = np.abs(gradient) * reach <= AGREES * typical
    return float(np.sum(measure * agrees) / np.sum(measure))


def depends_on_depth(problem: ControlProblem) -> bool:
    """Whether dynamics, costs, path or bounds take t (or, of a function that names it, truly use it)."""
    if any(problem.bounds.varies(name) for name in problem.bounds.names):
        return True
    for role in ALONG:
        if _takes(problem, (role,), ("t",)):
            s = problem.symbols()
            if ca.depends_on(problem.evaluate(role, **dict(s)), s["t"]):
                return True
    return False


def _takes(problem: ControlProblem, roles: Iterable[str], names: Iterable[str]) -> bool:
    """Whether a function of ``roles`` has an argument of these names."""
    functions = [getattr(problem, role) for role in roles if getattr(problem, role) is not None]
    return any(name in inspect.signature(function).parameters for function in functions for name in names)


def _hamiltonian(
    problem: ControlProblem, depth: DepthScheme, p: Array, trajectory: Trajectory, hamiltonian: Array
) -> dict[str, Any]:
    if depends_on_depth(problem):
        return {"hamiltonian_note": "not constant: the problem depends on depth"}
    layers = hamiltonian @ depth.tableau.b
    found: dict[str, Any] = {"hamiltonian_spread": float(np.ptp(layers))}
    if problem.has_free_horizon:
        low, high = (end[-1] for end in problem.parameter_box)
        if p[-1] - low < 1e-6 * p[-1] or high - p[-1] < 1e-6 * p[-1]:
            found["hamiltonian_note"] = "the horizon lies at its bound, where H need not vanish"
        elif _takes(problem, ("boundary",), ("t", "T")):
            found["hamiltonian_note"] = "the boundary condition depends on the horizon"
        elif _takes(problem, (*ALONG, "penalty"), ("T",)):
            found["hamiltonian_note"] = "the formulas depend on the horizon"
        else:
            mean = float(trajectory.h @ layers / trajectory.h.sum())
            found["hamiltonian_offset"] = mean + _terminal_slope(problem, p, trajectory.x[-1])
    return found


def _terminal_slope(problem: ControlProblem, p: Array, x: Array) -> float:
    """Σ ω_s ∂ℓ/∂T, T the last of the parameters."""
    columns = zip(np.asarray(problem.weights), x, np.asarray(problem.data), strict=True)
    return float(sum(w * float(problem.terminal_function(state, p, data)[2][-1]) for w, state, data in columns))
