"""Whether two problems have the same formulas, told by their expressions: what was compiled for one then serves both.

A loop that states its problem anew writes the same formulas with new functions; only the expressions they return tell.
"""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np

from ocdl.statement.formulas import ROLES
from ocdl.statement.problem import ControlProblem


def sharing(problem: ControlProblem, other: ControlProblem | None) -> ControlProblem:
    """The problem, which takes over what was compiled for ``other`` where both differ in numbers alone: initial states,
    bounds and data.
    """
    if other is not None and _plain(problem) == _plain(other) and _written(problem) == _written(other):
        return problem.with_formulas_of(other)
    return problem


def _plain(problem: ControlProblem) -> list[Any]:
    """Sizes, names, weights and structure."""
    numbers = problem.weights, problem.state_metric, problem.control_metric, problem.parameter_metric
    sizes = problem.samples, problem.n, np.shape(problem.data), problem.free_initial, problem.final is None
    names = problem.states, problem.controls, problem.parameters, sorted(problem.bounds.names)
    boxes = problem.velocity_box is None, problem.sample_box is None, problem.columnwise, id(problem.control_set)
    stated = problem.discrete, tuple(problem.budgets)
    stations = id(problem.measurements), id(problem.conditions)
    given = [getattr(problem, role) is None for role in ROLES]
    return [
        *given,
        problem.t0,
        problem.horizon,
        *sizes,
        *names,
        *boxes,
        *stations,
        *stated,
        *(np.asarray(values).tobytes() for values in numbers),
    ]


def _written(problem: ControlProblem) -> str:
    """All expressions, as CasADi writes a function to a file."""

    def written() -> str:
        symbols = problem.all_symbols()
        given = [role for role in ROLES if getattr(problem, role) is not None]
        parts = [problem.evaluate(role, **symbols) for role in given]
        return str(ca.Function("formulas", list(symbols.values()), parts).serialize())

    return problem.built.of("formulas", written)
