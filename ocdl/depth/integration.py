"""Initial value problems with error control, from one jump of the right-hand side to the next.

By the explicit method DOP853 of order 8 (Hairer, Nørsett and Wanner, 1993, II.5), or, where that needs too many steps,
by LSODA (Petzold, 1983), which switches to implicit steps where the equation is stiff.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rate = Callable[[float, Array], Array]

MOST = 8_000  # evaluations of a piece, after which it is integrated as a stiff one


class NotFollowed(Exception):
    """The solution escapes or changes too fast; ``reached`` is the last depth."""

    def __init__(self, reached: float) -> None:
        super().__init__(reached)
        self.reached = reached


def integrated(rate: Rate, a: float, b: float, y: Array, tolerance: float) -> Any:
    """scipy's record, with its dense ``sol``, of ẏ = rate(t, y) from y (n,) at a to b > a, smooth between.

    tolerance: of a step, relative and absolute. At b the rate is asked just before it. Raises NotFollowed.
    """
    reached = a
    for method, most in (("DOP853", MOST), ("LSODA", 200 * MOST)):
        rates = _Counted(rate, float(np.nextafter(b, a)), most, a)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = scipy.integrate.solve_ivp(
                    rates, (a, b), y, method=method, rtol=tolerance, atol=tolerance, dense_output=True
                )
        except _TooMany:
            reached = rates.reached
            continue
        if found.success and np.all(np.isfinite(found.y)):
            return found
        reached = rates.reached
        break
    raise NotFollowed(reached)


class _TooMany(Exception):
    """More evaluations than a method is given."""


@dataclass(eq=False)
class _Counted:
    """A rate in a piece that ends just after ``last``, for at most ``most`` evaluations."""

    rate: Rate
    last: float
    most: int
    reached: float

    def __call__(self, t: float, y: Array) -> Array:
        self.most -= 1
        if self.most < 0:
            raise _TooMany
        if not np.all(np.isfinite(y)):
            return np.full(y.size, np.nan)
        self.reached = t = min(t, self.last)
        return self.rate(t, y)
