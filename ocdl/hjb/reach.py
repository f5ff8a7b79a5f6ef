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

from ocdl.errors import InvalidInput
from ocdl.hjb.flows import SplitPreactivation, exact_flow, split_preactivations
from ocdl.hjb.lookahead import Lookahead
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


def reachable_box(box: VelocityBox, x0: Array, horizon: float, steps: int = 256) -> tuple[Array, Array]:
    """Bounds lo, hi (M,) of every state attainable at depth T from x0 (M,).

    The comparison system is integrated twice, with ``steps`` and 2·``steps`` steps; the bounds are widened by twice the
    difference, an estimate of the integration error (typically below 1e-6), and by 1e-12 for rounding.
    """
    rates, start = comparison_rates(box), np.stack([x0, x0])
    coarse, fine = (exact_flow(rates, start, horizon, substeps=count) for count in (steps, 2 * steps))
    slack = 2.0 * np.abs(fine - coarse) + 1e-12
    return fine[0] - slack[0], fine[1] + slack[1]


def simulated(lookahead: Lookahead, steps: int = 32, tried: int = 512) -> tuple[Array, Array]:
    """Bounds lo, hi (S·n,) of the states that random controls reach at any depth, constant and switching bang-bang
    controls among them, widened by a tenth: an estimate, for problems without an enclosure.

    Raises InvalidInput where the controls are unbounded.
    """
    problem = lookahead.problem
    low, high = problem.control_box
    if lookahead.finite is None and not np.all(np.isfinite([low, high])):
        raise InvalidInput(
            "ValueIteration(domain=None): with unbounded controls the reachable states cannot be estimated; "
            "give domain=(lower, upper)."
        )
    generator = np.random.default_rng(0)
    x = np.tile(problem.x0.reshape(-1), (tried, 1))
    least, largest = x[0].copy(), x[0].copy()
    u = np.empty((tried, problem.m))
    for k in range(steps):
        change = np.flatnonzero(generator.random(tried) < (1.0 if k == 0 else 4.0 / steps))
        if k > 0:
            change = change[change >= tried // 4]  # the first quarter holds its controls
        if lookahead.finite is not None:
            u[change] = lookahead.finite[generator.integers(len(lookahead.finite), size=change.size)]
        else:
            share = generator.random((change.size, problem.m))
            extreme = np.where(generator.random((change.size, 1)) < 0.75, np.rint(share), share)
            u[change] = low + extreme * (high - low)
        x = lookahead.flow(k * problem.span / steps, problem.span / steps, x, u)[0]
        least, largest = np.minimum(least, x.min(axis=0)), np.maximum(largest, x.max(axis=0))
    size = largest - least
    return least - 0.1 * size, largest + 0.1 * size


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
