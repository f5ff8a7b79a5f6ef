"""Calls of what a user wrote: an exception it raises becomes a sentence that names the function and its arguments."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ocdl.errors import InvalidInput, OcdlError
from ocdl.interrupts import uninterrupted

HINTS = {  # how a symbol fails in a function of numbers: part of the error, and what to write
    "truth value": "decide between two formulas by ca.if_else(condition, one, other)",
    "is_scalar()": "of a symbol write ca.sin or np.sin, not math.sin or a SciPy function",
    "Implicit conversion of symbolic": "of a symbol write ca.sin or np.sin, a table as ca.interpolant",
    "not defined for": "of a symbol write ca.sin or np.sin, not math.sin or a SciPy function",
    "setting an array element": "of a symbol write ca.sin or np.sin, a table as ca.interpolant",
    "does not support numpy": "of a symbol write CasADi's function, such as ca.erf",
}


def called(said: str, with_: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What ``function`` returns; InvalidInput says what it raised, ``said`` which function, ``with_`` its arguments."""
    try:
        with uninterrupted():
            return function(*arguments, **named)
    except OcdlError:
        raise
    except Exception as error:  # the user's own function may raise what it likes
        raise InvalidInput(f"{said}: called with {with_} it raised {complaint(error)}.") from error


def complaint(error: Exception) -> str:
    """The kind of an error and, of its text, the last line that says what; with a remedy where one is known."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Notify the CasADi developers" not in line] or ["no reason given"]
    told = [re.sub(r"\.{3}/casadi/core/\S+ ", "", line) for line in told]
    hints = [hint for part, hint in HINTS.items() if part in str(error)]
    return f"{type(error).__name__}: {told[-1].rstrip('.:')}{f'; {hints[0]}' if hints else ''}"


@contextmanager
def numpy_on_casadi() -> Iterator[None]:
    """Numpy functions of CasADi values, without CasADi's announcement of a future change, which is not the user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
