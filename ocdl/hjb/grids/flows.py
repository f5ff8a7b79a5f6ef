"""One neuron's flow with the others frozen: the feet of the split semi-Lagrangian scheme.

Along axis i the slowest and fastest velocities are σ(o + g(f_i)), where o is a number of the frozen neurons and
g is piecewise linear with its kink at zero, because the pre-activations of the velocity box are a sum over neurons:
s(f) = s(0) + Σ_j (s(f_j e_j) − s(0)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.grid import StateGrid
from ocdl.statement.velocity_box import SplitPreactivation, VelocityBox, split_preactivations

Array = NDArray[np.float64]

FEWEST_ROWS = 17
TABLE_ERROR = 1e-5  # in cells, before the last halving, which divides it by 16
BLOCK = 1 << 14  # feet found at once, at most


def exact_flow(velocity: Callable[[Array], Array], f: Array, step: float, substeps: int = 2) -> Array:
    """f after ``step`` of the scalar flows f' = velocity(f), by classical Runge–Kutta."""
    h = step / substeps
    for _ in range(substeps):
        k1 = velocity(f)
        k2 = velocity(f + 0.5 * h * k1)
        k3 = velocity(f + 0.5 * h * k2)
        k4 = velocity(f + h * k3)
        f = f + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return f


def fastest_speeds(box: VelocityBox, grid: StateGrid) -> Array:
    """max |ḟ_i| over the domain, shape (M,): attained at a corner or on f_j = 0, each term being piecewise linear."""
    speeds = np.zeros(box.width)
    ends = [np.array([axis[0], axis[-1], np.clip(0.0, axis[0], axis[-1])]) for axis in grid.axes]
    for split in split_preactivations(box):
        for i in range(box.width):
            terms = [split.term(i, j, ends[j]) for j in range(box.width)]
            low = split.origin[i] + sum(float(term.min()) for term in terms)
            high = split.origin[i] + sum(float(term.max()) for term in terms)
            speeds[i] = max(speeds[i], *np.abs(np.asarray(box.activation(np.array([low, high])))))
    return speeds


def feet(box: VelocityBox, grid: StateGrid, axis: int, step: float) -> tuple[Array, Array]:
    """Feet of the slowest and fastest flow along ``axis`` from every node, in index units, clamped to the domain.

    Two arrays of the grid's shape with values in [0, n − 1]. A foot depends on the node's own coordinate and on one
    number of the others, so it is read from a table of flows with rows for some values of that number. A substep
    crosses two cells at most.
    """
    substeps = max(1, math.ceil(0.5 * fastest_speeds(box, grid)[axis] * step / grid.spacing[axis]))
    f, dx = grid.axes[axis], grid.spacing[axis]
    slow, fast = (
        _own_feet(box, grid, axis, split, lambda velocity: (exact_flow(velocity, f, step, substeps) - f[0]) / dx)
        for split in split_preactivations(box)
    )
    return slow, fast


def _own_feet(
    box: VelocityBox,
    grid: StateGrid,
    axis: int,
    split: SplitPreactivation,
    flow: Callable[[Callable[[Array], Array]], Array],
) -> Array:
    own = split.term(axis, axis, grid.axes[axis])

    def rows(frozen: Array) -> Array:
        """Feet (K, n) for K values of the frozen neurons' sum."""

        def velocity(f: Array) -> Array:
            return np.asarray(box.activation(frozen[:, None] + split.term(axis, axis, f)))

        return np.clip(flow(velocity), 0.0, own.size - 1)

    frozen = split.frozen(axis, list(np.ix_(*grid.axes))).reshape(-1)
    table = _Table.of(rows, frozen) if frozen.size > FEWEST_ROWS else None
    outer, inner = math.prod(grid.shape[:axis]), math.prod(grid.shape[axis + 1 :])
    out = np.empty(grid.shape)
    view = out.reshape(outer, own.size, inner)
    block = min(BLOCK, out.size // 8)
    lines = max(1, block // (own.size * inner))
    for k in range(0, outer, lines):
        for part in _parts(inner, max(1, block // own.size)):
            here = frozen.reshape(outer, inner)[k : k + lines, part]
            found = rows(here.reshape(-1)) if table is None else table(here.reshape(-1))
            view[k : k + lines, :, part] = found.reshape(*here.shape, own.size).swapaxes(1, 2)
    return out


@dataclass(frozen=True, eq=False)
class _Table:
    """A vector function of one number on uniform ``rows`` from ``first`` on, between them by cubics (Lagrange)."""

    rows: Array
    first: float
    spacing: float

    @classmethod
    def of(cls, function: Callable[[Array], Array], at: Array) -> _Table | None:
        """Halve the spacing until midpoints agree to TABLE_ERROR; None where that needs as many rows as ``at``."""
        first, last = float(at.min()), float(at.max())
        K = FEWEST_ROWS
        table = cls(function(np.linspace(first, last, K)), first, (last - first) / (K - 1))
        while table.spacing > 0.0 and at.size > 2 * K - 1:
            between = np.asarray(first + table.spacing * (np.arange(K - 1) + 0.5), dtype=np.float64)
            exact = function(between)
            good = np.abs(table(between) - exact).max() <= TABLE_ERROR
            rows = np.empty((2 * K - 1, exact.shape[1]))
            rows[::2], rows[1::2] = table.rows, exact
            table, K = cls(rows, first, 0.5 * table.spacing), 2 * K - 1
            if good:
                return table
        return table if table.spacing == 0.0 else None

    def __call__(self, at: Array) -> Array:
        where = (at - self.first) / self.spacing if self.spacing > 0.0 else np.zeros(at.shape)
        j = np.clip(where.astype(np.int64) - 1, 0, len(self.rows) - 4)
        s = where - j
        a, b, c, d = s, s - 1.0, s - 2.0, s - 3.0
        weights = (-b * c * d / 6.0, 0.5 * a * c * d, -0.5 * a * b * d, a * b * c / 6.0)
        found = weights[0][:, None] * self.rows.take(j, axis=0)
        for k in (1, 2, 3):
            found += weights[k][:, None] * self.rows.take(j + k, axis=0)
        return np.clip(found, 0.0, self.rows.shape[1] - 1, out=found)


def _parts(count: int, size: int) -> list[slice]:
    return [slice(k, min(k + size, count)) for k in range(0, count, size)]


def slabs(shape: tuple[int, ...], nodes: int = 1 << 13) -> list[slice]:
    """Slices of the first axis, each of at most ``nodes`` nodes (or one row)."""
    rows = max(1, nodes // max(1, math.prod(shape[1:])))
    return [slice(k, min(k + rows, shape[0])) for k in range(0, shape[0], rows)]
