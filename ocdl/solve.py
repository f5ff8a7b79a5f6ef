"""One verb over all routes."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, Literal, ParamSpec

import numpy as np

from ocdl.certify import judged, unjudged
from ocdl.depth import DepthScheme
from ocdl.diagnosis import LOST, lost_at, start_notes, target_notes, violations
from ocdl.errors import InvalidInput, OcdlError, SolveFailed
from ocdl.interrupts import interruptible, uninterrupted
from ocdl.method import Method, Outcome, Start, Status
from ocdl.problem import ControlProblem
from ocdl.redundancy import dependent_ends
from ocdl.selection import Grid, SelectionProblem
from ocdl.solution import Solution
from ocdl.start import make_start
from ocdl.sweeps import Sweeper, SweepFailed

Problem = SelectionProblem | ControlProblem
OnFailure = Literal["raise", "warn", "return"]
P = ParamSpec("P")


def kept(solve: Callable[P, Solution]) -> Callable[P, Solution]:
    """Ctrl-C ends the method only: before and after it waits, and is in the status of what comes back.

    So what calls ``solve`` many times ends there too.
    """

    @wraps(solve)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Solution:
        with uninterrupted() as ctrl_c:
            try:
                solution = solve(*args, **kwargs)
            except SolveFailed as error:
                if error.solution is None or not ctrl_c.pressed:
                    raise
                solution = error.solution
            if ctrl_c.taken() and solution.status is not Status.INTERRUPTED:
                said = f"The method itself had ended: {solution.status.value} {solution.detail}".strip()
                solution.tree.attrs.update(status=Status.INTERRUPTED.name, detail=said)
            return solution

    return wrapped


@kept
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
        outcome = _ended(method, control_problem, depth, beginning, progress)
        seconds = time.perf_counter() - clock
        if outcome.status.failed and control_problem.constraints:
            outcome = _explained(control_problem, depth, outcome)
        statement = outcome.judge or control_problem
        solution = judged(statement, depth, outcome, method=method.name, seconds=seconds, feasible=method.feasible)
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
    if LOST not in solution.detail and not (math.isfinite(solution.cost) and np.all(np.isfinite(solution.costate))):
        detail = f"{solution.detail} {LOST}: {_lost_formula(control_problem, depth, outcome, solution)}".strip()
        solution.tree.attrs.update(status=Status.NOT_A_NUMBER.name, detail=detail)
    if notes:
        solution.tree.attrs["notes"] = "\n".join(notes)
    if solution.status.failed and on_failure != "return":
        message = " ".join(filter(None, (f"{method.name}: {solution.status.value}", solution.detail, *notes)))
        if on_failure == "raise":
            raise SolveFailed(message, solution)
        warnings.warn(message, stacklevel=3)
    return solution


def _ended(method: Method, problem: ControlProblem, depth: DepthScheme, start: Start, progress: bool | None) -> Outcome:
    """The method's outcome, or the start where Ctrl-C ended it before there was one."""
    try:
        with interruptible():
            return method.solve(problem, depth, start, progress=progress)
    except KeyboardInterrupt:
        return Outcome(start.u, start.p, Status.INTERRUPTED, "The controls are those of the start.")


def _explained(problem: ControlProblem, depth: DepthScheme, outcome: Outcome) -> Outcome:
    """A failed outcome with the constraints that its trajectory misses, and the ends that follow from others."""
    said = violations(problem, depth, outcome)
    dependent = dependent_ends(problem)
    status = Status.OVERDETERMINED if dependent and outcome.status is Status.FAILED else outcome.status
    return replace(outcome, status=status, detail=" ".join(filter(None, (outcome.detail, said, dependent))))


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


def _lost_formula(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, solution: Solution) -> str:
    """Which formula, or derivative of one, is not finite along finite states."""
    states = solution.state.values
    cause = lost_at(problem, depth, outcome.u, outcome.p, states, derivatives=math.isfinite(solution.cost))
    return cause or ("the costate." if math.isfinite(solution.cost) else "the cost.")


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
        return problem.discretise(grid.width), grid.depth
    if isinstance(problem, ControlProblem):
        if not isinstance(grid, DepthScheme):
            raise InvalidInput(
                f"grid={grid!r}: a ControlProblem is solved on a depth scheme, e.g. Radau(layers=50, degree=3)."
            )
        return problem, grid
    raise InvalidInput(f"problem={problem!r}: give a SelectionProblem or a ControlProblem.")
