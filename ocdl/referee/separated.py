"""The Hamiltonian as a sum over groups of controls that do not meet: one small minimisation each.

    H(u) = Σ_g H_g(u_g),   H_g(u_g) = Σ_c Σ_{i∈g} Λ_ci φ_i(t_c, x_c, u_g) + Σ_c ω_c E_g(t_c, u_g) + const.

Which controls meet is read off the sparsity of φ_u and of the Hessian of E. A neuron of a selection problem is a group
of 1 + M controls, whatever the number of samples. Where L depends on u, all controls are one group.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.once import once
from ocdl.referee.effort import GroupedEffort
from ocdl.referee.global_search import (
    COARSE,
    LEAST,
    MANY,
    PICKS,
    WORK,
    ZOOM,
    ZOOMS,
    best_apart,
    covers,
    falls_for_ever,
    rays,
    zoomed,
)
from ocdl.referee.groups import Columns, GroupSearch, grouped, ungrouped
from ocdl.referee.lattice import POINTS
from ocdl.statement.effort import effort_formula
from ocdl.statement.problem import ControlProblem
from ocdl.statement.structure import affine_in, kinked_in, quadratic_in

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

LARGEST = 80  # controls in a group: beyond that its dense Hessian costs more than it gains
ITERATIONS = 25
FLAT = 1e-12  # a curvature this small beside the largest is none
SETTLED = 1e-10  # relative to H: what is left to gain where a minimum is proven
AT_ONCE = 4_000_000  # entries of states and controls held at once
HALVINGS = 8  # of a Newton step where H has kinks, measured
RANDOM = 96  # points that cover a box of many controls


class SeparatedHamiltonian:
    """H of one problem by groups, at K points with C columns each: x and Λ (K, C, n), t (K, C), ω (C,), u (K, m)."""

    def __init__(self, problem: ControlProblem) -> None:
        self.problem = problem

    @once
    def groups(self) -> Indices:
        """The controls of each group, (G, size)."""
        problem, s = self.problem, self.problem.symbols()
        n, m = problem.n, problem.m
        if ca.depends_on(ca.SX(problem.evaluate("running", **s)), s["u"]):
            return np.arange(m)[None]
        of, value = effort_formula(problem)
        rate, control = _entries(problem.rate(*s.values()), s["u"])
        one, other = _entries(ca.gradient(value, of["u"]), of["u"])
        i, j = np.concatenate([rate, n + one]), np.concatenate([n + control, n + other])
        graph = ca.Sparsity.triplet(n + m, n + m, [*i.tolist(), *j.tolist()], [*j.tolist(), *i.tolist()])
        _, index, ends = (graph + ca.Sparsity.diag(n + m)).scc()  # of an undirected graph: its connected components
        parts = np.split(np.array(index, dtype=np.intp), ends[1:-1])
        members = sorted((np.sort(part[part >= n]) - n for part in parts if max(part) >= n), key=lambda group: group[0])
        return np.array(members) if len({group.size for group in members}) == 1 else np.arange(m)[None]

    @cached_property
    def effort(self) -> GroupedEffort:
        """Ω E by groups."""
        return GroupedEffort(self.problem, self.groups, type(self).__name__)

    @property
    def small(self) -> bool:
        """The groups are small enough for their Hessians."""
        return self.groups.shape[1] <= LARGEST

    @once
    def owner(self) -> Indices:
        """Which group drives each rate, (n,); 0 where none does."""
        if self.problem.m == 0:
            return np.zeros(self.problem.n, dtype=np.intp)
        s = self.problem.symbols()
        rate = np.array(ca.DM(ca.jacobian_sparsity(self.problem.rate(*s.values()), s["u"]), 1).full()) > 0
        of = np.empty(self.problem.m, dtype=np.intp)
        for g, members in enumerate(self.groups):
            of[members] = g
        return np.where(rate.any(axis=1), of[rate.argmax(axis=1)], 0)

    def derivatives(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array
    ) -> tuple[Array, Array, Array]:
        """H_g (K, G), its gradient (K, G, size) and Hessian (K, G, size, size)."""
        K, columns = len(x), Columns(t, x, costate, omega, p)
        if (rows := _rounded(K)).size > K:
            value, slope, blocks = self.derivatives(*columns.of(rows).at(u[rows]))
            return value[:K], slope[:K], blocks[:K]
        rates, running, gradient, hessian = self._columns(*self._flat(t, x, costate, omega, u, p))
        G, size = self.groups.shape
        value = self._of_groups(rates, running)
        blocks = hessian.T.reshape(K, G, size, size)
        slope = gradient.T[:, self.groups]
        if self.problem.effort is not None:
            effort = self.effort.derivatives(t, omega, u, p)
            value, slope, blocks = value + effort[0], slope + effort[1], blocks + effort[2]
        return value, slope, blocks

    def slopes(self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """H_g (K, G) and its gradient (K, G, size)."""
        K, columns = len(x), Columns(t, x, costate, omega, p)
        if (rows := _rounded(K)).size > K:
            value, slope = self.slopes(*columns.of(rows).at(u[rows]))
            return value[:K], slope[:K]
        rates, running, gradient = self._sloped(*self._flat(t, x, costate, omega, u, p))
        value, slope = self._of_groups(rates, running), gradient.T[:, self.groups]
        if self.problem.effort is not None:
            effort = self.effort.slopes(t, omega, u, p)
            value, slope = value + effort[0], slope + effort[1]
        return value, slope

    def values(self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> Array:
        """H_g (K, G) alone."""
        value = self._of_groups(*self._alone(*self._flat(t, x, costate, omega, u, p)))
        return value if self.problem.effort is None else value + self.effort.values(t, omega, u, p)

    def _flat(self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> tuple[Array, ...]:
        """The arguments of the compiled functions, columns side by side."""
        K, C, n = x.shape
        data = np.tile(np.asarray(self.problem.data).T, (1, K * C // self.problem.samples))
        columns = x.reshape(-1, n).T, u.T, p, data, costate.reshape(-1, n).T
        return t.reshape(1, -1), *columns, np.tile(omega, K)[None, :]

    def _of_groups(self, rates: Array, running: Array) -> Array:
        """(K, G) from Λ∘φ (n, K) and ω L (1, K)."""
        value = np.zeros((rates.shape[1], len(self.groups)))
        np.add.at(value.T, self.owner, rates)
        value[:, 0] += running[0]
        return value

    def minimum(
        self,
        t: Array,
        x: Array,
        costate: Array,
        omega: Array,
        u: Array,
        p: Array,
        *,
        starts: int = 0,
        hold: Array | None = None,
        corner: bool = True,
        iterations: int = ITERATIONS,
    ) -> tuple[Array, Array]:
        """H_g(u) − H_g(u*) ≥ 0 (K, G) and the best controls u* (K, m) found by projected Newton.

        From u, from the ``corner`` of the box along −∇H and from ``starts`` random points of the box (N(u, 1) where it
        is unbounded), in at most ``iterations`` each. ``hold`` (m,) ≥ 0: minimise H + Σ hold (u* − u)² instead.
        """
        columns, box = Columns(t, x, costate, omega, p), self._boxes(len(u), self.problem.control_box)
        value, slope, _ = self.derivatives(*columns.at(u))
        begins = [self._corner(u, slope, box)] if corner else []
        begins += _random(grouped(u, self.groups), box, starts)
        least, best = self._search(columns, u, box, hold, iterations).best(begins)
        return value - least, best

    def _search(
        self,
        columns: Columns,
        u: Array,
        box: tuple[Array, Array],
        hold: Array | None = None,
        iterations: int = ITERATIONS,
    ) -> GroupSearch:
        held = np.zeros(self.groups.shape) if hold is None else hold[self.groups]
        return GroupSearch(self.derivatives, self.values, self.groups, columns, u, box, held, iterations)

    def _boxes(self, K: int, box: tuple[Array, Array]) -> tuple[Array, Array]:
        """The bounds of every group at every point, each (K·G, size)."""
        low, high = (np.broadcast_to(end, (K, self.problem.m))[:, self.groups] for end in box)
        G, size = self.groups.shape
        return low.reshape(K * G, size), high.reshape(K * G, size)

    def operations(self, K: int, C: int) -> float:
        """About how many ``least`` takes: a cover's values, and Newton's derivatives from the best of its points."""
        (_, size), columns = self.groups.shape, K * C * max(self.problem.m, 1)
        if self.quadratic:
            return float(columns * size)
        points = max(LEAST, min(POINTS.get(size, 0) ** size or RANDOM, WORK / columns))
        points += PICKS * ZOOMS * float(np.clip(WORK / columns / ZOOMS, COARSE, ZOOM)) if self.kinked else 0.0
        return float(columns * (points + (2 + PICKS) * ITERATIONS * size * (HALVINGS if self.kinked else 1)))

    # -- over the whole box ----------------------------------------------------------------------------

    def least(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array, box: tuple[Array, Array]
    ) -> tuple[Array, Array, bool]:
        """H_g(u) − min H_g over ``box``, each end (K, m), and the best controls as of ``minimum``; and whether it is
        proven that no others are better.

        Proven where every H_g is a convex quadratic; elsewhere minima are sought from the best points of a cover of the
        box, too: a lattice for one to three controls. +∞ where H_g falls without end.
        """
        columns, box = Columns(t, x, costate, omega, p), self._boxes(len(u), box)
        value, slope, hessian = self.derivatives(*columns.at(u))
        curvature = np.linalg.eigh(np.where(np.isfinite(hessian), hessian, 0.0))
        lowest = curvature[0][..., 0]
        convex = self.quadratic & (lowest >= -FLAT * np.abs(curvature[0]).max(axis=-1))
        begins = [] if np.all(convex) else [self._corner(u, slope, box), *self._promising(columns, u, box)]
        least, best = self._search(columns, u, box).best([np.concatenate(begins)] if begins else [])
        gains = value - least
        if not np.all(np.isfinite(box)) and not np.all(convex & (lowest > 0.0)):
            gains = np.where(self._endless(columns, u, value, slope, curvature, box), np.inf, gains)
        proven = convex & (self._left(columns, best, lowest, box) <= SETTLED * (1.0 + np.abs(value)))
        return gains, best, bool(np.all(proven | (gains == np.inf)))

    def _promising(self, columns: Columns, u: Array, box: tuple[Array, Array]) -> list[Array]:
        """Controls (K·G, size), every group at one of the best points of a cover of its box."""
        (K, C), (lows, highs) = columns.x.shape[:2], box
        most = max(LEAST, WORK / (K * C * self.problem.m))
        points, of = covers(lows, highs, most, random=RANDOM)
        values = self._at_points(columns, u, points[of])
        picks = best_apart(values, points[of], lows, highs, PICKS if K * C * self.problem.m < MANY else 1)
        if self.kinked:  # Newton's method leads nowhere there: near the best of them only

            def at(z: Array) -> Array:
                return self._at_points(columns, u, z)

            near = [zoomed(at, pick, lows, highs, np.clip(most / ZOOMS, COARSE, ZOOM)) for pick in picks]
            best = np.argmin([value for value, _ in near], axis=0)
            picks = [np.stack([z for _, z in near])[best, np.arange(len(lows))]]
        return list(picks)

    def _at_points(self, columns: Columns, u: Array, points: Array) -> Array:
        """H_g (K·G, L) at points (K·G, L, size) of every group, in blocks that bound the memory."""
        (K, C), (G, size), L = columns.x.shape[:2], self.groups.shape, points.shape[1]
        found = np.empty((K, G, L))
        step = max(1, AT_ONCE // (K * C * (self.problem.m + 2 * self.problem.n)))
        for begin in range(0, L, step):
            chosen = points[:, begin : begin + step].reshape(K, G, -1, size)
            J = chosen.shape[2]
            controls = np.repeat(u[None], J, axis=0)
            controls[:, :, self.groups] = np.moveaxis(chosen, 2, 0)
            values = self.values(*columns.of(np.tile(np.arange(K), J)).at(controls.reshape(J * K, -1)))
            found[:, :, begin : begin + J] = np.moveaxis(values.reshape(J, K, G), 0, 2)
        return found.reshape(K * G, L)

    def _corner(self, u: Array, slope: Array, box: tuple[Array, Array]) -> Array:
        """The corner (K·G, size) of the box along −∇H (K, G, size); u where there is none."""
        corner = np.where(slope.reshape(box[0].shape) > 0.0, *box)
        return np.where(np.isfinite(corner), corner, grouped(u, self.groups))

    def _endless(
        self,
        columns: Columns,
        u: Array,
        value: Array,
        slope: Array,
        curvature: tuple[Array, Array],
        box: tuple[Array, Array],
    ) -> NDArray[np.bool_]:
        """Which H_g fall without end, (K, G): along the axes, −∇H, the least curvature and −∇H where H is flat."""
        K, (G, size) = len(u), self.groups.shape
        eigenvalues, vectors = curvature
        flat = eigenvalues <= FLAT * np.abs(eigenvalues).max(axis=-1, keepdims=True)
        along = np.einsum("kgij,kgi->kgj", vectors, slope) * flat
        level = -np.einsum("kgij,kgj->kgi", vectors, along)
        further = [-slope, level, vectors[..., 0], -vectors[..., 0]]
        directions = rays(*box, [d.reshape(K * G, size) for d in further])

        def values(z: Array) -> Array:
            return self.values(*columns.at(ungrouped(z, u, self.groups))).ravel()

        begin = grouped(u, self.groups)
        return np.asarray(falls_for_ever(values, begin, value.ravel(), directions).reshape(K, G))

    def _left(self, columns: Columns, u: Array, least: Array, box: tuple[Array, Array]) -> Array:
        """What convex H_g may still lose from u, (K, G): |∇H|²/2λ over what is free, λ the ``least`` curvature, and no
        more than ∇H·(u − v) at the corner v along −∇H.
        """
        K, (G, size) = len(u), self.groups.shape
        slope = self.derivatives(*columns.at(u))[1]
        z, low, high = (a.reshape(K, G, size) for a in (u[:, self.groups], *box))
        reach = np.where(slope > 0.0, z - low, high - z)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            corner = np.where(slope != 0.0, np.abs(slope) * reach, 0.0).sum(axis=-1)
            newton = np.where(reach > 0.0, slope**2, 0.0).sum(axis=-1) / (2.0 * np.maximum(least, 0.0))
        return np.fmin(corner, newton)

    @once
    def affine_in_u(self) -> bool:
        """Rates, running cost and effort are affine in u."""
        s = self._symbols
        terms = [self.problem.evaluate(role, **s) for role in ("dynamics", "running", "effort")]
        return affine_in(ca.vertcat(*terms), s["u"])

    @once
    def quadratic(self) -> bool:
        """The Hessian of H in u does not depend on u."""
        return quadratic_in(self._total(), self._symbols["u"])

    @once
    def kinked(self) -> bool:
        """H is not smooth in u."""
        return kinked_in(self._total(), self._symbols["u"])

    @once
    def _columns(self) -> Batch:
        """(t, x, u, p, d, Λ, ω) → Λ∘φ, ω L, the gradient of their sum in u and its diagonal blocks, over a layer."""
        rates, running = self._terms()
        gradient = ca.gradient(ca.sum1(rates) + running, self._symbols["u"])
        return self._batch("separated", [rates, running, gradient, self._blocks(gradient, self._symbols["u"])])

    @once
    def _sloped(self) -> Batch:
        """(t, x, u, p, d, Λ, ω) → Λ∘φ, ω L and the gradient of their sum in u, over a layer."""
        rates, running = self._terms()
        return self._batch("sloped", [rates, running, ca.gradient(ca.sum1(rates) + running, self._symbols["u"])])

    @once
    def _alone(self) -> Batch:
        """(t, x, u, p, d, Λ, ω) → Λ∘φ, ω L over a layer."""
        return self._batch("terms", list(self._terms()))

    def _batch(self, name: str, parts: list[Any]) -> Batch:
        arguments = [*self._symbols.values(), self._costate, self._omega]
        function = ca.Function(name, arguments, [ca.densify(part) for part in parts])
        return Batch(function, shared=(3,), summed=tuple(range(len(parts))), layered=(2,))

    @once
    def _symbols(self) -> dict[str, Any]:
        return dict(self.problem.symbols())

    @once
    def _costate(self) -> Any:
        return ca.SX.sym("costate", self.problem.n)

    @once
    def _omega(self) -> Any:
        return ca.SX.sym("omega")

    def _terms(self) -> tuple[Any, Any]:
        """Λ∘φ and ω L of one column."""
        s = self._symbols
        return self._costate * self.problem.rate(*s.values()), ca.SX(
            self._omega * self.problem.evaluate("running", **s)
        )

    def _total(self) -> Any:
        """ω⟨Λ, φ⟩ + ω L + E of one column."""
        rates, running = self._terms()
        s = self._symbols
        return ca.sum1(rates) + running + self.problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])

    def _blocks(self, gradient: Any, u: Any) -> Any:
        rows = [[int(i) for i in members] for members in self.groups]
        return ca.vertcat(*[ca.vec(ca.densify(ca.jacobian(gradient[i], u[i]))) for i in rows])


def _random(u: Array, box: tuple[Array, Array], starts: int) -> list[Array]:
    """So many random points of the box, each of the shape of u; N(u, 1) where it is unbounded."""
    finite, generator = np.isfinite(box[0]) & np.isfinite(box[1]), np.random.default_rng(0)
    low, high = np.where(finite, box[0], 0.0), np.where(finite, box[1], 1.0)
    return [
        np.where(finite, generator.uniform(low, high), u + generator.standard_normal(u.shape)) for _ in range(starts)
    ]


def _rounded(K: int) -> Indices:
    """K points, the last of them so often that they are a power of two: of all numbers only those are compiled."""
    return np.minimum(np.arange(1 << max(K - 1, 0).bit_length()), K - 1)


def _entries(expression: Any, u: Any) -> tuple[Indices, Indices]:
    """Rows and columns of the structural non-zeros of ∂expression/∂u."""
    rows, columns = ca.jacobian_sparsity(expression, u).get_triplet()
    return np.array(rows, dtype=np.intp), np.array(columns, dtype=np.intp)
