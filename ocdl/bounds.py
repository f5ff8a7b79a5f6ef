"""Boxes: named intervals for controls and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ocdl.arrays import Array, real_array
from ocdl.errors import InvalidInput


class Box:
    """Named intervals, e.g. ``Box(a=(-1, 1), b=(-1, 1))``: A = [a−, a+] × [b−, b+].

    Each end is a number or an array of the quantity's shape (``a``: (M,), ``b``: (M, M), ``u``: (m,)).
    ±inf, or None, means unbounded on that side; a name left out is unbounded on both.
    Raises InvalidInput for reversed ends, NaN, or (when the shape is known) a wrong shape.
    """

    said: ClassVar[str] = "Box"  # how the user wrote it

    def __init__(self, *unnamed: Any, **intervals: tuple[Any, Any] | None) -> None:
        if unnamed:
            raise InvalidInput(f"Box({_shown(unnamed)[1:-1]}): name each interval, e.g. Box(a=(-1, 1), b=(-1, 1)).")
        self._intervals: dict[str, tuple[Array, Array]] = {}
        for name, interval in intervals.items():
            if interval is not None:
                self._intervals[name] = self._checked(name, interval)

    def _checked(self, name: str, interval: tuple[Any, Any]) -> tuple[Array, Array]:
        said = f"{self.said}({name}={_shown(interval)})"
        if isinstance(interval, (str, bytes, Mapping)) or not hasattr(interval, "__len__") or len(interval) != 2:
            raise InvalidInput(f"{said}: an interval is a pair (lower, upper) of numbers or arrays.")
        lower, upper = interval
        low = real_array(said, -np.inf if lower is None else lower)
        high = real_array(said, np.inf if upper is None else upper)
        if np.any(np.isnan(low)) or np.any(np.isnan(high)):
            raise InvalidInput(f"{said}: bounds must be numbers; got NaN.")
        try:
            low, high = np.broadcast_arrays(low, high)
        except ValueError:
            raise InvalidInput(
                f"{said}: lower and upper must have matching shapes; got {low.shape} and {high.shape}."
            ) from None
        if np.any(low > high):
            at = np.unravel_index(int(np.argmax(low > high)), low.shape)
            where = f" at entry {tuple(int(i) for i in at)}" if low.ndim else ""
            raise InvalidInput(
                f"{said}: the lower bound must not exceed the upper; got {low[at]:g} > {high[at]:g}{where}."
            )
        if np.any(low == np.inf) or np.any(high == -np.inf):
            raise InvalidInput(f"{said}: a lower bound of +inf or an upper bound of -inf leaves nothing.")
        return low.copy(), high.copy()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._intervals)

    def interval(self, name: str, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Lower and upper bound of ``name`` as full arrays of ``shape``."""
        low, high = self._intervals.get(name, (np.array(-np.inf), np.array(np.inf)))
        if low.shape not in ((), shape):
            raise InvalidInput(
                f"{self.said}({name}=...): bounds are scalars or arrays of shape {shape} on this grid; got {low.shape}."
            )
        return np.broadcast_to(low, shape).copy(), np.broadcast_to(high, shape).copy()

    def __repr__(self) -> str:
        return "Box(" + ", ".join(f"{k}={_shown(v)}" for k, v in self._intervals.items()) + ")"


def _shown(interval: Any) -> str:
    """The interval as a user would write it, arrays abbreviated to their shape."""
    try:
        return "(" + ", ".join(_shown_end(end) for end in interval) + ")"
    except TypeError:
        return repr(interval)


def _shown_end(end: Any) -> str:
    if isinstance(end, (np.ndarray, list, tuple)) and np.size(np.asarray(end, dtype=object)) > 4:
        return f"<array {np.shape(np.asarray(end, dtype=object))}>"
    if isinstance(end, np.ndarray) and end.ndim:
        return str(end.tolist())
    return f"{end:g}" if isinstance(end, (int, float, np.ndarray)) else repr(end)
