"""ValueFunction: V, its gradient and the optimal controls at any state and depth, and closed-loop rollouts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.depth import Kutta4, Tableau
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.grid import StateGrid
from ocdl.hjb.interpolation import Weights, cubic_weights, interpolate, linear_weights
from ocdl.problem import ControlProblem
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]

FEEDBACKS = ("lookahead", "sign")


@dataclass(frozen=True, eq=False)
class Rollout:
    """Closed-loop trajectories: depths t (N+1,), states x (N+1, ..., M), θ (N, ..., M) and the controls
    a (N, ..., M), b (N, ..., M, M), constant in each of the N steps; ``cost`` (...) is the terminal loss reached.
    """

    t: Array
    x: Array
    theta: Array
    a: Array
    b: Array
    cost: Array


@dataclass(frozen=True, eq=False)
class ValueFunction:
    """V(x, t) = min J from state x at depth t: a table ``values`` (K, n_1, ..., n_M) at depths ``t`` (K,) rising to T.

    Between nodes and depths V is interpolated: cubic (``order`` 3) or linear (``order`` 1). States are f at the width
    nodes. ``gradient`` is Euclidean, ∂V/∂x_i; ``costate`` is in function space, (1/w_i) ∂V/∂x_i, the p of a Solution.
    """

    problem: ControlProblem
    grid: StateGrid
    t: Array
    values: Array
    order: int = 3
    step: float = 0.0

    # -- queries ---------------------------------------------------------------------------------

    def __call__(self, x: Any, t: Any = 0.0) -> Array:
        """V at states x (..., M) and depths t, broadcast against the leading axes; shape (...)."""
        points, depths, shape = self._points(x, t)
        return interpolate(self.values, self._weights(points, depths)).reshape(shape)

    def gradient(self, x: Any, t: Any = 0.0) -> Array:
        """The Euclidean gradient ∂V/∂x, shape (..., M)."""
        points, depths, shape = self._points(x, t)
        return self._gradient(points, depths).reshape(*shape, self.grid.dimension)

    def costate(self, x: Any, t: Any = 0.0) -> Array:
        """The gradient in function space, ∂V/∂x_i divided by the width weight w_i, shape (..., M)."""
        return self.gradient(x, t) / self.problem.state_metric

    def controls(self, x: Any, t: Any = 0.0, *, feedback: str = "lookahead") -> tuple[Array, Array]:
        """Optimal a (..., M) and b (..., M, M) at states x (..., M) and depths t < T.

        feedback: ``"lookahead"`` minimises V one step ahead over the velocity box, also where ∇V vanishes;
        ``"sign"`` is the synthesis of the maximum principle, fastest where ∂V/∂x_i < 0 and slowest where > 0.
        """
        points, depths, shape = self._points(x, t)
        if np.any(depths >= self.t[-1]):
            raise InvalidInput(f"t: a control is chosen before the horizon T = {self.t[-1]:g}; got {depths.max():g}.")
        theta = self.steer(points, depths, np.minimum(self.step, self.t[-1] - depths), feedback=feedback)
        a, b = self._box.controls(points, theta)
        M = self.grid.dimension
        return a.reshape(*shape, M), b.reshape(*shape, M, M)

    def rollout(self, x: Any, t: float = 0.0, *, steps: int = 64, feedback: str = "lookahead") -> Rollout:
        """Closed-loop trajectories from states x (..., M) at depth t to T in ``steps`` equal steps (Kutta 4)."""
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
            raise InvalidInput(f"rollout(steps={steps!r}): steps is a positive whole number.")
        points, depths, shape = self._points(x, float(t))
        mesh = np.linspace(depths.flat[0], self.t[-1], int(steps) + 1)
        states, thetas = [points], []
        for now, then in pairwise(mesh):
            thetas.append(self.steer(states[-1], now, then - now, feedback=feedback))
            states.append(self._flow(states[-1], thetas[-1], then - now, Kutta4.tableau))
        trajectory, theta = np.array(states), np.array(thetas)
        a, b = self._box.controls(trajectory[:-1], theta)
        x, theta, a, b = (array.reshape(len(array), *shape, *array.shape[2:]) for array in (trajectory, theta, a, b))
        return Rollout(mesh, x, theta, a, b, cost=self.problem.terminal_loss(x[-1]))

    # -- feedback --------------------------------------------------------------------------------

    def steer(
        self, x: Array, t: Any, step: Any, *, feedback: str = "lookahead", tableau: Tableau = Kutta4.tableau
    ) -> Array:
        """θ (q, M) for states x (q, M): −1 the slowest, +1 the fastest velocity, held for ``step`` from depth t."""
        if feedback not in FEEDBACKS:
            raise InvalidInput(f"feedback={feedback!r}: the feedback is one of {FEEDBACKS}.")
        depths = np.broadcast_to(np.asarray(t, dtype=float), x.shape[:1])
        theta = -np.sign(self._gradient(x, depths))
        if feedback == "sign":
            return theta
        steps = np.broadcast_to(np.asarray(step, dtype=float), x.shape[:1])

        def ahead(candidates: Array) -> Array:
            """V after the step, (K, q), for candidates (K, q, M)."""
            count = len(candidates)
            end = self._flow(np.tile(x, (count, 1)), candidates.reshape(-1, x.shape[1]), np.tile(steps, count), tableau)
            later = np.tile(depths + steps, count)
            return interpolate(self.values, self._weights(end, later)).reshape(count, -1)

        return _refined(ahead, _best(ahead, _candidates(theta)))

    def _flow(self, x: Array, theta: Array, step: Any, tableau: Tableau) -> Array:
        """One explicit Runge–Kutta step of f' = σ(s_c(f) + θ s_r(f)), s_c and s_r of the pre-activations."""
        h = np.broadcast_to(np.asarray(step, dtype=float), x.shape[:1])[:, None]
        slopes: list[Array] = []
        for row in tableau.A:
            f = x + h * sum((a * k for a, k in zip(row, slopes, strict=False) if a), np.zeros(()))
            slow, fast = self._box.preactivations(f)
            slopes.append(np.asarray(self._box.activation(0.5 * (slow + fast) + 0.5 * theta * (fast - slow))))
        return np.asarray(x + h * sum(b * k for b, k in zip(tableau.b, slopes, strict=True)))

    @cached_property
    def _box(self) -> VelocityBox:
        box = self.problem.velocity_box
        if box is None:
            raise NotSupported("controls: this problem has no velocity box, so the feedback has no closed form.")
        return box

    # -- interpolation ---------------------------------------------------------------------------

    def _weights(self, x: Array, t: Array) -> list[Weights]:
        rule = cubic_weights if self.order == 3 else linear_weights
        return [rule(self.t, t), *(rule(axis, x[:, i]) for i, axis in enumerate(self.grid.axes))]

    def _gradient(self, x: Array, t: Array) -> Array:
        weights = self._weights(x, t)
        return np.stack([interpolate(self.values, weights, 1 + i) for i in range(x.shape[1])], axis=-1)

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
        names = tuple(f"f{i}" for i in range(problem.n))
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


def _candidates(theta: Array) -> Array:
    """Trial θ (K, q, M): a coarse grid for up to four neurons, else the sign feedback and its single changes."""
    M = theta.shape[1]
    if M <= 4:
        marks = np.linspace(-1.0, 1.0, {1: 9, 2: 5}.get(M, 3))
        grid = np.array(list(product(marks, repeat=M)))
        return np.broadcast_to(grid[:, None, :], (len(grid), *theta.shape))
    trials = [theta]
    for i, mark in product(range(M), (-1.0, 0.0, 1.0)):
        trials.append(theta.copy())
        trials[-1][:, i] = mark
    return np.array(trials)


def _best(ahead: Any, candidates: Array) -> Array:
    choice = np.argmin(ahead(candidates), axis=0)
    return np.take_along_axis(candidates, choice[None, :, None], axis=0)[0]


def _refined(ahead: Any, theta: Array, radius: float = 0.5, rounds: int = 3) -> Array:
    """Coordinate search: the parabola through θ_i − r, θ_i, θ_i + r, its vertex kept where lower; r is quartered."""
    for k, i in product(range(rounds), range(theta.shape[1])):
        r = radius * 0.25**k
        trials = np.repeat(theta[None], 4, axis=0)
        middle = np.clip(theta[:, i], r - 1.0, 1.0 - r)
        trials[1:, :, i] = middle - r, middle, middle + r
        left, centre, right = ahead(trials[1:])
        bend = left - 2.0 * centre + right
        shift = 0.5 * r * (left - right) / np.where(bend > 0.0, bend, np.inf)
        vertex = np.repeat(theta[None], 1, axis=0)
        vertex[0, :, i] = np.clip(middle + shift, -1.0, 1.0)
        theta = _best(ahead, np.concatenate([trials, vertex]))
    return theta
