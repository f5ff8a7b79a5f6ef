"""Boxes: named intervals for states, controls, parameters and constraints; ``Free``: a quantity the solver chooses."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ocdl import xr
from ocdl.arrays import Array, is_real, real_array, shown
from ocdl.callables import called
from ocdl.errors import InvalidInput, NotSupported

UNBOUNDED = np.array(-np.inf), np.array(np.inf)


class Box:
    """Named intervals, e.g. ``Box(a=(-1, 1), b=(-1, 1))``: A = [a−, a+] × [b−, b+].

    Each end is a number or an array of the quantity's shape (``a``: (M,), ``b``: (M, M), ``u``: (m,)), or a function of
    the depth t that returns one. ±inf, or None, means unbounded on that side; a name left out is unbounded on both.
    Raises InvalidInput for reversed ends, NaN, or (when the shape is known) a wrong shape.
    """

    said: ClassVar[str] = "Box"  # how the user wrote it

    def __init__(self, *unnamed: Any, **intervals: tuple[Any, Any] | None) -> None:
        if unnamed:
            raise InvalidInput(f"Box({_shown(unnamed)[1:-1]}): name each interval, e.g. Box(a=(-1, 1), b=(-1, 1)).")
        self._intervals: dict[str, tuple[Array, Array]] = {}
        self._functions: dict[str, tuple[Any, Any]] = {}
        for name, interval in intervals.items():
            if interval is not None and any(callable(end) for end in _ends(interval)):
                self._functions[name] = self._pair(name, interval)
            elif interval is not None:
                self._intervals[name] = self._checked(name, interval)

    def _pair(self, name: str, interval: tuple[Any, Any]) -> tuple[Any, Any]:
        said = f"{self.said}({name}={_shown(interval)})"
        ordered = hasattr(interval, "__getitem__") and not isinstance(interval, (str, bytes, Mapping))
        if not ordered or _length(interval) != 2:
            raise InvalidInput(f"{said}: an interval is a pair (lower, upper) of numbers or arrays.")
        if any(xr.is_labelled(end) for end in interval):
            raise InvalidInput(f"{said}: ends are taken by position; give the .values of a labelled array.")
        return interval

    def _checked(self, name: str, interval: tuple[Any, Any], where: str = "") -> tuple[Array, Array]:
        said = f"{self.said}({name}={_shown(interval)}){where}"
        lower, upper = self._pair(name, interval)
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
            entry = f" at entry {tuple(int(i) for i in at)}" if low.ndim else ""
            raise InvalidInput(
                f"{said}: the lower bound must not exceed the upper; got {low[at]:g} > {high[at]:g}{entry}."
            )
        if np.any(low == np.inf) or np.any(high == -np.inf):
            raise InvalidInput(f"{said}: a lower bound of +inf or an upper bound of -inf leaves nothing.")
        return low.copy(), high.copy()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._intervals, *self._functions)

    def varies(self, name: str) -> bool:
        """Whether the interval of ``name`` depends on depth."""
        return name in self._functions

    def given(self, name: str) -> tuple[Any, Any]:
        """The ends of ``name`` as they stand: numbers, arrays, functions of the depth."""
        return {**self._intervals, **self._functions}[name]

    def interval_at(self, name: str, shape: tuple[int, ...], t: Array) -> tuple[Array, Array]:
        """Lower and upper bound of ``name`` at depths t (K,), each (K, *shape)."""
        if not self.varies(name):
            return self._full(name, self._steady(name), shape, (t.size,))
        given, pairs = self._functions[name], []
        written = f"{self.said}({name}={_shown(given)})"
        for depth in t:
            ends = tuple(_end(written, end, float(depth)) if callable(end) else end for end in given)
            said = f" at t = {depth:g}"
            pairs.append(self._full(name, self._checked(name, ends, said), shape))
        return np.array([low for low, _ in pairs]), np.array([high for _, high in pairs])

    def interval(self, name: str, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Lower and upper bound of ``name`` as full arrays of ``shape``."""
        if self.varies(name):
            raise NotSupported(
                f"{self.said}({name}=...): bounds that depend on depth; one interval for all depths is needed here."
            )
        return self._full(name, self._steady(name), shape)

    def _steady(self, name: str) -> tuple[Array, Array]:
        """The interval as it was given, unbounded where none was."""
        return self._intervals.get(name, UNBOUNDED)

    def _full(
        self, name: str, interval: tuple[Array, Array], shape: tuple[int, ...], rows: tuple[int, ...] = ()
    ) -> tuple[Array, Array]:
        """Both ends as arrays of ``shape``, in so many equal rows."""
        low, high = interval
        if low.shape not in ((), shape):
            raise InvalidInput(
                f"{self.said}({name}=...): bounds are scalars or arrays of shape {shape} on this grid; got {low.shape}."
            )
        ends = np.empty((2, *rows, *shape))
        ends[0], ends[1] = low, high
        return ends[0], ends[1]

    def holding(self, name: str, values: Array) -> Box:
        """The same box with ``name`` held at ``values``."""
        return self.with_interval(name, (values, values))

    def with_interval(self, name: str, interval: tuple[Any, Any]) -> Box:
        """The same box with another interval of ``name``."""
        return Box(**{**self._intervals, **self._functions, name: interval})

    def without(self, name: str) -> Box:
        """The same box without the interval of ``name``."""
        return Box(**{k: v for k, v in {**self._intervals, **self._functions}.items() if k != name})

    def __repr__(self) -> str:
        intervals = {**self._intervals, **self._functions}
        return "Box(" + ", ".join(f"{k}={_shown(v)}" for k, v in intervals.items()) + ")"


@dataclass(frozen=True)
class Free:
    """A number the solver chooses: a horizon, an initial or a final state, in [lower, upper].

    guess: where it begins; by default the middle of the interval, or its end nearest to 0.
    Raises InvalidInput for reversed ends, NaN, or a guess outside.
    """

    lower: float = -np.inf
    upper: float = np.inf
    guess: float | None = None

    def __post_init__(self) -> None:
        if not all(is_real(end) and not np.isnan(end) for end in (self.lower, self.upper)) or self.lower > self.upper:
            raise InvalidInput(f"{self!r}: lower and upper are numbers, and the lower must not exceed the upper.")
        if self.guess is not None and not (is_real(self.guess) and self.lower <= self.guess <= self.upper):
            raise InvalidInput(f"{self!r}: the guess must lie in [{self.lower:g}, {self.upper:g}].")

    @property
    def begin(self) -> float:
        """Where the solver begins."""
        if self.guess is not None:
            return float(self.guess)
        finite = np.isfinite(self.lower) and np.isfinite(self.upper)
        return float(0.5 * (self.lower + self.upper) if finite else np.clip(0.0, self.lower, self.upper))


def _ends(interval: Any) -> tuple[Any, ...]:
    return tuple(interval) if isinstance(interval, (tuple, list)) else ()


def _end(written: str, end: Any, t: float) -> Any:
    return called(written, f"t = {t:g}", end, t)


def _length(interval: Any) -> int:
    """How many ends; -1 of what has a length only by name, such as a single number in an array."""
    try:
        return len(interval)
    except TypeError:
        return -1


def _shown(interval: Any) -> str:
    """The interval as a user would write it, arrays abbreviated to their shape."""
    if isinstance(interval, Set):
        return shown(interval)
    try:
        return "(" + ", ".join(_shown_end(end) for end in interval) + ")"
    except TypeError:
        return repr(interval)


def _shown_end(end: Any) -> str:
    if callable(end):
        return getattr(end, "__name__", "function")
    if isinstance(end, (np.ndarray, list, tuple)) and np.size(np.asarray(end, dtype=object)) > 4:
        return f"<array {np.shape(np.asarray(end, dtype=object))}>"
    if isinstance(end, np.ndarray) and end.ndim:
        return str(end.tolist())
    return f"{end:g}" if is_real(end) or isinstance(end, np.ndarray) else shown(end)
