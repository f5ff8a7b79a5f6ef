"""Several beginnings for one solve, and which answer stands.

A free quantity of unknown size without a guess begins at a few sizes; a start from which the controls never came into
use is disturbed; a solve that fails returns nothing worse than its start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported, OcdlError
from ocdl.referee.labels import coefficients
from ocdl.referee.outcome import FEASIBLE, Outcome, Status
from ocdl.referee.solution import Solution
from ocdl.solving.diagnosis import EXPLODED
from ocdl.solving.method import Start
from ocdl.solving.start import make_start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.reduced import ReducedCost
from ocdl.sweeps.sweeper import Sweeper, SweepFailed

SHARES = (0.25, 0.5, 0.75)  # where in its interval, on a logarithmic scale, a quantity of unknown size begins
DECADES = 4  # that its interval is cut to
UNKNOWN = 10.0  # upper / lower from which a size is unknown
IDLE = 1e-2  # of |J|: controls that gain less over those of the start are idle
DISTURBANCE = 0.3  # of the way from the start to random controls
DISTURBED_BY = 0  # seed

Attempt = Callable[[Start], Solution]


def sizes(problem: ControlProblem, given: Any) -> list[Array]:
    """Parameters (P,) with NaN for what is known: a few sizes of the positive ones whose interval spans a decade and
    that have no guess; one entry of NaN where there is none.
    """
    layout, (low, high) = problem.layout, problem.parameter_box
    assert layout is not None
    known = np.array([free.guess is not None for free in problem.free_parameters])
    known = np.concatenate([np.zeros(problem.own_parameters, dtype=bool), known]).astype(bool)
    places = layout.unpack(layout.parameters, np.arange(float(problem.P)))
    for name, at in places.items():
        known[at.astype(int)] |= isinstance(given, Solution) or (isinstance(given, Mapping) and name in given)
    unknown = ~known & (low > 0.0) & (high >= UNKNOWN * low)
    if not np.any(unknown):
        return [np.full(problem.P, np.nan)]
    low, high = np.where(unknown, low, 1.0), np.where(unknown, high, 1.0)
    top = np.where(np.isfinite(high), high, np.maximum(100.0, 100.0 * low))
    bottom = np.maximum(low, top / 10.0**DECADES)
    return [np.where(unknown, bottom ** (1.0 - share) * top**share, np.nan) for share in SHARES]


def best_of_sizes(problem: ControlProblem, starts: list[Start], tried: list[Array], attempt: Attempt) -> Solution:
    """The best answer of several starts, with a note that tells all; what fails or is interrupted loses no other."""
    found: list[tuple[str, Solution]] = []
    error: OcdlError | None = None
    stopped = False
    for start, size in zip(starts, tried, strict=True):
        try:
            found.append((_shown(problem, size), attempt(start)))
        except (InvalidInput, NotSupported):
            raise
        except OcdlError as failed:
            error = failed
        except KeyboardInterrupt:
            if not found:
                raise
            stopped = True
        if stopped or (found and found[-1][1].status is Status.INTERRUPTED):
            stopped = True
            break
    if not found:
        assert error is not None
        raise error
    chosen, best = min(found, key=lambda pair: rank(pair[1]))
    said = ", ".join(f"J = {s.cost:.6g} from {at} ({s.status.name.lower().replace('_', ' ')})" for at, s in found)
    lost = len(starts) - len(found)
    note = f"No guess was given: {said}{f'; {lost} more gave nothing' if lost else ''}. The one from {chosen} is kept."
    add_note(best, note)
    if stopped and best.status is not Status.INTERRUPTED:
        best.attrs.update(status=Status.INTERRUPTED.name, detail=f"{best.detail} Other guesses were left out.")
    return best


def rank(solution: Solution) -> tuple[float, bool, float]:
    """Orders answers: by their violation as far as it counts, then those that ended well, then by their cost."""
    violation, cost = (v if np.isfinite(v) else np.inf for v in (solution.feasibility, solution.cost))
    return max(violation, FEASIBLE), solution.status.failed, cost


def _shown(problem: ControlProblem, size: Array) -> str:
    layout = problem.layout
    assert layout is not None
    said = []
    for name, value in layout.unpack(layout.parameters, size).items():
        unknown = np.ravel(value)[~np.isnan(np.ravel(value))]
        said += [f"{name} = {', '.join(f'{v:.3g}' for v in unknown)}"] if unknown.size else []
    return ", ".join(said)


# -- a start that is stationary ------------------------------------------------------------------------------


def idle(problem: ControlProblem, depth: DepthScheme, start: Start, solution: Solution) -> bool:
    """The answer's parameters with the controls of the start cost the same: several samples, and controls unused.

    From a symmetric start, such as the centre of a box with a readout of zeros, the gradient in the controls vanishes,
    and what a gradient moves are the parameters alone.
    """
    if problem.samples < 2 or problem.constraints or problem.m == 0 or not np.isfinite(solution.cost):
        return False
    _, p = coefficients(problem, depth, solution)
    unused = _cost(problem, depth, start.u, p)
    return bool(unused - solution.cost <= IDLE * abs(solution.cost))


def disturbed(problem: ControlProblem, depth: DepthScheme, start: Start) -> Start:
    """The start and a part of the way from it to random controls and parameters."""
    random = make_start(problem, depth, None, DISTURBED_BY)
    return Start(start.u + DISTURBANCE * (random.u - start.u), start.p + DISTURBANCE * (random.p - start.p))


def not_idle(
    problem: ControlProblem, depth: DepthScheme, start: Start, solution: Solution, attempt: Attempt
) -> Solution:
    """``solution``, or where its controls are idle the better one from a disturbed start."""
    if solution.status in (Status.INTERRUPTED, Status.REACHABLE) or not idle(problem, depth, start, solution):
        return solution
    said = (
        f"From the centre of the box the controls stay unused (J = {solution.cost:.6g}): it is a stationary start, not "
        f"an answer. Solved again from controls disturbed by seed {DISTURBED_BY}"
    )
    try:
        other = attempt(disturbed(problem, depth, start))
    except (OcdlError, KeyboardInterrupt) as error:
        add_note(solution, f"{said}, which failed: {type(error).__name__}. The first is kept.")
        if isinstance(error, KeyboardInterrupt):
            solution.attrs["status"] = Status.INTERRUPTED.name
        return solution
    best = min((other, solution), key=lambda one: (rank(one)[0], rank(one)[2]))
    add_note(best, f"{said}: J = {other.cost:.6g}.{'' if best is other else ' The first is kept.'}")
    if other.status is Status.INTERRUPTED:
        best.attrs["status"] = Status.INTERRUPTED.name
    return best


# -- nothing worse than the start ----------------------------------------------------------------------------


def unfinished(status: Status) -> bool:
    """The answer is not what was asked for, though no figure of its own contradicts it."""
    ended_early = status in (Status.INTERRUPTED, Status.STALLED, Status.CYCLE)
    return ended_early or (status.failed and status is not Status.REFUTED)


def swept_if_unfinished(problem: ControlProblem, depth: DepthScheme, outcome: Outcome) -> Outcome:
    """An unfinished answer by its controls alone, where their sweep stays near its own states, which miss the state
    equation; as it is where there are constraints, or the sweep explodes.
    """
    x = outcome.x
    if x is None or not unfinished(outcome.status) or problem.constraints:
        return outcome
    try:
        swept = Sweeper(problem, depth).state(outcome.u, outcome.p).x
    except SweepFailed:
        return outcome
    if not np.all(np.isfinite(x)) or np.max(np.abs(swept)) <= EXPLODED * (1.0 + np.max(np.abs(x))):
        return replace(outcome, x=None, stages=None, costate=None)
    return outcome


def better_start(problem: ControlProblem, depth: DepthScheme, start: Start, solution: Solution) -> bool:
    """The start's own sweep costs less than a solve that failed, stalled or was interrupted; constraints aside."""
    if not unfinished(solution.status) or (not problem.constraints and solution.attrs["violation of dynamics"]):
        return False  # ended well; or its controls explode where the answer's own states do not
    cost = _cost(problem, depth, start.u, start.p)
    return bool(np.isfinite(cost)) and (not solution.feasibility <= FEASIBLE or not solution.cost <= cost)


def _cost(problem: ControlProblem, depth: DepthScheme, u: Array, p: Array) -> float:
    """J of a sweep; NaN where there is none."""
    reduced = ReducedCost(problem, depth)
    return reduced.value(reduced.join(u, p))


def add_note(solution: Solution, note: str) -> None:
    """One more line of what is worth knowing of how the solution was found."""
    earlier = str(solution.attrs.get("notes", ""))
    solution.attrs["notes"] = "\n".join(filter(None, (earlier, note)))
