"""StochasticValue: V under noise, its gradient and feedback at any state and depth, and errors by halving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import finite_array
from ocdl.errors import InvalidInput
from ocdl.hjb.diffusion.nodes import Nodes
from ocdl.hjb.diffusion.simulated import Simulated, simulated
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StochasticValue:
    """V(x, t) = min E J, or of what ``risk=Exponential(k)`` makes of J, from state x at depth t.

    t (N+1,): depths; values (N+1, n_1, ..., n_n) and controls ``policy`` (N, n_1, ..., n_n, m) at the nodes. Between
    them V is a cubic spline in x, gradients and controls are linear, all are linear in t. ``rounder``: the share of
    nodes at which σσᵀ was made rounder. ``coarser(nodes, steps)``: V with half of one of them, for the ``error``.
    """

    problem: ControlProblem
    nodes: Nodes
    t: Array
    values: Array
    policy: Array
    rounder: float
    coarser: Callable[[str], StochasticValue]

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.nodes.shape))
        return f"<StochasticValue on {shape} nodes in {self.t.size - 1} steps to T = {self.t[-1]:g}>"

    def __call__(self, x: Any, t: Any = 0.0) -> Array:
        """V at states x (..., n) and a depth t; shape (...)."""
        points, shape = self._points(x)
        return self._in_time(t, lambda k: self.nodes.between(self.values[k], points, 3)).reshape(shape)

    def gradient(self, x: Any, t: Any = 0.0) -> Array:
        """∂V/∂x, shape (..., n)."""
        points, shape = self._points(x)

        def at(k: int) -> Array:
            slopes = self.nodes.gradient(self.values[k].ravel()).T.reshape(-1, *self.nodes.shape)
            return np.stack([self.nodes.between(slope, points) for slope in slopes], axis=-1)

        return self._in_time(t, at).reshape(*shape, -1)

    def controls(self, x: Any, t: Any = 0.0) -> tuple[Array, ...]:
        """The optimal controls at states x (..., n) and a depth t, one array by each name: u (..., m)."""
        points, shape = self._points(x)
        return tuple(self.problem.unpack(self.law(float(t), points).reshape(*shape, -1)).values())

    def law(self, t: float, x: Array) -> Array:
        """The feedback u (q, m) at states x (q, n), within the bounds of the controls at depth t."""
        last = len(self.policy) - 1
        parts = np.moveaxis(self.policy, -1, 1)
        u = self._in_time(
            min(t, self.t[last]), lambda k: np.stack([self.nodes.between(part, x) for part in parts[min(k, last)]], -1)
        )
        low, high = self.problem.control_box_at(np.array([t]))
        return np.clip(u, low[0], high[0])

    def error(self, x: Any, t: Any = 0.0) -> Array:
        """An estimate of the error of V's nodes and steps at states x (..., n) and a depth t, shape (...).

        |V − V on half the nodes| + |V − V in half the steps|, each the largest there and a coarse cell away along every
        axis, because a difference changes its sign: for errors that a halving lowers by half, as those of upwind
        differences and of steps do. It says nothing of reflection at the box, of which rollouts know (``left``).
        """
        points, shape = self._points(x)
        wide = np.diag(self.coarse["nodes"].nodes.spacing)
        near = [points + shift for shift in (np.zeros_like(points[0]), *wide, *-wide)]
        moved = [
            np.max([np.abs(self(one, t) - other(one, t)) for one in map(self._clipped, near)], axis=0)
            for other in self.coarse.values()
        ]
        return np.sum(moved, axis=0).reshape(shape)

    @cached_property
    def coarse(self) -> dict[str, StochasticValue]:
        """V on half the nodes and V in half the steps, computed when first asked for."""
        return {name: self.coarser(name) for name in ("nodes", "steps")}

    def rollout(
        self, count: int, seed: int = 0, *, x: Any = None, t: float = 0.0, steps: int | None = None
    ) -> Simulated:
        """``count`` costs of the feedback from a state x (n,), by default the initial one, at depth t.

        steps: of Euler's and Maruyama's method, by default twice those of V in the time left; the error of the method
        is seen on half as many under the same noise.
        """
        start = np.asarray(self.problem.x0[0] if x is None else finite_array("rollout(x=...)", x), dtype=float)
        self._points(start)
        return simulated(self, count, seed, start, float(t), steps)

    @property
    def dataset(self) -> xr.Dataset:
        """V, ∂V/∂x and the controls at the nodes, labelled by t and the names of the states."""
        layout, names = self.problem.layout, list(self.problem.states or ())
        assert layout is not None
        coords = dict(zip(names, self.nodes.axes, strict=True))
        slopes = np.stack([self.nodes.gradient(level.ravel()).reshape(*self.nodes.shape, -1) for level in self.values])
        arrays = {"V": (["t", *names], self.values), "gradient": (["t", *names, "state"], slopes)}
        arrays |= {
            name: (["t_control", *names], self.policy[..., j])
            for j, name in enumerate(self.problem.controls)  # type: ignore[arg-type]
        }
        return xr.Dataset(arrays, {"t": self.t, "t_control": self.t[:-1], "state": names, **coords})

    def _in_time(self, t: Any, at: Callable[[int], Array]) -> Array:
        """Between the two depths around t, of what ``at`` a depth is."""
        if not 0.0 <= float(t) <= self.t[-1] * (1.0 + 1e-12):
            raise InvalidInput(f"t={t!r}: a depth in [0, {self.t[-1]:g}] is needed.")
        k = int(np.clip(np.searchsorted(self.t, t, side="right") - 1, 0, self.t.size - 2))
        share = (float(t) - self.t[k]) / (self.t[k + 1] - self.t[k])
        return at(k) if share <= 0.0 else (1.0 - share) * at(k) + share * at(k + 1)

    def _clipped(self, x: Array) -> Array:
        return np.clip(x, self.nodes.lower, self.nodes.upper)

    def _points(self, x: Any) -> tuple[Array, tuple[int, ...]]:
        """States (q, n) and the shape of the answer; InvalidInput outside the box."""
        x, n = finite_array("x", x), len(self.nodes.shape)
        if x.ndim == 0 or x.shape[-1] != n:
            raise InvalidInput(f"x: states of shape (..., {n}) are needed; got {x.shape}.")
        points = x.reshape(-1, n)
        out = ~self.nodes.covers(points)
        if np.any(out):
            raise InvalidInput(
                f"x={points[out][0]}: it lies outside the box from {self.nodes.lower} to {self.nodes.upper}."
            )
        return points, x.shape[:-1]
