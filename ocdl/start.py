"""Where a solve begins: the centre of the box, random controls, given arrays, or another solution.

A solution on another grid is carried over: in depth by averaging over the overlap of the layers, in width
by linear interpolation; then it is clipped to the box.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ocdl.arrays import Array, finite_array, is_whole
from ocdl.depth import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.layout import Part
from ocdl.method import Start
from ocdl.problem import ControlProblem
from ocdl.solution import Solution


def make_start(
    problem: ControlProblem, depth: DepthScheme, start: Solution | Mapping[str, Any] | None, seed: int | None
) -> Start:
    """A Start inside the box from what the user gave; ``seed`` draws uniformly from it (N(0,1) where unbounded)."""
    if start is not None and seed is not None:
        raise InvalidInput("solve(start=..., seed=...): give a start or a seed for a random one, not both.")
    if seed is not None:
        if not is_whole(seed) or seed < 0:
            raise InvalidInput(f"solve(seed={seed!r}): a seed is a whole number, at least 0.")
        return _random(problem, depth, seed)
    centre = Start(np.tile(_centre(*problem.control_box), (depth.count, 1)), _centre(*problem.parameter_box))
    if start is None:
        return centre
    if isinstance(start, Solution):
        return _transferred(problem, depth, start, centre)
    if isinstance(start, Mapping):
        return _given(problem, depth, start, centre)
    raise InvalidInput(
        f"solve(start={type(start).__name__}): give a Solution, a mapping such as {{'a': array}}, or None."
    )


def _centre(low: Array, high: Array) -> Array:
    """Midpoints of finite intervals, else the point of the interval nearest to 0."""
    finite = np.isfinite(low) & np.isfinite(high)
    with np.errstate(invalid="ignore"):
        return np.where(finite, 0.5 * (low + high), np.clip(0.0, low, high))


def _random(problem: ControlProblem, depth: DepthScheme, seed: int) -> Start:
    generator = np.random.default_rng(seed)

    def draw(box: tuple[Array, Array], shape: tuple[int, ...]) -> Array:
        low, high = box
        finite = np.isfinite(low) & np.isfinite(high)
        inside = generator.uniform(np.where(finite, low, 0.0), np.where(finite, high, 1.0), shape)
        return np.where(finite, inside, np.clip(generator.standard_normal(shape), low, high))

    u = draw(problem.control_box, (depth.count, problem.m))
    return Start(u, draw(problem.parameter_box, (problem.P,)))


def _given(problem: ControlProblem, depth: DepthScheme, start: Mapping[str, Any], centre: Start) -> Start:
    layout = problem.layout
    assert layout is not None
    known = {part.name for part in (*layout.controls, *layout.parameters)}
    unknown = set(start) - known
    if unknown:
        raise InvalidInput(f"solve(start=...): unknown {sorted(unknown)}; this problem has {sorted(known)}.")
    values = {name: finite_array(f"start[{name!r}]", value) for name, value in start.items()}
    u = layout.unpack(layout.controls, centre.u) | _constants(layout.controls, values, (depth.count,))
    p = layout.unpack(layout.parameters, centre.p) | _constants(layout.parameters, values, ())
    return _clipped(problem, layout.pack(layout.controls, u, (depth.count,)), layout.pack(layout.parameters, p, ()))


def _constants(parts: tuple[Part, ...], values: Mapping[str, Array], leading: tuple[int, ...]) -> dict[str, Array]:
    """The given values of ``parts``; a number, or an array of the part's own shape, holds in every layer."""
    given = {part.name: (part, values[part.name]) for part in parts if part.name in values}
    return {
        name: np.broadcast_to(value, leading + part.shape) if value.shape in ((), part.shape) else value
        for name, (part, value) in given.items()
    }


def _transferred(problem: ControlProblem, depth: DepthScheme, solution: Solution, centre: Start) -> Start:
    layout = problem.layout
    assert layout is not None
    if set(solution.controls) != _names(layout.controls):
        raise InvalidInput(
            f"solve(start=<solution by {solution.method}>): it has controls {sorted(solution.controls)}, "
            f"this problem {sorted(_names(layout.controls))}."
        )
    old_t = solution.state["t"].to_numpy()
    average = overlap_average(old_t, depth.mesh(problem.horizon))
    u = {
        part.name: np.tensordot(average, _on_width(solution.controls[part.name], part, layout.coords), axes=1)
        for part in layout.controls
    }
    p = layout.unpack(layout.parameters, centre.p) | {
        part.name: _on_width(solution.parameters[part.name], part, layout.coords)
        for part in layout.parameters
        if part.name in solution.parameters
    }
    return _clipped(problem, layout.pack(layout.controls, u, (depth.count,)), layout.pack(layout.parameters, p, ()))


def overlap_average(old: Array, new: Array) -> Array:
    """Weights (N_new, N_old): the share of each old layer in each new one (depths scaled to the same horizon)."""
    old = old * (new[-1] / old[-1])
    left = np.maximum(new[:-1, None], old[None, :-1])
    right = np.minimum(new[1:, None], old[None, 1:])
    return np.maximum(right - left, 0.0) / np.diff(new)[:, None]


def _on_width(array: xr.DataArray, part: Part, coords: Mapping[str, Any]) -> Array:
    """Values at this problem's width nodes, by linear interpolation, constant beyond the outermost node."""
    shape = tuple(array.sizes[dim] for dim in part.dims)
    if shape == part.shape and all(np.array_equal(array[d], coords[d][1]) for d in part.dims if d in array.coords):
        return np.asarray(array.values)
    values = array
    for dim in part.dims:
        if dim not in ("y", "z"):
            continue
        if dim not in array.coords:
            raise InvalidInput(
                f"solve(start=...): {part.name} lives on {array.sizes[dim]} nodes of a width of several dimensions; "
                "a start can be carried over between different grids only on an interval."
            )
        nodes, wanted = array[dim].values, np.asarray(coords[dim][1])
        inside = np.clip(wanted, nodes.min(), nodes.max())
        values = values.interp({dim: inside}) if nodes.size > 1 else values.isel({dim: np.zeros(wanted.size, int)})
    if values.shape[-len(part.shape) :] != part.shape:
        raise InvalidInput(f"solve(start=...): {part.name} has shape {shape}; this problem needs {part.shape}.")
    return np.asarray(values.values)


def _names(parts: tuple[Part, ...]) -> set[str]:
    return {part.name for part in parts}


def _clipped(problem: ControlProblem, u: Array, p: Array) -> Start:
    return Start(np.clip(u, *problem.control_box), np.clip(p, *problem.parameter_box))
