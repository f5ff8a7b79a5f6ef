"""One verb over all routes."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from ocdl.arrays import fits_memory, real_array
from ocdl.certify import judged, unjudged
from ocdl.depth import DepthScheme
from ocdl.diagnosis import LOST, lost_at, start_notes, target_notes, violations
from ocdl.errors import InvalidInput, OcdlError, SolveFailed
from ocdl.method import Method, Outcome, Start, Status
from ocdl.problem import ControlProblem
from ocdl.selection import Grid, SelectionProblem
from ocdl.solution import Solution
from ocdl.start import make_start
from ocdl.sweeps import Sweeper, SweepFailed

Problem = SelectionProblem | ControlProblem
OnFailure = Literal["raise", "warn", "return"]


def solve(
    problem: Problem,
    grid: Grid | DepthScheme,
    method: Method,
    *,
    start: Solution | Mapping[str, Any] | None = None,
    seed: int | None = None,
    on_failure: OnFailure = "raise",
    progress: bool | None = None,
) -> Solution:
    """Solve ``problem`` on ``grid`` by ``method`` and have the referee judge the answer.

    grid: a ``Grid`` for a SelectionProblem, a depth scheme for a ControlProblem.
    start: another solution (any route, any grid) or named arrays; the centre of the box by default.
    seed: start from random controls instead.
    on_failure: when the method ends without the answer asked for, ``"raise"`` SolveFailed (which carries the last
        iterate as ``.solution``), ``"warn"`` or ``"return"``. An interrupted solve always returns its best iterate.
    progress: show a progress line; by default only on a terminal.

    Raises InvalidInput, NotSupported (the route cannot solve this problem) or SolveFailed.
    """
    if not isinstance(method, Method):
        raise InvalidInput(f"solve(..., method={method!r}): give an instance of a method, such as ocdl.Ipopt().")
    if on_failure not in ("raise", "warn", "return"):
        raise InvalidInput(f"solve(on_failure={on_failure!r}): one of 'raise', 'warn', 'return' is needed.")
    control_problem, depth = discretised(problem, grid)
    method.check(control_problem, depth)
    beginning = make_start(control_problem, depth, start, seed)
    notes = target_notes(problem, control_problem) + start_notes(control_problem, depth, start, beginning)
    clock, outcome = time.perf_counter(), None
    try:
        outcome = _checked_outcome(
            method, control_problem, depth, method.solve(control_problem, depth, beginning, progress=progress)
        )
        seconds = time.perf_counter() - clock
        if outcome.status.failed and control_problem.constraints:
            said = violations(control_problem, depth, outcome.u, outcome.p, outcome.detail)
            outcome = replace(outcome, detail=f"{outcome.detail} {said}".strip())
        solution = judged(outcome.judge or control_problem, depth, outcome, method=method.name, seconds=seconds)
    except SweepFailed as error:  # no state, so that there is nothing to judge
        raise _without_state(control_problem, depth, method, beginning, outcome, error) from error
    except OcdlError:
        raise
    except Exception as error:  # a route that trips over NaN
        cause = _lost_at_the_start(control_problem, depth, beginning)
        if not cause:
            raise
        said = f"it broke off, {type(error).__name__}: {error}. {LOST} at the start: {cause}"
        raise SolveFailed(f"{method.name}: {said}") from error
    if not math.isfinite(solution.cost) and LOST not in outcome.detail:
        outcome = _without_cost(control_problem, depth, outcome)
        solution.tree.attrs.update(status=outcome.status.name, detail=outcome.detail)
    if notes:
        solution.tree.attrs["notes"] = "\n".join(notes)
    if outcome.status.failed and on_failure != "return":
        message = " ".join(filter(None, (f"{method.name}: {outcome.status.value}", outcome.detail, *notes)))
        if on_failure == "raise":
            raise SolveFailed(message, solution)
        warnings.warn(message, stacklevel=2)
    return solution


def _checked_outcome(method: Method, problem: ControlProblem, depth: DepthScheme, outcome: Any) -> Outcome:
    """What a method handed back, with arrays of the right shapes; InvalidInput where it is no such thing."""
    if not isinstance(outcome, Outcome) or not isinstance(outcome.status, Status):
        what = type(outcome).__name__ if not isinstance(outcome, Outcome) else f"the status {outcome.status!r}"
        raise InvalidInput(f"{method.name}.solve must return an ocdl.Outcome with an ocdl.Status; it returned {what}.")
    found: dict[str, Any] = {}
    for name, shape in (("u", (depth.control_rows, problem.m)), ("p", (problem.P,))):
        found[name] = real_array(f"{method.name}: Outcome({name}=...)", getattr(outcome, name))
        if found[name].shape != shape:
            raise InvalidInput(
                f"{method.name}: Outcome({name}=...) has here the shape {shape}; got {found[name].shape}."
            )
    return replace(outcome, **found)


def _without_state(
    problem: ControlProblem,
    depth: DepthScheme,
    method: Method,
    start: Start,
    outcome: Outcome | None,
    error: SweepFailed,
) -> SolveFailed:
    """What is known where controls have no trajectory: where it ended, what ended it, and the states until there."""
    known = error if outcome is not None else _sweep_error(problem, depth, start)
    if known is None or known.states is None:
        return SolveFailed(f"{method.name}: {error}")
    u, p = (start.u, start.p) if outcome is None else (outcome.u, outcome.p)
    cause = lost_at(problem, depth, u, p, known.states)
    said = f"{known}{f' The cause: {cause}' if cause else ''}"
    own = "" if outcome is None else outcome.detail.replace(str(known), "").strip()
    message = f"at the start {said}" if outcome is None else f"{said} {own}".strip()
    outcome = Outcome(u, p, Status.NOT_A_NUMBER, detail=message)
    solution = unjudged(problem, depth, outcome, known.states, method=method.name)
    return SolveFailed(f"{method.name}: {message}", solution)


def _without_cost(problem: ControlProblem, depth: DepthScheme, outcome: Outcome) -> Outcome:
    """An outcome whose cost is not finite along a finite state, and which formula makes it so."""
    states = Sweeper(problem, depth).state(outcome.u, outcome.p).x
    cause = lost_at(problem, depth, outcome.u, outcome.p, states) or "the cost."
    return replace(outcome, status=Status.NOT_A_NUMBER, detail=f"{outcome.detail} {LOST}: {cause}".strip())


def _lost_at_the_start(problem: ControlProblem, depth: DepthScheme, start: Start) -> str:
    error = _sweep_error(problem, depth, start)
    if error is not None:
        return "" if error.states is None else lost_at(problem, depth, start.u, start.p, error.states)
    return lost_at(problem, depth, start.u, start.p, Sweeper(problem, depth).state(start.u, start.p).x)


def _sweep_error(problem: ControlProblem, depth: DepthScheme, start: Start) -> SweepFailed | None:
    try:
        Sweeper(problem, depth).state(start.u, start.p)
    except SweepFailed as error:
        return error
    return None


def discretised(problem: Problem, grid: Grid | DepthScheme) -> tuple[ControlProblem, DepthScheme]:
    """The finite-dimensional problem and the depth scheme that ``solve`` hands to a method."""
    if isinstance(problem, SelectionProblem):
        if not isinstance(grid, Grid):
            raise InvalidInput(
                f"grid={grid!r}: a SelectionProblem is solved on a Grid(width=..., depth=...), "
                "e.g. Grid(width=Midpoint(8), depth=Radau(layers=50, degree=3))."
            )
        return _affordable(problem.discretise(grid.width), grid.depth)
    if isinstance(problem, ControlProblem):
        if not isinstance(grid, DepthScheme):
            raise InvalidInput(
                f"grid={grid!r}: a ControlProblem is solved on a depth scheme, e.g. Radau(layers=50, degree=3)."
            )
        return _affordable(problem, grid)
    raise InvalidInput(f"problem={problem!r}: give a SelectionProblem or a ControlProblem.")


def _affordable(problem: ControlProblem, depth: DepthScheme) -> tuple[ControlProblem, DepthScheme]:
    """Both, once it is sure that the memory holds states, costates, controls and gradients."""
    states = depth.count * (depth.tableau.stages + 1) * problem.samples * problem.n
    fits_memory(repr(depth), "states, costates, controls and gradients", states + depth.control_rows * problem.m, 16.0)
    return problem, depth
