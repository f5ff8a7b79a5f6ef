"""Linked phases solved: a grid and a start for each, one method over all, the answer judged phase by phase."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.interrupts import interruptible
from ocdl.referee.phases import PhasesSolution, ends_of, judged_phases
from ocdl.referee.solution import Solution
from ocdl.solving.compile import OnFailure, check_on_failure, discretised, kept, tell_failure
from ocdl.solving.diagnosis import EXPLODED
from ocdl.solving.method import Method, Start
from ocdl.solving.start import make_start
from ocdl.statement.bounds import Free
from ocdl.statement.phases import Ends, Phases
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, SweepFailed

Grids = DepthScheme | Sequence[DepthScheme] | Mapping[str, DepthScheme]


@kept
def solve_phases(
    phases: Phases,
    grid: Any,
    method: Method,
    start: Any,
    seed: int | None,
    on_failure: OnFailure,
    progress: bool | None,
) -> PhasesSolution:
    """One solve of all phases from one start."""
    check_on_failure(on_failure)
    if not isinstance(method, Method):
        raise InvalidInput(f"solve(..., method={method!r}): give an instance of a method, such as ocdl.Ipopt().")
    depths = grids(phases, grid)
    method.check_phases(phases, depths)
    begins = make_starts(phases, depths, start, seed)
    clock = time.perf_counter()
    with interruptible():
        outcome = method.solve_phases(phases, depths, begins, progress=progress)
    seconds = time.perf_counter() - clock
    solution = judged_phases(phases, depths, outcome, method=method.name, seconds=seconds, feasible=method.feasible)
    tell_failure(method, solution, f"{solution.status.value} {solution.detail}", on_failure)
    return solution


def grids(phases: Phases, grid: Any) -> list[DepthScheme]:
    """The depth scheme of every phase from one for all, one each, or one by name."""
    given = grid if isinstance(grid, Mapping) else dict.fromkeys(phases.names, grid)
    if isinstance(grid, (list, tuple)):
        given = dict(zip(phases.names, grid, strict=False)) if len(grid) == len(phases.names) else {}
    if set(given) != set(phases.names):
        raise InvalidInput(f"grid={grid!r}: one depth scheme, or one for each of the phases {', '.join(phases.names)}.")
    return [discretised(core, given[name])[1] for name, core in zip(phases.names, phases.cores, strict=True)]


# -- where a solve begins ------------------------------------------------------------------------------------


def make_starts(phases: Phases, depths: Sequence[DepthScheme], start: Any, seed: int | None) -> list[Start]:
    """The start of every phase from what was given of it by name. Free initial states of which nothing is known begin
    where their linkage has them, given the end of the phase before.
    """
    given: Mapping[str, Any] = {} if start is None else start
    if not isinstance(given, Mapping) or set(given) - set(phases.names):
        raise InvalidInput(
            f"solve(start={type(start).__name__}): give a PhasesSolution, or a mapping of the phases "
            f"{', '.join(phases.names)} to what each begins from."
        )
    starts: list[Start] = []
    for k, (name, core, depth) in enumerate(zip(phases.names, phases.cores, depths, strict=True)):
        own = make_start(core, depth, given.get(name), seed)
        if k and "x0" not in _known(given.get(name)):
            end = _ends(phases.cores[k - 1], depths[k - 1], starts[-1])
            own = replace(own, p=_landed(phases, k, end, own.p))
        starts.append(own)
    return starts


def _known(given: Any) -> Collection[str]:
    """What a start gives by name."""
    return given.parameters if isinstance(given, Solution) else given or ()


def _ends(core: ControlProblem, depth: DepthScheme, start: Start) -> Ends:
    """Where a start begins and ends: by its own states, else by the sweep of its controls, unless that explodes."""
    x, held = start.x, core.initial_states(start.p)[None]
    if x is None:
        try:
            x = Sweeper(core, depth).state(start.u, start.p).x
        except SweepFailed:
            x = held
    tame = np.max(np.abs(x)) <= EXPLODED * (1.0 + np.max(np.abs(held)))
    return ends_of(core, x if tame else held, start.p)


def _landed(phases: Phases, k: int, before: Ends, p: Array) -> Array:
    """Parameters whose free initial states without a guess, and initial time, follow from the phase before."""
    core, p = phases.cores[k], p.copy()
    landing = phases.landing(k, before)
    for place, (_, i) in enumerate(core.free_initial, start=core.own_parameters):
        if np.isfinite(landing[i]) and np.asarray(core.initial)[0, i].guess is None:
            p[place] = landing[i]
    if isinstance(core.t0, Free):
        p[core.P - len(core.times.free)] = before.T
    return np.clip(p, *core.parameter_box)
