"""Reductions: what a problem may be stated with, written as a problem without it. The core knows none of it.

    integral   ∫ g dt in [c⁻, c⁺]           states q, q̇ = g, q(0) = 0, q(T) in [c⁻, c⁺]
    periodic   x(T) = x(0)                  rows of boundary
    rates      bounds on u̇, u̇ in formulas   states u, u̇ = v, u(0) free in the box of u, and controls v
    risk       R of the samples' costs      parameters, another terminal loss, rows of boundary

A reduction gives the fields that change: a ``ControlProblem`` is stated anew with them, until there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Box, Free
from ocdl.statement.extended import appended, changed, more_states, stacked
from ocdl.statement.names import Whole
from ocdl.statement.rates import rated, with_rates
from ocdl.statement.restated import Returns, fields, joined, own, own_formulas, rows_of
from ocdl.statement.under_risk import under_risk


def reduced(problem: Any) -> dict[str, Any] | None:
    """The fields that change where ``problem`` is stated with what its core does not know; None where it is not."""
    moving = rated(problem)
    if moving:
        return with_rates(problem, moving)
    if problem.periodic is not False and problem.periodic != []:
        return _periodic(problem)
    if problem.integral is not None:
        return _with_integrals(problem)
    if "integral" in problem.bounds.names:
        raise InvalidInput(f"{problem.bounds!r}: it bounds integral, but the problem has no integral=....")
    if problem.risk is not None and problem.noise is None:
        return under_risk(problem)
    return None


# -- integrals ------------------------------------------------------------------------------------------------


def _with_integrals(problem: Any) -> dict[str, Any]:
    """q̇ = g, q(0) = 0, and q(T) in the interval of ``integral``."""
    box, n = problem.bounds, problem.n
    if box.varies("integral"):
        raise InvalidInput(f"{box!r}: an integral is one number; its bounds cannot depend on depth.")
    formulas = own_formulas(problem)
    rows = rows_of(problem, "integral", formulas["integral"])
    names = tuple(f"integral[{k}]" for k in range(rows))
    low, high = box.interval("integral", (rows,)) if "integral" in box.names else np.zeros((2, rows))
    ends = [float(a) if a == b else Free(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    x = stacked((box, "x", n, range(n)), (Box(), "integral", rows, range(rows)))
    final = np.full((problem.samples, n), Free(), dtype=object) if problem.final is None else problem.final
    return {
        **fields(problem, formulas),
        "integral": None,
        "dynamics": joined(("dynamics", formulas["dynamics"]), ("integral", formulas["integral"]), n=n),
        "initial": appended(problem.initial, [0.0] * rows),
        "final": appended(final, ends),
        "bounds": changed(box, integral=None, x=x if "x" in box.names else None),
        "reduction": replace(problem.reduction.and_then(problem, final="integral=..."), counted=names),
        **more_states(problem, "integral=...", names),
    }


# -- periodic ends --------------------------------------------------------------------------------------------


def _periodic(problem: Any) -> dict[str, Any]:
    """Rows x(T) − x(0) = 0 of boundary, behind the user's own."""
    stated = problem.n if problem.reduction.stated is None else problem.reduction.stated
    names = problem.states[:stated] if problem.periodic is True else problem.periodic
    if isinstance(names, str) or not isinstance(names, Sequence) or not set(names) <= set(problem.states):
        still = sorted(set(problem.controls) & set(names)) if isinstance(names, Sequence) else []
        raise InvalidInput(
            f"periodic={problem.periodic!r}: True for all states, or a list of names of states is needed, of "
            f"{', '.join(problem.states)}."
            f"{' A control has values at the ends where its rate is bounded: give Box(rate=...).' if still else ''}"
        )
    box = problem.bounds
    parts = [("boundary", own(problem, "boundary"))] if problem.boundary is not None else []
    rows = sum(rows_of(problem, *part) for part in parts)
    returns = Whole(("x0", "xT"), Returns(tuple(problem.states.index(name) for name in names)))
    before = box if "boundary" in box.names else Box(boundary=(0.0, 0.0))
    boundary = stacked(
        (before, "boundary", rows, range(rows)), (Box(boundary=(0.0, 0.0)), "boundary", len(names), range(len(names)))
    )
    return {
        "periodic": False,
        "boundary": joined(*parts, ("boundary", returns)),
        "bounds": changed(box, boundary=boundary),
        "reduction": problem.reduction.and_then(problem, boundary="periodic=..."),
    }
