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

from ocdl.hjb.grid import StateGrid
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SplitPreactivation:
    """s⁻ or s⁺ as a sum: s_i(f) = origin_i + Σ_j (rising_ij max(f_j, 0) + falling_ij min(f_j, 0))."""

    origin: Array
    rising: Array
    falling: Array

    def term(self, i: int, j: int, f: Array) -> Array:
        """What f_j adds to s_i."""
        return self.rising[i, j] * np.maximum(f, 0.0) + self.falling[i, j] * np.minimum(f, 0.0)

    def frozen(self, i: int, axes: list[Array]) -> Array:
        """origin_i and every term but the own one, broadcast over the ``axes`` (size 1 along i)."""
        total: Array = np.full((1,) * len(axes), self.origin[i])
        for j, f in enumerate(axes):
            if j != i:
                total = total + self.term(i, j, f)
        return total


def split_preactivations(box: VelocityBox) -> tuple[SplitPreactivation, SplitPreactivation]:
    """s⁻ and s⁺ of the velocity box, each as its sum over neurons."""
    unit = np.eye(box.width)
    origins = box.preactivations(np.zeros(box.width))
    rising, falling = box.preactivations(unit), box.preactivations(-unit)
    slow, fast = (
        SplitPreactivation(origin, (up - origin).T, (origin - down).T)
        for origin, up, down in zip(origins, rising, falling, strict=True)
    )
    return slow, fast


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

    Two arrays of the grid's shape with values in [0, n − 1]; filled slab by slab to bound the memory.
    """
    slow, fast = (np.empty(grid.shape) for _ in range(2))
    substeps = max(1, math.ceil(fastest_speeds(box, grid)[axis] * step / grid.spacing[axis]))
    origin, dx, last = grid.axes[axis][0], grid.spacing[axis], grid.axes[axis].size - 1
    for part in slabs(grid.shape):
        axes = _open_mesh(grid, part)
        for split, out in zip(split_preactivations(box), (slow, fast), strict=True):
            frozen = split.frozen(axis, axes)

            def velocity(f: Array, frozen: Array = frozen, split: SplitPreactivation = split) -> Array:
                return np.asarray(box.activation(frozen + split.term(axis, axis, f)))

            reached = exact_flow(velocity, axes[axis], step, substeps)
            out[part] = np.clip((reached - origin) / dx, 0.0, last)
    return slow, fast


def slabs(shape: tuple[int, ...], nodes: int = 1 << 17) -> list[slice]:
    """Slices of the first axis, each of at most ``nodes`` nodes (or one row)."""
    rows = max(1, nodes // max(1, math.prod(shape[1:])))
    return [slice(k, min(k + rows, shape[0])) for k in range(0, shape[0], rows)]


def _open_mesh(grid: StateGrid, part: slice) -> list[Array]:
    first, *rest = grid.axes
    return list(np.ix_(first[part], *rest))
