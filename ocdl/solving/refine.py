"""Solve on a coarse mesh, estimate its error layer by layer, refine, and go on from there until a tolerance is met.

Also ``continuation``: one problem after another along a parameter, each from the solution before.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_real, is_whole
from ocdl.callables import called
from ocdl.depth.control_shapes import PerStage, PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, SolveFailed
from ocdl.interrupts import uninterrupted
from ocdl.progress import progress_bar
from ocdl.referee.labels import coefficients
from ocdl.referee.outcome import FEASIBLE, Status
from ocdl.referee.phases import PhasesSolution, judged_as
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Plan, Problem, compile
from ocdl.solving.mesh import LayerErrors, layer_errors, marked_layers, next_mesh
from ocdl.solving.method import Method
from ocdl.solving.phases import Grids, grids
from ocdl.solving.solve import solve
from ocdl.statement.discrete import refuse_discrete
from ocdl.statement.phases import Phases
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.sweeps.sweeper import SweepFailed
from ocdl.tables import plain_table, plain_text

Array = NDArray[np.float64]

STAYS = 0.5  # a gap above this part of the round before's does not fall as the layers' order predicts
ROUNDS = 2  # in which it stays while the cost stands
CONTRADICTS = 1e3  # times what is asked for: a gap that cannot be called pessimistic


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
    """The best round's solution and its grid (of ``Phases`` a PhasesSolution and a list of depth schemes), its errors,
    all rounds, and whether the tolerance was reached.

    Where it was not reached the best round is the feasible one of the least estimated error of the cost.
    """

    solution: Any
    grid: Any
    errors: LayerErrors
    rounds: tuple[Round, ...]
    reached: bool
    message: str

    def __repr__(self) -> str:
        return f"<ocdl.Refinement of {len(self.rounds)} rounds: cost {self.solution.cost:.10g}; {self.message}>"

    def __str__(self) -> str:
        table = plain_table()
        titles = ("width nodes", "layers", "degree", "narrowest", "cost J", "integration", "control", "state", "time")
        for title in titles:
            table.add_column(title, justify="right", no_wrap=True)
        for row in self.rounds:
            degree = "–" if row.degree is None else str(row.degree)
            errors = [f"{value:.1e}" for value in (row.integration, row.control, row.state)]
            sizes = [str(row.nodes), str(row.layers), degree, f"{row.narrowest:.1e}"]
            table.add_row(*sizes, f"{row.cost:.12g}", *errors, f"{row.seconds:.2g} s")
        return plain_text([table, self.message])


def refine(
    problem: Problem | Phases,
    grid: Grid | Grids,
    method: Method,
    *,
    tolerance: float = 1e-6,
    state_tolerance: float | None = None,
    width: bool = False,
    start: Solution | PhasesSolution | Mapping[str, Any] | None = None,
    seed: int | None = None,
    most_rounds: int = 25,
    most_layers: int = 2000,
    seconds: float | None = None,
    progress: bool | None = None,
) -> Refinement:
    """Solve and refine the mesh until the estimated error of the cost is below tolerance · (1 + |J|).

    Of ``Phases`` each has a mesh of its own; the estimates are those of all phases together.
    Each round solves on the refined mesh from the solution before; see ``ocdl.mesh`` for the estimates and the rule.
    Where the gap cannot see the error of the controls (controls of their own at every stage, constraints on states), or
    stays while the cost stands (controls without bounds, singular arcs), a last round with every layer halved has to
    confirm the cost within the tolerance.
    state_tolerance: of the relative error of the state, and the violation of its bounds inside a layer; by default the
        square root of ``tolerance``, at most 1e-4.
    width: for a selection problem with a counted width rule, also double the width nodes until the cost changes by less
        than tolerance · (1 + |J|) from one width to the next.
    most_rounds, most_layers: where to stop with a warning; ``reached`` is then False. seconds: no round begins that
        would end later, if it took as long as the one before.
    progress: show every round as it ends; by default only on a terminal. Ctrl-C, or a round that fails, ends it with
        the best round so far.

    Raises InvalidInput, NotSupported, or SolveFailed where the first round fails.
    """
    _check(tolerance, state_tolerance, most_rounds, most_layers, seconds)
    for core in problem.cores if isinstance(problem, Phases) else (problem,):
        if isinstance(core, ControlProblem):
            refuse_discrete(
                "refine", core.discrete, "it has no mesh error, and a network of more layers is another one"
            )
    state = min(1e-4, np.sqrt(tolerance)) if state_tolerance is None else state_tolerance
    course = _Course(problem, tolerance, state, width, most_layers)
    done: list[_Done] = []
    clock = time.perf_counter()
    step = _Step(grid)
    with progress_bar("refine", progress=progress) as bar:
        while step.grid is not None:
            begin = start if not done else done[-1].solution
            try:
                plan = done[-1].plan if done else None
                done.append(_solved(problem, step.grid, method, begin, None if done else seed, plan))
                step = course.after(done[-1])
            except (SolveFailed, SweepFailed) as error:
                if not done:
                    raise
                step = _Step(None, f"The next round failed: {error} The best round before is kept.")
                break
            except KeyboardInterrupt:
                if not done:
                    raise
                step = _Step(None, INTERRUPTED)
                break
            bar.update()
            if not bar.disable:
                bar.write(_line(done[-1].round, len(done)), file=sys.stderr)
            if step.grid is not None:
                step = _limited(step, len(done), most_rounds, time.perf_counter() - clock, done[-1].round, seconds)
    best = done[-1] if step.reached else min(done, key=_Done.rank)
    return _told(best, [one.round for one in done], step)


INTERRUPTED = "Interrupted: the best round is kept."


@dataclass(frozen=True, eq=False)
class _Phase:
    """A problem on its depth scheme, its solution and its errors."""

    statement: ControlProblem
    depth: DepthScheme
    solution: Solution
    errors: LayerErrors

    @classmethod
    def of(cls, statement: ControlProblem, depth: DepthScheme, solution: Solution) -> _Phase:
        return cls(statement, depth, solution, layer_errors(statement, depth, solution))

    def next(self, marked: NDArray[np.bool_], cost_met: bool) -> DepthScheme:
        u, _ = coefficients(self.statement, self.depth, self.solution)
        return next_mesh(self.statement, self.depth, u, self.errors, marked, cost_met)


@dataclass(frozen=True, eq=False)
class _Done:
    """A finished round: its plan and grid, every phase (one, but for ``Phases``) with its depth scheme, what was found,
    and how good that is.
    """

    plan: Plan | None
    grid: Any
    phases: tuple[_Phase, ...]
    solution: Any
    errors: LayerErrors
    round: Round

    @property
    def bounded(self) -> bool:
        return any(_bounded(phase.statement) for phase in self.phases)

    @property
    def blind(self) -> bool:
        return any(_blind(phase.statement, phase.depth) for phase in self.phases)

    @property
    def constant(self) -> bool:
        return any(_constant(phase.depth) for phase in self.phases)

    def refined(self, goal: float, state: float) -> list[DepthScheme]:
        """The next mesh of every phase."""
        marked = marked_layers(self.errors, goal, state)
        parts = np.split(marked, np.cumsum([phase.depth.count for phase in self.phases])[:-1])
        met = self.errors.cost <= goal
        return [phase.next(part, met) for phase, part in zip(self.phases, parts, strict=True)]

    def halved(self) -> list[DepthScheme]:
        """Every layer of every phase in two."""
        return [phase.depth.with_layers(_halves(phase.statement.span, phase.depth)) for phase in self.phases]

    @property
    def feasible(self) -> bool:
        return self.solution.feasibility <= FEASIBLE

    def rank(self) -> tuple[bool, bool, float]:
        """Orders rounds: feasible and finished ones by their estimated error."""
        error = self.errors.cost
        return not self.feasible, self.solution.status is Status.INTERRUPTED, error if np.isfinite(error) else np.inf


def _limited(step: _Step, rounds: int, most_rounds: int, elapsed: float, last: Round, seconds: float | None) -> _Step:
    """The step, unless rounds or time are used up."""
    if rounds >= most_rounds:
        return _Step(None, f"The tolerance was not reached in most_rounds={most_rounds} rounds.")
    if seconds is not None and elapsed + last.seconds > seconds:
        return _Step(
            None, f"The tolerance was not reached in seconds={seconds:g}: {rounds} rounds took {elapsed:.3g} s."
        )
    return step


def _told(best: _Done, rounds: list[Round], step: _Step) -> Refinement:
    message = step.said
    if best.solution.status is Status.BETWEEN:
        message += f" {best.solution.status.value} {best.solution.detail}"
    if not step.reached:
        place = next(k for k, row in enumerate(rounds, start=1) if row is best.round)
        message += (
            f" Round {place} is the best: estimated error of the cost {best.errors.cost:.1e}, "
            f"of the state {best.errors.state.max():.1e}."
        )
        if step.said != INTERRUPTED:
            warnings.warn(f"refine: {message}", stacklevel=3)
    return Refinement(best.solution, best.grid, best.errors, tuple(rounds), step.reached, message)


def _line(row: Round, count: int) -> str:
    """One round in a line, as it ends."""
    return (
        f"round {count}: {row.layers} layers, J = {row.cost:.10g}, error by integration {row.integration:.1e}, "
        f"of controls {row.control:.1e}, of the state {row.state:.1e}, {row.seconds:.2g} s"
    )


@dataclass(frozen=True)
class _Step:
    """Where to go from a mesh: on to ``grid``, or nowhere, with what is to be said."""

    grid: Any
    said: str = ""
    reached: bool = False


@dataclass(eq=False)
class _Course:
    """The order of refinement: depth until its estimate is met, halved layers to confirm it, then width.

    halved, narrower: the cost on the mesh before every layer was halved, and before the width nodes were doubled.
    With a bound on states the gap falls only like the layer width, because its force comes in impulses at the nodes:
    once the cost itself stands from one mesh to the next, halved layers decide. So they do where the gap stays, however
    the layers are cut, for ``stayed`` rounds in which the cost stands.
    """

    problem: Problem | Phases
    tolerance: float
    state: float
    width: bool
    most_layers: int
    before: _Done | None = None
    halved: float | None = None
    narrower: float | None = None
    stayed: int = 0

    def after(self, done: _Done) -> _Step:
        solution, errors = done.solution, done.errors
        goal = self.tolerance * (1.0 + abs(solution.cost))
        if solution.status is Status.INTERRUPTED:
            return _Step(None, INTERRUPTED)
        confirmed = self.halved is not None and abs(solution.cost - self.halved) <= goal
        stands = self._stands(done, goal)
        self.before = done
        coarse = errors.integration.sum() > goal or bool(np.any(errors.state > self.state))
        if not confirmed and (coarse or (errors.cost > goal and not stands)):
            self.halved = None
            return self._deeper(done, done.refined(goal, self.state))
        if not confirmed and (done.blind or errors.cost > goal):
            self.halved = solution.cost
            return self._deeper(done, done.halved())
        return self._met(done, goal)

    def _stands(self, done: _Done, goal: float) -> bool:
        """The cost agrees with that of the round before while the gap cannot, or does not, fall with the layers."""
        if self.before is None or abs(done.solution.cost - self.before.solution.cost) > goal:
            self.stayed = 0
            return False
        stays = done.errors.control.sum() > STAYS * self.before.errors.control.sum()
        self.stayed = self.stayed + 1 if stays else 0
        return done.bounded or self.stayed >= ROUNDS

    def _met(self, done: _Done, goal: float) -> _Step:
        """The estimates are met, or halved layers confirm the cost: on in width, or done."""
        solution, errors = done.solution, done.errors
        gap = float(errors.control.sum())
        figures = (
            f"J = {solution.cost:.12g}; integration error {errors.integration.sum():.1e}, "
            f"control error at most {gap:.1e}, state error {errors.state.max():.1e}."
        )
        if self.halved is not None:
            figures += f" Halving every layer changed J by {abs(solution.cost - self.halved):.1e}."
        if not done.feasible:
            return _Step(None, f"Not reached: {figures} Constraints are violated by {solution.feasibility:.1e}.")
        if gap > CONTRADICTS * goal:
            return _Step(None, f"The cost stands, but its gap contradicts that it is optimal: {figures}")
        if gap > goal:
            figures += " The gap stays while the cost stands: it is pessimistic here."
        said = f"Reached: {figures}"
        if not self.width:
            return _Step(None, said, True)
        change = np.inf if self.narrower is None else abs(solution.cost - self.narrower)
        if change <= goal:
            return _Step(None, f"{said} Doubling the width nodes changed J by {change:.1e}.", True)
        self.narrower, self.halved, self.before = solution.cost, None, None
        return _Step(_wider(self.problem, done.grid))

    def _deeper(self, done: _Done, depths: list[DepthScheme]) -> _Step:
        count = sum(depth.count for depth in depths)
        if count > self.most_layers:
            hint = " Controls that are smooth need fewer layers with PiecewiseLinear()." if done.constant else ""
            return _Step(
                None, f"The next mesh would have {count} layers, more than most_layers={self.most_layers}.{hint}"
            )
        if isinstance(self.problem, Phases):
            return _Step(depths)
        return _Step(replace(done.grid, depth=depths[0]) if isinstance(done.grid, Grid) else depths[0])


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
    plan = None
    with uninterrupted(), progress_bar("continuation", len(values), progress=progress) as bar:
        for value in values:
            begin = solutions[-1] if solutions else start
            try:
                stated = called("continuation(statement=...)", repr(value), statement, value)
                plan = compile(stated, grid, method, like=plan)
                solutions.append(plan.solve(start=begin, progress=False))
            except SolveFailed as error:
                raise SolveFailed(f"continuation at {value!r}: {error}", error.solution) from error
            bar.update()
            if solutions[-1].status is Status.INTERRUPTED:
                break
    return solutions


def _check(tolerance: Any, state_tolerance: Any, most_rounds: Any, most_layers: Any, seconds: Any) -> None:
    for name, value in (("tolerance", tolerance), ("state_tolerance", state_tolerance), ("seconds", seconds)):
        if value is not None and not (is_real(value) and 0.0 < value < np.inf):
            raise InvalidInput(f"refine({name}={value!r}): a positive number is needed.")
    for name, value in (("most_rounds", most_rounds), ("most_layers", most_layers)):
        if not is_whole(value) or value < 1:
            raise InvalidInput(f"refine({name}={value!r}): a whole number, at least 1, is needed.")


def _solved(
    problem: Problem | Phases, grid: Any, method: Method, begin: Any, seed: int | None, before: Plan | None
) -> _Done:
    """One round on ``grid``; ``before``: the plan of the last."""
    clock = time.perf_counter()
    plan, solution, judged = _answered(problem, grid, method, begin, seed, before)
    try:
        phases = tuple(starmap(_Phase.of, judged))
    except SweepFailed as error:  # the formulas end where the answer is: a table, a root of a negative number
        said = f"{method.name}'s answer cannot be integrated anew, layer by layer, to tell its error: {error}"
        raise SolveFailed(said, solution) from error
    errors = LayerErrors.of_all([phase.errors for phase in phases])
    row = Round(
        nodes=sum(phase.statement.n for phase in phases),
        layers=sum(phase.depth.count for phase in phases),
        degree=getattr(phases[0].depth, "degree", None),
        narrowest=min(float(np.diff(phase.solution.state["t"].values).min()) for phase in phases),
        cost=solution.cost,
        integration=float(errors.integration.sum()),
        control=float(errors.control.sum()),
        state=float(errors.state.max()),
        seconds=time.perf_counter() - clock,
    )
    return _Done(plan, grid, phases, solution, errors, row)


def _answered(
    problem: Problem | Phases, grid: Any, method: Method, begin: Any, seed: int | None, before: Plan | None
) -> tuple[Plan | None, Any, list[tuple[ControlProblem, DepthScheme, Solution]]]:
    """The plan, none of ``Phases``; the answer; and every phase as it was judged: problem, scheme and solution."""
    if isinstance(problem, Phases):
        solution = solve(problem, grid, method, start=begin, seed=seed, progress=False)
        phases = zip(judged_as(problem, solution), grids(problem, grid), solution.values(), strict=True)
        return None, solution, list(phases)
    plan = compile(problem, grid, method, like=before)
    one = plan.solve(start=begin, seed=seed, progress=False)
    return plan, one, [(plan.core, plan.depth, one)]


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


def _wider(problem: Any, grid: Grid | DepthScheme) -> Grid:
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
