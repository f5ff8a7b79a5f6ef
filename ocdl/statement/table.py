"""Tables: functions known by their values on a grid, for formulas; and which of a problem's quantities may leave them.

Between its points a table is CasADi's interpolant, linear or a cubic B-spline; beyond them it goes on in a straight
line from its end, where a plain ``ca.interpolant`` of B-splines falls to 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array, finite_array, shown
from ocdl.batch import evaluated
from ocdl.errors import InvalidInput
from ocdl.statement.spline import TensorSpline
from ocdl.vectorised import counterparts

LEAST = {"linear": 2, "bspline": 4}  # points along an axis
ROUNDING = 1e-9  # part of a table's range by which bounds may exceed it
SYMBOLIC = (ca.SX, ca.MX, ca.DM)

Calls = list[tuple["Table", tuple[Any, ...]]]
_watched: ContextVar[Calls | None] = ContextVar("watched", default=None)


@dataclass(frozen=True, eq=False)
class Table:
    """A function of one or several arguments by its values on a grid; called in a formula as any function is.

        drag = ocdl.Table([0.0, 0.8, 1.0, 1.2, 2.0], [0.02, 0.02, 0.04, 0.045, 0.035], kind="bspline")
        dynamics=lambda v, thrust: thrust - drag(v) * v**2

    points: increasing, (K,) for one argument; a tuple of such rows, one for each of several.
    values: (K,), or (K₁, K₂, ...) with values[i, j] at (points[0][i], points[1][j]).
    kind: "linear", with kinks at the points, or "bspline", a cubic spline, twice differentiable as most solvers ask.
    name: what messages call it.

    Raises InvalidInput for points that do not increase, or are fewer than 2 (4 for a B-spline), and for other shapes.
    """

    points: Any
    values: Any
    kind: str = "linear"
    name: str = "table"

    def __post_init__(self) -> None:
        if self.kind not in LEAST:
            raise InvalidInput(f"Table(kind={self.kind!r}): one of {', '.join(map(repr, LEAST))} is needed.")
        several = isinstance(self.points, tuple) and any(np.ndim(axis) for axis in self.points)
        given: Sequence[Any] = self.points if several else (self.points,)
        axes = tuple(finite_array("Table(points, ...)", axis) for axis in given)
        for axis in axes:
            if axis.ndim != 1 or axis.size < LEAST[self.kind] or np.any(np.diff(axis) <= 0.0):
                raise InvalidInput(
                    f"Table({shown(axis)}, ..., kind={self.kind!r}): at least {LEAST[self.kind]} points that increase "
                    "are needed along every axis."
                )
        values, shape = finite_array("Table(..., values)", self.values), tuple(axis.size for axis in axes)
        if values.shape != shape:
            raise InvalidInput(f"Table(..., values): the shape {shape} of the points is needed; got {values.shape}.")
        object.__setattr__(self, "points", axes)
        object.__setattr__(self, "values", values)

    def __call__(self, *arguments: Any) -> Any:
        """The value at numbers, at arrays entry by entry, or as an expression in CasADi's symbols."""
        if len(arguments) != len(self.points):
            raise InvalidInput(f"{self.name}(...): {len(self.points)} argument(s) are needed; got {len(arguments)}.")
        symbolic = [argument for argument in arguments if isinstance(argument, SYMBOLIC)]
        if not symbolic:
            arrays = np.broadcast_arrays(*(finite_array(f"{self.name}(...)", argument) for argument in arguments))
            values = evaluated(self._function, np.stack([array.ravel() for array in arrays]))[0]
            values = values.reshape(arrays[0].shape)
            return values if values.ndim else float(values)
        calls = _watched.get()
        if calls is not None:
            calls.append((self, arguments))
        largest = max(symbolic, key=lambda argument: argument.numel())
        rows = [_row(argument, largest.numel()) for argument in arguments]
        return ca.reshape(self._function(ca.vertcat(*rows)), *largest.shape)

    @cached_property
    def _function(self) -> ca.Function:
        """Of a column of arguments; a B-spline goes on by its slope at the nearest point of the grid."""
        name, axes = self._number, [axis.tolist() for axis in self.points]
        counterparts[name] = self
        if self.kind == "linear":
            return ca.interpolant(name, self.kind, axes, self.values.ravel(order="F"))
        inner = ca.interpolant("inner", self.kind, axes, self.values.ravel(order="F"))
        x = ca.MX.sym("x", len(self.points))
        low, high = (ca.DM([axis[end] for axis in self.points]) for end in (0, -1))
        inside = ca.fmin(ca.fmax(x, low), high)
        place = ca.MX.sym("place", len(self.points))
        slope = ca.Function("slope", [place], [ca.jacobian(inner(place), place)])
        beyond = ca.Function("beyond", [x], [inner(inside) + ca.mtimes(slope(inside), x - inside)])
        chosen = ca.Function.if_else("chosen", beyond, inner)  # of the two only one is evaluated
        outside = ca.mmax(ca.vertcat(low - x, x - high)) > 0
        return ca.Function(name, [x], [chosen(outside, x)], {"never_inline": True})

    @cached_property
    def _number(self) -> str:
        """A name that kind, points and values determine, and no other table has."""
        number = hashlib.sha256(self.kind.encode())
        for array in (*self.points, self.values):
            number.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return f"table_{number.hexdigest()[:32]}"

    def of_columns(self, x: Array) -> Array:
        """The values (1, K) at the columns of x (n, K): what CasADi's function gives, to rounding."""
        value, slopes = self._splines
        if self.kind == "linear":
            return value(x)[None]
        low, high = (np.array([[axis[end]] for axis in self.points]) for end in (0, -1))
        inside = np.clip(x, low, high)
        values, away = value(inside), x - inside
        beyond = np.flatnonzero(np.any(away != 0.0, axis=0))
        for axis, slope in enumerate(slopes if beyond.size else ()):
            values[beyond] += slope(inside[:, beyond]) * away[axis, beyond]
        return values[None]

    @cached_property
    def _splines(self) -> tuple[TensorSpline, list[TensorSpline]]:
        """The table between its points and, by axes, its slopes."""
        value = TensorSpline.through(self.points, self.values, LEAST[self.kind] - 1)
        return value, [value.slope(axis) for axis in range(len(self.points))]


def _row(argument: Any, entries: int) -> Any:
    """The entries of an argument side by side; a number as often as there are entries of the others."""
    row = argument if isinstance(argument, SYMBOLIC) else ca.DM(argument)
    return ca.reshape(row, 1, entries) if row.numel() == entries else ca.repmat(row, 1, entries)


@dataclass(frozen=True, eq=False)
class Reading:
    """An argument of a table that follows one quantity alone: slope · q + offset, q the entry i of ``vector``."""

    role: str
    table: Table
    axis: int
    vector: str
    i: int
    slope: float
    offset: float

    def range(self, q: Any) -> tuple[float, float]:
        """The least and the largest argument for values q."""
        ends = self.slope * np.asarray(q, dtype=float) + self.offset
        return float(np.min(ends)), float(np.max(ends))

    @property
    def known(self) -> tuple[float, float]:
        """The range of the table along this axis."""
        points = self.table.points[self.axis]
        return float(points[0]), float(points[-1])

    def leaves(self, q: Any) -> bool:
        """Whether values q lead beyond the table."""
        (low, high), (least, largest) = self.range(q), self.known
        slack = ROUNDING * (largest - least)
        return low < least - slack or high > largest + slack

    def said(self, name: str) -> str:
        """``drag in dynamics: its argument v``, where ``name`` is what the user calls q."""
        place = f"{self.axis + 1}. argument" if len(self.table.points) > 1 else "argument"
        scaled = name if self.slope == 1.0 else f"{self.slope:g} {name}"
        return f"{self.table.name} in {self.role}: its {place} {scaled}{f' {self.offset:+g}' if self.offset else ''}"


@contextmanager
def watched() -> Iterator[Calls]:
    """The calls of tables with symbols that are made inside."""
    calls: Calls = []
    token = _watched.set(calls)
    try:
        yield calls
    finally:
        _watched.reset(token)


def readings(role: str, calls: Calls, symbols: Mapping[str, Any]) -> list[Reading]:
    """Of the arguments of tables those that are affine in one entry of the symbols."""
    found = []
    for table, arguments in calls:
        for axis, argument in enumerate(arguments):
            names = ca.symvar(argument) if isinstance(argument, ca.SX) else []
            if len(names) != 1 or argument.numel() != 1:
                continue
            slope = ca.jacobian(argument, names[0])
            if not slope.is_constant():
                continue
            offset = ca.substitute(argument, names[0], 0.0)
            found += [
                Reading(role, table, axis, vector, i, float(slope), float(offset))
                for vector, entries in symbols.items()
                for i in range(entries.numel())
                if ca.is_equal(entries[i], names[0])
            ]
    return found
