"""The controls of an answer in continuous depth: what they cost there, and which bounds they leave.

The discrete cost belongs to the scheme's own quadrature. Here the controls are taken as what they are, functions of
depth u(t) (constant, linear, or the polynomial of a layer clipped to the box, as anybody must who applies them), and
are integrated anew by the method of Dormand and Prince of order 8 on every layer cut in parts; twice as many parts give
the error bar. A stiff problem, on which that explicit method fails, is integrated by Gauss collocation.
Where the plant is unstable no forward sweep reproduces a good answer: there every layer restarts from the answer's
own node, the local errors weighted by the costate sum to the cost's correction and its error bar (``local_errors``),
and how far the controls drift in open loop is information, never the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import ControlShape, PerStage, PiecewiseConstant
from ocdl.depth.dormand_prince import dormand_prince
from ocdl.depth.fine_mesh import FineMesh, StageValues, control_at
from ocdl.depth.schemes import DepthScheme, Tableau, gauss_tableau
from ocdl.referee.certify import Judged
from ocdl.referee.constraints import Constraints
from ocdl.referee.local_errors import LocalErrors, local_errors
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, SweepFailed, Trajectory, matrix_free

Array = NDArray[np.float64]

PARTS, WIDE_PARTS = (2, 4), (1, 2)  # of a layer; where a sweep takes seconds, the order alone has to do
DRIFT = 1e-3  # of the states: what the open loop may leave the answer by and still be its re-integration
EXPLODED = 1e3  # times 1 + |x|
STEADY = 1e3  # times the local errors: what it may leave it by where the scheme is coarse, not the plant unstable
MOST_ENTRIES = 20_000_000  # of the layers' transition matrices
NEGLIGIBLE = 1e-7  # of the cost: what the discrete cost may lie below the re-integrated one without being flagged
CUTS = 8  # of one layer where its controls meet their bounds
NAN = float("nan")


def reintegrated(answer: Judged) -> dict[str, Any]:
    """What a ``Certificate`` says of continuous depth; raises SweepFailed where there is no trajectory."""
    problem, depth, u, p, verdict = answer.problem, answer.depth, answer.u, answer.p, answer.verdict
    trajectory, cost, costate = verdict.trajectory, verdict.cost, verdict.adjoint.costate
    scale, growth = 1.0 + float(np.max(np.abs(trajectory.x))), NAN
    try:
        found = _in_open_loop(answer, scale)
    except SweepFailed:
        found = None
    drift = NAN if found is None else float(np.max(np.abs(found[0].x - trajectory.x)))
    if not drift <= DRIFT * scale and not _wide(problem, depth):
        local = local_errors(problem, depth, Sweeper(problem, depth), trajectory, costate, u, p)
        steady = float(np.abs(local.ends).max(axis=(1, 2)).sum()) + 1e-15 * scale * depth.count
        if not drift <= STEADY * steady:
            found = _restarted(answer, local), 0.0
            growth = _growth(local)
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
        "super_optimal": bool(excess < -error - NEGLIGIBLE * abs(best.cost) - 1e-12 - max(verdict.gap, 0.0)),
        "control_violation": best.control_violation,
        "control_depth": float(problem.times.at(best.control_depth, p)),
        "constraint_violation": value,
        "constraint_depth": at,
        "constraint": family,
    }


def halved_cost(problem: ControlProblem, depth: DepthScheme, u: Array, p: Array) -> float:
    """J of the same functions of depth by the scheme itself on layers half as wide; u (Q, m), p (P,).

    Raises SweepFailed where the state equation has no solution there.
    """
    fine = _fine_mesh(problem, depth, u, depth.tableau, 2)
    sweeper, (values, _, _) = Sweeper(problem, fine), _applied(problem, depth, u, fine)
    return sweeper.cost(sweeper.state(values, p), values, p)


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


def _in_open_loop(answer: Judged, scale: float) -> tuple[_Integral, float]:
    """The finer of two integrations from the initial state, and what the cost of the coarser one differs by.

    Where both explode alike the plant is unstable, not the step too long for a stiff one.
    """
    wide, cost = _wide(answer.problem, answer.depth), answer.verdict.cost
    parts = WIDE_PARTS if wide else PARTS
    implicit = gauss_tableau(int(np.clip(answer.depth.tableau.stages + 1, 4, 7)))
    try:
        coarse, fine = _refined(answer, dormand_prince(), parts)
        largest = float(np.max(np.abs(fine.x)))
        alike = largest > EXPLODED * scale and bool(np.max(np.abs(coarse.x - fine.x)) <= 0.1 * largest)
        stiff = not (alike or abs(coarse.cost - fine.cost) <= NEGLIGIBLE * max(abs(fine.cost), abs(cost)))
    except SweepFailed:
        stiff = True
    if stiff and not wide:
        coarse, fine = _refined(answer, implicit, parts)
    return fine, abs(fine.cost - coarse.cost)


def _restarted(answer: Judged, local: LocalErrors) -> _Integral:
    """J and its local errors; their absolute values sum to the error bar."""
    anew = local.anew
    _, violation, at = _applied(answer.problem, answer.depth, answer.u, anew.fine)
    return _Integral(
        cost=answer.verdict.cost + float(local.cost.sum()),
        x=anew.trajectory.x,
        control_violation=violation,
        control_depth=at,
        worst=_worst(anew.sweeper, anew.fine, anew.trajectory, anew.u, anew.p),
        error=float(np.abs(local.cost).sum()),
        restarted=True,
    )


def _growth(local: LocalErrors) -> float:
    """The largest ‖∂x_N/∂x_k‖₂ over nodes and samples; NaN where its matrices are too many."""
    N, s, S, n = local.anew.trajectory.stages.shape
    if N * S * (s * n) ** 2 > MOST_ENTRIES:
        return NAN
    onwards, largest = np.broadcast_to(np.eye(n), (S, n, n)), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in local.anew.sweeper.transitions(local.anew.trajectory, local.anew.u, local.anew.p)[::-1]:
            onwards = onwards @ layer
            if not np.all(np.isfinite(onwards)):
                return float("inf")
            largest = max(largest, float(np.linalg.norm(onwards, 2, axis=(1, 2)).max()))
    return largest


def _refined(answer: Judged, tableau: Tableau, parts: tuple[int, ...]) -> list[_Integral]:
    """The same controls with every layer cut in so many parts."""
    meshes = [_fine_mesh(answer.problem, answer.depth, answer.u, tableau, part) for part in parts]
    return [_integral(answer, fine) for fine in meshes]


def _integral(answer: Judged, fine: FineMesh) -> _Integral:
    sweeper, p = Sweeper(answer.problem, fine), answer.p
    values, violation, at = _applied(answer.problem, answer.depth, answer.u, fine)
    trajectory, cost = sweeper.integral(values, p)
    nodes = np.searchsorted(fine.layer, np.arange(answer.depth.count + 1))
    worst = _worst(sweeper, fine, trajectory, values, p)
    return _Integral(cost, trajectory.x[nodes], violation, at, worst)


def _worst(
    sweeper: Sweeper, fine: FineMesh, trajectory: Trajectory, values: Array, p: Array
) -> tuple[str, float, float]:
    """The constraint that the trajectory violates most, by how much, and at what depth."""
    problem = sweeper.problem
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
    cuts = [_kinks(problem, depth, u[rows]) for rows in _clipped_layers(problem, depth, u, depth.count)]
    constant = isinstance(depth.controls, PiecewiseConstant) and not problem.bounds.varies("u")
    shape: ControlShape = PiecewiseConstant() if constant else StageValues()
    if cuts:
        return _cut(depth.mesh(problem.span), tableau, parts, shape, cuts)
    key = depth, tableau.key, parts, shape
    return problem.built.recent("fine", key, lambda: _cut(depth.mesh(problem.span), tableau, parts, shape, cuts))


def _cut(mesh: Array, tableau: Tableau, parts: int, shape: ControlShape, cuts: list[Array]) -> FineMesh:
    N, h = mesh.size - 1, np.diff(mesh)
    inner = np.arange(parts) / parts
    relative = [np.unique(np.concatenate([inner, cut])) for cut in cuts] if cuts else [inner] * N
    nodes = np.append(np.concatenate([mesh[k] + h[k] * relative[k] for k in range(N)]), mesh[-1])
    layer = np.repeat(np.arange(N), [len(c) for c in relative])
    return FineMesh(tableau, nodes, layer, shape)


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


def operations(problem: ControlProblem, depth: DepthScheme) -> float:
    """About how many a re-integration takes: every stage of every sample of every part of a layer. Many columns at once
    take their matrix products about eight times as fast, measured.
    """
    wide = _wide(problem, depth)
    parts = sum(WIDE_PARTS if wide else PARTS) * depth.count * dormand_prince().stages
    rate = 2 * problem.m + 20 * problem.n if problem.columnwise else problem.rate.n_instructions()
    return float(parts * problem.samples * (0.25 * problem.m + 10 * problem.n if wide else rate))
