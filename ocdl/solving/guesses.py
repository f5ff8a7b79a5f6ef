"""Guesses: states, controls and parameters that a user gives by name, as arrays on the mesh of a solve.

A name stands for a whole vector, such as x, u, p or a network's a, b, or for one entry of it, such as a state h. What
is given at depths of its own is resampled. Of states that nobody gives while others are given, a straight line serves
from x(0) to the end that ``final`` prescribes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.arrays import Array, finite_array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.solving.courses import Course, last_time, read
from ocdl.solving.method import Start
from ocdl.solving.simulation import Simulation
from ocdl.statement.bounds import Free
from ocdl.statement.labelled import by_labels
from ocdl.statement.layout import Layout, Part
from ocdl.statement.problem import ControlProblem

SAMPLE, STAGE = ("t", "sample"), ("t", "stage")  # what labelled states and controls may have before their own


def named(problem: ControlProblem, start: Any) -> Any:
    """A start by names where it is a mapping or a simulation, with the horizon that its times end at where that is
    free; any other start as it is.
    """
    if isinstance(start, Simulation):
        state = "x" if problem.layout is None else problem.layout.state.name
        start = {state: start.state, **start.controls, **start.parameters}
    if not isinstance(start, Mapping) or not problem.has_free_horizon or "horizon" in start:
        return start
    ends = [end for end in map(last_time, start.values()) if end is not None]
    t0 = problem.t0.begin if isinstance(problem.t0, Free) else problem.t0
    return {**start, "horizon": max(ends) - start.get("t0", t0)} if ends else start


def guessed(
    problem: ControlProblem,
    depth: DepthScheme,
    start: Mapping[str, Any],
    centre: Start,
    door: tuple[str, str] = ("solve", "start"),
) -> Start:
    """What is given by name at this door, not yet clipped to its box; of the rest that of ``centre``.

    Raises InvalidInput for names that the problem does not have, and for what is no guess of what it names.
    """
    layout = problem.layout
    assert layout is not None
    guesses = [Guess.of(problem, name, value, door) for name, value in start.items()]
    guesses.sort(key=lambda one: one.entry >= 0)
    mesh, rows = depth.mesh(problem.span), depth.control_rows
    p = layout.unpack(layout.parameters, centre.p.copy())
    for one in _of(guesses, layout.parameters):
        one.put_into(p, one.numbers(layout), ())
    parameters = layout.pack(layout.parameters, p, ())
    held = np.clip(parameters, *problem.parameter_box)
    nodes, places = (problem.times.at(t, held) for t in (mesh, depth.controls.depths(mesh, depth.tableau.c)))
    u = layout.unpack(layout.controls, centre.u.copy())
    for one in _of(guesses, layout.controls):
        one.put_into(u, one.values(places, layout, STAGE), (rows,))
    controls = layout.pack(layout.controls, u, (rows,))
    states = _of(guesses, (layout.state,))
    return Start(controls, parameters, _states(problem, nodes, parameters, states) if states else None)


@dataclass(frozen=True, eq=False)
class Guess:
    """What is given of a part, or of one entry of it; the whole where ``entry`` is -1."""

    name: str
    part: Part
    entry: int
    value: Any
    door: tuple[str, str] = ("solve", "start")  # where it is given: the function and its argument

    @classmethod
    def of(cls, problem: ControlProblem, name: str, value: Any, door: tuple[str, str] = ("solve", "start")) -> Guess:
        """A name of a whole part stands for that, also where a state is called so."""
        layout = problem.layout
        assert layout is not None
        parts = {part.name: part for part in (layout.state, *layout.controls, *layout.parameters)}
        if name in parts:
            return cls(name, parts[name], -1, value, door)
        said = f"{door[0]}({door[1]}=...)"
        found = problem.names.find(said, name)
        if found is None or found[0] not in parts:
            known = [*sorted(parts), *problem.names.all]
            raise InvalidInput(f"{said}: unknown {[name]}; this problem has {known}.")
        return cls(name, parts[found[0]], found[1], value, door)

    @property
    def said(self) -> str:
        return f"{self.door[1]}[{self.name!r}]"

    @property
    def own(self) -> Part:
        """What is given at one depth: the part, or one number of it."""
        return self.part if self.entry < 0 else Part(self.name, (), ())

    def numbers(self, layout: Layout) -> Array:
        """The values of a parameter."""
        if callable(self.value):
            raise InvalidInput(
                f"{self.door[0]}({self.door[1]}={{{self.name!r}: {self.value!r}}}): "
                f"{self.name} does not depend on depth; give numbers."
            )
        found = finite_array(self.said, by_labels(self.said, self.value, self.own.dims, layout.coords))
        return np.broadcast_to(found, self.own.shape) if found.ndim == 0 else found

    def values(self, t: Array, layout: Layout, leading: tuple[str, str]) -> Array:
        """The values (K, ...) at depths t (K,)."""
        found = read(self.said, self.value, self.own, layout.coords, leading)
        if isinstance(found, Course):
            return found.at(t)
        shape = self.own.shape
        return np.broadcast_to(found, (t.size, *shape)) if found.shape in ((), shape) else found

    def put_into(self, whole: dict[str, Array], values: Array, leading: tuple[int, ...]) -> None:
        """Put the values (*leading, ...) where they belong in the part."""
        if self.entry >= 0:
            if values.shape != leading:
                raise InvalidInput(
                    f"{self.said}: one number{f' at each of {leading[0]} depths of this mesh' if leading else ''} is "
                    f"needed, {'a function of t, or a pair (times, values); ' if leading else ''}got the shape "
                    f"{values.shape}."
                )
            whole[self.part.name] = _with_column(whole[self.part.name], self.entry, values)
        else:
            row = self.part.size == 1 and values.shape == leading
            whole[self.part.name] = values.reshape((*leading, *self.part.shape)) if row else values


def _of(guesses: list[Guess], parts: tuple[Part, ...]) -> list[Guess]:
    return [one for one in guesses if one.part in parts]


def _with_column(array: Array, i: int, values: Array) -> Array:
    """The array with its last index i replaced."""
    array = array.copy()
    array[..., i] = values
    return array


def _states(problem: ControlProblem, t: Array, p: Array, guesses: list[Guess]) -> Array:
    """States (N+1, S, n) at the depths t of the nodes."""
    assert problem.layout is not None
    x = _straight(problem, t, p)
    for one in guesses:
        values = one.values(t, problem.layout, SAMPLE)
        if one.entry < 0:
            x = _whole_states(problem, t.size, values, x)
        elif values.shape in ((t.size,), x.shape[:2]):
            x = _with_column(x, one.entry, values[:, None] if values.ndim == 1 else values)
        else:
            raise InvalidInput(
                f"{one.said}: a number at each of {t.size} nodes of this mesh is needed, shape ({t.size},) or "
                f"{x.shape[:2]}, a function of t, or a pair (times, values); got the shape {values.shape}."
            )
    return x


def _straight(problem: ControlProblem, t: Array, p: Array) -> Array:
    """From x(0) straight to the prescribed end; constant where none is."""
    low, high = problem.final_box
    begin = problem.initial_states(p)
    end = np.where(low == high, low, begin)
    return begin + (t / t[-1])[:, None, None] * (end - begin)


def _whole_states(problem: ControlProblem, nodes: int, x: Array, others: Array) -> Array:
    """States (N+1, S, n) from (N+1, n) for all samples, or (N+1, S, n); of one state also (N+1,). What reductions have
    added to the states may be left out.
    """
    x = x[:, None] if x.ndim == 1 and 1 in (problem.n, problem.reduction.stated) else x
    x = x[:, None] if x.ndim == 2 else x
    x = problem.reduction.completed(x, others) if x.shape[:1] == (nodes,) else x
    if x.shape[0] != nodes or x.shape[2:] != (problem.n,) or x.shape[1] not in (1, problem.samples):
        raise InvalidInput(
            f"solve(start=...): states have the shape ({nodes}, {problem.n}) or "
            f"({nodes}, {problem.samples}, {problem.n}) at the nodes of this mesh; got {x.shape}. At other depths give "
            "a pair (times, values)."
        )
    return np.broadcast_to(x, (nodes, problem.samples, problem.n)).copy()
