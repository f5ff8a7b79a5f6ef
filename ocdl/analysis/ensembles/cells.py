"""Cells of a box in one or two dimensions, on which densities are masses and functions are values at the centres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.arrays import Array, finite_array, is_whole
from ocdl.callables import called
from ocdl.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Cells:
    """``count`` equal cells between ``lower`` and ``upper`` along each of one or two axes: numbers, or one an axis.

    Arrays on cells have the shape ``count``; points are (..., d).
    """

    lower: Any
    upper: Any
    count: Any

    def __post_init__(self) -> None:
        low, high = (
            np.atleast_1d(finite_array(f"Cells({n})", v)) for n, v in (("lower", self.lower), ("upper", self.upper))
        )
        count = tuple(np.atleast_1d(self.count).tolist())
        if not low.shape == high.shape == (len(count),) or len(count) > 2:
            raise InvalidInput(
                f"Cells(lower={self.lower!r}, upper={self.upper!r}, count={self.count!r}): "
                "as many of each, one or two axes, are needed."
            )
        if not np.all(low < high):
            raise InvalidInput(f"Cells: the lower bounds must be below the upper; got {self.lower!r}, {self.upper!r}.")
        if not all(is_whole(n) and n >= 3 for n in count):
            raise InvalidInput(f"Cells(count={self.count!r}): whole numbers, at least 3, are needed.")
        for name, value in (("lower", low), ("upper", high), ("count", count)):
            object.__setattr__(self, name, value)

    @property
    def dimensions(self) -> int:
        return len(self.count)

    @property
    def widths(self) -> Array:
        """h of every axis, (d,)."""
        return np.asarray((self.upper - self.lower) / np.asarray(self.count))

    @property
    def volume(self) -> float:
        """Of one cell."""
        return float(np.prod(self.widths))

    @property
    def centres(self) -> Array:
        """(*count, d)."""
        return self._points([self._middles(i) for i in range(self.dimensions)])

    def faces(self, axis: int) -> Array:
        """Middles of the inner faces across an axis, which has one less of them than cells, (..., d)."""
        along = [self._middles(i) for i in range(self.dimensions)]
        along[axis] = self.lower[axis] + self.widths[axis] * np.arange(1, self.count[axis])
        return self._points(along)

    def values(self, name: str, given: Callable[[Array], Any] | Any, points: Array, *components: int) -> Array:
        """A function of points (..., d), called on (K, d), or the same numbers everywhere: (..., *components)."""
        if callable(given):
            K = int(np.prod(points.shape[:-1]))
            found = finite_array(name, called(name, "points (K, d)", given, points.reshape(K, -1)))
            if found.shape != (K, *components):
                needed = (K, *components)
                raise InvalidInput(
                    f"{name}: of points {(K, self.dimensions)} it must return {needed}; got {found.shape}."
                )
            return found.reshape(*points.shape[:-1], *components)
        return np.broadcast_to(finite_array(name, given), (*points.shape[:-1], *components)).astype(float)

    @staticmethod
    def sides(values: Any, axis: int) -> tuple[Any, Any]:
        """Of the cells left and right of the inner faces across an axis."""
        n = values.shape[axis]
        return np.take(values, range(n - 1), axis), np.take(values, range(1, n), axis)

    def _middles(self, axis: int) -> Array:
        return np.asarray(self.lower[axis] + self.widths[axis] * (np.arange(self.count[axis]) + 0.5))

    @staticmethod
    def _points(along: list[Array]) -> Array:
        return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)
