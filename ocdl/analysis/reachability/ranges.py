"""Ranges of formulas over intervals: the natural interval extension of a CasADi expression.

Every operation is replaced by its range over the intervals of its arguments; what is not known has the range (−∞, ∞).
Rounding is not directed: whoever needs a proof widens by a few units in the last place.
Source: Moore, Kearfott and Cloud, "Introduction to Interval Analysis" (2009), chapters 5 and 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.callables import numpy_on_casadi

Array = NDArray[np.float64]
Interval = tuple[Array, Array]
Ranges = Callable[[Array, Array], Interval]

INCREASING: dict[int, Callable[[Array], Array]] = {
    ca.OP_EXP: np.exp,
    ca.OP_EXPM1: np.expm1,
    ca.OP_LOG: np.log,
    ca.OP_LOG1P: np.log1p,
    ca.OP_SQRT: np.sqrt,
    ca.OP_TANH: np.tanh,
    ca.OP_ATAN: np.arctan,
    ca.OP_SINH: np.sinh,
    ca.OP_ASINH: np.arcsinh,
    ca.OP_TWICE: lambda x: 2.0 * x,
    ca.OP_ASSIGN: lambda x: x,
    ca.OP_SIGN: np.sign,
}


def ranges(function: ca.Function, *arguments: Interval) -> list[Interval]:
    """Bounds of every entry of the first output, for intervals of the entries of all inputs, in their order."""
    work: dict[int, Interval] = {}
    offsets = np.cumsum([0, *(function.numel_in(k) for k in range(function.n_in()))])
    found: list[Interval] = [(np.zeros(()), np.zeros(()))] * function.numel_out(0)
    with np.errstate(all="ignore"):
        for k in range(function.n_instructions()):
            operation, to = function.instruction_id(k), function.instruction_output(k)
            of = function.instruction_input(k)
            if operation == ca.OP_OUTPUT:
                found[to[1]] = work[of[0]]
            elif operation == ca.OP_INPUT:
                work[to[0]] = arguments[offsets[of[0]] + of[1]]
            elif operation == ca.OP_CONST:
                constant = np.asarray(function.instruction_constant(k))
                work[to[0]] = (constant, constant)
            else:
                low, high = _range(operation, [work[i] for i in of])
                unknown = np.isnan(low) | np.isnan(high)
                work[to[0]] = (np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high))
    return found


def derivative_range(function: Callable[[Any], Any], order: int) -> Ranges:
    """The range of the derivative of a scalar formula over intervals [low, high], for arrays of them."""
    x = ca.SX.sym("x")
    with numpy_on_casadi():
        value = ca.SX(function(x))
    for _ in range(order):
        value = ca.gradient(value, x)
    compiled = ca.Function("derivative", [x], [ca.densify(value)])

    def over(low: Array, high: Array) -> Interval:
        least, largest = ranges(compiled, (low, high))[0]
        return np.broadcast_to(least, low.shape), np.broadcast_to(largest, low.shape)

    return over


def product(x: Interval, y: Interval) -> Interval:
    """The range of x y."""
    corners = [a * b for a in x for b in y]
    least, largest = corners[0], corners[0]
    for corner in corners[1:]:
        least, largest = np.minimum(least, corner), np.maximum(largest, corner)
    return least, largest


def _range(operation: int, of: Sequence[Interval]) -> Interval:
    (low, high), other = of[0], of[-1]
    if operation in INCREASING:
        return INCREASING[operation](low), INCREASING[operation](high)
    if operation == ca.OP_ADD:
        return low + other[0], high + other[1]
    if operation == ca.OP_SUB:
        return low - other[1], high - other[0]
    if operation == ca.OP_NEG:
        return -high, -low
    if operation == ca.OP_MUL:
        return product(of[0], other)
    if operation == ca.OP_INV:
        return _inverse(of[0])
    if operation == ca.OP_DIV:
        return product(of[0], _inverse(other))
    if operation == ca.OP_FABS:
        return np.maximum(0.0, np.maximum(low, -high)), np.maximum(-low, high)
    if operation == ca.OP_SQ:
        return np.maximum(0.0, np.maximum(low, -high)) ** 2, np.maximum(-low, high) ** 2
    if operation == ca.OP_FMAX:
        return np.maximum(low, other[0]), np.maximum(high, other[1])
    if operation == ca.OP_FMIN:
        return np.minimum(low, other[0]), np.minimum(high, other[1])
    if operation == ca.OP_LE:
        return (high <= other[0]).astype(float), (low <= other[1]).astype(float)
    if operation == ca.OP_LT:
        return (high < other[0]).astype(float), (low < other[1]).astype(float)
    unknown = np.full(np.broadcast_shapes(*(np.shape(end) for pair in of for end in pair)), np.inf)
    return -unknown, unknown


def _inverse(x: Interval) -> Interval:
    low, high = x
    apart = (low > 0.0) | (high < 0.0)
    return np.where(apart, 1.0 / high, -np.inf), np.where(apart, 1.0 / low, np.inf)
