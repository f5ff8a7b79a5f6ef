"""Laws: the controls of a simulation, u(t) or a feedback u(t, x), from what a user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array, finite_array, real_array
from ocdl.callables import called
from ocdl.errors import InvalidInput
from ocdl.referee.solution import Solution
from ocdl.solving.courses import NONE, Course, is_pair, read
from ocdl.solving.guesses import STAGE, Guess
from ocdl.solving.start import at_depths, on_width
from ocdl.statement.layout import Part
from ocdl.statement.problem import ControlProblem

TAKEN = ("t", "x", "p")  # by a feedback


@dataclass(frozen=True, eq=False)
class Law:
    """``at``: the controls u (m,) at depth t and states x (S, n); ``breaks``: the depths at which they may jump."""

    at: Callable[[float, Array], Array]
    breaks: Array


def parameters_of(problem: ControlProblem, given: Mapping[str, Any], controls: Any) -> Array:
    """The parameters p (P,) by name, those of a Solution, those that are held, and the guesses of free ends.

    Raises InvalidInput where one has no value.
    """
    layout, (low, high) = problem.layout, problem.parameter_box
    assert layout is not None
    held = np.where(np.isnan(problem.parameter_guess) & (low == high), low, problem.parameter_guess)
    values = layout.unpack(layout.parameters, held)
    if isinstance(controls, Solution):
        own = {"horizon": np.array(controls.horizon), **{k: array.values for k, array in controls.parameters.items()}}
        values |= {name: own[name] for name in values if name in own and own[name].shape == values[name].shape}
    for name, value in given.items():
        one = Guess.of(problem, name, value, ("simulate", "parameters"))
        if one.part not in layout.parameters:
            raise InvalidInput(f"simulate(parameters=...): {name} is no parameter.")
        one.put_into(values, one.numbers(layout), ())
    p = layout.pack(layout.parameters, values, ())
    names = [layout.entry_name(part, i) for part in layout.parameters for i in range(part.size)]
    lacking = [name for name, value in zip(names, p, strict=True) if np.isnan(value)]
    if lacking:
        raise InvalidInput(f"simulate(...): {lacking[0]} has no value; give parameters={{{lacking[0]!r}: ...}}.")
    return p


def law_of(problem: ControlProblem, given: Any, p: Array, ends: tuple[float, float]) -> Law:
    """The law in what is given: a solution, a mapping by names, a function, numbers, or a pair (times, values).

    p: the user's own parameters; ends: t0 and T, over which an array without times is spread in equal layers.
    Raises InvalidInput for anything else.
    """
    if isinstance(given, Solution):
        return _of_solution(problem, given)
    if isinstance(given, Mapping):
        return _of_names(problem, given)
    if callable(given):
        return _feedback(problem, given, p)
    return _of_rows(problem, given, ends)


def _of_solution(problem: ControlProblem, solution: Solution) -> Law:
    """The controls as functions of depth; constant after the horizon of the solution."""
    layout, mesh = problem.layout, solution.state["t"].to_numpy()
    assert layout is not None
    if set(solution.controls) != {part.name for part in layout.controls}:
        raise InvalidInput(
            f"simulate(controls=<solution by {solution.method}>): it has controls {sorted(solution.controls)}, this "
            f"problem {sorted(part.name for part in layout.controls)}."
        )

    arrays = [_on_nodes(problem, part, solution.controls[part.name]) for part in layout.controls]

    def at(t: float, x: Array) -> Array:
        depth = np.clip([t], mesh[0], np.nextafter(mesh[-1], mesh[0]))
        return np.concatenate([at_depths(array, mesh, depth, 1.0).ravel() for array in arrays])

    return Law(at, mesh[1:-1])


def _on_nodes(problem: ControlProblem, part: Part, array: xr.DataArray) -> xr.DataArray:
    """A control of a solution at the width nodes of this problem."""
    assert problem.layout is not None
    depths = {name: array[name] for name in ("t", "depth") if name in array.coords}
    return xr.DataArray(on_width(array, part, problem.layout.coords), dims=array.dims, coords=depths)


def _of_names(problem: ControlProblem, given: Mapping[str, Any]) -> Law:
    """Courses or constants of whole parts and of single controls."""
    layout = problem.layout
    assert layout is not None
    courses: list[tuple[Guess, Course]] = []
    for name, value in given.items():
        guess = Guess.of(problem, name, value, ("simulate", "controls"))
        if guess.part not in layout.controls:
            raise InvalidInput(f"simulate(controls=...): {name} is no control.")
        found = read(f"controls[{name!r}]", value, guess.own, layout.coords, STAGE)
        courses.append((guess, found if isinstance(found, Course) else Course(partial(_constant, guess, found), NONE)))
    known = {(one.part.name, i) for one, _ in courses for i in (range(one.part.size) if one.entry < 0 else [one.entry])}
    entries = [(part, i) for part in layout.controls for i in range(part.size)]
    lacking = [layout.entry_name(part, i) for part, i in entries if (part.name, i) not in known]
    if lacking:
        raise InvalidInput(f"simulate(controls=...): nothing is given for {', '.join(lacking[:6])}.")

    def at(t: float, x: Array) -> Array:
        values = {part.name: np.empty((1, *part.shape)) for part in layout.controls}
        for guess, course in courses:
            guess.put_into(values, course.at(np.array([t])), (1,))
        return layout.pack(layout.controls, values, (1,))[0]

    return Law(at, np.concatenate([NONE, *(course.breaks for _, course in courses)]))


def _constant(guess: Guess, value: Array, t: Array) -> Array:
    shape = guess.own.shape
    return np.broadcast_to(value, (t.size, *(shape if value.ndim == 0 else value.shape)))


def _feedback(problem: ControlProblem, function: Callable[..., Any], p: Array) -> Law:
    """A function of t, x, p or of names; x is (n,) for one sample, (S, n) for several."""
    signature = problem.names.signature("simulate(controls=...)", function, TAKEN)

    def at(t: float, x: Array) -> Array:
        values = {"t": t, "x": x[0].copy() if len(x) == 1 else x.copy(), "p": p}
        arguments = {name: values[name] for name in signature.values}
        arguments |= {name: np.asarray(values[value])[..., i] for name, (value, i) in signature.entries.items()}
        said = f"simulate(controls=...) at t = {t:g}"
        u = real_array(said, called(said, ", ".join(arguments) or "nothing", function, **arguments))
        if u.size != problem.m:
            raise InvalidInput(f"{said}: {problem.m} control(s) are needed; got the shape {u.shape}.")
        return u.ravel()

    return Law(at, NONE)


def _of_rows(problem: ControlProblem, given: Any, ends: tuple[float, float]) -> Law:
    """One row u (m,) for all depths, rows (N, m) for N equal layers, or rows with their times."""
    part = Part("u", ("control",), (problem.m,))
    if not is_pair(given):
        rows = finite_array("simulate(controls=...)", given)
        if rows.shape in ((), (problem.m,)):
            u = np.broadcast_to(rows, (problem.m,))
            return Law(lambda t, x: u, NONE)
        given = (np.linspace(*ends, len(rows) + 1), rows)
    course = read("simulate(controls=...)", given, part, {}, STAGE)
    assert isinstance(course, Course)
    shape = course.at(np.zeros(1)).shape[1:]
    if shape != (problem.m,):
        raise InvalidInput(f"simulate(controls=...): rows of {problem.m} control(s) are needed; got the shape {shape}.")
    return Law(lambda t, x: course.at(np.array([t]))[0], course.breaks)
