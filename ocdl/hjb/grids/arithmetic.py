"""Choices of a formula that is written once for arrays and for numbers: numpy evaluates them, numba compiles them.

numba's own versions for numbers are slow or none; ``compiling`` gives it better ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def choose(condition: Any, one: Any, other: Any) -> Any:
    """``one`` where the condition holds, ``other`` elsewhere; both are evaluated."""
    return np.where(condition, one, other)


def smaller(one: Any, other: Any) -> Any:
    return np.minimum(one, other)


def larger(one: Any, other: Any) -> Any:
    return np.maximum(one, other)
