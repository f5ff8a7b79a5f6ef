"""Controls with bounds or costs on their rates: they become states, and their rates the controls.

u̇ = v,  u(0) free in the box of u,  v in the box of rates;  with rates constant in a layer u is linear there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.bounds import Free
from ocdl.statement.extended import appended, changed, more_states, stacked
from ocdl.statement.names import Whole
from ocdl.statement.restated import Rates, ends_taken, fields, joined, own_formulas, takes_rates, total


def rated(problem: Any) -> tuple[int, ...]:
    """The controls with a bound on their rate; all where a formula takes ``du``, or no bound is finite."""
    bounded = _bounded(problem) if "rate" in problem.bounds.names else ()
    moving = _every(problem) if takes_rates(problem) else bounded
    jumping = ends_taken(problem) - set(moving)
    if jumping:
        names = ", ".join(problem.controls[i] for i in sorted(jumping))
        raise InvalidInput(
            f"boundary: it takes {names} at an end, where a control has a value only if its rate is bounded, as others "
            "may jump there; give Box(rate=(lower, upper))."
        )
    return moving


def _bounded(problem: Any) -> tuple[int, ...]:
    box, every = problem.bounds, _every(problem)
    if box.varies("rate"):
        return every
    low, high = box.interval("rate", (problem.m,))
    return tuple(i for i in every if np.isfinite(low[i]) or np.isfinite(high[i])) or every


def _every(problem: Any) -> tuple[int, ...]:
    if not problem.m:
        raise InvalidInput("Box(rate=...), du: rates are those of controls, and this problem has none.")
    return tuple(range(problem.m))


def with_rates(problem: Any, moving: tuple[int, ...]) -> dict[str, Any]:
    """Controls ``moving`` become states u, u̇ = v, behind the others; their rates v controls, behind the others."""
    said = "Box(rate=...), du"
    if problem.samples > 1:
        raise NotSupported(
            f"{said}: controls with rates become states, and {problem.samples} samples share their controls, not their "
            "states; state one sample whose states are those of all."
        )
    if problem.control_set is not None:
        raise NotSupported(f"{said}: controls in {problem.control_set!r} take no rates.")
    box, n, m = problem.bounds, problem.n, problem.m
    still = [i for i in range(m) if i not in moving]
    names = [problem.controls[i] for i in moving]
    own = fields(problem, formulas := own_formulas(problem, moving))
    own["dynamics"] = joined(("dynamics", formulas["dynamics"]), ("dynamics", Whole(("u",), Rates(len(still)))), n=n)
    if "effort" in own:
        costs = [(role, formulas[role]) for role in ("running", "effort") if role in formulas]
        own |= {"running": total(*costs), "effort": None}
    begin = np.array([problem.t0.begin if isinstance(problem.t0, Free) else problem.t0])
    ends = zip(*(end[0][list(moving)] for end in box.interval_at("u", (m,), begin)), strict=True)
    metric = problem.control_metric
    x = stacked((box, "x", n, range(n)), (box, "u", m, moving))
    bounded = {"x": "Box(u=...) of a control with a rate"} if "u" in box.names else {}
    return {
        **own,
        "initial": appended(problem.initial, [Free(float(low), float(high)) for low, high in ends]),
        "final": None if problem.final is None else appended(problem.final, [Free()] * len(moving)),
        "controls": [problem.controls[i] for i in still] + [f"rate of {name}" for name in names],
        "control_metric": None if metric is None else np.asarray(metric)[[*still, *moving]],
        "bounds": changed(
            box,
            rate=None,
            u=stacked((box, "u", m, still), (box, "rate", m, moving)),
            x=x if {"x", "u"} & set(box.names) else None,
        ),
        "reduction": problem.reduction.and_then(problem, tuple(names), **bounded),
        **more_states(problem, said, names),
    }
