"""Courses: what a user gives of a quantity over depth, as a function of depths.

A function of t (of a network's functions also of y and z, told apart by their names); a pair (times, values), linear in
between where there are as many values as times, constant where there is one fewer; a labelled array with depths t.
Before the first and after the last time a course is constant.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array, finite_array, real_array, shown
from ocdl.callables import called
from ocdl.errors import InvalidInput
from ocdl.statement.labelled import by_labels, same
from ocdl.statement.layout import Part

NONE = np.zeros(0)


@dataclass(frozen=True, eq=False)
class Course:
    """``at``: values (K, ...) at depths t (K,); ``breaks``: the depths at which it may jump or bend."""

    at: Callable[[Array], Array]
    breaks: Array


def read(said: str, value: Any, part: Part, coords: Mapping[str, Any], leading: tuple[str, str]) -> Course | Array:
    """A course where ``value`` knows its depths, else the finite numbers that it is.

    part: the quantity at one depth; leading: the dimensions t and sample, or t and stage, that a labelled array may
    have before its own. Raises InvalidInput, which says ``said``, for what is neither.
    """
    if callable(value):
        return Course(_of_function(said, value, part, coords), NONE)
    if is_pair(value):
        return _through(said, value[0], finite_array(said, value[1]), part)
    if not xr.is_labelled(value):
        return finite_array(said, value)
    array = finite_array(said, by_labels(said, value, (*leading, *part.dims), coords))
    times = _depths(value)
    if {"t", "stage"} <= set(value.dims):
        array = array.reshape(-1, *array.shape[2:])
    return array if times is None else _through(said, times, array, part)


def is_pair(value: Any) -> bool:
    """Whether this is (times, values): a tuple, whose first is a row of at least two numbers."""
    if not isinstance(value, tuple) or len(value) != 2 or callable(value[0]):
        return False
    times, values = value
    if not (_is_row(times) and _is_row(values)) or isinstance(times, str) or len(times) < 2:
        return False
    return all(np.ndim(time) == 0 for time in times)


def _is_row(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) or xr.is_labelled(value)


def last_time(value: Any) -> float | None:
    """The last depth at which a value is given, if it knows its depths."""
    times = value[0] if is_pair(value) else _depths(value) if xr.is_labelled(value) else None
    return None if times is None else float(real_array("times", times)[-1])


def _depths(array: xr.DataArray) -> Array | None:
    """The depths of a labelled array, of every stage where it has stages; None where it has no such labels."""
    if "stage" in array.dims:
        known = "depth" in array.coords and set(array["depth"].dims) == {"t", "stage"}
        return array["depth"].transpose("t", "stage").to_numpy().ravel() if known else None
    return array["t"].to_numpy() if "t" in array.coords and array["t"].dims == ("t",) else None


def _of_function(said: str, function: Any, part: Part, coords: Mapping[str, Any]) -> Callable[[Array], Array]:
    """The function at every depth, and at all nodes where it takes y or z."""
    nodes = {dim: _nodes(part, dim, coords) for dim in part.dims if dim in _arguments(function)}

    def at(t: float) -> Array:
        with_ = ", ".join([f"t = {t:g}", *(f"{dim} of shape {points.shape}" for dim, points in nodes.items())])
        given = {"t": t} if nodes and "t" in _arguments(function) else {}
        value = called(said, with_, function, *([] if nodes else [t]), **{**given, **nodes})
        array = real_array(f"{said} at t = {t:g}", value)
        array = array.reshape(part.shape) if array.size == part.size == 1 else array
        return np.broadcast_to(array, part.shape) if nodes or array.ndim == 0 else array

    def values(t: Array) -> Array:
        found = [at(float(depth)) for depth in t]
        shapes = {array.shape for array in found}
        if len(shapes) > 1:
            raise InvalidInput(f"{said}: a function of t has one shape at every depth; got {sorted(shapes)}.")
        return finite_array(said, np.array(found))

    return values


def _arguments(function: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # of what is compiled, which is a function of t then
        return ()


def _nodes(part: Part, dim: str, coords: Mapping[str, Any]) -> Array:
    """The nodes of one dimension of a part, shaped to go with those of the others."""
    axes = [np.asarray(values) for name, (dims, values) in coords.items() if dims == (dim,)]
    points = axes[0] if len(axes) == 1 else np.stack(axes, axis=-1)
    place = part.dims.index(dim)
    others = [1 if i != place else len(points) for i in range(len(part.dims))]
    return points.reshape(*others, *points.shape[1:])


def _through(said: str, times: Any, values: Array, part: Part) -> Course:
    """Linear between values at all times, or constant between times; exactly the values at these depths themselves."""
    t = finite_array(f"{said}: times", times)
    if t.ndim != 1 or t.size < 2 or np.any(np.diff(t) <= 0.0):
        raise InvalidInput(f"{said}: times are at least two numbers that increase; got {shown(t)}.")
    if values.ndim == 0 or len(values) not in (t.size, t.size - 1):
        raise InvalidInput(
            f"{said}: {t.size} times need as many values, or one fewer where they are constant in between; "
            f"got the shape {values.shape}."
        )
    values = values.reshape(-1, *part.shape) if values.size == len(values) == len(values) * part.size else values

    def at(depths: Array) -> Array:
        i = np.clip(np.searchsorted(t, depths, side="right") - 1, 0, t.size - 2)
        if len(values) < t.size or same(depths, t):
            return values if len(values) == t.size else values[i]
        c = np.clip((depths - t[i]) / (t[i + 1] - t[i]), 0.0, 1.0).reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray((1.0 - c) * values[i] + c * values[i + 1])

    return Course(at, t[1:-1])
