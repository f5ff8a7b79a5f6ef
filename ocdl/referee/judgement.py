"""The judgement of a route's outcome: the status that the referee's verdict leaves it, and the ``Solution`` of both."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.referee.between import worst_between
from ocdl.referee.certificate import certified
from ocdl.referee.certify import FIRST_ORDER, LOCAL, Judged, Verdict, certify, on_true_depths
from ocdl.referee.in_groups import certified_in_groups, many
from ocdl.referee.labels import labelled
from ocdl.referee.outcome import FEASIBLE, Outcome, Status
from ocdl.referee.solution import Solution
from ocdl.referee.stationarity import Stationarity
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Adjoint, Sweeper, Trajectory

Array = NDArray[np.float64]

Kind = Literal["maximum principle", "first order"]  # of certificates
PRINCIPLE: Kind = "maximum principle"
FAR = 10.0  # times |J| + ∫|H|: a gap that no mesh and no slack of a tolerance explains
SUCCESSES = (Status.CONVERGED, Status.ACCEPTABLE)
ROUNDING = 1e-8  # of |J| and ∫|H|: what a gap may lie below zero
NOTEWORTHY, LARGE = 1e-6, 1e-2  # violations between the points, relative: told from the one, named from the other
GAINFUL, CONTRADICTS = 1e-6, 1e-2  # gains of a unit projected step, of |J| + ∫|H|: no convergence, no success
VANISHING = 1e-6  # a costate function below this everywhere: the target is reached


def judged(
    problem: ControlProblem,
    depth: DepthScheme,
    outcome: Outcome,
    *,
    method: str,
    seconds: float,
    feasible: float = FEASIBLE,
    certificate: Kind = PRINCIPLE,
) -> Solution:
    """The labelled ``Solution`` of a route's outcome: the referee's verdict beside the route's own claim.

    A success whose figures contradict it, such as a feasibility above ``feasible``, is none. ``certificate``: of
    "first order", min H is not sought and nothing is integrated anew; of ``many`` samples the first are kept.
    """
    clock, samples = time.perf_counter(), problem.samples
    with np.errstate(invalid="ignore", over="ignore"):  # what is lost is found, and named, in the verdict
        problem, verdict = _certified(problem, depth, outcome, first_order=certificate == FIRST_ORDER)
    verdict = on_true_depths(problem, verdict, outcome.p)
    outcome = between_points(problem, depth, _confirmed(problem, outcome, verdict, feasible), verdict.trajectory.x)
    found = certified(Judged(problem, depth, outcome.u, outcome.p, verdict), seconds)
    solution = labelled(problem, depth, outcome, verdict, method=method, seconds=seconds, certificate=found)
    solution.attrs["referee_seconds"] = time.perf_counter() - clock
    if problem.samples < samples:
        solution.attrs["notes"] = (
            f"All {samples} samples are judged, in groups; states and costates are those of the first "
            f"{problem.samples}, and of the others none are kept."
        )
    return solution


def _certified(
    problem: ControlProblem, depth: DepthScheme, outcome: Outcome, *, first_order: bool
) -> tuple[ControlProblem, Verdict]:
    """The verdict, and the problem of the samples whose trajectories are in it."""
    own: dict[str, Any] = {name: _finite(getattr(outcome, name)) for name in ("x", "stages", "costate")}
    u, p, swept = outcome.u, outcome.p, all(values is None for values in own.values())
    if first_order and swept and many(problem, depth):
        return certified_in_groups(problem, depth, u, p)
    return problem, certify(problem, depth, u, p, outcome.multipliers, first_order=first_order, **own)


def unjudged(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, states: Array, *, method: str) -> Solution:
    """A ``Solution`` of controls without a trajectory: its states (k + 1, S, n) as far as they go, else NaN."""
    sweeper = Sweeper(problem, depth)
    N, s, S, n = depth.count, depth.tableau.stages, problem.samples, problem.n
    x = np.full((N + 1, S, n), np.nan)
    x[: len(states)] = states
    unknown = np.full((N, s, S, n), np.nan)
    no_gradients = np.full_like(outcome.u, np.nan), np.full_like(outcome.p, np.nan)
    adjoint = Adjoint(np.full_like(x, np.nan), unknown, *no_gradients, unknown)
    verdict = Verdict(
        cost=np.nan,
        trajectory=Trajectory(sweeper.t, sweeper.h, sweeper.stage_t, x, unknown),
        adjoint=adjoint,
        hamiltonian=np.full((N, s), np.nan),
        excess=np.full((N, s), np.nan),
        gap=np.nan,
        gap_is_exact=False,
        search=LOCAL,
        feasibility=np.nan,
        violations={},
        state_defect=np.full_like(x, np.nan),
        costate_defect=np.full_like(x, np.nan),
        defect_worth=np.nan,
        stationarity=Stationarity(np.nan, np.nan, np.full(len(problem.budgets), np.nan)),
    )
    return labelled(problem, depth, outcome, on_true_depths(problem, verdict, outcome.p), method=method, seconds=0.0)


def _finite(values: Array | None) -> Array | None:
    """Nothing where a trajectory is not finite: the sweeps of the controls stand in for it."""
    return values if values is not None and np.all(np.isfinite(values)) else None


def _confirmed(problem: ControlProblem, outcome: Outcome, verdict: Verdict, feasible: float) -> Outcome:
    """The outcome with the status that the verdict leaves it."""
    if outcome.status.failed or outcome.status is Status.INTERRUPTED:
        return outcome
    first_order = verdict.search == FIRST_ORDER
    figures = [verdict.cost, verdict.stationarity.gain if first_order else verdict.gap, verdict.feasibility]
    if not (np.all(np.isfinite(verdict.adjoint.costate)) and not np.any(np.isnan(figures))):
        return replace(outcome, status=Status.NOT_A_NUMBER)
    said = _contradiction(verdict, feasible)
    if said:
        return replace(outcome, status=Status.REFUTED, detail=f"{outcome.detail} {said}".strip())
    if first_order:
        return _as_stationary(outcome, verdict)
    vanishes = np.max(np.abs(verdict.adjoint.costate / problem.state_metric)) < VANISHING
    plain = not problem.has_running_cost and not problem.constraints
    if outcome.status in (Status.CONVERGED, Status.ACCEPTABLE, Status.STALLED) and vanishes and plain:
        return replace(outcome, status=Status.REACHABLE)
    far = verdict.gap > FAR * _size(verdict) + FEASIBLE
    return replace(outcome, status=Status.NO_EXTREMAL) if far and outcome.status in SUCCESSES else outcome


def _as_stationary(outcome: Outcome, verdict: Verdict) -> Outcome:
    """The outcome as far as its projected gradient bears a success out."""
    found = verdict.stationarity
    part = found.gain / (_size(verdict) + FEASIBLE)
    if outcome.status not in SUCCESSES or not part > GAINFUL:
        return outcome
    said = f"The referee finds a projected gradient of {found.norm:.2g}: a unit step along it gains {found.gain:.2g}."
    status = Status.REFUTED if part > CONTRADICTS else Status.ACCEPTABLE
    return replace(outcome, status=status, detail=f"{outcome.detail} {said}".strip())


def _size(verdict: Verdict) -> float:
    """|J| + ∫|H|: what a gap is large or small against."""
    return abs(verdict.cost) + float(np.sum(verdict.trajectory.h @ np.abs(verdict.hamiltonian)))


def _contradiction(verdict: Verdict, feasible: float) -> str:
    """What of the verdict no success can have; empty where there is nothing."""
    if verdict.feasibility > feasible:
        name, worst = max(verdict.violations.items(), key=lambda pair: pair[1])
        missed = "its own states miss the state equation" if name == "dynamics" else f"it violates its {name}"
        return f"The referee finds that {missed} by {worst:.2g}, more than {feasible:.1g}."
    if verdict.gap < -ROUNDING * (1.0 + _size(verdict)):
        return f"The referee finds a negative gap, {verdict.gap:.2g}: other controls than its own are admissible here."
    return ""


def between_points(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, x: Array) -> Outcome:
    """The outcome with what its constraints do between the points where they are imposed, in its detail.

    A success that violates a row there by more than ``LARGE`` · (1 + max |row|) is named for it. x (N+1, S, n): the
    states at the nodes.
    """
    worst = None if outcome.status.failed else worst_between(problem, depth, outcome.u, outcome.p, x)
    if worst is None or worst.relative < NOTEWORTHY:
        return outcome
    done = outcome.status in (Status.CONVERGED, Status.ACCEPTABLE, Status.STALLED)
    status = Status.BETWEEN if done and worst.relative > LARGE else outcome.status
    return replace(outcome, status=status, detail=f"{outcome.detail} Between the points, {worst}.".strip())
