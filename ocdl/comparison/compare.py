"""compare: one problem by several methods, every answer judged by the same referee on the same grid."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.comparison.agreement import alarms, comparison_text, findings
from ocdl.comparison.rows import Difference, Failure, Row
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported, OcdlError
from ocdl.interrupts import uninterrupted
from ocdl.progress import progress_bar
from ocdl.referee.certify import FIRST_ORDER
from ocdl.referee.labels import coefficients
from ocdl.referee.outcome import FEASIBLE, Status
from ocdl.referee.reintegration import halved_cost
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem, discretised
from ocdl.solving.method import Method
from ocdl.solving.solve import solve
from ocdl.solving.start import make_start
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Solutions of one problem on one grid by several methods; ``print`` shows the table and what follows from it.

    solutions: by unique name (``Ipopt``, ``Ipopt #2``), in the order asked for. failures: the methods without one.
    depth_error: what the best controls' cost changes by on a depth grid twice as fine, None where that failed.
    """

    names: tuple[str, ...]
    solutions: dict[str, Solution]
    failures: dict[str, Failure] = field(default_factory=dict)
    depth_error: float | None = None

    @property
    def best_name(self) -> str | None:
        """The name of the lowest cost within the bounds, None where there is no solution."""
        finite = {name: s for name, s in self.solutions.items() if math.isfinite(s.cost)}
        feasible = {name: s for name, s in finite.items() if s.feasibility <= FEASIBLE}
        candidates = feasible or finite
        return min(candidates, key=lambda name: candidates[name].cost, default=None)

    @property
    def best(self) -> Solution:
        """The solution of lowest cost within the bounds; InvalidInput where no method found any."""
        if self.best_name is None:
            raise InvalidInput("comparison.best: none of the methods returned a solution.")
        return self.solutions[self.best_name]

    @property
    def interrupted(self) -> bool:
        """True where Ctrl-C ended it; what was finished is kept."""
        return any(f.status in ("interrupted", "not run") for f in self.failures.values()) or any(
            s.status is Status.INTERRUPTED for s in self.solutions.values()
        )

    def table(self) -> list[Row]:
        """One row a method, in the order asked for."""
        return [self._row(name) for name in self.names]

    def differences(self) -> list[Difference]:
        """State, costate and controls of every pair of solutions."""
        return [difference(*pair) for pair in combinations(self.solutions.items(), 2)]

    def findings(self) -> list[str]:
        """In plain sentences, where the routes agree, where not, and what that proves."""
        return findings(self)

    def summary(self) -> dict[str, Any]:
        """Everything above as plain data that strict JSON can hold: a number that is not finite becomes None."""
        plain: dict[str, Any] = finite_only(
            {
                "best": self.best_name,
                "interrupted": self.interrupted,
                "depth_error": self.depth_error,
                "rows": [dataclasses.asdict(row) for row in self.table()],
                "differences": [dataclasses.asdict(pair) for pair in self.differences()],
                "findings": self.findings(),
                "alarms": alarms(self) if self.solutions else [],
            }
        )
        return plain

    def __str__(self) -> str:
        return comparison_text(self)

    def __repr__(self) -> str:
        return f"<ocdl.Comparison of {', '.join(self.names)}; best {self.best_name}>"

    def _row(self, name: str) -> Row:
        if name in self.failures:
            failure = self.failures[name]
            return Row(name, status=failure.status, message=failure.message)
        solution = self.solutions[name]
        least, largest = self.best.cost, max(abs(s.cost) for s in self.solutions.values())
        excess = solution.cost - least
        return Row(
            method=name,
            cost=solution.cost,
            excess=excess,
            relative=excess / abs(least) if abs(least) > 1e-12 * max(1.0, largest) else None,
            gap=None if solution.search == FIRST_ORDER else solution.gap,
            gap_is_exact=solution.gap_is_exact,
            feasibility=solution.feasibility,
            claimed=solution.claim.get("cost"),
            own_costate=_own_costate(solution),
            seconds=solution.seconds,
            status=solution.status.name.lower().replace("_", " "),
            message=f"{solution.status.value} {solution.detail}".strip(),
        )


def compare(
    problem: Problem,
    grid: Grid | DepthScheme,
    methods: Sequence[Method],
    *,
    start: Solution | Mapping[str, Any] | None = None,
    seed: int | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Solve ``problem`` on ``grid`` by each of ``methods`` from the same start and compare the answers.

    A method that cannot solve the problem, or fails, becomes a row that says so; the others go on. Ctrl-C ends the
    comparison and keeps what is finished. ``grid``, ``start``, ``seed`` and ``progress`` are those of ``solve``.

    Raises InvalidInput for a problem, grid, start or list of methods that breaks a rule.
    """
    named = unique_names(methods)
    control_problem, depth = discretised(problem, grid)
    make_start(control_problem, depth, start, seed)  # a bad start is refused once, not by every method
    found: dict[str, Solution | Failure] = {}
    with uninterrupted() as ctrl_c, progress_bar("compare", len(named), progress=progress) as bar:
        for name, method in named.items():
            bar.set_description(name)
            found[name] = _attempt(control_problem, depth, method, start=start, seed=seed, progress=progress)
            if not bar.disable:
                bar.write(_progress_line(name, found[name]), file=sys.stderr)
            bar.update()
            if _stopped(found[name]) or ctrl_c.pressed:
                break
        missing = {name: Failure("not run", "Not run: the comparison was interrupted.") for name in named}
        comparison = _assembled(control_problem, depth, tuple(named), missing | found)
        ctrl_c.taken()
        return comparison


def unique_names(methods: Sequence[Method]) -> dict[str, Method]:
    """Methods by name, the second of a kind as ``Ipopt #2``."""
    if isinstance(methods, Method) or not isinstance(methods, Sequence) or not methods:
        raise InvalidInput(f"compare(..., methods={methods!r}): give a list of methods, such as [ocdl.Ipopt()].")
    named: dict[str, Method] = {}
    for method in methods:
        if not isinstance(method, Method):
            raise InvalidInput(f"compare(..., methods=[...]): {method!r} is no method; give instances: ocdl.Ipopt().")
        earlier = sum(other.name == method.name for other in named.values())
        named[f"{method.name} #{earlier + 1}" if earlier else method.name] = method
    return named


def difference(first: tuple[str, Solution], second: tuple[str, Solution]) -> Difference:
    """Maximum differences of two solutions on the same grid."""
    (one, a), (two, b) = first, second
    controls = [np.abs(a.controls[name].values - b.controls[name].values) for name in a.controls]
    return Difference(
        one,
        two,
        state=float(np.max(np.abs(a.state.values - b.state.values))),
        costate=float(np.max(np.abs(a.costate.values - b.costate.values))),
        controls=max((float(np.max(part)) for part in controls), default=0.0),
        controls_mean=float(np.mean(np.concatenate([part.ravel() for part in controls]))) if controls else 0.0,
    )


def finite_only(value: Any) -> Any:
    """``value`` with None for every number that is not finite, to any depth."""
    if isinstance(value, dict):
        return {str(key): finite_only(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_only(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _attempt(problem: ControlProblem, depth: DepthScheme, method: Method, **how: Any) -> Solution | Failure:
    try:
        return solve(problem, depth, method, on_failure="return", **how)
    except KeyboardInterrupt as error:
        return Failure("interrupted", "Interrupted by the user before it had an iterate.", error)
    except NotSupported as error:
        return Failure("not supported", _own_words(method, error), error)
    except InvalidInput as error:
        return Failure("refused", _own_words(method, error), error)
    except OcdlError as error:
        return Failure("failed", _own_words(method, error), error)
    except Exception as error:  # the other methods' hours of work outlive one method's bug
        return Failure("failed", f"{type(error).__name__}: {error}", error)


def _own_words(method: Method, error: Exception) -> str:
    """The message without the method's name, which every line of the comparison begins with."""
    return str(error).removeprefix(f"{method.name}: ")


def _stopped(result: Solution | Failure) -> bool:
    return result.status in (Status.INTERRUPTED, "interrupted")


def _progress_line(name: str, result: Solution | Failure) -> str:
    if isinstance(result, Failure):
        return f"{name}: {result.message}"
    status = result.status.name.lower().replace("_", " ")
    return f"{name}: cost {result.cost:.8g} after {result.seconds:.3g} s, {status}"


def _assembled(
    problem: ControlProblem, depth: DepthScheme, names: tuple[str, ...], found: Mapping[str, Solution | Failure]
) -> Comparison:
    comparison = Comparison(
        names,
        {name: found[name] for name in names if isinstance(found[name], Solution)},  # type: ignore[misc]
        {name: found[name] for name in names if isinstance(found[name], Failure)},  # type: ignore[misc]
    )
    if comparison.best_name is None or comparison.interrupted:
        return comparison
    return replace(comparison, depth_error=_depth_error(problem, depth, comparison.best))


def _depth_error(problem: ControlProblem, depth: DepthScheme, solution: Solution) -> float | None:
    """|J on every layer halved − J| for the same controls; where these are unstable in open loop, what every layer
    integrated anew from the answer's own node changes; None of discrete layers, which approximate nothing.
    """
    if problem.discrete:
        return None
    if solution.certificate is not None and solution.certificate.restarted:
        return abs(solution.certificate.excess)
    try:
        return abs(halved_cost(problem, depth, *coefficients(problem, depth, solution)) - solution.cost)
    except OcdlError:
        return None


def _own_costate(solution: Solution) -> float | None:
    """How far the costate that the route reports is from the referee's; where it is the answer's own, what it misses of
    the adjoint equation in any layer.
    """
    claimed, missed = solution.claim.get("costate"), solution.costate_defect
    if claimed is None:
        return None
    return float(max(np.max(np.abs(claimed.values - solution.costate.values)), np.max(np.abs(missed.values))))
