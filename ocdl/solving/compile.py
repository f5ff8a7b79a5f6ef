"""Compile once, solve often: the plan of a problem on a grid for a method."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import numpy as np

from ocdl.arrays import fits_memory
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, SolveFailed
from ocdl.interrupts import uninterrupted
from ocdl.referee.certify import FIRST_ORDER
from ocdl.referee.in_groups import many
from ocdl.referee.judgement import PRINCIPLE, Kind
from ocdl.referee.outcome import Status
from ocdl.referee.phases import PhasesSolution
from ocdl.referee.solution import Solution
from ocdl.solving.attempt import attempt
from ocdl.solving.diagnosis import start_notes, target_notes
from ocdl.solving.guesses import named
from ocdl.solving.method import Method, Start
from ocdl.solving.simulation import Simulation
from ocdl.solving.start import make_start
from ocdl.solving.table_notes import table_notes
from ocdl.solving.tries import add_note, best_of_sizes, not_idle, sizes
from ocdl.statement.bounds import Box
from ocdl.statement.discrete import check_layers
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.statement.sharing import sharing

Problem = SelectionProblem | ControlProblem
OnFailure = Literal["raise", "warn", "return"]
P = ParamSpec("P")
Judged = TypeVar("Judged", Solution, PhasesSolution)


def kept(solve: Callable[P, Judged]) -> Callable[P, Judged]:
    """Ctrl-C ends the method only: before and after it waits, and is in the status of what comes back.

    So what calls ``solve`` many times ends there too.
    """

    @wraps(solve)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Judged:
        with uninterrupted() as ctrl_c:
            try:
                solution = solve(*args, **kwargs)
            except SolveFailed as error:
                if error.solution is None or not ctrl_c.pressed:
                    raise
                solution = error.solution
            if ctrl_c.taken() and solution.status is not Status.INTERRUPTED:
                said = f"The method itself had ended: {solution.status.value} {solution.detail}".strip()
                solution.attrs.update(status=Status.INTERRUPTED.name, detail=said)
            return solution

    return wrapped


@dataclass(frozen=True, eq=False)
class Plan:
    """A problem on a grid for a method, compiled once and solved for many numbers (``ocdl.compile``).

    ``core``: the finite-dimensional problem; ``depth``: its depth scheme. What is compiled, and shared by all solves,
    depends on the formulas and the grid: derivatives, sparsity, IPOPT's object, the sweeps and functions of the
    referee, which recomputes every number.
    """

    problem: Problem
    grid: Grid | DepthScheme
    core: ControlProblem
    depth: DepthScheme
    method: Method

    @kept
    def solve(
        self,
        *,
        initial: Any = None,
        parameters: Any = None,
        data: Any = None,
        bounds: Any = None,
        start: Solution | Simulation | Mapping[str, Any] | None = None,
        seed: int | None = None,
        certificate: Kind = PRINCIPLE,
        on_failure: OnFailure = "raise",
        progress: bool | None = None,
    ) -> Solution:
        """Solve with new numbers, each of the shape that the problem was stated with; what is left out stays.

        initial: x^0, or by names. parameters: values (own_parameters,), or by names, at which its own are held.
        data: d, of a SelectionProblem its target. bounds: another box. The others as of ``ocdl.solve``.

        Raises InvalidInput for other shapes, and what ``ocdl.solve`` raises.
        """
        check_on_failure(on_failure)
        check_certificate(certificate)
        stated, core = self._with_numbers(initial, parameters, data, bounds)
        check_affordable(core, self.depth, self.method, certificate)
        if core is not self.core:
            self.method.check(core, self.depth)
        solution = self._solved(stated, core, start, seed, certificate, progress)
        said = " ".join(filter(None, (solution.status.value, solution.detail, *solution.notes)))
        tell_failure(self.method, solution, said, on_failure)
        return solution

    def _solved(
        self, stated: Problem, core: ControlProblem, start: Any, seed: Any, certificate: Kind, progress: bool | None
    ) -> Solution:
        """The best answer from the beginnings that were given or that the problem needs."""
        depth, start = self.depth, named(core, start)
        tried = sizes(core, start) if seed is None else [np.full(core.P, np.nan)]
        begins = [make_start(core, depth, start, seed, size) for size in tried]
        notes = target_notes(stated, core) + start_notes(core, depth, start, begins[0])

        def attempted(begin: Start) -> Solution:
            return attempt(core, depth, self.method, begin, progress, certificate)

        several = len(begins) > 1
        solution = best_of_sizes(core, begins, tried, attempted) if several else attempted(begins[0])
        if start is None and seed is None:
            solution = not_idle(core, depth, begins[0], solution, attempted)
        for note in notes + table_notes(core, solution):
            add_note(solution, note)
        return solution

    def _with_numbers(self, initial: Any, parameters: Any, data: Any, bounds: Any) -> tuple[Problem, ControlProblem]:
        """The problem as it is stated and as it is solved, with other numbers."""
        stated, core = self.problem, self.core
        if isinstance(stated, SelectionProblem):
            given = {"initial": initial, "target": data, "bounds": bounds}
            stated, core = self._selection(stated, {name: v for name, v in given.items() if v is not None})
            initial = data = bounds = None
        if any(value is not None for value in (initial, parameters, data, bounds)):
            core = core.with_numbers(initial=initial, parameters=parameters, data=data, bounds=bounds)
        return (stated if isinstance(stated, SelectionProblem) else core), core

    def _selection(self, stated: SelectionProblem, given: Mapping[str, Any]) -> tuple[Problem, ControlProblem]:
        """Another statement on the same width, which takes over what was compiled."""
        if not given:
            return stated, self.core
        if not all(isinstance(box, Box) for box in (stated.bounds, given.get("bounds", stated.bounds))):
            raise InvalidInput(f"bounds={given.get('bounds')!r}: a plan keeps its control set; compile the other one.")
        stated = replace(stated, **given)
        core, _ = discretised(stated, self.grid)
        if core.samples != self.core.samples:
            raise InvalidInput(f"initial: {self.core.samples} sample(s) are needed here; got {core.samples}.")
        return stated, core.with_formulas_of(self.core)


def check_certificate(certificate: Any) -> None:
    if certificate not in get_args(Kind):
        kinds = " or ".join(map(repr, get_args(Kind)))
        raise InvalidInput(f"solve(certificate={certificate!r}): {kinds} is needed.")


def check_on_failure(on_failure: Any) -> None:
    if on_failure not in ("raise", "warn", "return"):
        raise InvalidInput(f"solve(on_failure={on_failure!r}): one of 'raise', 'warn', 'return' is needed.")


def tell_failure(method: Method, solution: Any, said: str, on_failure: OnFailure) -> None:
    """Raise SolveFailed, or warn, where the solution is not what was asked for."""
    if solution.status.failed and on_failure == "raise":
        raise SolveFailed(f"{method.name}: {said}", solution)
    if solution.status.failed and on_failure == "warn":
        warnings.warn(f"{method.name}: {said}", stacklevel=4)


def compile(problem: Problem, grid: Grid | DepthScheme, method: Method, *, like: Plan | None = None) -> Plan:
    """What ``ocdl.solve`` needs of a problem, a grid and a method, to be solved for many numbers: ``Plan.solve``.

    Its functions are compiled when they are first needed. like: another plan, whose functions serve where the formulas
    turn out to be the same, though they were stated anew. Raises InvalidInput and NotSupported.
    """
    if not isinstance(method, Method):
        raise InvalidInput(f"solve(..., method={method!r}): give an instance of a method, such as ocdl.Ipopt().")
    with uninterrupted():
        core, depth = discretised(problem, grid, trajectories=not method.in_blocks)
        core = sharing(core, None if like is None else like.core)
        method.check(core, depth)
    return Plan(problem, grid, core, depth, method)


def discretised(
    problem: Problem, grid: Grid | DepthScheme, *, trajectories: bool = True
) -> tuple[ControlProblem, DepthScheme]:
    """The finite-dimensional problem and the depth scheme that ``solve`` hands to a method, once it is sure that the
    memory holds their controls, and ``trajectories`` of all samples.
    """
    if isinstance(problem, SelectionProblem):
        if not isinstance(grid, Grid):
            raise InvalidInput(
                f"grid={grid!r}: a SelectionProblem is solved on a Grid(width=..., depth=...), "
                "e.g. Grid(width=Midpoint(8), depth=Radau(layers=50, degree=3))."
            )
        problem, grid = problem.discretise(grid.width), grid.depth
    elif isinstance(problem, ControlProblem):
        if not isinstance(grid, DepthScheme):
            raise InvalidInput(
                f"grid={grid!r}: a ControlProblem is solved on a depth scheme, e.g. Radau(layers=50, degree=3)."
            )
    else:
        raise InvalidInput(
            f"problem={problem!r}: give a SelectionProblem or a ControlProblem; Phases are taken by solve and refine "
            "alone."
        )
    check_layers(problem, grid)
    _check_memory(problem, grid, "states, costates, controls and gradients" if trajectories else "")
    return problem, grid


def check_affordable(problem: ControlProblem, depth: DepthScheme, method: Method, certificate: Kind) -> None:
    """Raise InvalidInput where memory does not hold the trajectories that the certificate takes of all samples."""
    if method.in_blocks and not (certificate == FIRST_ORDER and many(problem, depth)):
        what = "states, costates, controls and gradients of all samples, which certificate='first order' goes without,"
        _check_memory(problem, depth, what)


def _check_memory(problem: ControlProblem, depth: DepthScheme, what: str) -> None:
    """Raise InvalidInput where memory does not hold controls, and trajectories, if ``what`` names them."""
    states = depth.count * (depth.tableau.stages + 1) * problem.samples * problem.n if what else 0
    fits_memory(repr(depth), what or "controls and gradients", states + depth.control_rows * problem.m, 16.0)
