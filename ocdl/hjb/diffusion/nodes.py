"""The nodes of a box: uniform axes, flat numbers, and neighbours; those beyond the box are mirrored at its edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Nodes:
    """``shape`` nodes from ``lower`` (n,) to ``upper`` (n,), in C order."""

    lower: Array
    upper: Array
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def spacing(self) -> Array:
        return (self.upper - self.lower) / (np.array(self.shape) - 1)

    @property
    def axes(self) -> list[Array]:
        return [np.linspace(*ends) for ends in zip(self.lower, self.upper, self.shape, strict=True)]

    @cached_property
    def states(self) -> Array:
        """(Q, n)."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(self.size, -1)

    @cached_property
    def _places(self) -> Whole:
        return np.stack(np.unravel_index(np.arange(self.size), self.shape), axis=-1)

    def moved(self, offsets: Whole) -> Whole:
        """The nodes (Q, K) that lie ``offsets`` (Q, K, n) or (1, K, n) away."""
        last = np.array(self.shape) - 1
        places = np.abs(self._places[:, None] + offsets)
        places = np.clip(last - np.abs(last - places), 0, last)
        return np.ravel_multi_index(tuple(np.moveaxis(places, -1, 0)), self.shape)

    @cached_property
    def beside(self) -> tuple[Whole, Whole]:
        """The next and the previous node along every axis, (Q, n) each."""
        steps = np.eye(len(self.shape), dtype=np.int64)[None]
        return self.moved(steps), self.moved(-steps)

    def gradient(self, value: Array) -> Array:
        """Central differences (Q, n) of V (Q,), across an edge zero."""
        up, down = self.beside
        return (value[up] - value[down]) / (2.0 * self.spacing)

    def halved(self) -> Nodes:
        """The same box with cells twice as wide."""
        return Nodes(self.lower, self.upper, tuple((n + 1) // 2 for n in self.shape))

    def between(self, table: Array, x: Array, order: int = 1) -> Array:
        """A table (n_1, ..., n_n) at states x (q, n), clamped to the box: linear, or a cubic spline."""
        where = (np.clip(x, self.lower, self.upper) - self.lower) / self.spacing
        return scipy.ndimage.map_coordinates(table, where.T, order=order, mode="mirror")

    def covers(self, x: Array) -> NDArray[np.bool_]:
        return np.all((x >= self.lower) & (x <= self.upper), axis=-1)
