"""The effort as a formula: one symbol a control, or of very many controls one vector of them all.

A symbol and some operations for each control take more memory than the controls of all layers.
"""

from __future__ import annotations

from typing import Any

import casadi as ca

from ocdl.errors import InvalidInput
from ocdl.statement.problem import ControlProblem

WIDE = 100_000  # controls from which they are one vector
NODES = 1000  # of a formula in vectors; one that names its controls one by one has more, and is slow


def effort_formula(problem: ControlProblem) -> tuple[dict[str, Any], Any]:
    """Symbols t, x, u, p, d, and E of them: SX, or MX of ``WIDE`` controls where the formula takes vectors."""
    if problem.m >= WIDE:
        try:
            s, value = _written(problem, ca.MX)
        except InvalidInput:  # it is for scalars only
            return _written(problem, ca.SX)
        if ca.n_nodes(value) <= NODES:
            return s, value
    return _written(problem, ca.SX)


def _written(problem: ControlProblem, kind: Any) -> tuple[dict[str, Any], Any]:
    s = problem.symbols(kind)
    return s, kind(problem.evaluate("effort", kind, t=s["t"], u=s["u"], p=s["p"]))
