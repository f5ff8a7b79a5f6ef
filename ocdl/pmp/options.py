"""Checks of the numbers a user gives to the methods of this route."""

from __future__ import annotations

import math

import numpy as np

from ocdl.errors import InvalidInput


def check_count(method: str, name: str, value: object, least: int = 1) -> None:
    """InvalidInput unless ``value`` is a whole number, at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InvalidInput(f"{method}({name}={value!r}): a whole number, at least {least}, is needed.")


def check_number(method: str, name: str, value: object, low: float, high: float, rule: str) -> None:
    """InvalidInput with ``rule`` unless ``value`` is a finite number strictly between ``low`` and ``high``."""
    good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not (good and math.isfinite(value) and low < value < high):  # type: ignore[arg-type, operator]
        raise InvalidInput(f"{method}({name}={value!r}): {rule}.")
