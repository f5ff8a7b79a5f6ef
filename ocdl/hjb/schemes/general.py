"""The general semi-Lagrangian scheme: ``Lookahead`` at every node of the grid, V read off between the nodes.

Between nodes V is multilinear plus, for the "weno" rule, ½ s (s − 1) times the second difference along each axis, taken
on the nearest grid line, blended from the two nodes of the cell with weights that lean to the smoother side (Carlini,
Ferretti and Russo 2005, section 3): third order where V is smooth, from 2^D + 4 D nodes.
Where states are bounded, W of ``state_bounds`` is marched beside V by the same rules.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.grids.sweeps import INTERPOLATIONS, LINEAR
from ocdl.hjb.schemes.held import Held
from ocdl.hjb.schemes.lookahead import BLOCK, Lookahead, discounted
from ocdl.hjb.schemes.state_bounds import ADMISSIBLE, Excess, StateBounds, Within

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FREE = Held()
CONTINUED = 2
CURVATURE = 4.0  # smoothness is rise² + CURVATURE · bend²; larger is sharper at kinks
ABSOLUTE_FLOOR = 1e-100
NEAR = 1.5  # cells a step may cross for the gradients at its beginning to tell all about its end
ONE_SIDED = 2  # up to this dimension one-sided gradients give candidates too, which serve at kinks


class General:
    """Keeps two arrays of the grid's size for V and one for each control: the last minimisers begin the next search.

    With ``bounds`` on the states the array marched is (2, n_1, ..., n_D): V, continued where W > 0, and W.
    """

    def __init__(
        self,
        lookahead: Lookahead,
        grid: StateGrid,
        step: float,
        steps: int,
        interpolation: str,
        bounds: StateBounds | None = None,
        held: Held = FREE,
        discount: float = 0.0,
    ) -> None:
        self._held, self._later = held, float(discounted(discount, step))
        self._share = math.exp(-discount * step) / self._later
        self._lookahead, self._grid, self._step, self._steps = lookahead.accurate(grid, step), grid, step, steps
        self._far = bool(np.any(step * lookahead.speeds(grid) > NEAR * grid.spacing))
        self._rule, self._bounds = INTERPOLATIONS[interpolation], bounds
        self._policy = np.tile(lookahead.centre, (grid.nodes, 1))
        self._spare = np.empty(grid.shape if bounds is None else (2, *grid.shape))

    @property
    def kept(self) -> Array:
        return self._policy

    def restore(self, kept: Array) -> None:
        self._policy[...] = kept

    def advance(self, value: Array, done: int) -> Array:
        t, h = (self._steps - done - 1) * self._step, self._step
        planes, out = value.reshape(-1, self._grid.nodes), self._spare.reshape(-1, self._grid.nodes)
        later = Between(planes[0] * self._later, self._grid, self._rule)
        policy, best = self._policy, self._lookahead.best
        for k in range(0, self._grid.nodes, BLOCK):
            part = np.arange(k, min(k + BLOCK, self._grid.nodes))
            index = np.unravel_index(part, self._grid.shape)
            x = np.stack([axis[i] for axis, i in zip(self._grid.axes, index, strict=True)], axis=-1)
            within = None
            if self._bounds is not None:
                out[1, part], within = self._viable(self._bounds, planes[1], part, index, t, x)
            slopes = later.slopes(index)
            out[0, part], policy[part] = best(
                later, slopes, t, h, x, policy[part], within=within, turn=done, far=self._far
            )
        out[0] *= self._share
        self._held.hold(self._spare)
        value, self._spare = self._spare, value
        return value

    def _viable(
        self, bounds: StateBounds, table: Array, part: Index, index: tuple[Index, ...], t: float, x: Array
    ) -> tuple[Array, Within]:
        """W at nodes x (q, D) a step earlier, and the controls that do not raise it above 0."""
        later = Between(table, self._grid, self._rule)
        excess = Excess(bounds, lambda x, _: later(x))
        here, slopes = bounds.excess(x, t), later.slopes(index)
        law, policy = self._lookahead, self._policy[part]
        after, safe = law.safest(excess, slopes, t, self._step, x, policy, floor=np.minimum(here, 0.0))
        return np.maximum(here, after), Within(excess, np.maximum(after, 0.0) + ADMISSIBLE, safe)


class Between:
    """V between the nodes of a grid: states X (q, D), clamped to the domain, to values (q,).

    Along a periodic axis the table is continued by ``CONTINUED`` nodes at either end.
    """

    def __init__(self, value: Array, grid: StateGrid, rule: int) -> None:
        self._grid, self._rule, self._spacing = grid, rule, grid.spacing
        self._before = np.where(grid.periodic, CONTINUED, 0)
        table = value.reshape(grid.shape)
        if grid.periodic.any():
            table = np.pad(table, [(k, k) for k in self._before], mode="wrap")
        self._flat, self._counts = table.reshape(-1), np.array(table.shape)
        self._lower = grid.lower - self._before * self._spacing
        self._strides = np.array([math.prod(table.shape[i + 1 :]) for i in range(grid.dimension)])

    def __call__(self, x: Array) -> Array:
        inside = self._grid.inside(x)
        where = np.clip((inside - self._lower) / self._spacing, 0.0, self._counts - 1.0).T
        cell = np.minimum(where.astype(np.int64), self._counts[:, None] - 2)
        s = where - cell
        at = self._strides @ cell
        total = np.zeros(len(x))
        for corner in product((0, 1), repeat=len(s)):
            weight = math.prod((share if end else 1.0 - share) for end, share in zip(corner, s, strict=True))
            total += weight * self._flat.take(at + self._strides @ np.array(corner))
        if self._rule == LINEAR:
            return total
        near = (s > 0.5).astype(np.int64)
        nearest = at + self._strides @ near
        for i, stride in enumerate(self._strides):
            line = nearest - (cell[i] + near[i]) * stride
            total += 0.5 * s[i] * (s[i] - 1.0) * self._bend(line, cell[i], s[i], stride, int(self._counts[i]))
        return total

    def _bend(self, line: Index, j: Index, s: Array, stride: int, n: int) -> Array:
        left, right = self._second_difference(line, j, stride, n), self._second_difference(line, j + 1, stride, n)
        rise = self._flat.take(line + (j + 1) * stride) - self._flat.take(line + j * stride)
        smooth = rise * rise + ABSOLUTE_FLOOR
        weight_left = (2.0 - s) * (smooth + CURVATURE * right * right) ** 2
        weight_right = (1.0 + s) * (smooth + CURVATURE * left * left) ** 2
        return np.asarray((weight_left * left + weight_right * right) / (weight_left + weight_right))

    def _second_difference(self, line: Index, j: Index, stride: int, n: int) -> Array:
        at = line + np.clip(j, 1, n - 2) * stride
        return np.asarray(self._flat.take(at - stride) - 2.0 * self._flat.take(at) + self._flat.take(at + stride))

    def slopes(self, index: tuple[Index, ...]) -> list[Array]:
        """Gradients (q, D) at nodes of the grid: central, and in low dimension from the left and from the right."""
        left, right = [], []
        nodes = np.array(index) + self._before[:, None]
        part = self._strides @ nodes
        for j, stride, n, dx in zip(nodes, self._strides, self._counts, self._spacing, strict=True):
            here = self._flat.take(part)
            back = (here - self._flat.take(part - stride * (j > 0))) / dx
            ahead = (self._flat.take(part + stride * (j < n - 1)) - here) / dx
            left.append(np.where(j > 0, back, ahead))
            right.append(np.where(j < n - 1, ahead, back))
        sides = np.stack(left, axis=-1), np.stack(right, axis=-1)
        return [0.5 * (sides[0] + sides[1]), *(sides if len(self._strides) <= ONE_SIDED else ())]
