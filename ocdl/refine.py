"""Solve on a coarse mesh, estimate its error layer by layer, refine, and go on from there until a tolerance is met.

Also ``continuation``: one problem after another along a parameter, each from the solution before.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from ocdl.arrays import is_real, is_whole
from ocdl.certify import coefficients
from ocdl.control_shapes import PerStage, PiecewiseConstant
from ocdl.depth import DepthScheme
from ocdl.errors import InvalidInput, SolveFailed
from ocdl.interrupts import uninterrupted
from ocdl.mesh import LayerErrors, layer_errors, refined
from ocdl.method import Method, Status
from ocdl.problem import ControlProblem
from ocdl.progress import progress_bar
from ocdl.selection import Grid, SelectionProblem
from ocdl.solution import Solution
from ocdl.solve import Problem, discretised, solve

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Round:
    """One mesh: its size, the cost on it, the estimates, and the seconds it took."""

    nodes: int
    layers: int
    degree: int | None
    narrowest: float
    cost: float
    integration: float
    control: float
    state: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Refinement:
    """The finest solution, the grid it lives on, every round before it, and whether the tolerance was reached."""

    solution: Solution
    grid: Grid | DepthScheme
    errors: LayerErrors
    rounds: tuple[Round, ...]
    reached: bool
    message: str

    def __str__(self) -> str:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        titles = ("width nodes", "layers", "degree", "narrowest", "cost J", "integration", "control", "state", "time")
        for title in titles:
            table.add_column(title, justify="right", no_wrap=True)
        for row in self.rounds:
            degree = "–" if row.degree is None else str(row.degree)
            errors = [f"{value:.1e}" for value in (row.integration, row.control, row.state)]
            sizes = [str(row.nodes), str(row.layers), degree, f"{row.narrowest:.1e}"]
            table.add_row(*sizes, f"{row.cost:.12g}", *errors, f"{row.seconds:.2g} s")
        out = io.StringIO()
        console = Console(file=out, width=120, color_system=None, force_terminal=False, highlight=False, markup=False)
        console.print(table)
        console.print(self.message)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def refine(
    problem: Problem,
    grid: Grid | DepthScheme,
    method: Method,
    *,
    tolerance: float = 1e-6,
    state_tolerance: float | None = None,
    width: bool = False,
    start: Solution | Mapping[str, Any] | None = None,
    seed: int | None = None,
    most_rounds: int = 25,
    most_layers: int = 2000,
    progress: bool | None = None,
) -> Refinement:
    """Solve and refine the mesh until the estimated error of the cost is below tolerance · (1 + |J|).

    Each round solves on the refined mesh from the solution before; see ``ocdl.mesh`` for the estimates and the rule.
    Where the gap cannot see the error of the controls (controls of their own at every stage, constraints on states), a
    last round with every layer halved has to confirm the cost within the tolerance.
    state_tolerance: of the relative error of the state, and the violation of its bounds inside a layer; by default the
        square root of ``tolerance``, at most 1e-4.
    width: for a selection problem with a counted width rule, also double the width nodes until the cost changes by less
        than tolerance · (1 + |J|) from one width to the next.
    most_rounds, most_layers: where to stop with a warning; ``reached`` is then False.

    Raises InvalidInput, NotSupported, or SolveFailed, which carries the last mesh's solution that was good.
    """
    _check(tolerance, state_tolerance, most_rounds, most_layers)
    state = min(1e-4, np.sqrt(tolerance)) if state_tolerance is None else state_tolerance
    course = _Course(problem, tolerance, state, width, most_layers)
    rounds: list[Round] = []
    solution: Solution | None = None
    with progress_bar("refine", progress=progress) as bar:
        for count in range(most_rounds):
            clock = time.perf_counter()
            begin = start if solution is None else solution
            solution = _solved(problem, grid, method, begin, seed if count == 0 else None, solution)
            statement, depth = discretised(problem, grid)
            errors = layer_errors(statement, depth, solution)
            rounds.append(_round(statement, depth, solution, errors, time.perf_counter() - clock))
            bar.update()
            bar.set_postfix_str(f"{depth.count} layers, error {errors.cost:.1e}", refresh=False)
            step = course.after(grid, statement, depth, solution, errors)
            if step.grid is None or count == most_rounds - 1:
                break
            grid = step.grid
    assert solution is not None
    message = step.said if step.grid is None else f"The tolerance was not reached in most_rounds={most_rounds} rounds."
    if solution.status is Status.BETWEEN:
        message += f" {solution.status.value} {solution.detail}"
    if not step.reached:
        message += f" Estimated error of the cost {errors.cost:.1e}, of the state {errors.state.max():.1e}."
        if solution.status is not Status.INTERRUPTED:
            warnings.warn(f"refine: {message}", stacklevel=2)
    return Refinement(solution, grid, errors, tuple(rounds), step.reached, message)


@dataclass(frozen=True)
class _Step:
    """Where to go from a mesh: on to ``grid``, or nowhere, with what is to be said."""

    grid: Grid | DepthScheme | None
    said: str = ""
    reached: bool = False


@dataclass(eq=False)
class _Course:
    """The order of refinement: depth until its estimate is met, halved layers to confirm it, then width.

    halved, narrower: the cost on the mesh before every layer was halved, and before the width nodes were doubled.
    With a bound on states the gap falls only like the layer width, because its force comes in impulses at the nodes:
    once the cost itself stands from one mesh to the next, halved layers decide.
    """

    problem: Problem
    tolerance: float
    state: float
    width: bool
    most_layers: int
    before: float | None = None
    halved: float | None = None
    narrower: float | None = None

    def after(
        self,
        grid: Grid | DepthScheme,
        statement: ControlProblem,
        depth: DepthScheme,
        solution: Solution,
        errors: LayerErrors,
    ) -> _Step:
        goal = self.tolerance * (1.0 + abs(solution.cost))
        if solution.status is Status.INTERRUPTED:
            return _Step(None, "Interrupted: the solution of the last mesh is kept.")
        confirmed = self.halved is not None and abs(solution.cost - self.halved) <= goal
        stands = self.before is not None and abs(solution.cost - self.before) <= goal and _bounded(statement)
        self.before = solution.cost
        coarse = errors.integration.sum() > goal or bool(np.any(errors.state > self.state))
        if not confirmed and (coarse or (errors.cost > goal and not stands)):
            self.halved = None
            u, _ = coefficients(statement, depth, solution)
            return self._deeper(grid, refined(statement, depth, u, errors, goal, self.state))
        if not confirmed and _blind(statement, depth):
            self.halved = solution.cost
            return self._deeper(grid, depth.with_layers(_halves(statement.span, depth)))
        said = (
            f"Reached: J = {solution.cost:.12g}; integration error {errors.integration.sum():.1e}, "
            f"control error at most {errors.control.sum():.1e}, state error {errors.state.max():.1e}."
        )
        if self.halved is not None:
            said += f" Halving every layer changed J by {abs(solution.cost - self.halved):.1e}."
        if not self.width:
            return _Step(None, said, True)
        change = np.inf if self.narrower is None else abs(solution.cost - self.narrower)
        if change <= goal:
            return _Step(None, f"{said} Doubling the width nodes changed J by {change:.1e}.", True)
        self.narrower, self.halved = solution.cost, None
        return _Step(_wider(self.problem, grid))

    def _deeper(self, grid: Grid | DepthScheme, depth: DepthScheme) -> _Step:
        if depth.count > self.most_layers:
            hint = " Controls that are smooth need fewer layers with PiecewiseLinear()." if _constant(depth) else ""
            said = f"The next mesh would have {depth.count} layers, more than most_layers={self.most_layers}.{hint}"
            return _Step(None, said)
        return _Step(replace(grid, depth=depth) if isinstance(grid, Grid) else depth)


def continuation(
    statement: Callable[[float], Problem],
    values: Iterable[float],
    grid: Grid | DepthScheme,
    method: Method,
    *,
    start: Solution | Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> list[Solution]:
    """Solve ``statement(value)`` for one value after another, each from the solution before.

    E.g. a Tikhonov weight towards zero, a horizon, the size of a box:
    ``continuation(lambda weight: problem.replace(regulariser=ocdl.Tikhonov(weight)), [1e-2, 1e-4, 1e-6], ...)``.

    Raises InvalidInput for no values, or SolveFailed, which names the value and carries the last iterate.
    """
    values = list(values)
    if not values:
        raise InvalidInput("continuation(values=[]): at least one value of the parameter is needed.")
    solutions: list[Solution] = []
    with uninterrupted(), progress_bar("continuation", len(values), progress=progress) as bar:
        for value in values:
            begin = solutions[-1] if solutions else start
            try:
                solutions.append(solve(statement(value), grid, method, start=begin, progress=False))
            except SolveFailed as error:
                raise SolveFailed(f"continuation at {value!r}: {error}", error.solution) from error
            bar.update()
            if solutions[-1].status is Status.INTERRUPTED:
                break
    return solutions


def sequence(
    problem: Problem,
    grids: Iterable[Grid | DepthScheme],
    method: Method,
    *,
    start: Solution | Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Solution:
    """Solve on one grid after another, coarse to fine in width and depth, each from the solution before."""
    grids = list(grids)
    if not grids:
        raise InvalidInput("sequence(grids=[]): at least one grid is needed.")
    solution = None
    with uninterrupted():
        for grid in grids:
            solution = solve(problem, grid, method, start=solution or start, progress=progress)
            if solution.status is Status.INTERRUPTED:
                break
    assert solution is not None
    return solution


def _check(tolerance: Any, state_tolerance: Any, most_rounds: Any, most_layers: Any) -> None:
    for name, value in (("tolerance", tolerance), ("state_tolerance", state_tolerance)):
        if value is not None and not (is_real(value) and 0.0 < value < np.inf):
            raise InvalidInput(f"refine({name}={value!r}): a positive number is needed.")
    for name, value in (("most_rounds", most_rounds), ("most_layers", most_layers)):
        if not is_whole(value) or value < 1:
            raise InvalidInput(f"refine({name}={value!r}): a whole number, at least 1, is needed.")


def _solved(
    problem: Problem, grid: Any, method: Method, start: Any, seed: int | None, before: Solution | None
) -> Solution:
    try:
        return solve(problem, grid, method, start=start, seed=seed, progress=False)
    except SolveFailed as error:
        if before is None:
            raise
        said = f"refine on {grid!r}: {error} The solution of the mesh before is kept."
        raise SolveFailed(said, before) from error


def _round(
    statement: ControlProblem, depth: DepthScheme, solution: Solution, errors: LayerErrors, seconds: float
) -> Round:
    return Round(
        nodes=statement.n,
        layers=depth.count,
        degree=getattr(depth, "degree", None),
        narrowest=float(np.diff(solution.state["t"].values).min()),
        cost=solution.cost,
        integration=float(errors.integration.sum()),
        control=float(errors.control.sum()),
        state=float(errors.state.max()),
        seconds=seconds,
    )


def _blind(problem: ControlProblem, depth: DepthScheme) -> bool:
    """The gap does not see what other controls between the stages could gain."""
    return _bounded(problem) or isinstance(depth.controls, PerStage)


def _bounded(problem: ControlProblem) -> bool:
    return "x" in problem.bounds.names or problem.path is not None


def _halves(span: float, depth: DepthScheme) -> tuple[float, ...]:
    """Every layer in two, a little beside its middle, where a switch in a layer cut around it would lie."""
    return tuple(np.outer(np.diff(depth.mesh(span)), [0.45, 0.55]).ravel())


def _constant(depth: DepthScheme) -> bool:
    return isinstance(depth.controls, PiecewiseConstant)


def _wider(problem: Problem, grid: Grid | DepthScheme) -> Grid:
    """The same rule with twice the width nodes."""
    counted = isinstance(problem, SelectionProblem) and isinstance(grid, Grid) and hasattr(grid.width, "count")
    if not counted or not callable(getattr(problem, "initial", None)):
        raise InvalidInput(
            f"refine(width=True): {grid!r}: the width can be refined for a SelectionProblem whose data are functions "
            "of y, on a rule with a count, such as Midpoint(8)."
        )
    assert isinstance(grid, Grid)
    width: Any = grid.width
    return replace(grid, width=replace(width, count=2 * width.count))
