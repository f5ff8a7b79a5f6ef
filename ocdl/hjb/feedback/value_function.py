"""ValueFunction: V, its gradient and the optimal controls at any state and depth, and closed-loop rollouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.bounds.least_cost import LeastCost, least_cost
from ocdl.hjb.feedback.margins import widened_margins
from ocdl.hjb.feedback.synthesis import FEEDBACKS, BoxFeedback, Feedback, SaddleFeedback, SearchFeedback
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.grids.interpolation import Rule, Weights, cubic_weights, interpolate, linear_weights, weights_on
from ocdl.hjb.schemes.hamiltonian import AffineHamiltonian
from ocdl.hjb.schemes.lookahead import Lookahead, terminal_cost
from ocdl.hjb.schemes.state_bounds import BLIND, KEPT, ROLLOUTS, VIABLE, Excess, StateBounds, hull
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

FALLING, SETTLING = 0.75, 0.9  # ratios of the changes of V between successive resolutions
UNSEEN = 1e-6  # cells: ``ocdl.hjb.grids.flows`` tabulates feet to about this


@dataclass(frozen=True, eq=False)
class Rollout:
    """Closed-loop trajectories: depths t (N+1,), states x (N+1, ..., D), controls u (N, ..., m), constant in each of
    the N steps, and by name (``a`` (N, ..., M), ``b`` (N, ..., M, M)); ``cost`` (...), terminal and running.
    """

    t: Array
    x: Array
    u: Array
    cost: Array
    controls: dict[str, Array]

    def __getattr__(self, name: str) -> Array:
        if name in self.__dict__.get("controls", {}):
            return self.controls[name]
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"<Rollout of {self.cost.size} state(s) in {len(self.u)} steps; mean cost {np.mean(self.cost):.6g}>"


@dataclass(frozen=True, eq=False)
class ValueFunction:
    """V(x, t) = min J from state x at depth t: a table ``values`` (K, n_1, ..., n_D) at depths ``t`` (K,) rising to T.

    Between nodes and depths V is interpolated: cubic (``order`` 3) or linear (``order`` 1). States are f at the width
    nodes, those of several samples one after the other: D = S·n. ``gradient`` is Euclidean, ∂V/∂x_i; ``costate`` is in
    function space, (1/w_i) ∂V/∂x_i, the p of a Solution. ``step`` is that of the scheme; ``coarser``
    computes V on half the cells in half the steps, for the ``error``; ``lookahead`` minimises without a closed form.

    ``disturbance``: the controls that maximise; ``discount``: the rate by which later costs count less. ``plain``: V is
    the least cost of the problem, not held, discounted or begun otherwise by the options of ``ValueIteration``; the
    cost of a rollout is the problem's in any case.

    Where states are bounded, ``violation`` (of the shape of ``values``) is W of ``ocdl.hjb.schemes.state_bounds``,
    linear between nodes and depths: V is +∞ and its gradient NaN where W > 0; ``values`` continue V there, to
    interpolate.
    """

    problem: ControlProblem
    grid: StateGrid
    t: Array
    values: Array
    order: int = 3
    step: float = 0.0
    coarser: Callable[[], ValueFunction] | None = None
    lookahead: Lookahead | None = None
    disturbance: tuple[int, ...] = ()
    discount: float = 0.0
    violation: Array | None = None
    plain: bool = True

    def __repr__(self) -> str:
        ends = (np.array2string(end, precision=3, separator=", ") for end in (self.grid.lower, self.grid.upper))
        depths = f"{len(self.t)} depths in [{self.t[0]:g}, {self.t[-1]:g}]"
        return f"<ValueFunction on {self.grid} from {' to '.join(ends)}, {depths}>"

    # -- queries ---------------------------------------------------------------------------------

    def __call__(self, x: Any, t: Any = 0.0) -> Array:
        """V at states x (..., D) and depths t, broadcast against the leading axes; shape (...)."""
        points, depths, shape = self.points(x, t)
        found = self.at(points, depths)
        if self.plain:
            found = np.maximum(found, self._least(depths))
        return self._known(points, depths, found, np.inf).reshape(shape)

    def gradient(self, x: Any, t: Any = 0.0) -> Array:
        """The Euclidean gradient ∂V/∂x, shape (..., D)."""
        points, depths, shape = self.points(x, t)
        return self._known(points, depths, self.slope(points, depths), np.nan).reshape(*shape, self.grid.dimension)

    def costate(self, x: Any, t: Any = 0.0) -> Array:
        """The gradient in function space, ∂V/∂x_i divided by the width weight w_i, shape (..., D)."""
        return self.gradient(x, t) / np.tile(np.asarray(self.problem.state_metric), self.problem.samples)

    def error(self, x: Any, t: Any = 0.0) -> Array:
        """An estimate of the error of V's grid and steps at states x (..., D) and depths t, shape (...).

        From e₁ = |V − V on half the nodes and steps| and e₂, the same at half the resolution, both the largest there
        and a coarse cell away along every axis, because a difference changes its sign: e₁ (ρ + ρ² + ...) with
        ρ = e₁/e₂, but at least ¾, for errors that a halving lowers by a quarter; and what half the resolution cannot
        see: feet of the flows ``UNSEEN`` cells off in every step, and rounding. Infinite, which is to claim nothing,
        where V does not settle (ρ > ``SETTLING``), or is infinite itself at one of two resolutions; 0 where at both.
        It says nothing of a domain that cuts the flow, nor of a minimum of H that the search misses.
        Half the resolution is computed when first asked for. Raises NotSupported for a table read from a file.
        """
        if self.coarse is None:
            raise NotSupported("error: a table alone does not tell how to compute it at half the resolution.")
        points, depths, shape = self.points(x, t)
        shifts = [np.zeros(points.shape[1]), *np.diag(self.coarse.grid.spacing), *-np.diag(self.coarse.grid.spacing)]
        near = [self.grid.inside(points + shift) for shift in shifts]
        levels = [self, self.coarse, *([] if self.coarse.coarse is None else [self.coarse.coarse])]
        found = np.array([[value(state, depths) for value in levels] for state in near])
        finite = np.isfinite(found)
        with np.errstate(invalid="ignore"):
            moved = np.abs(np.diff(found, axis=1))
        half = np.where(finite[:, 0] & finite[:, 1], moved[:, 0], 0.0).max(axis=0)
        quarter = np.where(finite.all(axis=1), moved[:, -1], np.inf).max(axis=0) if len(levels) > 2 else np.inf
        ratio = np.maximum(half / np.maximum(quarter, np.finfo(float).tiny), FALLING)
        tail = np.where(ratio <= SETTLING, half * ratio / np.maximum(1.0 - ratio, 1.0 - SETTLING), np.inf)
        tail = np.where(half <= self._unseen, half, tail)
        undecided, infinite = finite[0, 0] != finite[0, 1], ~finite[0, :2].any(axis=0)
        return np.where(undecided, np.inf, np.where(infinite, 0.0, tail + self._unseen)).reshape(shape)

    @cached_property
    def _unseen(self) -> float:
        """What feet ``UNSEEN`` cells off and rounding can change V by in all steps together."""
        steps = (self.t[-1] - self.t[0]) / self.step if self.step > 0.0 else len(self.t) - 1
        rise = max(float(np.max(np.abs(np.diff(self.values, axis=1 + i)))) for i in range(self.grid.dimension))
        return float(steps) * (UNSEEN * rise + np.finfo(float).eps * float(np.max(np.abs(self.values))))

    def time_to_reach(self, x: Any, level: float = 0.0) -> Array:
        """The least time in which a target can be reached from states x (..., D): the least T − t with V(x, t) ≤ level,
        linear between the depths kept; +∞ where V is above it at all of them. For the V of a ``target``, shape (...).
        """
        points, _, shape = self.points(x, self.t[0])
        over = np.stack([self.at(points, np.full(len(points), t)) for t in self.t[::-1]]) - level
        left = self.t[-1] - self.t[::-1]
        k = np.argmax(over <= 0.0, axis=0)
        rows = np.arange(len(points))
        before, after = over[np.maximum(k - 1, 0), rows], over[k, rows]
        share = np.where(k > 0, before / np.where(before > after, before - after, 1.0), 1.0)
        time = left[np.maximum(k - 1, 0)] + share * (left[k] - left[np.maximum(k - 1, 0)])
        return np.where(np.any(over <= 0.0, axis=0), time, np.inf).reshape(shape)

    def controls(self, x: Any, t: Any = 0.0, *, feedback: str = "lookahead") -> tuple[Array, ...]:
        """Optimal controls at states x (..., D) and depths t < T, one array for each that the problem names:
        a (..., M) and b (..., M, M) for a selection problem, u (..., m) otherwise.

        feedback: ``"lookahead"`` minimises cost and V one step ahead, also where ∇V vanishes; ``"sign"`` is the
        synthesis of the maximum principle: fastest where ∂V/∂x_i < 0 and slowest where > 0.
        """
        points, depths, shape = self.points(x, t)
        if np.any(depths >= self.t[-1]):
            raise InvalidInput(f"t: a control is chosen before the horizon T = {self.t[-1]:g}; got {depths.max():g}.")
        u = self.steer(points, depths, np.minimum(self.step, self.t[-1] - depths), feedback=feedback)
        return tuple(self.problem.unpack(u.reshape(*shape, -1)).values())

    def rollout(self, x: Any, t: float = 0.0, *, steps: int = 64, feedback: str = "lookahead") -> Rollout:
        """Closed-loop trajectories from states x (..., D) at depth t to T in ``steps`` equal steps (Kutta 4).

        Bounds on states are kept at the ends of the steps, to 1e-6 cells where a few repetitions with a margin suffice.
        Raises InvalidInput where V is infinite.
        """
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
            raise InvalidInput(f"rollout(steps={steps!r}): steps is a positive whole number.")
        points, depths, shape = self.points(x, float(t))
        lost = ~self.viable(points, depths)
        if np.any(lost):
            raise InvalidInput(
                f"rollout(x={points[lost][0]}, t={depths[lost][0]:g}): from there no control keeps the states in "
                f"{self.problem.bounds!r}."
            )
        mesh = np.linspace(depths.flat[0], self.t[-1], int(steps) + 1)

        def attempt(margin: float) -> tuple[float, tuple[Array, Array, Array]]:
            found = self._trajectories(points, mesh, feedback, margin)
            return max(self._over(x, now) for x, now in zip(found[0], mesh, strict=True)), found

        _, (states, u, cost) = widened_margins(attempt, kept=KEPT, most=ROLLOUTS)
        trajectory, u = (part.reshape(len(part), *shape, -1) for part in (states, u))
        cost = cost.reshape(shape) + terminal_cost(self.problem, trajectory[-1])
        return Rollout(mesh, trajectory, u, cost, self.problem.unpack(u))

    def _over(self, x: Array, t: float) -> float:
        """By how many cells states x (q, D) leave their bounds at most."""
        return -np.inf if self.bounds is None else self.bounds.over(x, t)

    def _trajectories(self, x: Array, mesh: Array, feedback: str, margin: float) -> tuple[Array, Array, Array]:
        """States (N+1, q, D), controls (N, q, m) and running costs (q,) from states x (q, D)."""
        states, controls, cost = [x], [], np.zeros(len(x))
        for now, then in pairwise(mesh):
            inside = self.grid.inside(states[-1])
            controls.append(self.steer(inside, now, then - now, feedback=feedback, margin=margin))
            end, running = self.law.flow(now, then - now, states[-1], controls[-1])
            states.append(end)
            cost += running
        return np.array(states), np.array(controls), cost

    # -- feedback --------------------------------------------------------------------------------

    def steer(
        self,
        x: Array,
        t: Any,
        step: Any,
        *,
        feedback: str = "lookahead",
        law: Lookahead | None = None,
        margin: float = 0.0,
    ) -> Array:
        """Controls u (q, m) for states x (q, D), held for ``step`` from depth t; bounds on states are kept with a
        ``margin`` in cells, and where no control keeps them they are violated least. ``law``: the Runge–Kutta step to
        look ahead by.
        """
        if feedback not in FEEDBACKS:
            raise InvalidInput(f"feedback={feedback!r}: the feedback is one of {FEEDBACKS}.")
        if feedback == "sign" and self.bounds is not None:
            raise NotSupported(f"feedback='sign': {BLIND}.")
        depths, steps = (np.broadcast_to(np.asarray(given, dtype=float), x.shape[:1]) for given in (t, step))
        searching = self._feedback if margin == 0.0 else self._search(margin)
        return searching.steer(self, x, depths, steps, feedback, self.law if law is None else law)

    @cached_property
    def bounds(self) -> StateBounds | None:
        return None if self.violation is None else StateBounds(self.problem, self.grid)

    def viable(self, x: Array, t: Array) -> NDArray[np.bool_]:
        """Whether from states x (q, D) at depths t (q,) some control keeps the bounds on states."""
        if self.bounds is None:
            return np.ones(len(x), dtype=bool)
        return np.asarray(Excess(self.bounds, self.violated)(x, t) <= VIABLE)

    def violated(self, x: Array, t: Array) -> Array:
        """W at states x (q, D) and depths t (q,), clamped to the table."""
        assert self.violation is not None
        weights = self._weights(linear_weights, x, np.broadcast_to(t, len(x)))
        return interpolate(self.violation, weights)

    def _known(self, x: Array, t: Array, found: Array, lost: float) -> Array:
        """``found`` (q, ...) at states x and depths t, and ``lost`` where V is infinite."""
        if self.bounds is not None:
            found[~self.viable(x, t)] = lost
        return found

    @cached_property
    def _least(self) -> LeastCost:
        return least_cost(self.problem, self.grid)

    @cached_property
    def coarse(self) -> ValueFunction | None:
        """V at half the resolution, computed when first asked for."""
        return None if self.coarser is None else self.coarser()

    @cached_property
    def law(self) -> Lookahead:
        return Lookahead(self.problem) if self.lookahead is None else self.lookahead

    @cached_property
    def _feedback(self) -> Feedback:
        if self.disturbance:
            hamiltonian = AffineHamiltonian.of(self.law, self.disturbance)
            assert hamiltonian is not None
            return SaddleFeedback(hamiltonian)
        box = self.problem.velocity_box
        if box is None or self.problem.has_running_cost or self.law.chosen or self.bounds is not None:
            return self._search(0.0)
        return BoxFeedback(self.problem, box)

    def _search(self, margin: float) -> SearchFeedback:
        excess = None if self.bounds is None else Excess(self.bounds, self.violated, margin)
        return SearchFeedback(excess, self.discount)

    def at(self, x: Array, t: Array) -> Array:
        """V, or where it is infinite its continuation, at states x (q, D) and depths t (q,), clamped to the table."""
        return interpolate(self.values, self._weights(self._rule, x, t))

    def slope(self, x: Array, t: Array) -> Array:
        """∂V/∂x (q, D), likewise."""
        weights = self._weights(self._rule, x, t)
        return np.stack([interpolate(self.values, weights, 1 + i) for i in range(x.shape[1])], axis=-1)

    def rate(self, x: Array, t: Array) -> Array:
        """∂V/∂t (q,), likewise."""
        return interpolate(self.values, self._weights(self._rule, x, t), 0)

    # -- interpolation ---------------------------------------------------------------------------

    @property
    def _rule(self) -> Rule:
        return cubic_weights if self.order == 3 else linear_weights

    def _weights(self, rule: Rule, x: Array, t: Array) -> list[Weights]:
        return [rule(self.t, t), *weights_on(self.grid, rule, x)]

    def points(self, x: Any, t: Any) -> tuple[Array, Array, tuple[int, ...]]:
        """States (q, M), depths (q,) and the shape of the answer; InvalidInput outside the table."""
        try:
            x, t = np.asarray(x, dtype=float), np.asarray(t, dtype=float)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"x, t: states and depths are numbers; {error}.") from None
        M = self.grid.dimension
        if x.ndim == 0 or x.shape[-1] != M:
            raise InvalidInput(f"x: states of shape (..., {M}) are needed; got {x.shape}.")
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(t))):
            raise InvalidInput("x, t: states and depths must be finite.")
        try:
            shape = np.broadcast_shapes(x.shape[:-1], t.shape)
        except ValueError:
            raise InvalidInput(f"t: depths must fit the states' leading axes {x.shape[:-1]}; got {t.shape}.") from None
        outside = ~self.grid.covers(np.clip(x, *hull(self.problem)) if self.violation is not None else x)
        if np.any(outside):
            domain = ", ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.grid.lower, self.grid.upper, strict=True))
            raise InvalidInput(
                f"x: V is tabulated on {domain}; got {x[outside].reshape(-1, M)[0]}. "
                "Ask ValueIteration for a larger domain."
            )
        if np.any(t < self.t[0] - 1e-12) or np.any(t > self.t[-1] + 1e-12):
            raise InvalidInput(
                f"t: V is kept at depths {self.t[0]:g} to {self.t[-1]:g}; got {t.min():g} to {t.max():g}."
            )
        points = np.broadcast_to(x, (*shape, M)).reshape(-1, M)
        return points, np.broadcast_to(t, shape).reshape(-1), shape

    # -- as a labelled array ---------------------------------------------------------------------

    def to_array(self, **attrs: Any) -> xr.DataArray:
        """The table with dimensions (t, f0, f1, ...) and their coordinates; ``from_array`` reads it back.

        With bounds on states it is +∞ where no control keeps them; ``violation`` and ``continued`` come along.
        """
        names = [f"f{i}" for i in range(self.grid.dimension)]
        axes = zip(names, self.grid.axes, self.grid.periods, strict=True)
        coords: dict[str, Any] = {"t": self.t} | {name: (name, axis, {"period": p}) for name, axis, p in axes}
        values = self.values
        if self.violation is not None:
            coords |= {"violation": (("t", *names), self.violation), "continued": (("t", *names), values)}
            values = np.where(self.violation <= VIABLE, values, np.inf)
        return xr.DataArray(
            values,
            dims=("t", *names),
            coords=coords,
            name="value",
            attrs={
                "order": self.order,
                "step": self.step,
                "plain": int(self.plain),
                "disturbance": list(self.disturbance),
                "discount": self.discount,
                **attrs,
            },
        )

    @classmethod
    def from_array(cls, array: xr.DataArray, problem: ControlProblem) -> ValueFunction:
        """The value function of ``problem`` from a table that ``to_array`` wrote, e.g. ``solution.extras["value"]``."""
        names = tuple(f"f{i}" for i in range(problem.samples * problem.n))
        if array.dims != ("t", *names):
            raise InvalidInput(f"from_array: dimensions {('t', *names)} are needed for this problem; got {array.dims}.")
        axes = tuple(np.asarray(array[name], dtype=float) for name in names)
        grid = StateGrid(axes, tuple(float(array[name].attrs.get("period", 0.0)) for name in names))
        bounded = "violation" in array.coords
        return cls(
            problem,
            grid,
            np.asarray(array["t"], dtype=float),
            np.asarray(array["continued"] if bounded else array, dtype=float),
            int(array.attrs.get("order", 3)),
            float(array.attrs.get("step", 0.0)),
            violation=np.asarray(array["violation"], dtype=float) if bounded else None,
            disturbance=tuple(int(j) for j in np.atleast_1d(array.attrs.get("disturbance", []))),
            discount=float(array.attrs.get("discount", 0.0)),
            plain=bool(array.attrs.get("plain", 1)),
        )
