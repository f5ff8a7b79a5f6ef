"""How numba is to read ``arithmetic`` and the formulas that use it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numba
from numba.extending import overload

from ocdl.hjb.grids import arithmetic

FAST = {"contract", "nsz", "arcp", "reassoc"}
PLAIN = {"fastmath": FAST, "error_model": "numpy"}


@overload(arithmetic.choose, strict=False, jit_options=PLAIN)
def _choose(condition: Any, one: Any, other: Any) -> Any:
    return lambda condition, one, other: one if condition else other


@overload(arithmetic.smaller, strict=False, jit_options=PLAIN)
def _smaller(one: Any, other: Any) -> Any:
    return lambda one, other: one if one < other else other


@overload(arithmetic.larger, strict=False, jit_options=PLAIN)
def _larger(one: Any, other: Any) -> Any:
    return lambda one, other: one if one > other else other


def compiled(formula: Callable[..., Any]) -> Any:
    """A formula for numbers."""
    return numba.njit(fastmath=FAST, error_model="numpy")(formula)


def callable_by_others(formula: Callable[..., Any]) -> None:
    """Let formulas that are compiled call this one."""
    overload(formula, strict=False, jit_options=PLAIN)(functools.wraps(formula)(lambda *_: formula))
