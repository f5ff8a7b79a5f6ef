"""The least Hamiltonian over the controls that bounds and path constraints admit, stage by stage.

    min H(u)   over   low ≤ u ≤ high,   c⁻ ≤ c(t, x_s, u, p, d_s) ≤ c⁺   for every sample s.

Each interval is widened to what the controls in force have there: they compete themselves, and what a solver's rounding
lets them violate is allowed to all. H and c affine in u: one linear program. Else minimisation by augmented Lagrangians
from the controls in force and from the best admissible points of a cover of the box, so that the minimum is a bound.
Source: Nocedal and Wright, "Numerical optimization" (2006), section 17.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.batch import Batch
from ocdl.once import once
from ocdl.referee.global_search import LEAST, MANY, PICKS, best_apart, covers, falls_for_ever, rays
from ocdl.referee.lockstep import projected_newton
from ocdl.statement.problem import ControlProblem
from ocdl.statement.structure import affine_in

ROUNDS, NEWTON = 15, 15  # of multipliers, and steps in each
PENALTY = 10.0  # of the first round, relative to the Hessian; grows where a violation does not fall to a quarter
RESTORATIONS = 12
ROUNDING = 1e-9  # relative to a bound: admissible none the less
RANDOM = 96  # points that cover a box of many controls
WORK = 1_000_000  # entries of controls evaluated in one search, each several times
LARGEST = 80  # controls beyond which no descent is tried: the Hessian is dense
LINEAR = {"presolve": False, "primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Points:
    """K stages: t (K,), x and Λ (K, S, n), and the intervals of u (K, m) and of c (K, S, rows)."""

    t: Array
    x: Array
    costate: Array
    low: Array
    high: Array
    below: Array
    above: Array

    def repeated(self, count: int) -> Points:
        return replace(self, **{name: np.tile(a, (count,) + (1,) * (a.ndim - 1)) for name, a in vars(self).items()})

    def __getitem__(self, which: NDArray[np.intp]) -> Points:
        return replace(self, **{name: array[which] for name, array in vars(self).items()})


class Restriction:
    """The path constraints of one problem that depend on u, and H with them."""

    def __init__(self, problem: ControlProblem) -> None:
        self.problem = problem

    @once
    def rows(self) -> list[int]:
        """The rows of ``path`` that depend on u."""
        if self.problem.path is None:
            return []
        depends = ca.which_depends(self.problem.evaluate("path", **self._symbols), self._symbols["u"], 1, True)
        return [int(i) for i in np.flatnonzero(depends)]

    @once
    def affine(self) -> bool:
        """These rows are affine in u."""
        return affine_in(self._path_expression, self._symbols["u"])

    def points(self, t: Array, x: Array, costate: Array, u: Array, p: Array, box: tuple[Array, Array]) -> Points:
        """The stages with their intervals, those of c widened to what u has."""
        values = self._path(t, x, u, p)[0]
        below, above = (end[:, None, self.rows] for end in self.problem.interval_at("path", t))
        return Points(t, x, costate, *box, np.minimum(below, values), np.maximum(above, values))

    # -- affine ----------------------------------------------------------------------------------------

    def linear(self, points: Points, u: Array, p: Array, slope: Array, noise: Array) -> tuple[Array, Array, bool]:
        """min slope·(v − u) over the admissible v, (K,), −∞ where there is none, and v (K, m); and whether it is exact.

        One sparse linear program for all stages; one by one where some have no minimum, and then without the slopes
        below ``noise`` (K,), which lead nowhere for sure.
        """
        values, jacobian = self._path(points.t, points.x, u, p)
        best, bounded = _linear_program(points, u, values, jacobian, slope)
        if bounded:
            return np.minimum(np.sum(slope * (best - u), axis=1), 0.0), best, True
        if len(u) > 1:
            each = [self.linear(points[k], u[k], p, slope[k], noise[k]) for k in np.arange(len(u))[:, None]]
            falls, best = (np.concatenate([part[i] for part in each]) for i in (0, 1))
            return falls, best, all(part[2] for part in each)
        steep = np.where(np.abs(slope) > noise[:, None], slope, 0.0)
        best, bounded = _linear_program(points, u, values, jacobian, steep)
        return (
            (np.minimum(np.sum(slope * (best - u), axis=1), 0.0) if bounded else np.array([-np.inf])),
            best,
            not bounded,
        )

    # -- not affine ------------------------------------------------------------------------------------

    def searched(self, points: Points, omega: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """The least H found over the admissible controls, (K,), and where, (K, m): by descents from u and from the best
        admissible points of a cover of the box.
        """
        (K, S), m = points.x.shape[:2], self.problem.m
        most = max(LEAST, WORK / (K * S * m))
        begins, of = covers(points.low, points.high, most, random=RANDOM)
        L = begins.shape[1]
        many = points.repeated(L)
        candidates = self._restored(many, np.moveaxis(begins[of], 1, 0).reshape(L * K, m), p)
        values = self._admissible_values(many, omega, candidates, p).reshape(L, K).T
        apart = candidates.reshape(L, K, m).swapaxes(0, 1)
        picks = [u, *best_apart(values, apart, points.low, points.high, PICKS if K * S * m < MANY else 1)]
        starts = np.concatenate(picks)
        if m <= LARGEST:
            starts = np.concatenate([starts, self._descended(points.repeated(len(picks)), omega, starts, p)])
        values = self._admissible_values(points.repeated(len(starts) // K), omega, starts, p).reshape(-1, K)
        best = np.argmin(values, axis=0)
        return values[best, np.arange(K)], starts.reshape(-1, K, m)[best, np.arange(K)]

    def endless(self, points: Points, omega: Array, u: Array, p: Array, value: Array) -> Mask:
        """At which stages H falls without end along admissible controls, (K,)."""
        slope = self._augmented_sum(points, omega, u, p, *self._no_force(points))[1]

        def values(z: Array) -> Array:
            return self._admissible_values(points, omega, z, p)

        return falls_for_ever(values, u, value, rays(points.low, points.high, [-slope]))

    def _admissible_values(self, points: Points, omega: Array, u: Array, p: Array) -> Array:
        """H (K,), +∞ where u is not admissible or H is no number."""
        violation = self._violation(points, u, p)[0]
        value = self._augmented_sum(points, omega, u, p, *self._no_force(points))[0]
        slack = ROUNDING * (1.0 + np.max(np.abs(u), axis=1))
        return np.where((np.abs(violation).max(axis=1, initial=0.0) <= slack) & np.isfinite(value), value, np.inf)

    def _violation(self, points: Points, u: Array, p: Array) -> tuple[Array, Array]:
        """c − c± (K, S·rows), 0 inside, and ∂c/∂u (K, S·rows, m)."""
        values, jacobian = self._path(points.t, points.x, u, p)
        outside = _outside(values, points)
        return outside.reshape(len(u), -1), jacobian.reshape(len(u), -1, u.shape[1])

    def _restored(self, points: Points, u: Array, p: Array) -> Array:
        """The controls moved towards the admissible ones by Gauss and Newton, within the box."""
        u = np.clip(u, points.low, points.high)
        for _ in range(RESTORATIONS):
            outside, jacobian = self._violation(points, u, p)
            lost = np.abs(outside).max(axis=1, initial=0.0) > 0.01 * ROUNDING
            if not np.any(lost):
                break
            active = np.where(outside[:, :, None] != 0.0, jacobian, 0.0)
            normal, back = np.einsum("kri,krj->kij", active, active), np.einsum("kri,kr->ki", active, outside)
            usable = lost & np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(back).all(axis=1)
            step = np.einsum("kij,kj->ki", np.linalg.pinv(normal[usable], rcond=1e-12, hermitian=True), back[usable])
            u[usable] = np.clip(u[usable] - step, points.low[usable], points.high[usable])
        return u

    def _descended(self, points: Points, omega: Array, u: Array, p: Array) -> Array:
        """Local minima by augmented Lagrangians, restored: H + ½ρ Σ dist(c + y/ρ, [c⁻, c⁺])²."""
        force, _ = self._no_force(points)
        _, slope, hessian = self._augmented_sum(points, omega, u, p, *self._no_force(points))
        steep = np.abs(self._path(points.t, points.x, u, p)[1]).max(axis=(1, 2, 3))
        size = np.abs(slope).max(axis=1) + np.abs(hessian).max(axis=(1, 2))
        penalty = PENALTY * np.nan_to_num(np.maximum(size, 1e-6) / np.maximum(steep, 1e-3) ** 2, nan=1.0, posinf=1.0)
        before, z = np.full(len(u), np.inf), u
        for _ in range(ROUNDS):
            derivatives = partial(self._augmented_of, points, omega, p, force, penalty)
            z = projected_newton(derivatives, z, points.low, points.high, NEWTON)[1]
            shifted = self._path(points.t, points.x, z, p)[0] + force / penalty[:, None, None]
            new = penalty[:, None, None] * _outside(shifted, points)
            change = np.abs(new - force).max(axis=(1, 2)) / penalty
            force = np.where(np.isfinite(new), new, force)
            penalty = np.where(change > 0.25 * before, 10.0 * penalty, penalty)
            if np.all(change <= ROUNDING):
                break
            before = change
        return self._restored(points, z, p)

    def _augmented_of(
        self, points: Points, omega: Array, p: Array, force: Array, penalty: Array, which: NDArray[np.intp], u: Array
    ) -> tuple[Array, Array, Array]:
        return self._augmented_sum(points[which], omega, u, p, force[which], penalty[which])

    def _no_force(self, points: Points) -> tuple[Array, Array]:
        return np.zeros(points.below.shape), np.zeros(len(points.t))

    # -- the compiled pieces ---------------------------------------------------------------------------

    def _augmented_sum(
        self, points: Points, omega: Array, u: Array, p: Array, force: Array, penalty: Array
    ) -> tuple[Array, Array, Array]:
        """The augmented Lagrangian (K,), its gradient (K, m) and Hessian (K, m, m), summed over the samples."""
        (K, S, n), m, R = points.x.shape, u.shape[1], len(self.rows)
        constraint = (array.reshape(K * S, R).T for array in (force, points.below, points.above))
        value, gradient, hessian = self._augmented(
            *self._columns(points.t, points.x, u, p),
            points.costate.reshape(K * S, n).T,
            np.tile(omega, K)[None, :],
            np.repeat(penalty, S)[None, :],
            *constraint,
        )
        sums = (part.T.reshape(K, S, -1).sum(axis=1) for part in (value, gradient, hessian))
        total, slope, curvature = sums
        return total[:, 0], slope, curvature.reshape(K, m, m)

    def _path(self, t: Array, x: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """c (K, S, rows) and ∂c/∂u (K, S, rows, m) of the rows that depend on u."""
        (K, S), R = x.shape[:2], len(self.rows)
        values, jacobian = self._path_of_columns(*self._columns(t, x, u, p))
        return values.T.reshape(K, S, R), jacobian.T.reshape(K, S, u.shape[1], R).swapaxes(2, 3)

    def _columns(self, t: Array, x: Array, u: Array, p: Array) -> tuple[Array, ...]:
        K, S, n = x.shape
        data = np.tile(np.asarray(self.problem.data).T, (1, K))
        return np.repeat(t, S)[None, :], x.reshape(K * S, n).T, np.repeat(u, S, axis=0).T, p, data

    @once
    def _symbols(self) -> dict[str, ca.SX]:
        return dict(self.problem.symbols())

    @once
    def _path_expression(self) -> ca.SX:
        return ca.densify(self.problem.evaluate("path", **self._symbols)[self.rows])

    @once
    def _path_of_columns(self) -> Batch:
        value = self._path_expression
        jacobian = ca.vec(ca.densify(ca.jacobian(value, self._symbols["u"])))
        return Batch(ca.Function("path_in_u", list(self._symbols.values()), [value, jacobian]), shared=(3,))

    @once
    def _augmented(self) -> Batch:
        """One sample's share; the distance from the interval is free of infinite ends."""
        s, value, R = self._symbols, self._path_expression, len(self.rows)
        costate, omega, penalty = ca.SX.sym("costate", self.problem.n), ca.SX.sym("omega"), ca.SX.sym("penalty")
        force, below, above = (ca.SX.sym(name, R) for name in ("force", "below", "above"))
        total = ca.dot(costate, self.problem.rate(*s.values())) + omega * self.problem.evaluate("running", **s)
        effort = self.problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
        total += omega / float(np.sum(self.problem.weights)) * effort
        shifted = value + force / (penalty + (penalty == 0.0))
        outside = ca.fmax(shifted - above, 0.0) + ca.fmax(below - shifted, 0.0)
        total += 0.5 * penalty * ca.sumsqr(outside)
        hessian, gradient = ca.hessian(total, s["u"])
        parts = [ca.densify(part) for part in (total, gradient, ca.vec(ca.densify(hessian)))]
        arguments = [*s.values(), costate, omega, penalty, force, below, above]
        return Batch(ca.Function("augmented", arguments, parts), shared=(3,))


def _outside(values: Array, points: Points) -> Array:
    """c − c± (K, S, rows), 0 inside; NaN where c is no finite number."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values - np.clip(values, points.below, points.above))


def _linear_program(points: Points, u: Array, values: Array, jacobian: Array, slope: Array) -> tuple[Array, bool]:
    """The v (K, m) of least Σ slope·v with c + ∂c/∂u (v − u) in its intervals, and whether there is one."""
    K, m = u.shape
    jacobian = jacobian.reshape(K, -1, m)
    offset = (values.reshape(K, -1) - np.einsum("krm,km->kr", jacobian, u)).ravel()
    blocks = scipy.sparse.block_diag(list(jacobian), format="csr")
    low, high = points.below.ravel() - offset, points.above.ravel() - offset
    upper, lower = np.isfinite(high), np.isfinite(low)
    rows, ends = scipy.sparse.vstack([blocks[upper], -blocks[lower]]), np.concatenate([high[upper], -low[lower]])
    unit = max(float(np.max(np.abs(slope))), 1e-300)
    box = np.stack([points.low.ravel(), points.high.ravel()], axis=1)
    result = scipy.optimize.linprog(
        slope.ravel() / unit, A_ub=rows, b_ub=ends, bounds=box, method="highs", options=LINEAR
    )
    return (result.x.reshape(K, m), True) if result.status == 0 else (u, False)
