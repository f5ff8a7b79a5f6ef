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
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ocdl.batch import Batch
from ocdl.lockstep import projected_newton
from ocdl.problem import ControlProblem

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

LARGEST = 80  # controls in a group: beyond that its dense Hessian costs more than it gains
ITERATIONS = 25


class SeparatedHamiltonian:
    """H of one problem by groups, at K points with C columns each: x and Λ (K, C, n), t (K, C), ω (C,), u (K, m)."""

    def __init__(self, problem: ControlProblem) -> None:
        self.problem = problem

    @cached_property
    def groups(self) -> Indices:
        """The controls of each group, (G, size)."""
        problem, s = self.problem, self.problem.symbols()
        n, m = problem.n, problem.m
        if ca.depends_on(ca.SX(problem.evaluate("running", **s)), s["u"]):
            return np.arange(m)[None]
        effort = ca.gradient(ca.SX(problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])), s["u"])
        rate, control = _entries(problem.rate(*s.values()), s["u"])
        one, other = _entries(effort, s["u"])
        i, j = np.concatenate([rate, n + one]), np.concatenate([n + control, n + other])
        graph = coo_array((np.ones(i.size), (i, j)), shape=(n + m, n + m))
        label = connected_components(graph, directed=False)[1][n:]
        members = sorted((np.flatnonzero(label == g) for g in np.unique(label)), key=lambda group: group[0])
        return np.array(members) if len({group.size for group in members}) == 1 else np.arange(m)[None]

    @property
    def small(self) -> bool:
        """The groups are small enough for their Hessians."""
        return self.groups.shape[1] <= LARGEST

    @cached_property
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
        K, C, n = x.shape
        L = 1 << max(K - 1, 0).bit_length()  # of all numbers of points only powers of two are compiled
        if L > K:
            rows = np.minimum(np.arange(L), K - 1)
            parts = self.derivatives(t[rows], x[rows], costate[rows], omega, u[rows], p)
            return parts[0][:K], parts[1][:K], parts[2][:K]
        data = np.tile(np.asarray(self.problem.data).T, (1, K * C // self.problem.samples))
        rates, running, gradient, hessian = self._columns(
            t.reshape(1, -1),
            x.reshape(-1, n).T,
            u.T,
            p,
            data,
            costate.reshape(-1, n).T,
            np.tile(omega, K)[None, :],
        )
        G, size = self.groups.shape
        value = np.zeros((K, G))
        np.add.at(value.T, self.owner, rates)
        value[:, 0] += running[0]
        blocks = hessian.T.reshape(K, G, size, size)
        slope = gradient.T[:, self.groups]
        if self.problem.effort is not None:
            effort = self._effort_by_group(t, omega, u, p)
            value, slope, blocks = value + effort[0], slope + effort[1], blocks + effort[2]
        return value, slope, blocks

    def _effort_by_group(self, t: Array, omega: Array, u: Array, p: Array) -> tuple[Array, Array, Array]:
        """Ω E of every group with the other groups at 0: right up to a constant."""
        K, (G, size) = len(t), self.groups.shape
        first = np.unique(np.array([t[0], omega]), axis=1, return_index=True)[1]
        alone = np.zeros((K, G, self.problem.m))
        for g, members in enumerate(self.groups):
            alone[:, g, members] = u[:, members]
        total = float(np.sum(self.problem.weights))
        value, gradient, hessian = np.zeros((K, G)), np.zeros((K, G, size)), np.zeros((K, G, size, size))
        counts = np.array([np.count_nonzero((t[0] == t[0, c]) & (omega == omega[c])) for c in first])
        for c, count in zip(first, counts, strict=True):
            share = omega[c] * count / total
            E, slope, second = self._effort(np.repeat(t[:, c], G)[None, :], alone.reshape(-1, self.problem.m).T, p)
            rows = np.tile(np.arange(G), K)
            value += share * E.reshape(K, G)
            gradient += share * slope.T[np.arange(K * G)[:, None], self.groups[rows]].reshape(K, G, size)
            blocks = second.T.reshape(K * G, G, size, size)[np.arange(K * G), rows]
            hessian += share * blocks.reshape(K, G, size, size)
        return value, gradient, hessian

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
        seed: int = 0,
        hold: Array | None = None,
        corner: bool = True,
        iterations: int = ITERATIONS,
    ) -> tuple[Array, Array]:
        """H_g(u) − H_g(u*) ≥ 0 (K, G) and the best controls u* (K, m) found by projected Newton.

        From u, from the ``corner`` of the box along −∇H, and from ``starts`` random points of the box (N(u, 1) where it
        is unbounded), in at most ``iterations`` each. ``hold`` (m,) ≥ 0: minimise H + Σ hold (u* − u)² instead.
        """
        K, (G, size) = len(u), self.groups.shape
        low, high = self.problem.control_box
        flat = u[:, self.groups].reshape(K * G, size)
        lows, highs = np.tile(low[self.groups], (K, 1)), np.tile(high[self.groups], (K, 1))
        holds = np.zeros((K * G, size)) if hold is None else np.tile(hold[self.groups], (K, 1))

        def derivatives(which: Indices, z: Array) -> tuple[Array, Array, Array]:
            layers, at = np.unique(which // G, return_inverse=True)
            controls = u[layers]
            controls[at[:, None], self.groups[which % G]] = z
            parts = self.derivatives(t[layers], x[layers], costate[layers], omega, controls, p)
            value, slope, blocks = (part[at, which % G] for part in parts)
            away = z - flat[which]
            value, slope = value + np.sum(holds[which] * away**2, axis=1), slope + 2.0 * holds[which] * away
            return value, slope, blocks + 2.0 * holds[which][:, :, None] * np.eye(size)

        begin, gradient, _ = derivatives(np.arange(K * G), flat)
        best, at = projected_newton(derivatives, flat, lows, highs, iterations)
        generator = np.random.default_rng(seed)
        others = [np.where(gradient > 0.0, lows, highs)] if corner else []
        for _ in range(starts):
            finite = np.isfinite(lows) & np.isfinite(highs)
            inside = generator.uniform(np.where(finite, lows, 0.0), np.where(finite, highs, 1.0))
            others.append(np.where(finite, inside, flat + generator.standard_normal(flat.shape)))
        for other in others:
            start = np.clip(np.where(np.isfinite(other), other, flat), lows, highs)
            value, point = projected_newton(derivatives, start, lows, highs, iterations)
            better = value < best
            best, at = np.where(better, value, best), np.where(better[:, None], point, at)
        controls = u.copy()
        controls[np.arange(K)[:, None, None], self.groups[None]] = at.reshape(K, G, size)
        return (begin - best).reshape(K, G), controls

    @cached_property
    def _columns(self) -> Batch:
        """(t, x, u, p, d, Λ, ω) → Λ∘φ, ω L, the gradient of their sum in u and its diagonal blocks, over a layer."""
        s = self.problem.symbols()
        costate, omega = ca.SX.sym("costate", self.problem.n), ca.SX.sym("omega")
        rates, running = costate * self.problem.rate(*s.values()), omega * self.problem.evaluate("running", **s)
        total = ca.sum1(rates) + running
        gradient = ca.gradient(total, s["u"])
        parts = [ca.densify(part) for part in (rates, ca.SX(running), gradient, self._blocks(gradient, s["u"]))]
        function = ca.Function("separated", [*s.values(), costate, omega], parts)
        return Batch(function, shared=(3,), summed=(0, 1, 2, 3), layered=(2,))

    @cached_property
    def _effort(self) -> Batch:
        s = self.problem.symbols()
        value = ca.SX(self.problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"]))
        gradient = ca.gradient(value, s["u"])
        parts = [ca.densify(part) for part in (value, gradient, self._blocks(gradient, s["u"]))]
        return Batch(ca.Function("effort", [s["t"], s["u"], s["p"]], parts), shared=(2,))

    def _blocks(self, gradient: Any, u: Any) -> Any:
        rows = [[int(i) for i in members] for members in self.groups]
        return ca.vertcat(*[ca.vec(ca.densify(ca.jacobian(gradient[i], u[i]))) for i in rows])


def _entries(expression: ca.SX, u: ca.SX) -> tuple[Indices, Indices]:
    """Rows and columns of the structural non-zeros of ∂expression/∂u."""
    rows, columns = ca.jacobian_sparsity(expression, u).get_triplet()
    return np.array(rows, dtype=np.intp), np.array(columns, dtype=np.intp)
