"""Where a solve begins: the centre of the box, random controls, what is given by name, or another solution.

A solution on another grid is carried over: controls constant in a layer by averaging over the overlap of the layers,
other shapes by their value at a depth, states and costates by linear interpolation in depth, everything in width by
linear interpolation; then it is clipped to the box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy

from ocdl import xr
from ocdl.arrays import Array, is_whole
from ocdl.depth.control_shapes import PerStage, PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.referee.lattice import drawn
from ocdl.referee.solution import Answer, Solution
from ocdl.solving.guesses import guessed, named
from ocdl.solving.method import Start
from ocdl.solving.simulation import Simulation
from ocdl.statement.labelled import on_nodes
from ocdl.statement.layout import LENT, Part
from ocdl.statement.problem import ControlProblem
from ocdl.statement.spending import within


def make_start(
    problem: ControlProblem,
    depth: DepthScheme,
    start: Solution | Simulation | Mapping[str, Any] | None,
    seed: int | None,
    size: Array | None = None,
) -> Start:
    """A Start inside the box from what the user gave, the one next to it that keeps the budgets; ``seed`` draws
    uniformly from the box (N(0, 1) where it is unbounded).

    size: parameters (P,) to begin from where the user gave none; NaN where the guess or the centre serves.
    """
    made = _made(problem, depth, start, seed, size)
    return replace(made, u=within(problem, depth, made.u)[0]) if problem.budgets else made


def _made(
    problem: ControlProblem,
    depth: DepthScheme,
    start: Solution | Simulation | Mapping[str, Any] | None,
    seed: int | None,
    size: Array | None,
) -> Start:
    """The same before the budgets are looked at."""
    if start is not None and seed is not None:
        raise InvalidInput("solve(start=..., seed=...): give a start or a seed for a random one, not both.")
    if seed is not None:
        if not is_whole(seed) or seed < 0:
            raise InvalidInput(f"solve(seed={seed!r}): a seed is a whole number, at least 0.")
        return _random(problem, depth, seed)
    start = named(problem, start)
    centre = Start(_centre(*_control_box(problem, depth)), _parameters(problem, size))
    if start is None:
        return centre
    if isinstance(start, Solution):
        return _transferred(problem, depth, start, centre)
    if isinstance(start, Mapping):
        given = guessed(problem, depth, start, centre)
        return _clipped(problem, depth, given.u, given.p, x=given.x)
    raise InvalidInput(
        f"solve(start={type(start).__name__}): give a Solution, a Simulation, or a mapping such as {{'a': array}}."
    )


def _control_box(problem: ControlProblem, depth: DepthScheme) -> tuple[Array, Array]:
    """Bounds of the coefficients of the controls, each (Q, m)."""
    _ = depth.control_rows  # says so where the scheme cannot have such controls
    return problem.coefficient_box(depth)


def _parameters(problem: ControlProblem, size: Array | None) -> Array:
    """``size``, the guesses of free ends and horizon; the user's own parameters in the middle of their box."""
    guess = problem.parameter_guess
    guess = guess if size is None else np.where(np.isnan(size), guess, size)
    return np.clip(np.where(np.isnan(guess), _centre(*problem.parameter_box), guess), *problem.parameter_box)


def _centre(low: Array, high: Array) -> Array:
    """Midpoints of finite intervals, else the point of the interval nearest to 0."""
    finite = np.isfinite(low) & np.isfinite(high)
    with np.errstate(invalid="ignore"):
        return np.where(finite, 0.5 * (low + high), np.clip(0.0, low, high))


def _random(problem: ControlProblem, depth: DepthScheme, seed: int) -> Start:
    generator = np.random.default_rng(seed)
    u = drawn(generator, *_control_box(problem, depth), (depth.control_rows, problem.m))
    return Start(u, drawn(generator, *problem.parameter_box, (problem.P,)))


def _transferred(problem: ControlProblem, depth: DepthScheme, solution: Solution, centre: Start) -> Start:
    layout = problem.layout
    assert layout is not None
    if solution.answer is not None and _same_grid(problem, depth, solution.answer):
        return _repeated(problem, depth, solution, solution.answer)
    own = {name for name, array in solution.controls.items() if LENT not in array.dims}
    if own != _names(tuple(part for part in layout.controls if LENT not in part.dims)):
        raise InvalidInput(
            f"solve(start=<solution by {solution.method}>): it has controls {sorted(solution.controls)}, "
            f"this problem {sorted(_names(layout.controls))}."
        )
    mesh = depth.mesh(problem.span)
    u = layout.unpack(layout.controls, centre.u) | {
        part.name: carried(solution.controls[part.name], solution, depth, mesh, part, layout.coords)
        for part in layout.controls
        if LENT not in part.dims or _fits(part, solution)
    }
    p = layout.unpack(layout.parameters, centre.p) | {
        part.name: on_width(solution.parameters[part.name], part, layout.coords)
        for part in layout.parameters
        if part.name in solution.parameters
    }
    packed = layout.pack(layout.controls, u, (depth.control_rows,)), layout.pack(layout.parameters, p, ())
    if not all(np.all(np.isfinite(values)) for values in packed):
        raise InvalidInput(f"solve(start=<solution by {solution.method}>): its controls or parameters are not finite.")
    x, costate = (_nodal(problem, array, mesh) for array in (solution.state, solution.costate))
    costate = None if costate is None else costate * np.asarray(problem.state_metric)
    return _clipped(problem, depth, *packed, x=x, costate=costate)


def _same_grid(problem: ControlProblem, depth: DepthScheme, answer: Answer) -> bool:
    """Whether the answer's arrays are those of this problem's names on this mesh."""
    same_states = answer.x.shape[1:] == (problem.samples, problem.n)
    return answer.layout is problem.layout and answer.depth == depth and same_states


def _repeated(problem: ControlProblem, depth: DepthScheme, solution: Solution, answer: Answer) -> Start:
    """The answer itself, where it lies on the same grid."""
    if not (np.all(np.isfinite(answer.u)) and np.all(np.isfinite(answer.p))):
        raise InvalidInput(f"solve(start=<solution by {solution.method}>): its controls or parameters are not finite.")
    x, costate = (values if np.all(np.isfinite(values)) else None for values in (answer.x, answer.costate))
    return _clipped(problem, depth, answer.u, answer.p, x=x, costate=costate)


def carried(
    array: xr.DataArray, solution: Solution, depth: DepthScheme, mesh: Array, part: Part, coords: Mapping[str, Any]
) -> Array:
    """A control of ``solution`` as coefficients (Q, *shape) on ``mesh``, depths scaled to the same horizon."""
    old_t = solution.state["t"].to_numpy()
    begin, scale = old_t[0], mesh[-1] / (old_t[-1] - old_t[0])
    old_t = scale * (old_t - begin)
    constant = array.sizes["t"] == old_t.size - 1 and "stage" not in array.dims
    if constant and isinstance(depth.controls, PiecewiseConstant):
        return np.tensordot(overlap_average(old_t, mesh), on_width(array, part, coords), axes=1)
    if isinstance(depth.controls, PiecewiseConstant):
        inner, weights = np.polynomial.legendre.leggauss(3)
        points = mesh[:-1, None] + 0.5 * (1.0 + inner) * np.diff(mesh)[:, None]
        sampled = at_depths(array, old_t, points.ravel(), scale).reshape(points.shape + array.shape[-len(part.dims) :])
        values = np.tensordot(0.5 * weights, sampled, axes=(0, 1))
    else:
        values = at_depths(array, old_t, depth.controls.depths(mesh, depth.tableau.c), scale)
    labelled = xr.DataArray(
        values, dims=("t", *part.dims), coords={d: array[d] for d in part.dims if d in array.coords}
    )
    return on_width(labelled, part, coords)


def at_depths(array: xr.DataArray, mesh: Array, t: Array, scale: float) -> Array:
    """The control at depths t, (len(t), *shape), whatever its shape in a layer."""
    layer = np.clip(np.searchsorted(mesh, t, side="right") - 1, 0, mesh.size - 2)
    if "stage" in array.dims:
        nodes = scale * (array["depth"].values[0] - array["t"].values[0]) / (mesh[1] - mesh[0])
        c = (t - mesh[layer]) / np.diff(mesh)[layer]
        return np.einsum("qs,qs...->q...", PerStage().weights(c, nodes), array.values[layer])
    if array.sizes["t"] == mesh.size:
        return np.asarray(scipy.interpolate.make_interp_spline(mesh, array.values, k=1)(t))
    return np.asarray(array.values[layer])


def _nodal(problem: ControlProblem, array: xr.DataArray, mesh: Array) -> Array | None:
    """States or costates at the nodes (N+1, S, n) by linear interpolation, None where samples are others or lost."""
    layout = problem.layout
    assert layout is not None
    if array.sizes["sample"] != problem.samples or not np.all(np.isfinite(array.values)):
        return None
    old_t = array["t"].to_numpy() - array["t"].values[0]
    at = scipy.interpolate.make_interp_spline(old_t * (mesh[-1] / old_t[-1]), array.values, k=1)(mesh)
    labelled = xr.DataArray(
        at, dims=array.dims, coords={d: array[d] for d in layout.state.dims if d in array.coords}, name=array.name
    )
    return on_width(labelled, layout.state, layout.coords)


def overlap_average(old: Array, new: Array) -> Array:
    """Weights (N_new, N_old): the share of each old layer in each new one (depths scaled to the same horizon)."""
    old = old * (new[-1] / old[-1])
    left = np.maximum(new[:-1, None], old[None, :-1])
    right = np.minimum(new[1:, None], old[None, 1:])
    return np.maximum(right - left, 0.0) / np.diff(new)[:, None]


def on_width(array: xr.DataArray, part: Part, coords: Mapping[str, Any]) -> Array:
    """Values at this problem's width nodes, by linear interpolation, constant beyond the outermost node."""
    if array.dims[array.ndim - len(part.dims) :] != part.dims:
        raise InvalidInput(
            f"solve(start=...): {part.name} has dimensions {array.dims}; this problem needs {part.dims}."
        )
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
        values = on_nodes(values, dim, np.asarray(coords[dim][1]))
    if values.shape[-len(part.shape) :] != part.shape:
        raise InvalidInput(f"solve(start=...): {part.name} has shape {shape}; this problem needs {part.shape}.")
    return np.asarray(values.values)


def _fits(part: Part, solution: Solution) -> bool:
    """The solution has such a lent control, of that size: it is no function of y."""
    return part.name in solution.controls and solution.controls[part.name].shape[-1:] == part.shape


def _names(parts: tuple[Part, ...]) -> set[str]:
    return {part.name for part in parts}


def _clipped(
    problem: ControlProblem,
    depth: DepthScheme,
    u: Array,
    p: Array,
    x: Array | None = None,
    costate: Array | None = None,
) -> Start:
    return Start(np.clip(u, *_control_box(problem, depth)), np.clip(p, *problem.parameter_box), x, costate)
