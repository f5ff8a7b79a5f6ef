"""Phases judged and kept: every phase by the referee as a problem of its own, with the ends of the others held.

With the multipliers μ of the linkages r(e) the Lagrangian of all phases, Σ J_k + μ·r(e), is stationary if and only if
that of every phase is in its own states, controls and parameters, J_k + μ·r(e) with the ends of the others held. So the
referee judges each ``Phases.given`` with the same μ: defects, feasibility with its linkages, costates, gap. To the gap
is added what the gradient g of each Lagrangian in its parameters (durations, free initial states, the user's own) can
be worth, Σ |g_i| · the way that p_i can go downhill, at most |p_i|, or 1 where p_i = 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.referee import schema
from ocdl.referee.judgement import FAR, SUCCESSES, judged
from ocdl.referee.outcome import FEASIBLE, Multipliers, Outcome, Status
from ocdl.referee.solution import Solution, read_tree, write_tree
from ocdl.statement.phases import Ends, Phases
from ocdl.statement.problem import ControlProblem

FORMAT = "ocdl phases 1"
WORST_LAST = (  # of the statuses of the phases the last one here is that of all
    *(Status.CONVERGED, Status.REACHABLE, Status.ROLLED_OUT, Status.ACCEPTABLE, Status.STALLED, Status.CYCLE),
    *(Status.FLAT, Status.EDGE, Status.BETWEEN, Status.NO_EXTREMAL, Status.INTERRUPTED, Status.ITERATION_LIMIT),
    *(Status.OVERDETERMINED, Status.INFEASIBLE, Status.NOT_A_NUMBER, Status.FAILED, Status.REFUTED),
)


@dataclass(frozen=True, eq=False)
class PhasesOutcome:
    """What a method hands back of phases: an ``Outcome`` of each with its own states at the nodes, and the multipliers
    (rows,) of their linkages, of the Lagrangian Σ J_k + μ·r(e).
    """

    outcomes: tuple[Outcome, ...]
    multipliers: Array


class PhasesSolution(Mapping[str, Solution]):
    """One answer to linked phases: ``solution["coast"]`` is the ``Solution`` of the phase coast.

    ``links``: the linkages by name, each with its value, interval, violation and multiplier. ``cost`` and ``gap`` are
    sums over the phases, ``feasibility`` the largest violation, ``status`` the worst; each phase has its certificate.
    """

    def __init__(self, solutions: Mapping[str, Solution], links: xr.Dataset, attrs: Mapping[str, Any]) -> None:
        self._solutions, self.links, self.attrs = dict(solutions), links, dict(attrs)

    def __getitem__(self, name: str) -> Solution:
        return self._solutions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._solutions)

    def __len__(self) -> int:
        return len(self._solutions)

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.attrs["method"])

    @property
    def status(self) -> Status:
        """How the solve ended; ``status.value`` is the sentence to read."""
        return Status[str(self.attrs["status"])]

    @property
    def detail(self) -> str:
        """This run's figures in a sentence."""
        return str(self.attrs["detail"])

    @property
    def seconds(self) -> float:
        """Wall time of the route, without the referee."""
        return float(self.attrs["seconds"])

    @property
    def cost(self) -> float:
        """Σ J_k."""
        return float(sum(solution.cost for solution in self.values()))

    @property
    def gap(self) -> float:
        """The gaps of all phases, and what the gradients in their parameters can be worth."""
        return float(sum(solution.gap for solution in self.values()) + self.attrs["parameter_worth"])

    @property
    def gap_is_exact(self) -> bool:
        """Whether every min_u H is proven; else the gap is at least this."""
        return all(solution.gap_is_exact for solution in self.values())

    @property
    def feasibility(self) -> float:
        """Largest violation of a bound, a constraint, a linkage, or a state equation."""
        return float(np.max([solution.feasibility for solution in self.values()]))

    @property
    def times(self) -> Array:
        """Where the phases begin, and where the last one ends, (phases + 1,)."""
        nodes = [solution.state["t"].to_numpy() for solution in self.values()]
        return np.array([*(t[0] for t in nodes), nodes[-1][-1]])

    def __repr__(self) -> str:
        at_least = "" if self.gap_is_exact else "at least "
        inner = ", ".join(
            f"{name} [{a:g}, {b:g}]" for name, a, b in zip(self, self.times, self.times[1:], strict=False)
        )
        return (
            f"<ocdl.PhasesSolution by {self.method}: {inner}: cost {self.cost:.10g}, gap {at_least}{self.gap:.2e}, "
            f"feasibility {self.feasibility:.1e}; {self.status.value}{' ' + self.detail if self.detail else ''}>"
        )

    # -- files ------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write everything to a netCDF file, whole or not at all (``Solution.save``)."""
        tree = xr.DataTree.from_dict({"links": self.links} | {f"phases/{name}": self[name].tree for name in self})
        tree.attrs = {"format": FORMAT, "phases": ",".join(self)} | self.attrs
        write_tree(tree, path)

    @classmethod
    def load(cls, path: str | Path) -> PhasesSolution:
        """Read what ``save`` wrote; data only, no code is ever executed. Raises InvalidInput for any other file."""
        tree = read_tree(path, FORMAT)
        said = next(_objections(tree), "")
        if said:
            raise InvalidInput(f"load({str(path)!r}): the file is damaged: {said}.")
        attrs = {str(name): value for name, value in tree.attrs.items() if name not in ("format", "phases")}
        names, inner = str(tree.attrs["phases"]).split(","), tree.children["phases"].children
        solutions = {name: Solution(xr.DataTree.from_dict(_groups(inner[name]))) for name in names}
        return cls(solutions, tree.children["links"].to_dataset(inherit=False), attrs)


def _groups(phase: xr.DataTree) -> dict[str, xr.Dataset]:
    """The groups of a phase as those of a tree of its own."""
    groups = {name: child.to_dataset(inherit=False) for name, child in phase.children.items()}
    return {"/": phase.to_dataset(inherit=False)} | groups


def _objections(tree: xr.DataTree) -> Iterator[str]:
    """Why a tree is none that ``save`` wrote."""
    attrs = tree.attrs
    for name, kind in (("method", str), ("status", str), ("detail", str), ("phases", str)):
        if not isinstance(attrs.get(name), kind):
            yield f"it has no {name}"
    for name in ("seconds", "parameter_worth"):
        if not isinstance(attrs.get(name), (float, np.floating)):
            yield f"it has no {name}"
    if attrs["status"] not in Status.__members__:
        yield f"its status is {attrs['status']!r}"
    if not {"phases", "links"} <= set(tree.children):
        yield "it has no phases or no links"
    inner = tree.children["phases"].children
    if sorted(str(attrs["phases"]).split(",")) != sorted(inner):
        yield f"its phases are {', '.join(inner)}, and named {attrs['phases']}"
    for name, phase in inner.items():
        said = schema.objection(xr.DataTree.from_dict(_groups(phase)))
        if said:
            yield f"phase {name}: {said}"
    if not set(LINKS) <= set(tree.children["links"].data_vars):
        yield "its links are not whole"


LINKS = ("value", "low", "high", "violation", "multiplier")


# -- the judgement -----------------------------------------------------------------------------------------


def judged_phases(
    phases: Phases,
    depths: Sequence[DepthScheme],
    outcome: PhasesOutcome,
    *,
    method: str,
    seconds: float,
    feasible: float = FEASIBLE,
) -> PhasesSolution:
    """The labelled ``PhasesSolution`` of a method's outcome: each phase judged with the ends of the others held."""
    ends = found_ends(phases, [(_nodes(one), one.p) for one in outcome.outcomes])
    solutions, worth = {}, 0.0
    for k, name in enumerate(phases.names):
        problem, found = phases.given(k, ends), outcome.outcomes[k]
        multipliers = _with_linkages(phases, k, problem, depths[k], outcome)
        solution = judged(
            problem,
            depths[k],
            replace(found, multipliers=multipliers),
            method=method,
            seconds=seconds,
            feasible=feasible,
        )
        solution.attrs["detail"] = _in_words(phases, k, problem, solution.detail)
        worth += _parameter_worth(problem, solution, found.p)
        solutions[name] = solution
    links = _links(phases, ends, outcome.multipliers)
    status, detail = _ended(solutions, worth)
    detail = " ".join(filter(None, (detail, _missed(links, feasible))))
    attrs = {"method": method, "seconds": seconds, "parameter_worth": worth, "status": status.name, "detail": detail}
    return PhasesSolution(solutions, links, attrs)


def found_ends(phases: Phases, found: Sequence[tuple[Array, Array]]) -> list[Ends]:
    """The ends of all phases, numbers, from the states (N+1, 1, n) and parameters (P,) that were found of each."""
    return [ends_of(core, x, p) for core, (x, p) in zip(phases.cores, found, strict=True)]


def judged_as(phases: Phases, solution: PhasesSolution) -> list[ControlProblem]:
    """The problems that the phases of a solution found in this process were judged as."""
    answers = [one.answer for one in solution.values()]
    ends = found_ends(phases, [(answer.x, answer.p) for answer in answers if answer is not None])
    return [phases.given(k, ends) for k in range(len(ends))]


def ends_of(core: ControlProblem, x: Array, p: Array) -> Ends:
    """The ends of one phase, numbers."""
    return Ends(x[0, 0], x[-1, 0], core.times.begin(p), core.times.end(p), p[: core.own_parameters])


def _nodes(outcome: Outcome) -> Array:
    if outcome.x is None:
        raise InvalidInput("Outcome(x=None): of phases the states at the nodes are needed.")
    return outcome.x


def _with_linkages(
    phases: Phases, k: int, problem: ControlProblem, depth: DepthScheme, outcome: PhasesOutcome
) -> Multipliers:
    """The multipliers of the phase's own constraints; behind those of its boundary those of the linkages it is in."""
    rows, own = phases.linkage.rows[k], outcome.outcomes[k].multipliers
    own = Multipliers.zeros(problem, depth) if own is None else own
    kept = own.boundary[:, : problem.rows("boundary") - rows.size]
    return replace(own, boundary=np.concatenate([kept, outcome.multipliers[None, rows]], axis=1))


def _parameter_worth(problem: ControlProblem, solution: Solution, p: Array) -> float:
    """Σ |g_i| · the way that p_i can go downhill."""
    layout, metric = problem.layout, np.asarray(problem.parameter_metric)
    assert layout is not None
    if not problem.P:
        return 0.0
    found = solution.group("parameters")
    gradients = {part.name: found[f"gradient_{part.name}"].values for part in layout.parameters}
    g = layout.pack(layout.parameters, gradients, ()) * metric
    low, high = problem.parameter_box
    way = np.minimum(np.where(p != 0.0, np.abs(p), 1.0), np.maximum(np.where(g > 0.0, p - low, high - p), 0.0))
    return float(np.sum(np.abs(g) * way))


def _in_words(phases: Phases, k: int, problem: ControlProblem, said: str) -> str:
    """What is said of phase k with its linkages by name, where it calls them rows of boundary."""
    linkage = phases.linkage
    own_rows = problem.rows("boundary") - linkage.rows[k].size
    names = {row: f"the linkage of {linkage.names[j]}" for row, j in enumerate(linkage.rows[k], own_rows)}
    return re.sub(r"boundary row (\d+)", lambda found: names.get(int(found[1]), found[0]), said)


def _missed(links: xr.Dataset, feasible: float) -> str:
    """Which linkage is missed most, where one is."""
    violation = links["violation"].values
    if not np.max(violation, initial=0.0) > feasible:
        return ""
    worst = int(np.argmax(violation))
    return f"The linkage of {links['link'].values[worst]} is missed by {violation[worst]:.2g}."


def _ended(solutions: Mapping[str, Solution], worth: float) -> tuple[Status, str]:
    """Status and detail of all: those of the worst phase, unless the sum of the gaps says worse."""
    worst = max(solutions, key=lambda name: WORST_LAST.index(solutions[name].status))
    status, detail = solutions[worst].status, solutions[worst].detail
    if len({(one.status, one.detail) for one in solutions.values()}) > 1:
        detail = f"{worst}: {detail}"
    gap = sum(one.gap for one in solutions.values()) + worth
    size = sum(abs(one.cost) + _action(one) for one in solutions.values())
    far = status in SUCCESSES and gap > FAR * size + FEASIBLE
    return Status.NO_EXTREMAL if far else status, detail


def _action(solution: Solution) -> float:
    """∫ |H|."""
    layers = solution.group("layers")
    return float(layers["width"].values @ np.abs(layers["hamiltonian"].values))


def _links(phases: Phases, ends: Sequence[Ends], multipliers: Array) -> xr.Dataset:
    linkage = phases.linkage
    values = linkage.values(ends)
    violation = np.maximum(np.maximum(linkage.low - values, values - linkage.high), 0.0)
    columns = (values, linkage.low, linkage.high, violation, multipliers)
    named = {name: ("link", column) for name, column in zip(LINKS, columns, strict=True)}
    return xr.Dataset(named, coords={"link": list(linkage.names)} if linkage.count else {})
