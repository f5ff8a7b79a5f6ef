"""Componentwise enclosure of the reachable set of one sample: the comparison (Müller) system of the velocity box.

    hi_i' = max { σ(s⁺_i(f)) : lo ≤ f ≤ hi, f_i = hi_i },   lo_i' = min { σ(s⁻_i(f)) : lo ≤ f ≤ hi, f_i = lo_i },

from lo(0) = hi(0) = x^0. Every state attainable at depth t lies in [lo(t), hi(t)], whatever the controls. s⁺ is a sum
of convex piecewise linear terms and s⁻ of concave ones, so each extreme is taken at an end of the intervals.
Source: M. Müller, Math. Z. 26 (1927); Walter, "Differential and Integral Inequalities", section II.12.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.flows import SplitPreactivation, exact_flow, split_preactivations
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]


def enclosure(box: VelocityBox, x0: Array, horizon: float, steps: int = 64) -> tuple[Array, Array]:
    """Bounds lo, hi (M,) of the states attainable at any depth in [0, T], by ``steps`` Runge–Kutta steps."""
    rates = comparison_rates(box)
    path = [np.stack([x0, x0])]
    for _ in range(steps):
        path.append(exact_flow(rates, path[-1], horizon / steps, substeps=1))
    ends = np.array(path)
    return ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)


def reachable_box(box: VelocityBox, x0: Array, horizon: float, steps: int = 512) -> tuple[Array, Array]:
    """Bounds lo, hi (M,) of every state attainable at depth T from x0 (M,).

    The comparison system is integrated twice, with ``steps`` and 2·``steps`` steps; the bounds are widened by twice the
    difference, an estimate of the integration error (typically below 1e-6), and by 1e-12 for rounding.
    """
    rates, start = comparison_rates(box), np.stack([x0, x0])
    coarse, fine = (exact_flow(rates, start, horizon, substeps=count) for count in (steps, 2 * steps))
    slack = 2.0 * np.abs(fine - coarse) + 1e-12
    return fine[0] - slack[0], fine[1] + slack[1]


def comparison_rates(box: VelocityBox) -> Callable[[Array], Array]:
    """The right-hand side of the comparison system for ends (2, M): lo and hi."""
    slow, fast = split_preactivations(box)
    own = np.eye(box.width, dtype=bool)

    def rates(ends: Array) -> Array:
        low, high = ends
        least = np.where(own, _terms(slow, low), np.minimum(_terms(slow, low), _terms(slow, high)))
        greatest = np.where(own, _terms(fast, high), np.maximum(_terms(fast, low), _terms(fast, high)))
        sums = np.stack([slow.origin + least.sum(axis=1), fast.origin + greatest.sum(axis=1)])
        return np.asarray(box.activation(sums))

    return rates


def _terms(split: SplitPreactivation, f: Array) -> Array:
    """What each f_j adds to each s_i, (M, M)."""
    return split.rising * np.maximum(f, 0.0) + split.falling * np.minimum(f, 0.0)
