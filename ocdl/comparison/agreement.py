"""Where routes agree and where not: the table and the sentences of a ``Comparison``.

All costs come from one referee on one depth grid, so they compare exactly. Controls u near an extremal u* cost at most
J(u) − J(u*) ≤ Σ_k h_k [H(u_k) − min_u H] + second order, the maximum-principle gap of u. A cost that lies further above
the best than twice its own gap therefore belongs to another, worse extremal, however good the best itself is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from ocdl.comparison.rows import Difference, Row
from ocdl.referee.certify import FIRST_ORDER
from ocdl.referee.outcome import FEASIBLE, Status
from ocdl.referee.solution import Solution
from ocdl.statement.discrete import NOTHING_BETWEEN
from ocdl.tables import plain_table, plain_text

ROUNDING = 1e-6
CLOSE = 1e-3
EXTREMAL = 0.1  # an answer counts as an extremal where its gap is this small a part of its excess
VANISHED = 1e-6
SMALL_COSTATE = 1e-2  # below it a target counts as reached up to a grid error


class Compared(Protocol):
    """What the sentences and tables need of a ``Comparison``."""

    @property
    def solutions(self) -> dict[str, Solution]: ...
    @property
    def best_name(self) -> str | None: ...
    @property
    def best(self) -> Solution: ...
    @property
    def depth_error(self) -> float | None: ...

    def table(self) -> list[Row]: ...
    def differences(self) -> list[Difference]: ...
    def findings(self) -> list[str]: ...


# -- the judgement -----------------------------------------------------------------------------------


def tolerance(solution: Solution, best: Solution) -> float:
    """How far above the best cost an answer may lie and still be the same: twice its gap, what the defects of either's
    states are worth, ``ROUNDING`` of the cost, and for a value function the distance |V(f_I, 0) − J of its feedback|.
    """
    rounding = ROUNDING * max(abs(best.cost), abs(solution.cost))
    worth = abs(solution.defect_worth) + abs(best.defect_worth)
    return 2.0 * excusable(solution) + worth + rounding + (value_error(solution) or 0.0)


def excusable(solution: Solution) -> float:
    """What other controls may gain: the gap, or of a first-order certificate a unit projected step."""
    certificate = solution.certificate
    first_order = solution.search == FIRST_ORDER and certificate is not None
    return certificate.gain if first_order and certificate is not None else solution.gap


def _kind(solution: Solution) -> str:
    return "first-order gain" if solution.search == FIRST_ORDER else "maximum-principle gap"


def value_error(solution: Solution) -> float | None:
    """|V(f_I, 0) − J of its feedback| for a route that has a value function, else None: not V's error, which both share
    where the grid, the domain or the search for the least H misleads them alike.
    """
    claimed = solution.claim.get("cost")
    return abs(claimed - solution.cost) if "value" in solution.extras and claimed is not None else None


def verdict(solution: Solution, best: Solution) -> str:
    """One of ``infeasible``, ``another set`` (of controls), ``agrees``, ``unfinished``, ``worse`` (another extremal)
    and ``no extremal``.
    """
    if solution.feasibility > FEASIBLE:
        return "infeasible"
    if solution.control_set not in ("", best.control_set):
        return "another set"
    excess = solution.cost - best.cost
    within = bool(excess <= tolerance(solution, best))
    if within and _close(solution, best):
        return "agrees"
    if solution.status.failed or solution.status is Status.INTERRUPTED or not np.isfinite(excess):
        return "unfinished"
    if solution.status is Status.EDGE:
        return "no extremal"
    return "worse" if excusable(solution) <= EXTREMAL * excess and not within else "no extremal"


def _close(solution: Solution, best: Solution) -> bool:
    """The costs differ by less than ``CLOSE``, or both routes reach the target up to a grid error."""
    reached = all(_largest(s.costate) <= SMALL_COSTATE * (1.0 + _largest(s.state)) for s in (solution, best))
    return reached or solution.cost - best.cost <= CLOSE * max(abs(best.cost), abs(solution.cost))


def vanishing(solution: Solution) -> bool:
    """The costate vanishes: the maximum principle says nothing about these controls."""
    small = VANISHED * (1.0 + _largest(solution.state))
    return solution.status is Status.REACHABLE or _largest(solution.costate) <= small


# -- the sentences ------------------------------------------------------------------------------------


def findings(comparison: Compared) -> list[str]:
    """What the comparison shows, in plain sentences."""
    name = comparison.best_name
    if name is None:
        return ["No method returned a solution."]
    best = comparison.best
    others = {n: s for n, s in comparison.solutions.items() if n != name}
    groups: dict[str, dict[str, Solution]] = {}
    for other, solution in others.items():
        groups.setdefault(verdict(solution, best), {})[other] = solution
    said = [_lowest(name, best)]
    said += _agreeing(groups.get("agrees", {}), best)
    for alike in _alike(groups.get("worse", {})):
        said.append(_worse(alike, name, best, comparison.solutions))
    said += [_no_extremal(n, s, best) for n, s in groups.get("no extremal", {}).items()]
    said += [_unfinished(n, s, best) for n, s in groups.get("unfinished", {}).items()]
    said += [_another_set(n, s, name, best) for n, s in groups.get("another set", {}).items()]
    said += [_infeasible(n, s) for n, s in groups.get("infeasible", {}).items()]
    said += [_value(n, s, name, best) for n, s in comparison.solutions.items() if value_error(s) is not None]
    said += _optimality_gap(comparison)
    said += [_claimed(n, s) for n, s in comparison.solutions.items() if _overclaims(s)]
    said += [f"{name}: {warning}" for warning in _exploits(best)]
    said += [_between(n, s) for n, s in comparison.solutions.items() if s.status is Status.BETWEEN]
    said += _silent(comparison.solutions)
    return said + _depth(comparison)


def _lowest(name: str, best: Solution) -> str:
    whose = f"{_whose(name)} feedback" if _has_value(best) else name
    bounds = "" if best.feasibility <= FEASIBLE else f", but it violates its bounds by {best.feasibility:.2g}"
    return f"{whose} attains the lowest cost, J = {best.cost:.8g}{bounds}."


def _agreeing(group: dict[str, Solution], best: Solution) -> list[str]:
    if not group:
        return []
    excess = max(s.cost - best.cost for s in group.values())
    allowed = max(tolerance(s, best) for s in group.values())
    return [
        f"{_joined(group)} {_verb(group, 'agrees', 'agree')} with it: {_verb(group, 'its cost is', 'their costs are')} "
        f"within {excess:.2g} of it (tolerance {allowed:.2g})."
    ]


def _worse(group: dict[str, Solution], name: str, best: Solution, solutions: dict[str, Solution]) -> str:
    costs = [s.cost for s in group.values()]
    allowed = max(tolerance(s, best) for s in group.values())
    attained = f"what {_whose(name)} feedback attains" if _has_value(best) else f"what {name} attains"
    exact = all(s.gap_is_exact for s in group.values())
    return (
        f"{_joined(group)} {_verb(group, 'stops', 'stop')} in a worse extremal: {_verb(group, 'its', 'their')} cost "
        f"{_range(costs)} is {_percent(min(costs) - best.cost, best.cost)} above {attained} ({best.cost:.6g}), "
        f"more than {_verb(group, 'its gap', 'their gaps')} can explain (tolerance {allowed:.2g}"
        f"{'' if exact else '; the gap is at least that'}){_witness(min(costs), solutions)}."
    )


def _witness(cost: float, solutions: dict[str, Solution]) -> str:
    """What the value functions say of a cost."""
    said = ""
    for name, solution in solutions.items():
        error = value_error(solution)
        if error is None or solution.status is Status.EDGE:
            continue
        V, estimate = solution.claim["cost"], solution.claim.get("value_error")
        good = f"V − J = {V - solution.cost:+.1g}" if estimate is None else f"estimated error {estimate:.1g}"
        verb = "says so" if V + max(error, estimate or 0.0) < cost else "is too coarse to tell"
        said += f"; {_whose(name)} value at the start, V = {V:.6g} ({good}), {verb}"
    return said


def _no_extremal(name: str, solution: Solution, best: Solution) -> str:
    excess, error = solution.cost - best.cost, value_error(solution)
    if solution.status is Status.EDGE:
        why = "and the edge of its domain cut the flow, so that V is not valid at the start; give it a larger domain"
    elif error is not None:
        why = f"which its grid explains (gap {solution.gap:.2g}, |V − J| = {error:.2g}); give it more nodes"
    elif excess <= tolerance(solution, best):
        why = f"which its {_kind(solution)} {excusable(solution):.2g} explains: it is not at an extremal yet"
    else:
        why = f"and its {_kind(solution)} {excusable(solution):.2g} says that it is not at an extremal yet"
    return f"{_whose(name)} cost {solution.cost:.6g} is {_percent(excess, best.cost)} above the best, {why}."


def _unfinished(name: str, solution: Solution, best: Solution) -> str:
    return (
        f"{name} did not finish ({solution.status.name.lower().replace('_', ' ')}): its cost {solution.cost:.6g} is "
        f"{_percent(solution.cost - best.cost, best.cost)} above the best."
    )


def _another_set(name: str, solution: Solution, best_name: str, best: Solution) -> str:
    """Costs over different control sets prove nothing against each other."""
    whose = f"over {best.control_set}" if best.control_set else "over all controls of the problem"
    return (
        f"{name} solves over {solution.control_set}, {best_name} {whose}: its cost {solution.cost:.6g}, "
        f"{_percent(solution.cost - best.cost, best.cost)} above, is that of another problem and is not compared. "
        f"SelectionProblem(bounds={solution.control_set}) compares all over that set."
    )


def _infeasible(name: str, solution: Solution) -> str:
    return f"{name} violates its bounds by {solution.feasibility:.2g}: its cost {solution.cost:.6g} does not count."


def _between(name: str, solution: Solution) -> str:
    return (
        f"{name} keeps the constraints only at the points where they are imposed: its cost {solution.cost:.6g} may lie "
        "below what controls that keep them everywhere can attain."
    )


def _value(name: str, solution: Solution, best_name: str, best: Solution) -> str:
    V, estimate = solution.claim["cost"], solution.claim.get("value_error")
    if solution.status is Status.EDGE:
        return f"{name}: the edge of its domain cut the flow, so that V(f_I, 0) = {V:.8g} says nothing of the optimum."
    said = f"its feedback costs {solution.cost:.8g} (V − J = {V - solution.cost:+.1g})"
    if estimate is None:
        return f"{name}: V(f_I, 0) = {V:.8g}, of unknown error; {said}."
    whose = "that cost" if best is solution else f"{_whose(best_name)} cost {best.cost:.6g}"
    below = best.cost - V + estimate
    end = (
        f"V lies above {whose} by more than that: give it more nodes"
        if below < 0.0
        else f"as far as the estimate holds, the global optimum is at most {below:.1g} below {whose}"
    )
    return f"{name}: V(f_I, 0) = {V:.8g} (error by half its resolution: about {estimate:.1g}) and {said}; {end}."


def _proven(solutions: dict[str, Solution]) -> tuple[str, float] | None:
    """Who proves the largest lower bound of all costs, and the bound; None where no route has one."""
    bounds = {n: s.claim["lower_bound"] for n, s in solutions.items() if s.claim.get("lower_bound") is not None}
    return max(bounds.items(), key=lambda pair: pair[1], default=None)


def alarms(comparison: Compared) -> list[str]:
    """Where a cost is attained below a proven lower bound: on the grid and, beyond its error, re-integrated."""
    proven = _proven(comparison.solutions)
    if proven is None or comparison.best.feasibility > FEASIBLE:
        return []
    (prover, bound), name, best = proven, comparison.best_name, comparison.best
    continuous = best.certificate
    attained = best.cost if continuous is None else np.fmax(best.cost, continuous.cost + continuous.error)
    if not bound - attained > ROUNDING * max(abs(bound), abs(attained)):
        return []
    return [
        f"ALARM: {_whose(prover)} proof bounds every cost from below by {bound:.8g}, yet {name} attains "
        f"{attained:.8g}. One of the two is wrong: trust neither until it is known which."
    ]


def _optimality_gap(comparison: Compared) -> list[str]:
    """Best cost found minus the best proven lower bound of all costs, where a route has one."""
    proven = _proven(comparison.solutions)
    if proven is None or comparison.best.feasibility > FEASIBLE:
        return []
    (prover, bound), name = proven, str(comparison.best_name)
    return alarms(comparison) or [
        f"{_whose(prover)} proof, whatever the grid, bounds every cost from below by {bound:.8g}; "
        f"optimality gap of {_whose(name)} cost: at most {max(0.0, comparison.best.cost - bound):.2g}."
    ]


def _overclaims(solution: Solution) -> bool:
    claimed = solution.claim.get("cost")
    if claimed is None or value_error(solution) is not None:
        return False
    return not abs(claimed - solution.cost) <= ROUNDING * (1e-3 + abs(solution.cost))


def _claimed(name: str, solution: Solution) -> str:
    return (
        f"{name} reports the cost {solution.claim['cost']:.8g}; re-integrated, its controls cost {solution.cost:.8g}: "
        "its own state does not satisfy the state equation."
    )


def _exploits(best: Solution) -> list[str]:
    """The warning of a best cost that its controls do not have in continuous depth."""
    return [best.certificate.warning] if best.certificate is not None and best.certificate.super_optimal else []


def _silent(solutions: dict[str, Solution]) -> list[str]:
    silent = {name: s for name, s in solutions.items() if vanishing(s)}
    if not silent:
        return []
    largest = max(_largest(s.costate) for s in silent.values())
    return [
        f"The maximum principle says nothing here about the controls of {_joined(silent)}: the target is "
        f"reached and the costate vanishes (max |p| = {largest:.1g}). Many controls are optimal; they need not agree."
    ]


def _depth(comparison: Compared) -> list[str]:
    error, best = comparison.depth_error, comparison.best
    varies = "controls=" in str(best.attrs["scheme"])
    held = "the choice of its controls" if varies else "holding the controls constant in a layer"
    if best.discrete:
        return [f"No depth error: {NOTHING_BETWEEN}."]
    if error is None:
        return []
    restarted = best.certificate is not None and best.certificate.restarted
    how = "every layer anew from its own node" if restarted else "on layers half as wide"
    unstable = [f"{comparison.best_name}: {best.certificate.open_loop}."] if restarted and best.certificate else []
    return [
        f"Depth error of the best cost: {error:.1g} by integration ({how}), and about "
        f"{best.gap:.1g} (its gap) by {held}.",
        *unstable,
    ]


def _alike(group: dict[str, Solution]) -> list[dict[str, Solution]]:
    """Routes whose costs agree to ``CLOSE``, together."""
    classes: list[dict[str, Solution]] = []
    for name, solution in sorted(group.items(), key=lambda pair: pair[1].cost):
        first = next(iter(classes[-1].values())).cost if classes else np.inf
        if classes and abs(solution.cost - first) <= CLOSE * abs(first):
            classes[-1][name] = solution
        else:
            classes.append({name: solution})
    return classes


def _has_value(solution: Solution) -> bool:
    return "value" in solution.extras


def _largest(array: object) -> float:
    return float(np.max(np.abs(np.asarray(array)), initial=0.0))


def _joined(names: Sequence[str] | dict[str, Solution]) -> str:
    names = list(names)
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _whose(name: str) -> str:
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def _verb(group: Sequence[str] | dict[str, Solution], one: str, many: str) -> str:
    return one if len(group) == 1 else many


def _range(costs: list[float]) -> str:
    low, high = f"{min(costs):.6g}", f"{max(costs):.6g}"
    return low if low == high else f"{low} to {high}"


def _percent(excess: float, cost: float) -> str:
    return _percentage(excess / abs(cost)) if abs(cost) > 1e-12 else f"{excess:.2g}"


def _percentage(fraction: float) -> str:
    percent = 100.0 * fraction
    return f"{percent:.2g} %" if percent < 99.5 else f"{percent:.0f} %"


# -- the table ----------------------------------------------------------------------------------------


def comparison_text(comparison: Compared) -> str:
    """Tables and sentences as plain text, ``WIDTH`` columns wide."""
    return plain_text(_parts(comparison))


def _parts(comparison: Compared) -> Iterator[Any]:
    rows = comparison.table()
    yield _main_table(rows)
    if any(row.gap is not None and not row.gap_is_exact for row in rows):
        yield "* at least: H may have lower minima than the search found.\n"
    for row in rows:
        if row.status not in ("converged", "rolled out"):
            yield f"{row.method}: {row.message}"
    if len(comparison.solutions) > 1:
        yield (
            f"\nMaximum distances from {comparison.best_name} in function space; own costate: what the route "
            "itself reports (multipliers, ∇V) against the referee's."
        )
        yield _difference_table(comparison)
    for sentence in comparison.findings():
        yield f"• {sentence}"
    if len(comparison.solutions) > 1:
        yield (
            "\nTolerance: a cost belongs to the best's extremal while it lies within twice its own gap of the best "
            f"cost (first order), plus {ROUNDING:g} of the cost for rounding, and for a value function its own |V − J|."
        )


def _main_table(rows: list[Row]) -> Any:
    table = plain_table(collapse_padding=True)
    table.add_column("method", overflow="fold")
    for title in ("cost J", "excess", "rel.", "gap", "infeas.", "claimed J", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("status")
    for row in rows:
        table.add_row(
            row.method,
            _shown(row.cost, ".9g"),
            "best" if row.excess == 0.0 else _shown(row.excess, ".2e"),
            "" if not row.excess or row.relative is None else _percentage(row.relative),
            _shown(row.gap, ".1e", "" if row.gap_is_exact else " *"),
            _shown(row.feasibility, ".0e"),
            _shown(row.claimed, ".7g"),
            _shown(row.seconds, ".3g", " s"),
            row.status,
        )
    return table


def _difference_table(comparison: Compared) -> Any:
    table = plain_table()
    for title in ("method", "state f", "costate p", "controls", "(mean)", "own costate"):
        table.add_column(title, justify="left" if title == "method" else "right", no_wrap=True)
    own = {row.method: row.own_costate for row in comparison.table()}
    name = comparison.best_name
    pairs = {frozenset((pair.first, pair.second)): pair for pair in comparison.differences()}
    for other in comparison.solutions:
        pair = pairs.get(frozenset((str(name), other)))
        figures = (
            ["", "", "", ""]
            if pair is None
            else [f"{x:.1e}" for x in (pair.state, pair.costate, pair.controls, pair.controls_mean)]
        )
        table.add_row(other, *figures, _shown(own[other], ".1e"))
    return table


def _shown(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"
