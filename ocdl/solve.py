"""One verb over all routes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from ocdl.certify import judged
from ocdl.depth import DepthScheme
from ocdl.errors import InvalidInput, SolveFailed
from ocdl.method import Method
from ocdl.problem import ControlProblem
from ocdl.selection import Grid, SelectionProblem
from ocdl.solution import Solution
from ocdl.start import make_start
from ocdl.sweeps import SweepFailed

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
    clock = time.perf_counter()
    try:
        outcome = method.solve(control_problem, depth, beginning, progress=progress)
        seconds = time.perf_counter() - clock
        solution = judged(control_problem, depth, outcome, method=method.name, seconds=seconds)
    except SweepFailed as error:  # no state, so that there is nothing to return
        raise SolveFailed(f"{method.name}: {error}") from error
    if outcome.status.failed and on_failure != "return":
        message = f"{method.name}: {outcome.status.value} {outcome.detail}".strip()
        if on_failure == "raise":
            raise SolveFailed(message, solution)
        warnings.warn(message, stacklevel=2)
    return solution


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
