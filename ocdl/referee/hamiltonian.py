"""The Hamiltonian and its minimum over the controls: in closed form where there is one, else by local search.

    H(u) = Σ_c ⟨Λ_c, φ(t_c, x_c, u)⟩ + ω_c L(t_c, x_c, u) + Ω E(t, u),   Ω = Σ_c ω_c / Σ_s ω_s,

summed over the columns c (the samples of a stage, or all stages of a layer with their weights in Λ and ω).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.once import once
from ocdl.referee.dense import DenseHamiltonian, dense
from ocdl.referee.global_search import SLOPE
from ocdl.referee.groups import Columns, blocks, with_groups
from ocdl.referee.local_search import local_search
from ocdl.referee.restricted import Restriction
from ocdl.referee.separated import SETTLED, SeparatedHamiltonian
from ocdl.statement.effort import effort_formula
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

ITERATIONS = 200
ARMIJO = 1e-4
AFFORDABLE = 1.5e6  # operations of a search in the whole box that nobody asked for
PATIENCE = 10  # times the evaluations of a local search, of many controls that meet where it is to be thorough


@dataclass(frozen=True, eq=False)
class Least:
    """min_u H at K points, (K,), −∞ where H falls without end; where it is attained, (K, m), None where that is not
    known; and whether no control can have less: ``proven``. ``thorough``: sought in the whole box, not only by the
    counted descents of ``local_search``.
    """

    value: Array
    at: Array | None
    proven: bool
    thorough: bool = True


class Hamiltonian:
    """H of one problem, at K points at once: t (K,) or (K, C), x and Λ (K, C, n), ω (C,), u (K, m), p (P,)."""

    def __init__(self, problem: ControlProblem) -> None:
        self.problem = problem

    @cached_property
    def separated(self) -> SeparatedHamiltonian:
        """H as a sum over the groups of controls that do not meet; as matrix products where the layers are dense."""
        return dense(self.problem) or SeparatedHamiltonian(self.problem)

    @property
    def closed_form(self) -> bool:
        """One sample of a selection problem with increasing σ, a finite box and no running cost."""
        return (
            self.problem.velocity_box is not None
            and not self.problem.has_running_cost
            and not self.problem.bounds.varies("u")
            and not self.restriction.rows
        )

    @cached_property
    def restriction(self) -> Restriction:
        """The path constraints that depend on u."""
        return Restriction(self.problem)

    @property
    def affine(self) -> bool:
        """H is affine in u: where the box of u is finite, one of its vertices is a global minimum."""
        return bool(self.separated.affine_in_u)

    def _box(self, t: Array, K: int) -> tuple[Array, Array]:
        """The bounds of u at every point, each (K, m)."""
        if self.problem.bounds.varies("u"):
            return self.problem.control_box_at(np.reshape(t, (K, -1))[:, 0])
        low, high = self.problem.control_box
        return np.broadcast_to(low, (K, low.size)), np.broadcast_to(high, (K, high.size))

    def values(self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """H (K,) and its gradient in u (K, m)."""
        K, C, n = x.shape
        times = np.broadcast_to(np.reshape(t, (K, -1)), (K, C))
        data = np.tile(np.asarray(self.problem.data).T, (1, K * C // self.problem.samples))
        if isinstance(self.separated, DenseHamiltonian):
            value, gradient = self._of_dense(self.separated, Columns(times, x, costate, omega, p), u)
            return value + self._weighted_running(times, x, omega, p, data), gradient
        value, gradient = self._columns(
            times.reshape(1, -1),
            x.reshape(-1, n).T,
            np.repeat(u, C, axis=0).T,
            p,
            data,
            costate.reshape(K * C, -1).T,
            np.tile(omega, K)[None, :],
        )
        effort, slope = self._weighted_effort(times, omega, u, p)
        return value.reshape(K, C).sum(axis=1) + effort, gradient.T.reshape(K, C, -1).sum(axis=1) + slope

    def _of_dense(self, law: DenseHamiltonian, columns: Columns, u: Array) -> tuple[Array, Array]:
        """H without the running cost (K,), and its gradient (K, m), in blocks of points that bound the memory."""
        value, gradient = np.empty(len(u)), np.empty(u.shape)
        for rows in blocks(columns.x.shape, law.groups):
            here, at = columns.of(rows), u[rows]
            neurons, slopes = law.of_rates(here.x, here.costate, at, here.p)
            effort, slope = self._weighted_effort(here.t, here.omega, at, here.p)
            slope[:, law.groups] += slopes
            value[rows], gradient[rows] = neurons.sum(axis=1) + effort, slope
        return value, gradient

    def column_gradients(self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> Array:
        """The gradient in u of every column's own ⟨Λ_c, φ_c⟩ + ω_c L_c, (K, C, m)."""
        K, C, n = x.shape
        data = np.tile(np.asarray(self.problem.data).T, (1, K * C // self.problem.samples))
        flat = (t.reshape(1, -1), x.reshape(-1, n).T, np.repeat(u, C, axis=0).T, p, data, costate.reshape(-1, n).T)
        return self._columns(*flat, np.tile(omega, K)[None, :])[1].T.reshape(K, C, -1)

    def _weighted_effort(self, times: Array, omega: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """Σ_c ω_c E(t_c, u) / Σ_s ω_s (K,) and its gradient (K, m)."""
        K, share = len(times), omega / np.sum(self.problem.weights)
        if self.problem.effort is None:
            return np.zeros(K), np.zeros(u.shape)
        if np.all(times == times[:, :1]):
            times, share = times[:, :1], np.array([share.sum()])
        effort, slope = self._effort(times.reshape(1, -1), np.repeat(u, share.size, axis=0).T, p)
        return effort.reshape(K, -1) @ share, np.einsum("kcm,c->km", slope.T.reshape(K, share.size, -1), share)

    def _weighted_running(self, times: Array, x: Array, omega: Array, p: Array, data: Array) -> Array:
        """Σ_c ω_c L(t_c, x_c), (K,), where it does not depend on u."""
        K, C, n = x.shape
        if self.problem.running is None:
            return np.zeros(K)
        (running,) = self._running(times.reshape(1, -1), x.reshape(-1, n).T, p, data)
        return running.reshape(K, C) @ omega

    def value(self, t: float, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> tuple[float, Array]:
        """H and its gradient in u (m,) at one point; x and Λ (C, n)."""
        value, gradient = self.values(np.array([t]), x[None], costate[None], omega, u[None], p)
        return float(value[0]), gradient[0]

    def minimum(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array, *, starts: int = 0
    ) -> tuple[Array, Array | None]:
        """min_u H over the bounds of u at every point, (K,), and where it is attained (K, m): a quick search.

        The closed form is global and returns no argument. Otherwise H is minimised from the current u, from the corner
        of the box along −∇H and from ``starts`` random points, neuron by neuron by projected Newton where H separates
        into small groups of controls, else by spectral projected gradients: the gap it gives is a lower bound of the
        true one.
        """
        box = self.problem.velocity_box
        if box is not None and self.closed_form:
            return box.minimum(x, costate).sum(axis=-1), None
        low, high = self._box(t, len(u))
        if self.affine and np.all(np.isfinite(low) & np.isfinite(high)):
            value, slope = self.values(t, x, costate, omega, u, p)
            corner = np.where(slope > 0.0, low, high)
            return value + np.sum(slope * (corner - u), axis=1), corner
        if self.separated.small and not self.problem.bounds.varies("u"):
            times = np.broadcast_to(np.reshape(t, (len(u), -1)), x.shape[:2])
            gains, at = self.separated.minimum(times, x, costate, omega, u, p, starts=starts)
            return self.values(t, x, costate, omega, u, p)[0] - gains.sum(axis=1), at
        slope = self.values(t, x, costate, omega, u, p)[1]
        corner = np.where(slope > 0, low, high)
        begins = [u, np.where(np.isfinite(corner), corner, u)]
        return self._best_descent(t, x, costate, omega, begins, p, (low, high))

    def least(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array, *, thorough: bool = False
    ) -> Least:
        """min H at stages t (K,) over all controls that the box at each depth and the path constraints admit.

        Sought in the whole of that set (``SeparatedHamiltonian.least``, ``Restriction``) where that takes at most
        ``AFFORDABLE`` operations, or is wanted ``thorough``; else by ``local_search``, whose price is some sixty
        evaluations of H. The controls in force compete: what they violate, for rounding, is allowed to all.
        """
        velocities = self.problem.velocity_box
        if velocities is not None and self.closed_form:
            return Least(velocities.minimum(x, costate).sum(axis=-1), None, True)
        bounds, law = self._box(t, len(u)), self.separated
        columns = Columns(np.broadcast_to(np.reshape(t, (len(u), -1)), x.shape[:2]), x, costate, omega, p)
        if not self.restriction.rows and not self.affine:
            if self._parabolas:
                box = np.minimum(bounds[0], u), np.maximum(bounds[1], u)
                values = self.values(t, x, costate, omega, u, p)
                exact = self._least_of_parabolas(t, x, costate, omega, u, p, *values, box)
                if exact is not None:
                    return exact
            value = self.values(t, x, costate, omega, u, p)[0]
            whole = law.small and (thorough or law.operations(*x.shape[:2]) <= AFFORDABLE)
            descents = 0 if whole and not thorough else PATIENCE if thorough and not whole else 1
            gains, at, proven = self._least_of_groups(columns, u, bounds, whole, descents)
            return Least(value - gains, at, proven, whole or thorough)
        low, high = np.minimum(bounds[0], u), np.maximum(bounds[1], u)
        if self.restriction.rows:
            return self._least_restricted(t, x, costate, omega, u, p, (low, high))
        return _least_affine(*self.values(t, x, costate, omega, u, p), u, low, high)

    def _least_of_groups(
        self, columns: Columns, u: Array, bounds: tuple[Array, Array], whole: bool, descents: int
    ) -> tuple[Array, Array, bool]:
        """What H can lose (K,), and where (K, m); and whether that is proven: by a search in the ``whole`` box and by
        ``local_search``, in blocks of points that bound the memory.
        """
        law, proven = self.separated, whole
        gains, best = np.zeros(len(u)), u.copy()
        for rows in blocks(columns.x.shape, law.groups):
            here, at = columns.of(rows), u[rows]
            box = np.minimum(bounds[0][rows], at), np.maximum(bounds[1][rows], at)
            gained = np.zeros((len(at), len(law.groups)))
            if whole:
                gained, best[rows], known = law.least(*here.at(at), box)
                proven = proven and known
            if descents:
                more, point = local_search(law, here, at, box, patience=descents)
                better = more > gained
                gained = np.where(better, more, gained)
                best[rows] = with_groups(best[rows], point, better, law.groups)
            gains[rows] = gained.sum(axis=1)
        return gains, best, proven

    @cached_property
    def _parabolas(self) -> bool:
        """No control meets another, and H is quadratic in each."""
        return self.separated.groups.shape[1] == 1 and self.separated.quadratic

    def _least_of_parabolas(
        self,
        t: Array,
        x: Array,
        costate: Array,
        omega: Array,
        u: Array,
        p: Array,
        value: Array,
        slope: Array,
        box: tuple[Array, Array],
    ) -> Least | None:
        """At the vertex of every parabola or the end of its interval next to it; None where one is not strictly convex.

        Proven where the slope left there, |∇H|²/2λ over what is free, is worth no more than rounding.
        """
        times, curvature = np.broadcast_to(np.reshape(t, (len(u), -1)), x.shape[:2]), np.empty(u.shape)
        law = self.separated
        curvature[:, law.groups[:, 0]] = law.derivatives(times, x, costate, omega, u, p)[2][..., 0, 0]
        if not np.all(curvature > 0.0):
            return None
        low, high = box
        at = np.clip(u - slope / curvature, low, high)
        best, left = self.values(t, x, costate, omega, at, p)
        free = np.where(left > 0.0, at > low, at < high)
        worth = np.sum(np.where(free, left**2 / (2.0 * curvature), 0.0), axis=1)
        return Least(np.fmin(best, value), at, bool(np.all(worth <= SETTLED * (1.0 + np.abs(value)))))

    def _least_restricted(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array, box: tuple[Array, Array]
    ) -> Least:
        restriction = self.restriction
        points = restriction.points(t, x, costate, u, p, box)
        value, slope = self.values(t, x, costate, omega, u, p)
        if self.affine and restriction.affine:
            falls, at, exact = restriction.linear(points, u, p, slope, SLOPE * (1.0 + np.abs(value)))
            return Least(value + falls, at, exact)
        found, at = restriction.searched(points, omega, u, p)
        endless = restriction.endless(points, omega, u, p, value)
        return Least(np.where(endless, -np.inf, np.minimum(found, value)), at, bool(np.all(endless)))

    def _best_descent(
        self, t: Array, x: Array, costate: Array, omega: Array, begins: list[Array], p: Array, box: tuple[Array, Array]
    ) -> tuple[Array, Array]:
        found = [self._descend(t, x, costate, omega, begin, p, *box) for begin in begins]
        best = np.argmin([value for value, _ in found], axis=0)
        return (
            np.take_along_axis(np.stack([value for value, _ in found]), best[None], axis=0)[0],
            np.take_along_axis(np.stack([at for _, at in found]), best[None, :, None], axis=0)[0],
        )

    def _descend(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array, low: Array, high: Array
    ) -> tuple[Array, Array]:
        """Spectral projected gradients at all points in lockstep, in the metric of the controls.

        Source: Birgin, Martínez and Raydan, SIAM J. Optim. 10 (2000), algorithm SPG2, monotone here.
        """
        metric = np.asarray(self.problem.control_metric)
        value, gradient = self.values(t, x, costate, omega, u, p)
        step = np.ones((len(u), 1))
        live = np.ones(len(u), dtype=bool)
        for _ in range(ITERATIONS):
            direction = np.clip(u - step * gradient / metric, low, high) - u
            slope = np.sum(direction * gradient, axis=1)
            live &= slope < -1e-12 * (1.0 + np.abs(value))
            if not np.any(live):
                break
            trial, trial_value, trial_gradient = u.copy(), value.copy(), gradient.copy()
            length, open_ = np.ones(len(u)), live.copy()
            for _ in range(30):
                at = np.clip(
                    u[open_] + length[open_, None] * direction[open_], low[open_], high[open_]
                )  # rounding may leave the box
                got, got_gradient = self.values(t[open_], x[open_], costate[open_], omega, at, p)
                good = got <= value[open_] + ARMIJO * length[open_] * slope[open_]
                index = np.flatnonzero(open_)[good]
                trial[index], trial_value[index], trial_gradient[index] = at[good], got[good], got_gradient[good]
                open_[index] = False
                if not np.any(open_):
                    break
                length[open_] *= 0.5
            live &= ~open_
            moved, turned = trial - u, trial_gradient - gradient
            curvature = np.sum(moved * turned, axis=1)
            length_squared = np.sum(metric * moved**2, axis=1)
            convex = curvature > 0
            spectral = np.where(convex, length_squared / np.where(convex, curvature, 1.0), 10.0 * step[:, 0])
            step = np.clip(spectral, 1e-10, 1e10)[:, None]
            u, value, gradient = trial, trial_value, trial_gradient
        return value, u

    @once
    def _columns(self) -> Batch:
        s = self.problem.symbols()
        omega, costate = ca.SX.sym("omega"), ca.SX.sym("costate", self.problem.n)
        value = ca.dot(costate, self.problem.rate(*s.values())) + omega * self.problem.evaluate("running", **s)
        parts = [value, ca.densify(ca.gradient(value, s["u"]))]
        return Batch(ca.Function("hamiltonian", [*s.values(), costate, omega], parts), shared=(3,))

    @once
    def _running(self) -> Batch:
        s = self.problem.symbols() | {"u": ca.SX.zeros(self.problem.m)}
        value = ca.densify(self.problem.evaluate("running", **s))
        return Batch(ca.Function("running", [s[name] for name in "txpd"], [value]), shared=(2,))

    @once
    def _effort(self) -> Batch:
        s, value = effort_formula(self.problem)
        parts = [ca.densify(value), ca.densify(ca.gradient(value, s["u"]))]
        return Batch(ca.Function("effort", [s["t"], s["u"], s["p"]], parts), shared=(2,))


def _least_affine(value: Array, slope: Array, u: Array, low: Array, high: Array) -> Least:
    """At a vertex; −∞ where H falls towards an end that is not there. A slope within rounding of 0 leads nowhere for
    sure: it counts for a step of 1 + |u|, and nothing is proven.
    """
    corner = np.where(slope > 0.0, low, high)
    open_ = ~np.isfinite(corner)
    steep = np.abs(slope) > SLOPE * (1.0 + np.abs(value))[:, None]
    step = np.where(open_, np.where(steep, np.inf, 1.0 + np.abs(u)), np.abs(corner - u))
    falls = np.where(slope != 0.0, np.abs(slope) * np.where(slope != 0.0, step, 0.0), 0.0).sum(axis=1)
    at = np.where(open_, u - np.sign(slope) * (1.0 + np.abs(u)), corner)
    return Least(value - falls, at, not bool(np.any(open_ & ~steep & (slope != 0.0))))
