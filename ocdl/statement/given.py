"""Values of a problem as they are given: initial and final states, data, weights and names, checked and shaped."""

from __future__ import annotations

from collections import Counter
from typing import Any

import casadi as ca
import numpy as np

from ocdl import xr
from ocdl.arrays import LARGEST, Array, finite_array, fits_memory, is_whole, positive_array, shown
from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Free
from ocdl.statement.labelled import by_labels
from ocdl.statement.names import automatic

SYMBOL = 200.0  # bytes of a CasADi symbol and its name


def suspects(given: Any, low: Array, high: Array) -> Any:
    """Places (s, i) of states (S, n) that may lie outside; of numbers those that do, of objects all."""
    numbers = given.dtype != object
    if numbers and np.all(given.min(axis=0) >= low) and np.all(given.max(axis=0) <= high):
        return ()  # also of a memory-mapped array without another one of its size
    return np.argwhere((given < low) | (given > high) if numbers else np.ones(given.shape, dtype=bool))


def rows_of_states(name: str, given: Any, missing: bool = False) -> Any:
    """States as rows (S, n): floats, or objects where some are ``Free``; None is ``Free()`` where it may be missing."""
    given = given.full().ravel() if isinstance(given, ca.DM) and given.is_vector() else given
    numbers = isinstance(given, np.ndarray) and given.dtype.kind in "iuf"  # none of them is free
    try:
        raw = np.array(() if numbers else given, dtype=object)
        free = np.vectorize(lambda v: isinstance(v, Free) or (missing and v is None), otypes=[bool])(raw)
    except Exception:  # below, in words
        raw, free = np.empty(0, dtype=object), np.zeros(0, dtype=bool)
    values = finite_array(name, np.where(free, 0.0, raw).tolist() if raw.size and np.any(free) else given)
    if values.ndim not in (1, 2) or values.size == 0:
        raise InvalidInput(f"{name}: shape (n,) for one sample or (S, n) for S is needed; got {values.shape}.")
    if not np.any(free):
        return np.atleast_2d(values)
    rows = values.astype(object)
    for place in np.argwhere(free):
        rows[tuple(place)] = raw[tuple(place)] if raw[tuple(place)] is not None else Free()
    return np.atleast_2d(rows)


def names_of(what: str, given: Any) -> tuple[str, ...]:
    """Names of states, controls or parameters, as they are given or made for so many."""
    if is_whole(given):
        if given < 0:
            raise InvalidInput(f"{what}={given}: a number of {what} cannot be negative.")
        fits_memory(
            f"{what}={shown(given)}", f"the symbols and names of so many {what}", float(min(given, LARGEST)), SYMBOL
        )
        letter = {"states": "x", "controls": "u", "parameters": "p"}[what]
        return tuple(automatic(letter, i) for i in range(given))
    if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given):
        twice = [name for name, count in Counter(given).items() if count > 1]
        if twice:
            raise InvalidInput(f"{what}={list(given)!r}: names tell {what} apart; {twice[0]!r} is there twice.")
        return tuple(given)
    raise InvalidInput(f"{what}={given!r}: give a number of {what} or a list of their names.")


def final_rows(given: Any, samples: int, n: int) -> Any:
    """What is given of x(T) as rows (S, n), ``Free`` where it is not prescribed."""
    final = rows_of_states("final", given, missing=True)
    if final.shape[1] != n or final.shape[0] not in (1, samples):
        raise InvalidInput(
            f"final: {n} value(s) are needed, shape ({n},) or ({samples}, {n}), with None where the end is not "
            f"prescribed; got {np.shape(given)}."
        )
    return np.repeat(final, samples, axis=0) if final.shape[0] != samples else final


def data_rows(given: Any, samples: int) -> Array:
    """Data d as rows (S, k); none where there are none."""
    given = np.zeros((samples, 0)) if given is None else given
    if xr.is_labelled(given) and "sample" in given.dims:
        given = given.transpose("sample", ...)
    data = finite_array("data", given)
    data = data[None, :] if data.ndim == 1 else data
    if data.ndim != 2 or data.shape[0] != samples:
        raise InvalidInput(f"data: one row a sample, shape ({samples}, k), is needed; got {data.shape}.")
    return data


def sample_weights(given: Any, samples: int) -> Array:
    """ω (S,) > 0 with sum 1; equal where none are given."""
    given = np.ones(samples) if given is None else by_labels("weights", given, ("sample",), {})
    weights = positive_array("weights", given, samples, "sample weights")
    return positive_array("weights, normalised to sum 1", weights / weights.sum(), samples, "sample weights")
