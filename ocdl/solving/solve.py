"""One verb over all routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.referee.judgement import PRINCIPLE, Kind
from ocdl.referee.phases import PhasesSolution
from ocdl.referee.solution import Solution
from ocdl.solving.compile import OnFailure, Problem, compile
from ocdl.solving.method import Method
from ocdl.solving.phases import Grids, solve_phases
from ocdl.solving.simulation import Simulation
from ocdl.statement.phases import Phases
from ocdl.statement.selection import Grid


@overload
def solve(
    problem: Phases,
    grid: Grids,
    method: Method,
    *,
    start: PhasesSolution | Mapping[str, Any] | None = None,
    seed: int | None = None,
    on_failure: OnFailure = "raise",
    progress: bool | None = None,
) -> PhasesSolution: ...


@overload
def solve(
    problem: Problem,
    grid: Grid | DepthScheme,
    method: Method,
    *,
    start: Solution | Simulation | Mapping[str, Any] | None = None,
    seed: int | None = None,
    certificate: Kind = PRINCIPLE,
    on_failure: OnFailure = "raise",
    progress: bool | None = None,
) -> Solution: ...


def solve(
    problem: Problem | Phases,
    grid: Grid | Grids,
    method: Method,
    *,
    start: Solution | PhasesSolution | Simulation | Mapping[str, Any] | None = None,
    seed: int | None = None,
    certificate: Kind = PRINCIPLE,
    on_failure: OnFailure = "raise",
    progress: bool | None = None,
) -> Solution | PhasesSolution:
    """Solve ``problem`` on ``grid`` by ``method`` and have the referee judge the answer.

    grid: a ``Grid`` for a SelectionProblem, a depth scheme for a ControlProblem; for ``Phases`` one for all, a list, or
        a mapping by name.
    start: another solution (any route, any grid); a ``Simulation``; or by name, of states, controls, parameters and
        ``horizon`` as many as are known: numbers, arrays on this mesh, functions of t (of a network's functions also of
        y and z), pairs (times, values) and labelled arrays on any. The centre of the box by default. For phases these
        of each by name.
    seed: start from random controls instead.
    certificate: "maximum principle", or "first order", which takes about as long as one gradient: cost, defects,
        feasibility and the projected gradient are evaluated, but min H is not sought (the gap is NaN) and nothing is
        integrated anew; a success whose projected gradient is large is none. Controls in a set that is no box are
        judged in full; phases are refused. Of more than 30 million states (samples × layers × n) the answer keeps those
        of the first 1000 samples, and says so in its notes: memory does not grow with the samples.
    on_failure: when the method ends without the answer asked for, ``"raise"`` SolveFailed (which carries the last
        iterate as ``.solution``), ``"warn"`` or ``"return"``. An interrupted solve always returns its best iterate.
    progress: show a progress line; by default only on a terminal.

    Raises InvalidInput, NotSupported (the route cannot solve this problem) or SolveFailed.
    """
    if isinstance(problem, Phases):
        if certificate != PRINCIPLE:
            raise NotSupported(f"solve(certificate={certificate!r}): phases are judged by the maximum principle.")
        return solve_phases(problem, grid, method, start, seed, on_failure, progress)
    plan = compile(problem, grid, method)  # type: ignore[arg-type]
    return plan.solve(start=start, seed=seed, certificate=certificate, on_failure=on_failure, progress=progress)
