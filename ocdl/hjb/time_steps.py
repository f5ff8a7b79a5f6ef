"""The number of steps of the general scheme, chosen so that its error in time is below that of its grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.interpolation import cubic_weights, interpolate, weights_on
from ocdl.hjb.planning import Plan, outlined

Array = NDArray[np.float64]

MOST_FACTOR = 8.0
MIDDLE = 0.25  # of every axis, left out at either end: there V is that of a stopped flow
SAMPLES = 500
SMALL = 1e-5  # of the range of V: an error in time that costs nothing


def settled_steps(plan: Plan, first: Callable[[Plan], Array]) -> int:
    """Steps N ≥ those of the plan, at most eight times as many; ``first`` computes V at depth 0 on an outline of it.

    On half the cells, half the steps change V by 3 c/N² (controls held over a step are of second order), and half the
    cells again by 3/4 g/dx² or more, where g dx² is what the grid of the plan is off if its order is 2: N is the least
    with c/N² ≤ g dx², or ≤ ``SMALL``. Three marches, together less than half as much work as that of the plan.
    """
    half = max(2, plan.steps // 2)
    grid = outlined(plan, half)
    if plan.grid.dimension == 1:
        grid = outlined(grid, half)
    coarser = outlined(grid, half)
    x = _middle(plan)
    longer, shorter, sparse = (
        _read(one, first(one), x) for one in (grid, replace(grid, steps=plan.steps, stored=(0, plan.steps)), coarser)
    )
    cells = (plan.grid.spacing[0] / grid.grid.spacing[0]) ** 2
    in_time, in_space = np.mean(np.abs(longer - shorter)) / 3.0, cells * np.mean(np.abs(longer - sparse)) / 3.0
    allowed = max(in_space, SMALL * float(np.ptp(shorter)))
    if not in_time > allowed:
        return plan.steps
    return 2 * math.ceil(0.5 * plan.steps * min(MOST_FACTOR, math.sqrt(in_time / allowed)))


def _middle(plan: Plan) -> Array:
    """Random states from the middle of the domain, (q, D)."""
    low, size = plan.grid.lower, plan.grid.upper - plan.grid.lower
    share = np.random.default_rng(0).uniform(MIDDLE, 1.0 - MIDDLE, (SAMPLES, low.size))
    return np.asarray(low + share * size)


def _read(plan: Plan, value: Array, x: Array) -> Array:
    return interpolate(value, weights_on(plan.grid, cubic_weights, x))
