"""A user's formulas: what each may take and returns, and checks: pure, of its arguments alone, no constant NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_real, is_whole, shown
from ocdl.batch import Direct
from ocdl.errors import InvalidInput
from ocdl.statement.noise import matrix_of
from ocdl.statement.times import NAMES

ROLES = {  # the functions of a problem, and what each may depend on
    "dynamics": ("t", "x", "u", "p", "d", "z"),
    "lift": ("t", "x", "u", "p", "d"),
    "running": ("t", "x", "u", "p", "d", "z"),
    "terminal": ("t", "x", "p", "d"),
    "effort": ("t", "u", "p"),
    "penalty": ("p",),
    "path": ("t", "x", "u", "p", "d", "z"),
    "boundary": ("x0", "xT", "t", "p", "d"),
    "output": ("t", "x", "p", "d"),  # what is measured
    "equations": ("t", "x", "u", "p", "d", "z"),  # of an implicit lift
    "noise": ("t", "x", "u", "p", "d", "z"),
}
COLUMNS = ("dynamics", "lift", "path", "boundary", "integral", "output", "equations")  # the others are scalars
ROLES = {role: (*names, *NAMES) for role, names in ROLES.items()}  # and on the times, as values
POINTS = 5  # random places at which two evaluations are compared
LARGE = 10_000  # arguments of a formula from which one place must do
TOGETHER = 3  # columns that are taken together and apart
SEARCHED = 20_000  # instructions that are searched for a constant NaN although the values are finite
ROUNDING = 1e-9


def protected(role: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """The function of copies of the arguments, which it must leave as they are."""
    copies = {name: type(value)(value) for name, value in arguments.items()}
    value = function(**copies)
    changed = [name for name, copy in copies.items() if not ca.is_equal(copy, arguments[name])]
    if changed:
        raise InvalidInput(
            f"{role}: it assigns to its argument {changed[0]}; build a new expression, e.g. ca.vertcat(...)."
        )
    return value


def check_pure(role: str, symbols: Mapping[str, Any], once: Any, again: Any) -> None:
    """Raise InvalidInput where two evaluations differ, hold other symbols, or the constant NaN."""
    function = ca.Function(role, list(symbols.values()), [once, again], {"allow_free": True})
    free = function.free_sx()
    if free:
        names = ", ".join(str(symbol) for symbol in free)
        raise InvalidInput(f"{role}: it may depend on its own arguments only; it also holds the symbol(s) {names}.")
    draw = np.random.default_rng(0)
    sizes = [symbol.numel() for symbol in symbols.values()]
    run, points = Direct(function), POINTS if sum(sizes) < LARGE else 1
    found = [run(*(draw.uniform(0.1, 1.0, size) for size in sizes)) for _ in range(points)]
    first, second = (np.hstack([values[which] for values in found]) for which in (0, 1))
    if not np.array_equal(first, second, equal_nan=True):
        raise InvalidInput(
            f"{role}: two evaluations differ, so that it depends on more than its arguments; draw random numbers and "
            "read files or counters before, and give them as data."
        )
    suspect = np.any(np.all(np.isnan(first), axis=1)) or function.n_instructions() <= SEARCHED
    if suspect and _holds_nan(function):
        raise InvalidInput(
            f"{role}: it holds the constant NaN: a function of numbers, such as math.sin or a SciPy spline, has taken "
            "a symbol for a number; write ca.sin or np.sin, and a table as ca.interpolant."
        )


def _holds_nan(function: ca.Function) -> bool:
    return any(
        function.instruction_id(k) == ca.OP_CONST and np.isnan(function.instruction_constant(k))
        for k in range(function.n_instructions())
    )


def check_columns(role: str, build: Callable[[ca.MX, ca.MX, ca.MX], Any], n: int, m: int, P: int) -> None:
    """Raise InvalidInput where ``build`` of x (n, C), u (m,), p (P,) differs on columns together and apart.

    ``build`` makes an MX expression, as the layers without Jacobians use it.
    """
    draw = np.random.default_rng(0)
    x, u, p = draw.uniform(0.1, 1.0, (n, TOGETHER)), draw.uniform(-1.0, 1.0, m), draw.uniform(0.1, 1.0, P)

    def compiled(columns: int, times: int) -> Direct:
        symbols = ca.MX.sym("x", n, columns), ca.MX.sym("u", m), ca.MX.sym("p", P)
        return Direct(ca.Function("columns", list(symbols), [build(*symbols) for _ in range(times)]))

    together, alone = compiled(TOGETHER, 1), compiled(1, 2)
    found = [alone(column, u, p) for column in x.T]
    apart, again = (np.hstack([values[which] for values in found]) for which in (0, 1))
    if not np.array_equal(apart, again, equal_nan=True):
        raise InvalidInput(f"{role}: two evaluations differ, so that it depends on more than its arguments.")
    _compare_columns(role, together(x, u, p)[0], apart)


def _compare_columns(role: str, together: NDArray[Any], apart: NDArray[Any]) -> None:
    said = f"columnwise=True: {role} of {TOGETHER} columns together must be what it is of each apart"
    if together.shape != apart.shape:
        raise InvalidInput(f"{said}; got shape {together.shape}, apart {apart.shape}.")
    apart_unknown, together_unknown = np.isnan(apart), np.isnan(together)
    differ = (apart_unknown != together_unknown) | (np.abs(together - apart) > ROUNDING * (1.0 + np.abs(apart)))
    if np.any(differ):
        i, column = np.argwhere(differ)[0]
        raise InvalidInput(
            f"{said}; row {i} of column {column} is {together[i, column]:g} together and {apart[i, column]:g} apart. "
            "In a matrix of columns x[0] is one entry of the first; write x[0, :], or leave columnwise out."
        )


def expression(role: str, value: Any, kind: Any) -> Any:
    """``value`` as a column of ``kind`` (SX or MX): one number where the role is a scalar, a matrix for noise."""
    if role == "noise":
        return matrix_of(value, kind)
    parts = list(value.ravel()) if isinstance(value, np.ndarray) else value
    parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    parts = [float(part) if is_real(part) else part for part in parts]
    for part in parts:
        if not isinstance(part, (kind, ca.DM, float)):
            raise InvalidInput(
                f"{role}: it must return an expression in its arguments or a list of them; got "
                f"{shown(part) if is_whole(part) else type(part).__name__}"
                f"{', as of a function without return' if part is None else ''}."
            )
    column = parts[0] if len(parts) == 1 and not isinstance(parts[0], float) else ca.vertcat(*parts)
    column = column if isinstance(column, kind) else kind(column)
    if role in COLUMNS and column.numel() == 0:
        raise InvalidInput(f"{role}: it returns no row; give at least one, or leave {role}=... out.")
    if role not in COLUMNS and column.numel() != 1:
        raise InvalidInput(f"{role}: it must return one number; got {shape_of(column)}.")
    return column


def shape_of(value: Any) -> str:
    return f"{value.numel()}" if value.shape[1] == 1 else f"shape {value.shape}"
