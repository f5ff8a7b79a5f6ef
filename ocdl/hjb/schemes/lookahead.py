"""One step of dynamic programming for any small ControlProblem, the states of all samples stacked in one vector X:

    V(X, t) = min_u { ∫_t^{t+h} Σ_s ω_s L(x_s, u) + E(u) dτ + V(X(t + h), t + h) },   u held constant over the step,

so that V is approached from above, to second order in h. Candidates for u minimise the Hamiltonian
H = Σ_s ⟨∂V/∂x_s, φ(x_s, u)⟩ + ω_s L + E at the gradient of V; among them the right-hand side itself decides.
Where H is not known to be affine or convex in u, points that cover the box are tried as well: a search, not a proof.
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
from ocdl.callables import called
from ocdl.depth.schemes import Kutta4, Tableau
from ocdl.errors import InvalidInput
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.schemes.control_structure import ControlStructure, control_structure
from ocdl.hjb.schemes.state_bounds import Excess, Within
from ocdl.hjb.schemes.staying import rows_of, staying
from ocdl.referee.lattice import lattice
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]
Later = Callable[[Array], Array]
Minimiser = Callable[[Array, Array, Array], Any]

BLOCK = 4096
MOST_TRIED = 32  # a finite set of controls up to this size is tried one by one
LARGEST_VERTEX_SET = 8  # controls that H couples; of more, only the corner along −∇H is a candidate
IN_TURN = 48  # points of the covering lattice tried in one step of the march; the next step tries the next ones
MOST_CORNERED = 3  # controls whose vertices are tried where a step goes far
DESCENT_STEPS = 8
FLOWS, MOST_SUBSTEPS, SCATTERED = 1e-4, 32, 256
ROUNDS = 3
LADDER = tuple(4.0**k for k in range(-6, 9))


@dataclass(frozen=True, eq=False)
class Lookahead:
    """The right-hand side above and its minimisation, for states X (q, S·n), depths t (q,) and controls u (q, m).

    controls: a finite set (K, m) to choose from; minimiser: a function (t (q,), x (q, S, n), p (q, S, n)) → u (q, m)
    of the Euclidean gradient p; without either the box of the problem is searched: its vertices, block by block of
    controls that H couples, where it may have several minima a lattice over the block, then projected gradients.
    """

    problem: ControlProblem
    controls: Any = None
    minimiser: Minimiser | None = None
    tableau: Tableau = Kutta4.tableau
    substeps: int = 1

    def by(self, tableau: Tableau, substeps: int = 1) -> Lookahead:
        """The same with so many steps of another Runge–Kutta scheme in a step, kept once built."""
        if tableau is self.tableau and substeps == self.substeps:
            return self
        key = tableau.A.tobytes() + tableau.b.tobytes(), substeps
        return self._others.setdefault(key, replace(self, tableau=tableau, substeps=substeps))

    @cached_property
    def _others(self) -> dict[tuple[bytes, int], Lookahead]:
        return {}

    def accurate(self, grid: StateGrid, step: float) -> Lookahead:
        """The same with as many Runge–Kutta steps in one of ``step`` as flows good to ``FLOWS`` cells take, seen at
        random states of the domain, under random vertices of the box of controls.
        """
        x, u, t = self._scattered(grid, SCATTERED)
        t = np.minimum(t, max(0.0, self.problem.span - step))
        law, ends = self, self.flow(t, step, x, u)[0]
        while law.substeps < MOST_SUBSTEPS:
            finer = self.by(self.tableau, 2 * law.substeps)
            closer = finer.flow(t, step, x, u)[0]
            with np.errstate(invalid="ignore"):
                off = np.abs(np.clip(ends, grid.lower, grid.upper) - np.clip(closer, grid.lower, grid.upper))
            if np.all(off <= FLOWS * grid.spacing):
                break
            law, ends = finer, closer
        return law

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
        turn: int | None = None,
        far: bool = False,
    ) -> tuple[Array, Array]:
        """The least right-hand side found, (q,), and its control; ``u`` is a first candidate, ``slopes`` guesses of ∇V.
        With a ``turn`` only that part of the lattice over the box is tried. ``far``: the step may cross several cells,
        so that the gradient does not tell what lies at its end; few vertices of the box are tried as they are.

        Between the first candidate and the best other the parabola through a third point is minimised as well: where
        a trajectory should slide, or in a long step, extreme controls overshoot. With ``slope``, the gradient of
        ``later``, further candidates minimise H at the gradient where the best control leads. Controls not ``within``
        the admissible ones are no candidates; in place of that of the first slope stand those that just are.
        """

        def cost(u: Array) -> Array:
            end, running = self.flow(t, h, x, u)
            total = running + later(end)
            return total if within is None else np.where(within.excess(end, t + h) <= within.allowed, total, np.inf)

        def proposed(p: Array, u: Array) -> list[Array]:
            candidate = self.extremal(t, x, p, u, turn)
            return [candidate] if within is None else staying(self, candidate, within, t, h, x, p)

        def rival(candidates: Iterable[Array]) -> tuple[Array, Array]:
            """The least right-hand side of candidates other than the first; that itself where none has a value, and
            among bounds on states, whose kinks between the nodes make minima of their own, where none is lower.
            """
            other, at = np.full(len(x), np.inf) if within is None else value, first
            for candidate in candidates:
                other, at = _lower(other, at, cost(candidate), candidate)
            return np.where(other < np.inf, other, value), at

        value, first = cost(u), u
        if not self.problem.m:  # nothing to choose
            return value, first
        if within is not None and np.any(value == np.inf):
            first = np.where((value == np.inf)[:, None], within.safe, u)
            value = cost(first)
        if self.finite is not None and (len(self.finite) <= MOST_TRIED or within is not None):
            tried: Iterable[Array] = (np.tile(row, (len(x), 1)) for row in self.finite)
        else:
            tried = [*proposed(slopes[0], first), *(self.extremal(t, x, other, first, turn) for other in slopes[1:])]
            marks = [*self._landmarks, *(self._corners if far and within is None else ())]
            tried += [np.tile(point, (len(x), 1)) for point in marks]
        other, at = rival(tried)
        if self.finite is not None:
            return _lower(value, first, other, at)
        for _ in range(1 if slope is None else ROUNDS):
            middle = 0.5 * (first + at)
            at_middle = cost(middle)
            bend = value - 2.0 * at_middle + other
            shift = 0.25 * (value - other) / np.where(bend > 0.0, bend, np.inf)
            vertex = middle + np.clip(shift, -0.5, 0.5)[:, None] * (at - first)
            for height, point in ((other, at), (at_middle, middle), (cost(vertex), vertex)):
                value, first = _lower(value, first, height, point)
            if slope is not None:
                other, at = rival(proposed(slope(self.flow(t, h, x, first)[0]), first))
        return _lower(value, first, other, at) if slope is not None else (value, first)

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
        least[rows], u[rows] = self.costless.best(later, guesses, t, h, x[rows], u[rows])
        return least, u

    def extremal(self, t: Any, x: Array, p: Array, u: Array, turn: int | None = None) -> Array:
        """Controls (q, m) that minimise H at the gradient p (q, S·n), found from u; ``turn`` as in ``best``."""
        low, high = self.problem.control_box
        if self.minimiser is not None:
            shape = (len(x), self.problem.samples, self.problem.n)
            times = np.broadcast_to(np.asarray(t, dtype=float), len(x))
            said = "ValueIteration(minimiser=...)"
            given = times, x.reshape(shape), p.reshape(shape)
            with_ = "t, x and p of shapes " + ", ".join(str(part.shape) for part in given)
            found = finite_array(said, called(said, with_, self.minimiser, *given))
            if found.shape != u.shape:
                raise InvalidInput(f"{said}: {len(x)} states need controls of shape {u.shape}; got {found.shape}.")
            return np.clip(found, low, high)
        if self.finite is not None:
            values = [self._hamiltonian(t, x, p, np.tile(row, (len(x), 1)))[0] for row in self.finite]
            return self.finite[np.argmin(values, axis=0)]
        if self.structure.affine and np.all(np.isfinite([low, high])):
            return np.where(self._hamiltonian(t, x, p, u)[1] > 0.0, low, high)
        value = self._height(t, x, p, u)
        for block, always, others in self._trials:
            stride = 1 if turn is None else max(1, -(-len(others) // IN_TURN))
            points = np.concatenate([always, others[(turn or 0) % stride :: stride]])
            value, u = self._tried(t, x, p, u, value, block, points)
        return self._descended(t, x, p, u)

    def _tried(
        self, t: Any, x: Array, p: Array, u: Array, value: Array, block: list[int], points: Array
    ) -> tuple[Array, Array]:
        """The least H (q,) and its control, where those of a ``block`` may take any of the ``points`` (K, block)."""
        held, q = u, len(u)
        together = max(1, BLOCK // max(1, q))
        for k in range(0, len(points), together):
            part = points[k : k + together]
            trial = np.tile(held, (len(part), 1))
            trial[:, block] = np.repeat(part, q, axis=0)
            tiled = [np.tile(given, (len(part), 1)) for given in (x, p)]
            times = np.tile(t, len(part)) if np.ndim(t) else t
            heights = self._height(times, tiled[0], tiled[1], trial).reshape(len(part), q)
            best = np.nanargmin(np.where(np.isnan(heights), np.inf, heights), axis=0)
            here = np.arange(q)
            value, u = _lower(value, u, heights[best, here], trial.reshape(len(part), q, -1)[best, here])
        return value, u

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

    def _height(self, t: Any, x: Array, p: Array, u: Array) -> Array:
        """H alone (q,)."""
        return _blocks(self._value, len(x), t, x, p, u)[0][0]

    def speeds(self, grid: StateGrid, tried: int = 4096) -> Array:
        """The largest |Ẋ_i| (D,) met at random states of the domain with random vertices of the box of controls."""
        x, u, t = self._scattered(grid, tried)
        h = 1e-6 * self.problem.span
        return np.asarray(np.abs(self.flow(t, h, x, u)[0] - x).max(axis=0) / h)

    def _scattered(self, grid: StateGrid, tried: int) -> tuple[Array, Array, Array]:
        """Random states of the domain, vertices of the box of controls, and depths."""
        generator = np.random.default_rng(0)
        x = generator.uniform(grid.lower, grid.upper, (tried, self.dimension))
        low, high = (np.nan_to_num(end, posinf=1.0, neginf=-1.0) for end in self.problem.control_box)
        u = np.where(generator.random((tried, self.problem.m)) < 0.5, low, high)
        return x, u, generator.uniform(0.0, self.problem.span, tried)

    @cached_property
    def costless(self) -> Lookahead:
        """The same dynamics without running cost."""
        return replace(self, problem=replace(self.problem, running=None, effort=None), minimiser=None)

    # -- compiled pieces -----------------------------------------------------------------------------

    def rates(self, t: Any, x: Any, u: Any) -> tuple[Any, Any]:
        """Ẋ and the running cost Σ_s ω_s L + E as CasADi expressions."""
        problem, n = self.problem, self.problem.n
        p, rates, cost = ca.SX(0, 1), [], problem.evaluate("effort", t=t, u=u, p=ca.SX(0, 1))
        for s, weight in enumerate(np.asarray(problem.weights)):
            given = {"t": t, "x": x[s * n : (s + 1) * n], "u": u, "p": p, "d": ca.SX(np.asarray(problem.data)[s])}
            rates.append(ca.densify(problem.evaluate("dynamics", **given)))
            cost = cost + float(weight) * problem.evaluate("running", **given)
        return ca.vertcat(*rates), ca.densify(cost)

    def symbols(self) -> tuple[Any, Any, Any]:
        return ca.SX.sym("t"), ca.SX.sym("x", self.dimension), ca.SX.sym("u", self.problem.m)

    @cached_property
    def _step(self) -> Batch:
        """(t, h, X, u) → X and the running cost after ``substeps`` explicit Runge–Kutta steps."""
        t, x, u = self.symbols()
        h = ca.SX.sym("h")
        end, total, part = x, ca.SX(0), h / self.substeps
        for step in range(self.substeps):
            end, cost = self._one_step(t + step * part, part, end, u)
            total = total + cost
        return Batch(ca.Function("lookahead", [t, h, x, u], [ca.densify(end), ca.densify(total)]))

    def _one_step(self, t: Any, h: Any, x: Any, u: Any) -> tuple[Any, Any]:
        slopes: list[Any] = []
        costs: list[Any] = []
        for row, c in zip(self.tableau.A, self.tableau.c, strict=True):
            at = x + h * sum((a * k for a, k in zip(row, slopes, strict=False) if a), ca.SX(0))
            rate, cost = self.rates(t + float(c) * h, at, u)
            slopes.append(rate)
            costs.append(cost)
        end = x + h * sum((b * k for b, k in zip(self.tableau.b, slopes, strict=True)), ca.SX(0))
        return end, h * sum((b * k for b, k in zip(self.tableau.b, costs, strict=True)), ca.SX(0))

    @cached_property
    def expression(self) -> tuple[list[Any], Any]:
        t, x, u = self.symbols()
        p = ca.SX.sym("p", self.dimension)
        rate, cost = self.rates(t, x, u)
        return [t, x, p, u], ca.dot(p, rate) + cost

    @cached_property
    def _law(self) -> Batch:
        symbols, value = self.expression
        gradient = ca.densify(ca.gradient(value, symbols[-1]))
        return Batch(ca.Function("hamiltonian", symbols, [ca.densify(value), gradient]))

    @cached_property
    def _value(self) -> Batch:
        symbols, value = self.expression
        return Batch(ca.Function("height", symbols, [ca.densify(value)]))

    @cached_property
    def structure(self) -> ControlStructure:
        """How H depends on the controls."""
        symbols, value = self.expression
        return control_structure(value, symbols)

    @property
    def proven(self) -> bool:
        """The minimum of H is over the set asked for, or known to be global: H is affine or convex in u, or that of a
        velocity box, which has it at a vertex.
        """
        boxed = self.problem.velocity_box is not None and not self.problem.has_running_cost
        return self.chosen or boxed or self.structure.convex

    @cached_property
    def _trials(self) -> list[tuple[list[int], Array, Array]]:
        """Blocks of controls over which H is a sum, with points (K, block) always tried and others tried in turn.

        The former are the vertices, as far as they are few; the latter cover the block where H may have several minima.
        """
        found = []
        for block in self.structure.blocks:
            low, high = (end[block] for end in self.problem.control_box)
            few = len(block) <= LARGEST_VERTEX_SET and np.all(np.isfinite([low, high]))
            always = _vertices(low, high) if few else np.zeros((0, len(block)))
            others = np.zeros((0, len(block))) if self.proven else lattice(low, high)
            if len(always) + len(others):
                found.append((block, always, others))
        return found

    @cached_property
    def lattice(self) -> Array:
        """Points (K, m) that cover the whole box where the minimum of H is not proven, none elsewhere."""
        return np.zeros((0, self.problem.m)) if self.proven else lattice(*self.problem.control_box)

    @cached_property
    def _corners(self) -> Array:
        """The vertices of a box of few controls."""
        low, high = self.problem.control_box
        few = 0 < low.size <= MOST_CORNERED and not self.chosen and np.all(np.isfinite([low, high]))
        return _vertices(low, high) if few else np.zeros((0, low.size))

    @cached_property
    def _landmarks(self) -> Array:
        """The centre of the box and its point nearest to 0, where the minimum of H is not proven, (K, m)."""
        if self.proven:
            return np.zeros((0, self.problem.m))
        near_zero = np.clip(np.zeros(self.problem.m), *self.problem.control_box)
        return np.unique(np.stack([self.centre, near_zero]), axis=0)

    @cached_property
    def time_dependent(self) -> bool:
        symbols, value = self.expression
        return bool(ca.depends_on(value, symbols[0]))


def discounted(rate: float, step: Any) -> Array:
    """What V a step later weighs beside the running cost of the step, whose own discount is its mean over the step."""
    h = rate * np.asarray(step, dtype=float)
    return np.asarray(h / np.expm1(h)) if rate > 0.0 else np.ones(h.shape)


def terminal_cost(problem: ControlProblem, x: Array) -> Array:
    """Σ_s ω_s ℓ_s at states of all samples x (..., S·n); shape (...)."""
    x = x.reshape(*x.shape[:-1], problem.samples, problem.n)
    weights = enumerate(np.asarray(problem.weights))
    return np.asarray(sum(weight * problem.terminal_loss(x[..., s, :], sample=s) for s, weight in weights))


def _vertices(low: Array, high: Array) -> Array:
    return np.array(list(product(*zip(low, high, strict=True))))


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
