"""Conditions: what states are to be at given depths inside the horizon, as bounds that hold there alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ocdl.arrays import Array, is_real, shown
from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Free
from ocdl.statement.measurements import MEETS


def checked_conditions(given: Any, n: int, horizon: float) -> dict[float, tuple[Array, Array]]:
    """Depth → lower and upper end, each (n,). Raises InvalidInput."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidInput(
            f"conditions={shown(given)}: give a mapping from depths to values, such as {{0.5: [1, None]}}."
        )
    found = {t: _interval(t, values, n, horizon) for t, values in given.items()}
    return {float(t): found[t] for t in sorted(found)}


def _interval(t: Any, values: Any, n: int, horizon: float) -> tuple[Array, Array]:
    said = f"conditions={{{shown(t)}: {shown(values)}}}"
    if not is_real(t) or not MEETS * horizon < t < horizon * (1.0 - MEETS):
        raise InvalidInput(
            f"{said}: the depth lies inside the horizon (0, {horizon:g}); what holds at its ends is initial and final."
        )
    parts = list(values) if isinstance(values, (list, tuple, np.ndarray)) else [values]
    if len(parts) != n:
        raise InvalidInput(f"{said}: {n} value(s), one a state, are needed; got {len(parts)}.")
    free = [part if isinstance(part, Free) else _free(said, part) for part in parts]
    return np.array([part.lower for part in free]), np.array([part.upper for part in free])


def _free(said: str, value: Any) -> Free:
    if value is None:
        return Free()
    if not is_real(value) or not np.isfinite(value):
        raise InvalidInput(f"{said}: a finite number, Free(lower, upper) or None is needed; got {shown(value)}.")
    return Free(float(value), float(value))


def conditioned(
    box: tuple[Array, Array], t: Array, conditions: Mapping[float, tuple[Array, Array]], horizon: float
) -> tuple[Array, Array]:
    """Bounds of x at depths t (K,), each (K, n), within what the conditions ask at those depths that have one."""
    low, high = box
    for depth, (least, most) in conditions.items():
        at = np.abs(t - depth) <= MEETS * horizon
        low[at], high[at] = np.maximum(low[at], least), np.minimum(high[at], most)
    return low, high
