"""Arrays from what a user gives: finite numbers, or a sentence that says what is wrong with them."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.errors import InvalidInput

Array = NDArray[np.float64]


def real_array(name: str, values: Any) -> Array:
    """``values`` as a float array; InvalidInput names ``name`` where they are no real numbers."""
    needed = f"{name}: real numbers in a regular array are needed"
    try:
        raw = np.array(values)
    except ValueError:
        raise InvalidInput(f"{needed}; the rows given have different lengths.") from None
    if raw.dtype.kind == "O":
        kinds = sorted({type(value).__name__ for value in raw.ravel() if not isinstance(value, numbers.Real)})
        try:
            if "NoneType" in kinds:  # which numpy would read as NaN
                raise TypeError
            raw = raw.astype(float)
        except (TypeError, ValueError):
            raise InvalidInput(f"{needed}; got {', '.join(kinds)}.") from None
    if raw.dtype.kind not in "buif":
        what = {"c": "complex numbers", "U": "text", "S": "text"}.get(raw.dtype.kind, str(raw.dtype))
        raise InvalidInput(f"{needed}; got {what}.")
    return raw.astype(float)


def finite_array(name: str, values: Any) -> Array:
    """``values`` as a float array; InvalidInput names ``name`` and the first value that is no finite number."""
    array = real_array(name, values)
    if not np.all(np.isfinite(array)):
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = f" at index {at if len(at) > 1 else at[0]}" if at else ""
        raise InvalidInput(f"{name}: all values must be finite; got {array[at]}{where}.")
    return array


def is_real(value: Any) -> bool:
    """A single real number, as Python or numpy writes it; True and False are none."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """A single whole number; True and False are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
