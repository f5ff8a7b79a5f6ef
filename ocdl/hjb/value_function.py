"""ValueFunction: V, its gradient and the optimal controls at any state and depth, and closed-loop rollouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.depth import Kutta4, Tableau
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.feedback import FEEDBACKS, BoxFeedback, SearchFeedback
from ocdl.hjb.grid import StateGrid
from ocdl.hjb.interpolation import Weights, cubic_weights, interpolate, linear_weights
from ocdl.hjb.lookahead import Lookahead, terminal_cost
from ocdl.problem import ControlProblem

Array = NDArray[np.float64]


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
    """

    problem: ControlProblem
    grid: StateGrid
    t: Array
    values: Array
    order: int = 3
    step: float = 0.0
    coarser: Callable[[], ValueFunction] | None = None
    lookahead: Lookahead | None = None

    def __repr__(self) -> str:
        ends = (np.array2string(end, precision=3, separator=", ") for end in (self.grid.lower, self.grid.upper))
        depths = f"{len(self.t)} depths in [{self.t[0]:g}, {self.t[-1]:g}]"
        return f"<ValueFunction on {self.grid} from {' to '.join(ends)}, {depths}>"

    # -- queries ---------------------------------------------------------------------------------

    def __call__(self, x: Any, t: Any = 0.0) -> Array:
        """V at states x (..., D) and depths t, broadcast against the leading axes; shape (...)."""
        points, depths, shape = self._points(x, t)
        return self.at(points, depths).reshape(shape)

    def gradient(self, x: Any, t: Any = 0.0) -> Array:
        """The Euclidean gradient ∂V/∂x, shape (..., D)."""
        points, depths, shape = self._points(x, t)
        return self.slope(points, depths).reshape(*shape, self.grid.dimension)

    def costate(self, x: Any, t: Any = 0.0) -> Array:
        """The gradient in function space, ∂V/∂x_i divided by the width weight w_i, shape (..., D)."""
        return self.gradient(x, t) / np.tile(np.asarray(self.problem.state_metric), self.problem.samples)

    def error(self, x: Any, t: Any = 0.0) -> Array:
        """An estimate of V's error at states x (..., D) and depths t, shape (...): the largest |V − V on half the nodes
        and steps| there and a coarse cell away along every axis, because the difference itself changes its sign.

        The run at half the resolution is made when first asked for. Raises NotSupported for a table read from a file.
        """
        if self.coarse is None:
            raise NotSupported("error: a table alone does not tell how to compute it at half the resolution.")
        points, depths, shape = self._points(x, t)
        shifts = [np.zeros(points.shape[1]), *np.diag(self.coarse.grid.spacing), *-np.diag(self.coarse.grid.spacing)]
        near = [np.clip(points + shift, self.grid.lower, self.grid.upper) for shift in shifts]
        differences = [np.abs(self.at(state, depths) - self.coarse.at(state, depths)) for state in near]
        return np.asarray(np.max(differences, axis=0).reshape(shape))

    def controls(self, x: Any, t: Any = 0.0, *, feedback: str = "lookahead") -> tuple[Array, ...]:
        """Optimal controls at states x (..., D) and depths t < T, one array for each that the problem names:
        a (..., M) and b (..., M, M) for a selection problem, u (..., m) otherwise.

        feedback: ``"lookahead"`` minimises cost and V one step ahead, also where ∇V vanishes; ``"sign"`` is the
        synthesis of the maximum principle: fastest where ∂V/∂x_i < 0 and slowest where > 0.
        """
        points, depths, shape = self._points(x, t)
        if np.any(depths >= self.t[-1]):
            raise InvalidInput(f"t: a control is chosen before the horizon T = {self.t[-1]:g}; got {depths.max():g}.")
        u = self.steer(points, depths, np.minimum(self.step, self.t[-1] - depths), feedback=feedback)
        return tuple(self.problem.unpack(u.reshape(*shape, -1)).values())

    def rollout(self, x: Any, t: float = 0.0, *, steps: int = 64, feedback: str = "lookahead") -> Rollout:
        """Closed-loop trajectories from states x (..., D) at depth t to T in ``steps`` equal steps (Kutta 4)."""
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
            raise InvalidInput(f"rollout(steps={steps!r}): steps is a positive whole number.")
        points, depths, shape = self._points(x, float(t))
        mesh = np.linspace(depths.flat[0], self.t[-1], int(steps) + 1)
        states, controls, cost = [points], [], np.zeros(len(points))
        for now, then in pairwise(mesh):
            inside = np.clip(states[-1], self.grid.lower, self.grid.upper)
            controls.append(self.steer(inside, now, then - now, feedback=feedback))
            end, running = self.law.flow(now, then - now, states[-1], controls[-1])
            states.append(end)
            cost += running
        trajectory, u = (np.array(part).reshape(len(part), *shape, -1) for part in (states, controls))
        cost = cost.reshape(shape) + terminal_cost(self.problem, trajectory[-1])
        return Rollout(mesh, trajectory, u, cost, self.problem.unpack(u))

    # -- feedback --------------------------------------------------------------------------------

    def steer(
        self, x: Array, t: Any, step: Any, *, feedback: str = "lookahead", tableau: Tableau = Kutta4.tableau
    ) -> Array:
        """Controls u (q, m) for states x (q, D), held for ``step`` from depth t."""
        if feedback not in FEEDBACKS:
            raise InvalidInput(f"feedback={feedback!r}: the feedback is one of {FEEDBACKS}.")
        depths, steps = (np.broadcast_to(np.asarray(given, dtype=float), x.shape[:1]) for given in (t, step))
        return self._feedback.steer(self, x, depths, steps, feedback, tableau)

    @cached_property
    def coarse(self) -> ValueFunction | None:
        """V at half the resolution, computed when first asked for."""
        return None if self.coarser is None else self.coarser()

    @cached_property
    def law(self) -> Lookahead:
        return Lookahead(self.problem) if self.lookahead is None else self.lookahead

    @cached_property
    def _feedback(self) -> BoxFeedback | SearchFeedback:
        box = self.problem.velocity_box
        if box is None or self.problem.has_running_cost or self.law.chosen:
            return SearchFeedback(self.law)
        return BoxFeedback(self.problem, box)

    def at(self, x: Array, t: Array) -> Array:
        """V at states x (q, D) and depths t (q,), unchecked and clamped to the table."""
        return interpolate(self.values, self._weights(x, t))

    def slope(self, x: Array, t: Array) -> Array:
        """∂V/∂x (q, D), likewise."""
        weights = self._weights(x, t)
        return np.stack([interpolate(self.values, weights, 1 + i) for i in range(x.shape[1])], axis=-1)

    # -- interpolation ---------------------------------------------------------------------------

    def _weights(self, x: Array, t: Array) -> list[Weights]:
        rule = cubic_weights if self.order == 3 else linear_weights
        return [rule(self.t, t), *(rule(axis, x[:, i]) for i, axis in enumerate(self.grid.axes))]

    def _points(self, x: Any, t: Any) -> tuple[Array, Array, tuple[int, ...]]:
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
        if not np.all(self.grid.covers(x)):
            outside = x[~self.grid.covers(x)].reshape(-1, M)[0]
            domain = ", ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.grid.lower, self.grid.upper, strict=True))
            raise InvalidInput(f"x: V is tabulated on {domain}; got {outside}. Ask ValueIteration for a larger domain.")
        if np.any(t < self.t[0] - 1e-12) or np.any(t > self.t[-1] + 1e-12):
            raise InvalidInput(
                f"t: V is kept at depths {self.t[0]:g} to {self.t[-1]:g}; got {t.min():g} to {t.max():g}."
            )
        points = np.broadcast_to(x, (*shape, M)).reshape(-1, M)
        return points, np.broadcast_to(t, shape).reshape(-1), shape

    # -- as a labelled array ---------------------------------------------------------------------

    def to_array(self, **attrs: Any) -> xr.DataArray:
        """The table with dimensions (t, f0, f1, ...) and their coordinates; ``from_array`` reads it back."""
        names = [f"f{i}" for i in range(self.grid.dimension)]
        coords = {"t": self.t, **dict(zip(names, self.grid.axes, strict=True))}
        return xr.DataArray(
            self.values,
            dims=("t", *names),
            coords=coords,
            name="value",
            attrs={"order": self.order, "step": self.step, **attrs},
        )

    @classmethod
    def from_array(cls, array: xr.DataArray, problem: ControlProblem) -> ValueFunction:
        """The value function of ``problem`` from a table that ``to_array`` wrote, e.g. ``solution.extras["value"]``."""
        names = tuple(f"f{i}" for i in range(problem.samples * problem.n))
        if array.dims != ("t", *names):
            raise InvalidInput(f"from_array: dimensions {('t', *names)} are needed for this problem; got {array.dims}.")
        grid = StateGrid(tuple(np.asarray(array[name], dtype=float) for name in names))
        return cls(
            problem,
            grid,
            np.asarray(array["t"], dtype=float),
            np.asarray(array, dtype=float),
            int(array.attrs.get("order", 3)),
            float(array.attrs.get("step", 0.0)),
        )
