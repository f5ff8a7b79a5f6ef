"""One attempt: a method from one start, its outcome checked, judged and explained."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np

from ocdl.arrays import real_array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, OcdlError, SolveFailed
from ocdl.interrupts import interruptible
from ocdl.referee.certify import FIRST_ORDER
from ocdl.referee.judgement import PRINCIPLE, Kind, judged, unjudged
from ocdl.referee.outcome import FEASIBLE, Outcome, Status
from ocdl.referee.solution import Solution
from ocdl.solving.diagnosis import LOST, lost_along, lost_at, violations
from ocdl.solving.flat import flat_needles
from ocdl.solving.method import Method, Start
from ocdl.solving.redundancy import dependent_ends
from ocdl.solving.tries import better_start, rank, swept_if_unfinished
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, SweepFailed, Trajectory

FLAT_GAIN = 1e-8  # of needles in flat regions, relative to 1 + |J|


def attempt(
    control_problem: ControlProblem,
    depth: DepthScheme,
    method: Method,
    beginning: Start,
    progress: bool | None,
    certificate: Kind = PRINCIPLE,
) -> Solution:
    """Solve from one start and have the answer judged."""
    clock, outcome = time.perf_counter(), None
    try:
        outcome = _ended(method, control_problem, depth, beginning, progress)
        seconds = time.perf_counter() - clock
        if outcome.status.failed and control_problem.constraints:
            outcome = _explained(control_problem, depth, outcome)
        statement, outcome = outcome.judge or control_problem, swept_if_unfinished(control_problem, depth, outcome)
        how: dict[str, Any] = {"feasible": method.feasible, "certificate": certificate}
        solution = judged(statement, depth, outcome, method=method.name, seconds=seconds, **how)
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
    if statement.control_set is not control_problem.control_set:
        solution.attrs["control_set"] = repr(statement.control_set)
    if LOST not in solution.detail and not _finite(solution):
        detail = f"{solution.detail} {LOST}: {_lost_formula(control_problem, depth, outcome, solution)}".strip()
        solution.attrs.update(status=Status.NOT_A_NUMBER.name, detail=detail)
    _unless_flat(statement, depth, solution)
    return _no_worse_than_its_start(statement, depth, beginning, solution)


def _finite(solution: Solution) -> bool:
    costate = solution.costate.values if solution.answer is None else solution.answer.costate
    return math.isfinite(solution.cost) and bool(np.all(np.isfinite(costate)))


def _unless_flat(problem: ControlProblem, depth: DepthScheme, solution: Solution) -> None:
    """FLAT instead of success where a vanishing gradient only says that the activation is flat there."""
    success = solution.status in (Status.CONVERGED, Status.ACCEPTABLE)
    if not success or not solution.gap > FLAT_GAIN * (1.0 + abs(solution.cost)):
        return
    count, gain = flat_needles(problem, depth, solution)
    if gain > FLAT_GAIN * (1.0 + abs(solution.cost)):
        said = f"{count} needle(s) where no sample feels the controls would gain {gain:.1e} together."
        solution.attrs.update(status=Status.FLAT.name, detail=f"{solution.detail} {said}".strip())


def _no_worse_than_its_start(problem: ControlProblem, depth: DepthScheme, start: Start, solution: Solution) -> Solution:
    """The start, judged, where the solve did not end well and what it ended with is worse."""
    if not better_start(problem, depth, start, solution):
        return solution
    own = Outcome(start.u, start.p, solution.status, solution.detail)
    how: Kind = FIRST_ORDER if solution.search == FIRST_ORDER else PRINCIPLE
    begun = judged(problem, depth, own, method=solution.method, seconds=solution.seconds, certificate=how)
    if begun.feasibility > FEASIBLE or not rank(begun) < rank(solution):
        return solution
    said = f"The start is better than the last iterate (J = {begun.cost:.6g} against {solution.cost:.6g}): it is kept."
    begun.attrs["detail"] = f"{solution.detail} {said}".strip()
    return begun


def _ended(method: Method, problem: ControlProblem, depth: DepthScheme, start: Start, progress: bool | None) -> Outcome:
    """The method's outcome, or the start where Ctrl-C ended it before there was one."""
    try:
        with interruptible():
            outcome = method.solve(problem, depth, start, progress=progress)
    except KeyboardInterrupt:
        return Outcome(start.u, start.p, Status.INTERRUPTED, "The controls are those of the start.")
    return _checked_outcome(method, problem, depth, outcome)


def _explained(problem: ControlProblem, depth: DepthScheme, outcome: Outcome) -> Outcome:
    """A failed outcome with the constraints that its trajectory misses, and the ends that follow from others."""
    said = violations(problem, depth, outcome)
    dependent = dependent_ends(problem)
    status = Status.OVERDETERMINED if dependent and outcome.status is Status.FAILED else outcome.status
    return replace(outcome, status=status, detail=" ".join(filter(None, (outcome.detail, said, dependent))))


def _checked_outcome(method: Method, problem: ControlProblem, depth: DepthScheme, outcome: Any) -> Outcome:
    """What a method handed back, with arrays of the right shapes; InvalidInput where it is no such thing."""
    if not isinstance(outcome, Outcome) or not isinstance(outcome.status, Status):
        what = type(outcome).__name__ if not isinstance(outcome, Outcome) else f"the status {outcome.status!r}"
        raise InvalidInput(f"{method.name}.solve must return an ocdl.Outcome with an ocdl.Status; it returned {what}.")
    nodes = (depth.count + 1, problem.samples, problem.n)
    stages = (depth.count, depth.tableau.stages, *nodes[1:])
    shapes = {"u": (depth.control_rows, problem.m), "p": (problem.P,), "x": nodes, "stages": stages, "costate": nodes}
    found: dict[str, Any] = {}
    for name, shape in shapes.items():
        if name in ("x", "stages", "costate") and getattr(outcome, name) is None:
            continue
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


def _lost_formula(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, solution: Solution) -> str:
    """Which formula, or derivative of one, is not finite along finite states."""
    sweeper, stages = Sweeper(problem, depth), solution.group("stages")["stage_state"].values
    trajectory = Trajectory(sweeper.t, sweeper.h, sweeper.stage_t, solution.state.values, stages)
    cause = lost_along(sweeper, trajectory, outcome.u, outcome.p)
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
