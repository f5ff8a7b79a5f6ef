"""The degree of an expression as a polynomial in some symbols, proven from its graph, or else infinite."""

from __future__ import annotations

import math
from typing import Any

import casadi as ca

LINEAR = (ca.OP_ASSIGN, ca.OP_NEG, ca.OP_TWICE, ca.OP_ADD, ca.OP_SUB)


def degree(value: Any, symbols: Any, others: list[Any]) -> float:
    """The largest degree of all entries in ``symbols``; ``others`` are what else they hold.

    Derivatives would not do: that of a step is zero.
    """
    function = ca.Function("polynomial", [symbols, *others], [ca.densify(value)])
    found: dict[int, float] = {}
    highest = 0.0
    for k in range(function.n_instructions()):
        kind, given, to = (
            f(k) for f in (function.instruction_id, function.instruction_input, function.instruction_output)
        )
        if kind == ca.OP_INPUT:
            found[to[0]] = float(given[0] == 0)
        elif kind == ca.OP_CONST:
            found[to[0]] = 0.0
        elif kind == ca.OP_OUTPUT:
            highest = max(highest, found[given[0]])
        else:
            found[to[0]] = _of(kind, [found[i] for i in given])
    return highest


def _of(kind: int, parts: list[float]) -> float:
    """That of one operation."""
    if max(parts) == 0.0:
        return 0.0
    if kind in LINEAR:
        return max(parts)
    if kind in (ca.OP_MUL, ca.OP_SQ):
        return parts[0] + parts[-1]
    if kind == ca.OP_DIV and parts[1] == 0.0:
        return parts[0]
    return math.inf
