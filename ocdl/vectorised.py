"""A CasADi SX function on many columns by numpy: its instructions one after the other, each on all columns at once.

CasADi evaluates column after column and pays for every instruction of every column; here that price is paid once for
``CHUNK`` columns, which fit the cache, and numpy's elementary functions use the processor's vectors. A function that it
calls has to have a counterpart, which is found by the name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakValueDictionary

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHUNK = 2048


class Counterpart(Protocol):
    """What a CasADi function of one column does, by numpy."""

    def of_columns(self, x: Array) -> Array:
        """(n, K) → (rows, K)."""


counterparts: WeakValueDictionary[str, Counterpart] = (
    WeakValueDictionary()
)  # a name tells all of what its function does

UNARY: dict[int, Any] = {
    ca.OP_ASSIGN: np.positive,
    ca.OP_NEG: np.negative,
    ca.OP_EXP: np.exp,
    ca.OP_LOG: np.log,
    ca.OP_SQRT: np.sqrt,
    ca.OP_SQ: np.square,
    ca.OP_TWICE: lambda x, out: np.add(x, x, out=out),
    ca.OP_SIN: np.sin,
    ca.OP_COS: np.cos,
    ca.OP_TAN: np.tan,
    ca.OP_ASIN: np.arcsin,
    ca.OP_ACOS: np.arccos,
    ca.OP_ATAN: np.arctan,
    ca.OP_FLOOR: np.floor,
    ca.OP_CEIL: np.ceil,
    ca.OP_FABS: np.fabs,
    ca.OP_SIGN: np.sign,
    ca.OP_NOT: np.logical_not,
    ca.OP_INV: np.reciprocal,
    ca.OP_SINH: np.sinh,
    ca.OP_COSH: np.cosh,
    ca.OP_TANH: np.tanh,
    ca.OP_ASINH: np.arcsinh,
    ca.OP_ACOSH: np.arccosh,
    ca.OP_ATANH: np.arctanh,
    ca.OP_ERF: lambda x, out: scipy.special.erf(x, out=out),
    ca.OP_LOG1P: np.log1p,
    ca.OP_EXPM1: np.expm1,
}
BINARY: dict[int, Any] = {
    ca.OP_ADD: np.add,
    ca.OP_SUB: np.subtract,
    ca.OP_MUL: np.multiply,
    ca.OP_DIV: np.divide,
    ca.OP_POW: np.power,
    ca.OP_CONSTPOW: np.power,
    ca.OP_LT: np.less,
    ca.OP_LE: np.less_equal,
    ca.OP_EQ: np.equal,
    ca.OP_NE: np.not_equal,
    ca.OP_AND: np.logical_and,
    ca.OP_OR: np.logical_or,
    ca.OP_FMOD: np.fmod,
    ca.OP_COPYSIGN: np.copysign,
    ca.OP_IF_ELSE_ZERO: lambda c, x, out: np.copyto(out, np.where(c != 0.0, x, 0.0)),
    ca.OP_FMIN: np.fmin,
    ca.OP_FMAX: np.fmax,
    ca.OP_ATAN2: np.arctan2,
    ca.OP_HYPOT: np.hypot,
}

Step = Callable[[list[Array], list[Array], Array], None]


def vectorises(function: ca.Function) -> bool:
    """An SX function of columns with dense results whose every instruction has a numpy counterpart."""
    if not function.is_a("SXFunction"):
        return False
    dense = all(function.sparsity_in(i).is_dense() and function.size2_in(i) == 1 for i in range(function.n_in()))
    dense = dense and all(function.sparsity_out(i).is_dense() for i in range(function.n_out()))
    known = {*UNARY, *BINARY, ca.OP_CONST, ca.OP_INPUT, ca.OP_OUTPUT}
    kinds = [function.instruction_id(k) for k in range(function.n_instructions())]
    calls = [k for k, kind in enumerate(kinds) if kind == ca.OP_CALL]
    if not dense or not known.issuperset(set(kinds) - {ca.OP_CALL}):
        return False
    return not calls or all(_called(function, k) in counterparts for k in calls)


class Vectorised:
    """``function`` on K columns: arguments (rows, K), or (rows, 1) for all columns alike; results (rows, K), or
    matrices of c columns side by side, (rows, c K), as CasADi's map has them.
    """

    def __init__(self, function: ca.Function) -> None:
        self.columns = [function.size2_out(i) for i in range(function.n_out())]
        self.rows = [function.numel_out(i) for i in range(function.n_out())]
        self.size = function.sz_w()
        self.steps = [_step(function, k) for k in range(function.n_instructions())]

    def __call__(self, arguments: list[Array], columns: int) -> list[Array]:
        results = [np.empty((rows, columns)) for rows in self.rows]
        work = np.empty((self.size, min(CHUNK, columns)))
        with np.errstate(all="ignore"):
            for begin in range(0, columns, CHUNK):
                end = min(begin + CHUNK, columns)
                part = [array if array.shape[1] == 1 else array[:, begin:end] for array in arguments]
                into = [result[:, begin:end] for result in results]
                for step in self.steps:
                    step(part, into, work[:, : end - begin])
        return [_side_by_side(result, c) for result, c in zip(results, self.columns, strict=True)]


def _side_by_side(entries: Array, columns: int) -> Array:
    """(c rows, K), entries column by column, as (rows, c K)."""
    if columns == 1:
        return entries
    K = entries.shape[1]
    return entries.reshape(columns, -1, K).transpose(1, 2, 0).reshape(-1, columns * K)


def _called(function: ca.Function, k: int) -> str:
    """The name of the function that instruction k calls."""
    return str(function.instructions_sx()[k].which_function().name())


def _step(function: ca.Function, k: int) -> Step:
    kind, given, target = function.instruction_id(k), function.instruction_input(k), function.instruction_output(k)
    if kind == ca.OP_CONST:
        value, place = function.instruction_constant(k), target[0]

        def constant(arguments: list[Array], results: list[Array], work: Array) -> None:
            work[place] = value

        return constant
    if kind == ca.OP_INPUT:
        argument, row, place = given[0], given[1], target[0]

        def read(arguments: list[Array], results: list[Array], work: Array) -> None:
            work[place] = arguments[argument][row]

        return read
    if kind == ca.OP_OUTPUT:
        source, result, row = given[0], target[0], target[1]

        def write(arguments: list[Array], results: list[Array], work: Array) -> None:
            results[result][row] = work[source]

        return write
    if kind == ca.OP_CALL:
        counterpart = counterparts[_called(function, k)]

        def call(arguments: list[Array], results: list[Array], work: Array) -> None:
            work[target] = counterpart.of_columns(work[given])

        return call
    if kind in UNARY:
        unary, x, place = UNARY[kind], given[0], target[0]

        def one(arguments: list[Array], results: list[Array], work: Array) -> None:
            unary(work[x], out=work[place])

        return one
    binary, x, y, place = BINARY[kind], given[0], given[1], target[0]

    def two(arguments: list[Array], results: list[Array], work: Array) -> None:
        binary(work[x], work[y], out=work[place])

    return two
