"""A problem under risk as one without: parameters and data more, another terminal loss, and rows of boundary.

ℓ(x(T)) + ∫ L dt  →  J_s of each sample, its running cost a state more;   p = [the user's own, shared, own];
d = [the user's own, e_s] where samples have parameters of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.bounds import Box
from ocdl.statement.extended import appended, changed, more_states, stacked
from ocdl.statement.layout import Layout, Part
from ocdl.statement.names import Whole
from ocdl.statement.readout_loss import ReadoutLoss
from ocdl.statement.restated import Accumulated, fields, joined, own_formulas, rows_of, total
from ocdl.statement.risk import Risk


def under_risk(problem: Any) -> dict[str, Any]:
    """The fields of a problem with ``risk=...`` that say the same without."""
    risk, said = problem.risk, f"risk={problem.risk!r}"
    if not isinstance(risk, Risk):
        raise InvalidInput(f"{said}: give an instance such as ocdl.Exponential(2.0) or ocdl.CVaR(0.9).")
    if problem.samples == 1:
        raise InvalidInput(f"{said}: one sample has one cost; risk is about the spread of several.")
    if problem.measurements is not None:
        raise NotSupported(f"{said}: measurements are no cost of single samples.")
    if problem.terminal is None and problem.running is None:
        raise InvalidInput(f"{said}: neither terminal nor running is given, so that all samples cost the same.")
    return _ended(problem, said) if problem.running is not None else _lifted(problem, risk)


def _ended(problem: Any, said: str) -> dict[str, Any]:
    """The running cost so far as a state, and its end in the terminal loss."""
    formulas, n = own_formulas(problem), problem.n
    running = formulas.pop("running")
    end = ("terminal", Whole(("x",), Accumulated(n)))
    costs = [("terminal", formulas["terminal"]), end] if "terminal" in formulas else [end]
    box = problem.bounds
    x = stacked((box, "x", n, range(n)), (Box(), "x", 1, range(1))) if "x" in box.names else None
    return {
        **fields(problem, formulas),
        "running": None,
        "dynamics": joined(("dynamics", formulas["dynamics"]), ("running", running), n=n),
        "terminal": total(*costs),
        "initial": appended(problem.initial, [0.0]),
        "final": None if problem.final is None else appended(problem.final, [None]),
        "bounds": changed(box, x=x),
        "reduction": problem.reduction.and_then(problem),
        **more_states(problem, said, ["running cost"]),
    }


def _lifted(problem: Any, risk: Risk) -> dict[str, Any]:
    """The parameters of the risk, and what they make of the terminal loss."""
    P, k, S = problem.own_parameters, problem.data.shape[1], problem.samples
    more = [*risk.shared, *(f"{risk.own}[{s}]" for s in range(S if risk.own else 0))]
    place = Place(P, k, len(risk.shared), S if risk.own else 0)
    formulas, omega = own_formulas(problem), np.asarray(problem.weights)
    cost = formulas.pop("terminal")
    told = {
        **fields(problem, formulas),
        "risk": None,
        "terminal": _terminal(problem, AtRisk(risk, cost, place, omega)),
        "parameters": [*problem.parameters, *more],
        "bounds": changed(problem.bounds, p=_parameter_box(problem, risk, len(more))),
        "reduction": problem.reduction,
    }
    if risk.own:
        told["data"] = np.concatenate([problem.data, np.eye(S)], axis=1)
        parts = [("penalty", formulas["penalty"])] if "penalty" in formulas else []
        told["penalty"] = total(*parts, ("penalty", Whole(("p",), Gauge(risk, place, omega))))
    if risk.constrains:
        told |= _rows(problem, risk, cost, place, told["bounds"], formulas)
    if problem.parameter_metric is not None:
        told["parameter_metric"] = np.append(problem.parameter_metric, np.ones(len(more)))
    if problem.layout is not None:
        told["layout"] = _labelled(problem.layout, risk, S)
    return told


def _labelled(layout: Layout, risk: Risk, samples: int) -> Layout:
    """A layout with the parameters of the risk behind its own."""
    own = (Part(risk.own, ("sample",), (samples,)),) if risk.own else ()
    return replace(layout, parameters=(*layout.parameters, *(Part(name, (), ()) for name in risk.shared), *own))


def _parameter_box(problem: Any, risk: Risk, more: int) -> Any:
    box, P, shared = problem.bounds, problem.own_parameters, len(risk.shared)
    low, high = np.full(more, -np.inf), np.full(more, np.inf)
    if risk.constrains:
        low[shared:] = 0.0
    return stacked((box, "p", P, range(P)), (Box(p=(low, high)), "p", more, range(more)))


def _rows(problem: Any, risk: Risk, cost: Whole, place: Place, box: Box, formulas: dict[str, Whole]) -> dict[str, Any]:
    """A row of boundary for every sample, behind the user's own."""
    parts = [("boundary", formulas["boundary"])] if "boundary" in formulas else []
    rows = sum(rows_of(problem, *part) for part in parts)
    row = Whole(("xT", "t", "p", "d"), Row(risk, cost, place))
    before = box if "boundary" in box.names else Box(boundary=(0.0, 0.0))
    interval = stacked((before, "boundary", rows, range(rows)), (Box(boundary=(-np.inf, 0.0)), "boundary", 1, range(1)))
    return {
        "boundary": joined(*parts, ("boundary", row)),
        "bounds": changed(box, boundary=interval),
        "reduction": problem.reduction.and_then(problem, boundary=f"risk={risk!r}"),
    }


@dataclass(frozen=True)
class Place:
    """Where the parameters of a risk are behind P own ones, and e_s behind k own data."""

    P: int
    k: int
    shared: int
    own: int

    def values(self, p: Any, d: Any) -> tuple[Any, Any]:
        """The shared parameters, and all of the samples' own with this sample's."""
        behind = p[self.P :]
        each = behind[self.shared : self.shared + self.own]
        return behind[: self.shared], (each, ca.dot(d[self.k : self.k + self.own], each) if self.own else None)


@dataclass(frozen=True, eq=False)
class AtRisk:
    """A terminal loss from the cost of a sample."""

    risk: Risk
    cost: Whole
    place: Place
    omega: Array

    def __call__(self, **given: Any) -> Any:
        shared, own = self.place.values(given["p"], given["d"])
        return self.risk.loss(_costs(self.cost, given), shared, own, self.omega)


@dataclass(frozen=True, eq=False)
class Row:
    """A row of boundary from the cost of a sample."""

    risk: Risk
    cost: Whole
    place: Place

    def __call__(self, xT: Any, t: Any, p: Any, d: Any) -> Any:
        return self.risk.row(_costs(self.cost, {"x": xT, "t": t, "p": p, "d": d}), *self.place.values(p, d))


@dataclass(frozen=True, eq=False)
class Gauge:
    """The penalty that picks one of several equal parameters."""

    risk: Risk
    place: Place
    omega: Array

    def __call__(self, p: Any) -> Any:
        behind = p[self.place.P + self.place.shared :]
        return self.risk.gauge(behind[: self.place.own], self.omega)


@dataclass(frozen=True, eq=False)
class ReadoutLossAtRisk(ReadoutLoss):
    """A loss of a readout that predicts as ever, and costs what the risk makes of it."""

    at_risk: AtRisk

    def __call__(self, x: Any, p: Any, d: Any) -> Any:
        return self.at_risk(x=x, p=p, d=d)


def _terminal(problem: Any, at_risk: AtRisk) -> Any:
    given = problem.terminal
    if isinstance(given, ReadoutLoss):
        return ReadoutLossAtRisk(given.output, given.loss, given.link, at_risk)
    return Whole(("x", "t", "p", "d"), at_risk)


def _costs(cost: Whole, given: dict[str, Any]) -> Any:
    return cost(**{name: given[name] for name in cost.taken})
