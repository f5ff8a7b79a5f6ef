"""The one loop of the indirect route: an update proposes, moves accept, until no improvement is left.

A method of this route is an ``Update`` (what the maximum principle or the gradient proposes at an iterate) and
one or several ``Move``s (how far to follow: all the way, by a line search, by a quasi-Newton polish).
The moves take turns: one goes on while it succeeds, then hands over; when none succeeds the method has stalled.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.interrupts import interruptible
from ocdl.pmp.iterate import VANISHING, Ground, Iterate, Trial
from ocdl.progress import progress_bar
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.method import Start
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]


class Proposal(Protocol):
    """What an update proposes at one iterate.

    ``gap`` ≥ 0 measures how far the iterate is from an extremal; ``trial(size)`` follows the proposal as far as
    ``size`` ∈ (0, ``largest``]; None where ``size`` is too small to change anything. ``suggested``: a size to try
    first, None where the update has no opinion.
    """

    @property
    def gap(self) -> float: ...

    @property
    def largest(self) -> float: ...

    @property
    def suggested(self) -> float | None: ...

    def trial(self, size: float) -> Trial | None: ...


class Update(Protocol):
    def __call__(self, iterate: Iterate) -> Proposal: ...


@dataclass(frozen=True, eq=False)
class Moved:
    """An accepted move: the next iterate, the predicted decrease, and a status where the method ends with it."""

    iterate: Iterate
    predicted: float = 0.0
    status: Status | None = None
    detail: str = ""


class Move(Protocol):
    """From an iterate along a proposal to the next iterate, or None where no step is acceptable."""

    def __call__(self, iterate: Iterate, proposal: Any) -> Moved | None: ...


def descend(
    name: str,
    ground: Ground,
    start: Start,
    update: Update,
    moves: Sequence[Move],
    *,
    tolerance: float,
    max_iterations: int,
    progress: bool | None,
) -> Outcome:
    """Run the loop from ``start`` until the gap is at most ``tolerance``; ``name`` labels the progress bar."""
    record = _Record(ground)
    with progress_bar(name, progress=progress) as bar:
        ground.watch = lambda: _show(bar, ground)
        ground.passed = lambda iterate, gap: record.add(iterate, gap, 0.0, accepted=True)
        try:
            with interruptible():
                status, detail, last = _run(ground, start, update, moves, tolerance, max_iterations, record)
        except SweepFailed as error:
            status, detail, last = Status.NOT_A_NUMBER, str(error), ground.best
        except KeyboardInterrupt:
            status, detail, last = Status.INTERRUPTED, f"After {ground.sweeps} sweeps.", ground.best
        finally:
            ground.watch, ground.passed = lambda: None, lambda iterate, gap: None
    if last is None:
        return Outcome(start.u, start.p, status, detail)
    claim: dict[str, Any] = {"cost": last.cost}
    if status is not Status.NOT_A_NUMBER:
        claim["costate"] = last.adjoint.costate
    return Outcome(last.u, last.p, status, detail, claim, record.columns)


def _run(
    ground: Ground,
    start: Start,
    update: Update,
    moves: Sequence[Move],
    tolerance: float,
    max_iterations: int,
    record: _Record,
) -> tuple[Status, str, Iterate | None]:
    moved, turn = Moved(ground.at(start.u, start.p)), 0
    for iteration in range(max_iterations + 1):
        iterate = moved.iterate
        proposal = update(iterate)
        record.add(iterate, proposal.gap, moved.predicted, accepted=True)
        if moved.status is not None:
            return moved.status, moved.detail, ground.best
        if proposal.gap <= tolerance:
            return *_extremal(iterate, proposal.gap), iterate
        if iteration == max_iterations:
            break
        for attempt in range(len(moves)):
            now = (turn + attempt) % len(moves)
            step = moves[now](iterate, proposal)
            if step is not None:
                moved, turn = step, now
                break
        else:
            record.add(iterate, proposal.gap, 0.0, accepted=False)
            return *_stalled(iterate, proposal.gap, tolerance), iterate
    return Status.ITERATION_LIMIT, f"{max_iterations} iterations, gap {proposal.gap:.1e}.", ground.best


def _extremal(iterate: Iterate, gap: float) -> tuple[Status, str]:
    if costate_vanishes(iterate):
        return Status.REACHABLE, f"Cost {iterate.cost:.1e}, max |r| {iterate.largest_costate:.1e}."
    return Status.CONVERGED, f"Gap {gap:.1e} after {iterate.ground.sweeps} sweeps."


def _stalled(iterate: Iterate, gap: float, tolerance: float) -> tuple[Status, str]:
    if costate_vanishes(iterate):
        return _extremal(iterate, gap)
    first_order = iterate.control_gain + iterate.parameter_gain
    if first_order <= tolerance:
        return Status.ACCEPTABLE, f"J is stationary to {first_order:.1e}; gap {gap:.1e} stays on layers of this width."
    return Status.STALLED, f"Gap {gap:.1e}, asked for {tolerance:.1e}; {iterate.ground.sweeps} sweeps."


def costate_vanishes(iterate: Iterate) -> bool:
    """r ≡ 0 to working accuracy, nothing but the terminal loss to pay and no parameter to move: H is zero whatever the
    controls.
    """
    paid = iterate.ground.problem.has_running_cost or iterate.parameter_gain > VANISHING**2
    return not paid and iterate.largest_costate <= VANISHING


def _show(bar: object, ground: Ground) -> None:
    cost = "" if ground.best is None else f"cost {ground.best.cost:.8g}"
    bar.set_postfix_str(cost, refresh=False)  # type: ignore[attr-defined]
    bar.update()  # type: ignore[attr-defined]


class _Record:
    """The learning curve: one entry an iterate, with a NaN for the gap where a move passed without looking at it.

    ``predicted`` is the decrease predicted for the step that led there, ``sweeps`` counts state and costate sweeps,
    ``cpu_seconds`` is the time of the process, all its threads together.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground, self.clock, self.cpu = ground, time.perf_counter(), time.process_time()
        self.columns: dict[str, list[float]] = {
            name: [] for name in ("cost", "gap", "predicted", "accepted", "sweeps", "seconds", "cpu_seconds")
        }

    def add(self, iterate: Iterate, gap: float, predicted: float, *, accepted: bool) -> None:
        times = (time.perf_counter() - self.clock, time.process_time() - self.cpu)
        row = (iterate.cost, gap, predicted, float(accepted), float(self.ground.sweeps), *times)
        for column, value in zip(self.columns.values(), row, strict=True):
            column.append(value)
