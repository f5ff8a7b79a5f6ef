"""One step of an explicit Runge–Kutta scheme on whatever arrays know sums and products with numbers.

X_i = x + h Σ_{j<i} a_ij φ_j(X_j),   x⁺ = x + h Σ_i b_i φ_i(X_i).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ocdl.depth.schemes import Tableau


def explicit_step(tableau: Tableau, h: Any, rates: Sequence[Callable[[Any], Any]], x: Any) -> tuple[list[Any], Any]:
    """X_1, …, X_s and x⁺ of x, with φ_i for each stage; h a number, or an array of one for each x."""
    inner: list[Any] = []
    slopes: list[Any] = []
    for row, rate in zip(tableau.A.tolist(), rates, strict=True):
        inner.append(_moved(x, h, row, slopes))
        slopes.append(rate(inner[-1]))
    return inner, _moved(x, h, tableau.b.tolist(), slopes)


def _moved(x: Any, h: Any, weights: list[float], slopes: list[Any]) -> Any:
    """x + h Σ_j weights_j slopes_j."""
    for weight, slope in zip(weights, slopes, strict=False):  # those behind are not there yet
        x = x if weight == 0.0 else x + slope * (h * weight)
    return x
