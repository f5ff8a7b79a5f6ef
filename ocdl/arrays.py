"""Arrays from what a user gives: finite numbers, or a sentence that says what is wrong with them."""

from __future__ import annotations

import math
import numbers
import os
import reprlib
import sys
from collections.abc import Iterator
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.errors import InvalidInput

Array = NDArray[np.float64]

LARGEST = sys.float_info.max
AT_ONCE = 1 << 20  # entries that are looked at together
SMALLEST = sys.float_info.min  # below it floats lose digits


def real_array(name: str, values: Any) -> Array:
    """``values`` as a float array; InvalidInput names ``name`` where they are no real numbers."""
    needed = f"{name}: real numbers in a regular array are needed"
    unfit = sorted({said for leaf in _leaves(values) if (said := _unfit(leaf))})
    if unfit:
        raise InvalidInput(f"{needed}; got {', '.join(unfit)}.")
    try:
        raw = np.array(values)
    except ValueError:
        raise InvalidInput(f"{needed}; the rows given have different lengths.") from None
    except Exception as error:  # an __array__ of another library may raise what it likes
        raise InvalidInput(f"{needed}; {_reading(values, error)}.") from error
    if raw.dtype.kind == "O":
        raw = _of_objects(needed, raw)
    if raw.dtype.kind not in "buif":
        what = {"c": "complex numbers", "U": "text", "S": "text"}.get(raw.dtype.kind, str(raw.dtype))
        raise InvalidInput(f"{needed}; got {what}.")
    return raw.astype(float)


def _unfit(leaf: Any) -> str:
    """What numpy would read as numbers although it is none, in words; nothing where there is no such thing."""
    if isinstance(leaf, np.ma.MaskedArray) and np.ma.is_masked(leaf):
        return "masked entries, which have no value"
    return _NO_NUMBERS.get(type(leaf), "")


_NO_NUMBERS = {ca.SX: "a CasADi symbol (SX)", ca.MX: "a CasADi symbol (MX)", str: "text", bytes: "text"}


def _leaves(values: Any) -> Iterator[Any]:
    """What nested lists and tuples hold, arrays whole."""
    if isinstance(values, (list, tuple)):
        for value in values:
            yield from _leaves(value)
    else:
        yield values


def _reading(values: Any, error: Exception) -> str:
    kinds = ", ".join(sorted({type(leaf).__name__ for leaf in _leaves(values)}))
    said = str(error).splitlines() or [""]
    return f"reading {kinds} as an array raised {type(error).__name__}: {said[0].rstrip('.')}"


def _of_objects(needed: str, raw: NDArray[Any]) -> NDArray[Any]:
    """An array of Python objects as one of floats, which numpy would also read from text, None and symbols."""
    kinds = sorted({type(value).__name__ for value in raw.ravel() if not isinstance(value, numbers.Real)})
    try:
        if {"NoneType", "str", "bytes", "SX", "MX"} & set(kinds):
            raise TypeError
        return raw.astype(float)
    except OverflowError:
        raise InvalidInput(f"{needed}; a number is beyond {LARGEST:.1e}, the largest that a float holds.") from None
    except Exception:
        raise InvalidInput(f"{needed}; got {', '.join(kinds)}.") from None


def finite_array(name: str, values: Any) -> Array:
    """``values`` as a float array; InvalidInput names ``name`` and the first value that is no finite number.

    A memory-mapped array of floats is read in blocks, and stays where it is.
    """
    mapped = isinstance(values, np.memmap) and values.dtype == np.float64
    array: Array = values if mapped else real_array(name, values)
    at = _not_finite(array)
    if at is not None:
        where = f" at index {at if len(at) > 1 else at[0]}" if at else ""
        raise InvalidInput(f"{name}: all values must be finite; got {array[at]}{where}.")
    return array


def _not_finite(array: Array) -> tuple[int, ...] | None:
    """Where the first entry is that is not finite; None where all are."""
    rows, at_once = np.atleast_1d(array), max(1, AT_ONCE * max(1, len(np.atleast_1d(array))) // max(1, array.size))
    for begin in range(0, len(rows), at_once):
        lost = ~np.isfinite(rows[begin : begin + at_once])
        if np.any(lost):
            row, *others = (int(i) for i in np.argwhere(lost)[0])
            return (begin + row, *others) if array.ndim else ()
    return None


def positive_array(name: str, values: Any, size: int, what: str) -> Array:
    """``size`` positive numbers that a float holds to full accuracy, with a finite sum."""
    array = finite_array(name, values)
    with np.errstate(over="ignore"):
        total = array.sum()
    if array.shape != (size,) or not np.all(array >= SMALLEST) or not np.isfinite(total):
        raise InvalidInput(
            f"{name}: {size} positive {what}, at least {SMALLEST:.1e} each and of a finite sum, are needed; "
            f"got {shown(array)}."
        )
    return array


def is_real(value: Any) -> bool:
    """A single real number that a float can hold, as Python or numpy writes it; True and False are none."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= LARGEST
    return isinstance(value, (float, np.integer, np.floating))


def is_whole(value: Any) -> bool:
    """A single whole number; True and False are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """``value`` as the user wrote it, shortened where it is long."""
    if is_whole(value) and abs(value) > LARGEST:
        return f"about {'-' if value < 0 else ''}10**{int(abs(value).bit_length() * math.log10(2.0))}"
    return reprlib.repr(value) if not isinstance(value, np.ndarray) else np.array2string(value, threshold=6)


def fits_memory(said: str, what: str, entries: float, bytes_each: float = 8.0) -> None:
    """Raise InvalidInput where ``entries`` of ``what`` need more than this machine's memory."""
    there = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if hasattr(os, "sysconf") else math.inf
    if entries * bytes_each > there:
        raise InvalidInput(
            f"{said}: {what} need about {entries * bytes_each / 1e9:.2g} GB, and this machine has {there / 1e9:.2g} GB."
        )
