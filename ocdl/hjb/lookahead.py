"""One step of dynamic programming for any small ControlProblem, the states of all samples stacked in one vector X:

    V(X, t) = min_u { ∫_t^{t+h} Σ_s ω_s L(x_s, u) + E(u) dτ + V(X(t + h), t + h) },   u held constant over the step,

so that V is approached from above, to second order in h. Candidates for u minimise the Hamiltonian
H = Σ_s ⟨∂V/∂x_s, φ(x_s, u)⟩ + ω_s L + E at the gradient of V; among them the right-hand side itself decides.
Where states are bounded, u ranges over the controls whose step ends where the bounds can be kept (``state_bounds``).
Source: Falcone and Ferretti, "Semi-Lagrangian approximation schemes for linear and Hamilton–Jacobi equations" (2013).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import finite_array
from ocdl.batch import Batch
from ocdl.depth import Kutta4, Tableau
from ocdl.errors import InvalidInput
from ocdl.hjb.grid import StateGrid
from ocdl.hjb.state_bounds import Excess, Within
from ocdl.hjb.staying import rows_of, staying
from ocdl.problem import ControlProblem

Array = NDArray[np.float64]
Later = Callable[[Array], Array]
Minimiser = Callable[[Array, Array, Array], Any]

BLOCK = 4096
MOST_TRIED = 32  # a finite set of controls up to this size is tried one by one
LARGEST_VERTEX_SET = 8  # controls that H couples; of more, only the corner along −∇H is a candidate
DESCENT_STEPS = 8
ROUNDS = 3
LADDER = tuple(4.0**k for k in range(-6, 9))


@dataclass(frozen=True, eq=False)
class Lookahead:
    """The right-hand side above and its minimisation, for states X (q, S·n), depths t (q,) and controls u (q, m).

    controls: a finite set (K, m) to choose from; minimiser: a function (t (q,), x (q, S, n), p (q, S, n)) → u (q, m)
    of the Euclidean gradient p; without either the box of the problem is searched: its vertices, block by block of
    controls that H couples, then projected gradients.
    """

    problem: ControlProblem
    controls: Any = None
    minimiser: Minimiser | None = None
    tableau: Tableau = Kutta4.tableau

    def by(self, tableau: Tableau) -> Lookahead:
        """The same with another Runge–Kutta step, kept once built."""
        if tableau is self.tableau:
            return self
        key = tableau.A.tobytes() + tableau.b.tobytes()
        return self._others.setdefault(key, replace(self, tableau=tableau))

    @cached_property
    def _others(self) -> dict[bytes, Lookahead]:
        return {}

    @property
    def chosen(self) -> bool:
        """Whether the user chose the controls to search."""
        return self.controls is not None or self.minimiser is not None

    @property
    def dimension(self) -> int:
        return self.problem.samples * self.problem.n

    @cached_property
    def finite(self) -> Array | None:
        """The finite set of controls, (K, m), where one was given; InvalidInput where it does not fit."""
        if self.controls is None:
            return None
        given = finite_array("ValueIteration(controls=...)", self.controls)
        table = given[:, None] if given.ndim == 1 and self.problem.m == 1 else given
        low, high = self.problem.control_box
        if table.ndim != 2 or table.shape[1] != self.problem.m or len(table) == 0:
            raise InvalidInput(
                f"ValueIteration(controls=...): rows of {self.problem.m} controls are needed; got shape {given.shape}."
            )
        if np.any(table < low) or np.any(table > high):
            raise InvalidInput("ValueIteration(controls=...): every row must lie within the bounds of the problem.")
        return table

    @cached_property
    def centre(self) -> Array:
        """The middle of the box, or its point nearest to 0 where it is unbounded, (m,); of a finite set the nearest."""
        low, high = self.problem.control_box
        with np.errstate(invalid="ignore"):
            middle = np.where(np.isfinite(low) & np.isfinite(high), 0.5 * (low + high), np.clip(0.0, low, high))
        if self.finite is None:
            return middle
        return np.asarray(self.finite[np.argmin(np.sum((self.finite - middle) ** 2, axis=1))])

    # -- the right-hand side -----------------------------------------------------------------------

    def flow(self, t: Any, h: Any, x: Array, u: Array) -> tuple[Array, Array]:
        """States X (q, S·n) a step later and the running cost (q,) of the step."""
        end, cost = _blocks(self._step, len(x), t, h, x, u)
        return end.T, cost[0]

    def best(
        self,
        later: Later,
        slopes: Sequence[Array],
        t: Any,
        h: Any,
        x: Array,
        u: Array,
        *,
        slope: Later | None = None,
        within: Within | None = None,
    ) -> tuple[Array, Array]:
        """The least right-hand side found, (q,), and its control; ``u`` is a first candidate, ``slopes`` guesses of ∇V.

        Between the first candidate and the best the parabola through a third point is minimised as well: where
        a trajectory should slide, extreme controls overshoot. With ``slope``, the gradient of ``later``, further
        candidates minimise H at the gradient where the best control leads. Controls not ``within`` the admissible ones
        are no candidates; in place of that of the first slope stand those that just are.
        """

        def cost(u: Array) -> Array:
            end, running = self.flow(t, h, x, u)
            total = running + later(end)
            return total if within is None else np.where(within.excess(end, t + h) <= within.allowed, total, np.inf)

        def proposed(p: Array, u: Array) -> list[Array]:
            candidate = self.extremal(t, x, p, u)
            return [candidate] if within is None else staying(self, candidate, within, t, h, x, p)

        value = cost(u)
        if within is not None and np.any(value == np.inf):
            u = np.where((value == np.inf)[:, None], within.safe, u)
            value = cost(u)
        first, first_value = u, value
        if self.finite is not None and (len(self.finite) <= MOST_TRIED or within is not None):
            tried: Iterable[Array] = (np.tile(row, (len(x), 1)) for row in self.finite)
        else:
            tried = [*proposed(slopes[0], u), *(self.extremal(t, x, other, u) for other in slopes[1:])]
        for candidate in tried:
            value, u = _lower(value, u, cost(candidate), candidate)
        if self.finite is not None:
            return value, u
        for _ in range(1 if slope is None else ROUNDS):
            middle = 0.5 * (first + u)
            at_middle = cost(middle)
            bend = first_value - 2.0 * at_middle + value
            shift = 0.25 * (first_value - value) / np.where(bend > 0.0, bend, np.inf)
            vertex = middle + np.clip(shift, -0.5, 0.5)[:, None] * (u - first)
            value, u = _lower(value, u, at_middle, middle)
            value, u = _lower(value, u, cost(vertex), vertex)
            if slope is not None:
                first, first_value = u, value
                for candidate in proposed(slope(self.flow(t, h, x, u)[0]), u):
                    value, u = _lower(value, u, cost(candidate), candidate)
        return value, u

    def safest(
        self, excess: Excess, slopes: Sequence[Array], t: Any, h: Any, x: Array, u: Array, floor: Array
    ) -> tuple[Array, Array]:
        """min_u W(X(t + h), t + h), (q,), and its control, sought where that of ``u`` is above the ``floor`` (q,)."""
        end, u = self.flow(t, h, x, u)[0], u.copy()
        least = excess(end, t + h)
        rows = np.flatnonzero(~(least <= floor))
        if rows.size == 0:
            return least, u
        t, h = (rows_of(depth, rows) for depth in (t, h))
        if self.finite is not None:
            for row in self.finite:
                candidate = np.tile(row, (rows.size, 1))
                at = excess(self.flow(t, h, x[rows], candidate)[0], t + h)
                least[rows], u[rows] = _lower(least[rows], u[rows], at, candidate)
            return least, u

        def later(x: Array) -> Array:
            return excess(x, t + h)

        normal = excess.slope(end[rows], t + h)
        if not np.all(np.isfinite(self.problem.control_box)):  # the costs keep the minimisers of H finite
            for multiplier in LADDER:
                candidate = self.extremal(t, x[rows], multiplier * normal, u[rows])
                at = later(self.flow(t, h, x[rows], candidate)[0])
                least[rows], u[rows] = _lower(least[rows], u[rows], at, candidate)
            return least, u
        guesses = [*(slope[rows] for slope in slopes), normal]
        least[rows], u[rows] = self._costless.best(later, guesses, t, h, x[rows], u[rows])
        return least, u

    def extremal(self, t: Any, x: Array, p: Array, u: Array) -> Array:
        """Controls (q, m) that minimise H at the gradient p (q, S·n), found from u."""
        low, high = self.problem.control_box
        if self.minimiser is not None:
            shape = (len(x), self.problem.samples, self.problem.n)
            times = np.broadcast_to(np.asarray(t, dtype=float), len(x))
            said = "ValueIteration(minimiser=...)"
            found = finite_array(said, self.minimiser(times, x.reshape(shape), p.reshape(shape)))
            if found.shape != u.shape:
                raise InvalidInput(f"{said}: {len(x)} states need controls of shape {u.shape}; got {found.shape}.")
            return np.clip(found, low, high)
        if self.finite is not None:
            values = [self._hamiltonian(t, x, p, np.tile(row, (len(x), 1)))[0] for row in self.finite]
            return self.finite[np.argmin(values, axis=0)]
        value, slope = self._hamiltonian(t, x, p, u)
        corner = np.where(slope > 0.0, low, high)
        bounded = np.isfinite(low) & np.isfinite(high)
        if np.all(bounded) and not self._couplings:
            return corner
        for block in self._vertex_blocks:
            held = u
            for vertex in product(*((low[i], high[i]) for i in block)):
                candidate = held.copy()
                candidate[:, block] = vertex
                value, u = _lower(value, u, self._hamiltonian(t, x, p, candidate)[0], candidate)
        return self._descended(t, x, p, u)

    def _descended(self, t: Any, x: Array, p: Array, u: Array) -> Array:
        """Spectral projected gradients in lockstep (Birgin, Martínez and Raydan 2000), a longer step only downhill."""
        low, high = self.problem.control_box
        metric = np.asarray(self.problem.control_metric)
        value, slope = self._hamiltonian(t, x, p, u)
        length = np.ones((len(u), 1))
        for _ in range(DESCENT_STEPS):
            trial = np.clip(u - length * slope / metric, low, high)
            trial_value, trial_slope = self._hamiltonian(t, x, p, trial)
            moved = trial - u
            curvature = np.sum(moved * (trial_slope - slope), axis=1, keepdims=True)
            square = np.sum(metric * moved**2, axis=1, keepdims=True)
            good = (trial_value < value)[:, None]
            spectral = np.where(curvature > 1e-300, square / np.where(curvature > 1e-300, curvature, 1.0), 4.0 * length)
            length = np.clip(np.where(good | (spectral < length), spectral, 0.25 * length), 1e-8, 1e8)
            u, slope = np.where(good, trial, u), np.where(good, trial_slope, slope)
            value = np.minimum(value, trial_value)
            if not np.any(np.abs(moved) > 1e-12):
                break
        return u

    def _hamiltonian(self, t: Any, x: Array, p: Array, u: Array) -> tuple[Array, Array]:
        """H (q,) and its gradient in u (q, m)."""
        value, slope = _blocks(self._law, len(x), t, x, p, u)
        return value[0], slope.T

    def speeds(self, grid: StateGrid, tried: int = 4096) -> Array:
        """The largest |Ẋ_i| (D,) met at random states of the domain with random vertices of the box of controls."""
        generator = np.random.default_rng(0)
        x = generator.uniform(grid.lower, grid.upper, (tried, self.dimension))
        low, high = (np.nan_to_num(end, posinf=1.0, neginf=-1.0) for end in self.problem.control_box)
        u = np.where(generator.random((tried, self.problem.m)) < 0.5, low, high)
        t = generator.uniform(0.0, self.problem.span, tried)
        h = 1e-6 * self.problem.span
        return np.asarray(np.abs(self.flow(t, h, x, u)[0] - x).max(axis=0) / h)

    @cached_property
    def _costless(self) -> Lookahead:
        """The same dynamics without running cost."""
        return replace(self, problem=replace(self.problem, running=None, effort=None), minimiser=None)

    # -- compiled pieces -----------------------------------------------------------------------------

    def _rates(self, t: Any, x: Any, u: Any) -> tuple[Any, Any]:
        """Ẋ and the running cost Σ_s ω_s L + E as CasADi expressions."""
        problem, n = self.problem, self.problem.n
        p, rates, cost = ca.SX(0, 1), [], problem.evaluate("effort", t=t, u=u, p=ca.SX(0, 1))
        for s, weight in enumerate(np.asarray(problem.weights)):
            given = {"t": t, "x": x[s * n : (s + 1) * n], "u": u, "p": p, "d": ca.SX(np.asarray(problem.data)[s])}
            rates.append(ca.densify(problem.evaluate("dynamics", **given)))
            cost = cost + float(weight) * problem.evaluate("running", **given)
        return ca.vertcat(*rates), ca.densify(cost)

    def _symbols(self) -> tuple[Any, Any, Any]:
        return ca.SX.sym("t"), ca.SX.sym("x", self.dimension), ca.SX.sym("u", self.problem.m)

    @cached_property
    def _step(self) -> Batch:
        """(t, h, X, u) → X and the running cost after one explicit Runge–Kutta step."""
        t, x, u = self._symbols()
        h = ca.SX.sym("h")
        slopes: list[Any] = []
        costs: list[Any] = []
        for row, c in zip(self.tableau.A, self.tableau.c, strict=True):
            at = x + h * sum((a * k for a, k in zip(row, slopes, strict=False) if a), ca.SX(0))
            rate, cost = self._rates(t + float(c) * h, at, u)
            slopes.append(rate)
            costs.append(cost)
        end = x + h * sum((b * k for b, k in zip(self.tableau.b, slopes, strict=True)), ca.SX(0))
        total = h * sum((b * k for b, k in zip(self.tableau.b, costs, strict=True)), ca.SX(0))
        return Batch(ca.Function("lookahead", [t, h, x, u], [ca.densify(end), ca.densify(total)]))

    @cached_property
    def _expression(self) -> tuple[list[Any], Any]:
        t, x, u = self._symbols()
        p = ca.SX.sym("p", self.dimension)
        rate, cost = self._rates(t, x, u)
        return [t, x, p, u], ca.dot(p, rate) + cost

    @cached_property
    def _law(self) -> Batch:
        symbols, value = self._expression
        gradient = ca.densify(ca.gradient(value, symbols[-1]))
        return Batch(ca.Function("hamiltonian", symbols, [ca.densify(value), gradient]))

    @cached_property
    def _couplings(self) -> list[tuple[int, int]]:
        """The pairs of controls with ∂²H/∂u_i∂u_j ≠ 0; none where H is affine in u."""
        symbols, value = self._expression
        rows, columns = ca.hessian(value, symbols[-1])[0].sparsity().get_triplet()
        return list(zip(rows, columns, strict=True))

    @cached_property
    def _vertex_blocks(self) -> list[list[int]]:
        """The connected components of the couplings, over which H is a sum, as far as their vertices are few."""
        low, high = self.problem.control_box
        label = np.arange(self.problem.m)
        for i, j in self._couplings:
            label[label == label[i]] = label[j]
        blocks = [np.flatnonzero(label == k).tolist() for k in np.unique(label)]
        return [b for b in blocks if len(b) <= LARGEST_VERTEX_SET and np.all(np.isfinite([low[b], high[b]]))]

    @cached_property
    def time_dependent(self) -> bool:
        symbols, value = self._expression
        return bool(ca.depends_on(value, symbols[0]))


def terminal_cost(problem: ControlProblem, x: Array) -> Array:
    """Σ_s ω_s ℓ_s at states of all samples x (..., S·n); shape (...)."""
    x = x.reshape(*x.shape[:-1], problem.samples, problem.n)
    weights = enumerate(np.asarray(problem.weights))
    return np.asarray(sum(weight * problem.terminal_loss(x[..., s, :], sample=s) for s, weight in weights))


def _lower(value: Array, u: Array, other: Array, candidate: Array) -> tuple[Array, Array]:
    """Per state the lower of two values, with its control; a value that is no number never wins."""
    better = other < value
    return np.where(better, other, value), np.where(better[:, None], candidate, u)


def _blocks(function: Batch, count: int, *arguments: Any) -> list[Array]:
    """A batch over ``count`` states in blocks of few different sizes, as CasADi builds one function for each size."""
    size = min(BLOCK, 1 << max(0, count - 1).bit_length())
    padded = -(-count // size) * size
    columns = []
    for argument in arguments:
        array = np.asarray(argument, dtype=float)
        array = np.broadcast_to(array, (count,))[None] if array.ndim < 2 else array.T
        last = array[:, -1:]
        columns.append(array if padded == count else np.hstack([array, np.repeat(last, padded - count, axis=1)]))
    pieces = [function(*(column[:, k : k + size] for column in columns)) for k in range(0, padded, size)]
    if padded == size:
        return [part[:, :count] for part in pieces[0]]
    return [np.concatenate(part, axis=1)[:, :count] for part in zip(*pieces, strict=True)]
