"""One-sided derivatives at a node from the slopes of five cells, and the nodes beyond the ends of a grid.

The formulas are arithmetic alone, so that numpy evaluates them on arrays and numba compiles the same text for numbers.
Sources: Jiang and Peng, SIAM J. Sci. Comput. 21 (2000), section 2; Osher and Fedkiw, "Level set methods" (2003).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.grid import StateGrid

Array = NDArray[np.float64]
Index = NDArray[np.int64]

PADDING = 3  # nodes beyond an end
FLOOR, LEAST = 1e-6, 1e-40  # of the roughness, in squares of slopes, and where these vanish


def weno3(b: Any, c: Any, d: Any) -> Any:
    """The derivative from the left at the node between cells c and d, of slopes b, c, d from the left on."""
    floor = FLOOR * (b * b + c * c + d * d) + LEAST
    first, second = c - b, d - c
    one, two = second * second + floor, first * first + floor
    one, two = one * one, 2.0 * two * two
    return (one * (3.0 * c - b) + two * (c + d)) / (2.0 * (one + two))


def weno5(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    """The same of fifth order: Σ ω_k stencil_k with ω_k ∝ ideal_k / roughness_k², multiplied out to divide once."""
    floor = FLOOR * (a * a + b * b + c * c + d * d + e * e) + LEAST
    bend0, bend1, bend2 = a - 2.0 * b + c, b - 2.0 * c + d, c - 2.0 * d + e
    lean0, lean1, lean2 = a - 4.0 * b + 3.0 * c, b - d, 3.0 * c - 4.0 * d + e
    rough0 = 13.0 / 12.0 * bend0 * bend0 + 0.25 * lean0 * lean0 + floor
    rough1 = 13.0 / 12.0 * bend1 * bend1 + 0.25 * lean1 * lean1 + floor
    rough2 = 13.0 / 12.0 * bend2 * bend2 + 0.25 * lean2 * lean2 + floor
    w0, w1, w2 = rough1 * rough2, rough0 * rough2, rough0 * rough1
    w0, w1, w2 = 0.1 * w0 * w0, 0.6 * w1 * w1, 0.3 * w2 * w2
    found = w0 * (2.0 * a - 7.0 * b + 11.0 * c) + w1 * (5.0 * c - b + 2.0 * d) + w2 * (2.0 * c + 5.0 * d - e)
    return found / (6.0 * (w0 + w1 + w2))


@dataclass(frozen=True, eq=False)
class Padded:
    """A grid with ``PADDING`` nodes beyond every end: there V is continued linearly, or around the circle."""

    grid: StateGrid

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(n + 2 * PADDING for n in self.grid.shape)

    @cached_property
    def strides(self) -> Index:
        return np.array([math.prod(self.shape[i + 1 :]) for i in range(len(self.shape))], dtype=np.int64)

    @cached_property
    def inner(self) -> tuple[slice, ...]:
        return tuple(slice(PADDING, PADDING + n) for n in self.grid.shape)

    def around(self, value: Array) -> Array:
        """``value`` in the middle of an array of the padded shape."""
        whole = np.zeros(self.shape)
        whole[self.inner] = value
        return whole

    def rises(self, axis: int) -> Array:
        """1 over the gap before and after every node, those beyond the ends included, (n + 2 PADDING − 1,)."""
        gaps, n = 1.0 / self.grid.gaps(axis), self.grid.shape[axis]
        if self.grid.periods[axis]:
            return gaps[np.arange(-PADDING, n + PADDING - 1) % n]
        return np.pad(gaps, PADDING, mode="edge")

    @cached_property
    def ghosts(self) -> tuple[Index, Index, Index, Array]:
        """Flat indices (G,) of the nodes beyond an end and of two inner ones, and the weight k of V there:
        V = V(first) + k (V(first) − V(second)).
        """
        flat = np.arange(math.prod(self.shape)).reshape(self.shape)
        found: list[Sequence[Any]] = []
        for axis, n in enumerate(self.grid.shape):
            lines = np.moveaxis(flat[tuple(slice(None) if i == axis else s for i, s in enumerate(self.inner))], axis, 0)
            for k in range(1, PADDING + 1):
                for end, away in ((PADDING, -1), (PADDING + n - 1, 1)):
                    ghost = lines[end + away * k].ravel()
                    first = lines[PADDING + (end + away * k - PADDING) % n if self.grid.periods[axis] else end].ravel()
                    weight = np.full(ghost.size, 0.0 if self.grid.periods[axis] else float(k))
                    found.append((ghost, first, lines[end - away].ravel(), weight))
        ghost, first, second, weight = (np.concatenate(part) for part in zip(*found, strict=True))
        return ghost, first, second, weight
