"""Componentwise enclosure of the reachable set of one sample: the comparison (Müller) system of the velocity box.

    hi_i' = max { σ(s⁺_i(f)) : lo ≤ f ≤ hi, f_i = hi_i },   lo_i' = min { σ(s⁻_i(f)) : lo ≤ f ≤ hi, f_i = lo_i },

from lo(0) = hi(0) = x^0. Every state attainable at depth t lies in [lo(t), hi(t)], whatever the controls. s⁺ is a sum
of convex piecewise linear terms and s⁻ of concave ones, so each extreme is taken at an end of the intervals.
Source: M. Müller, Math. Z. 26 (1927); Walter, "Differential and Integral Inequalities", section II.12.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.flows import exact_flow, split_preactivations
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]


def enclosure(box: VelocityBox, x0: Array, horizon: float, steps: int = 256) -> tuple[Array, Array]:
    """lo and hi (M,): the componentwise extremes over all depths in [0, T] lie in [min(x0, lo), max(x0, hi)] too.

    Integrated by Runge–Kutta with ``steps`` steps; see ``reachable_box`` for an enclosure with its integration error.
    """
    M = box.width

    def rates(ends: Array) -> Array:
        return comparison_rates(box, ends[:M], ends[M:])

    ends = np.concatenate([x0, x0])
    path = [ends]
    for _ in range(steps):
        path.append(exact_flow(rates, path[-1], horizon / steps, substeps=1))
    extremes = np.array(path)
    return extremes[:, :M].min(axis=0), extremes[:, M:].max(axis=0)


def reachable_box(box: VelocityBox, x0: Array, horizon: float, steps: int = 512) -> tuple[Array, Array]:
    """Bounds lo, hi (M,) of every state attainable at depth T from x0 (M,).

    The comparison system is integrated twice, with ``steps`` and 2·``steps`` steps; the bounds are widened by twice the
    difference, an estimate of the integration error (typically below 1e-6), and by 1e-12 for rounding.
    """
    M = box.width
    results = []
    for count in (steps, 2 * steps):
        ends = exact_flow(
            lambda e: comparison_rates(box, e[:M], e[M:]), np.concatenate([x0, x0]), horizon, substeps=count
        )
        results.append(ends)
    slack = 2.0 * np.abs(results[1] - results[0]) + 1e-12
    return results[1][:M] - slack[:M], results[1][M:] + slack[M:]


def comparison_rates(box: VelocityBox, low: Array, high: Array) -> Array:
    """The right-hand side (lo', hi') of the comparison system, shape (2M,)."""
    slow, fast = split_preactivations(box)
    own = np.eye(box.width, dtype=bool)

    def ends(split: object, own_end: Array, choose: object) -> Array:
        at_low, at_high = (split.rising * np.maximum(f, 0.0) + split.falling * np.minimum(f, 0.0) for f in (low, high))  # type: ignore[attr-defined]
        at_own = split.rising * np.maximum(own_end, 0.0) + split.falling * np.minimum(own_end, 0.0)  # type: ignore[attr-defined]
        terms = np.where(own, at_own, choose(at_low, at_high))  # type: ignore[operator]
        return np.asarray(box.activation(split.origin + terms.sum(axis=1)))  # type: ignore[attr-defined]

    return np.concatenate([ends(slow, low, np.minimum), ends(fast, high, np.maximum)])
