"""The controls that minimise the chain's Hamiltonian at every node: a lattice of the box, then parabolas.

Along each control the parabola through H at u − r, u and u + r is minimised, r from a lattice's spacing down to a
``FINEST`` part of the box: exact for what is affine or quadratic in single controls. Nothing is taken that does not
lower H, so that the values of Howard's iteration never rise.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LATTICE = {1: 9, 2: 5, 3: 3, 4: 3}  # points of each of m controls
NARROWER = 0.25  # of the radius, from round to round
FINEST = 1e-5  # of the box
SETTLED = 1e-10  # relative change of H

Hamiltonian = Callable[[Array], Array]  # of controls (Q, m), (Q,)


def improved(H: Hamiltonian, u: Array, low: Array, high: Array, everywhere: bool) -> tuple[Array, Array]:
    """Controls (Q, m) with H at most that of u, and H (Q,); the lattice is searched where ``everywhere``."""
    u = np.clip(u, low, high)
    best, least = u, H(u)
    m, free = u.shape[1], np.flatnonzero(high > low).tolist()
    if everywhere and free:
        points = (np.linspace(low[j], high[j], LATTICE[m]) if j in free else low[j : j + 1] for j in range(m))
        for point in product(*points):
            best, least = _better(H, np.tile(point, (len(u), 1)), best, least)
    radius = (high - low) / (LATTICE[m] - 1)
    while free and np.max(radius[free] / (high - low)[free]) > FINEST:
        before = least
        for j in free:
            best, least = _along(H, j, radius[j], best, least, low[j], high[j])
        if np.max(before - least) <= SETTLED * (1.0 + np.max(np.abs(least))):
            break
        radius = NARROWER * radius
    return best, least


def _along(H: Hamiltonian, j: int, r: float, best: Array, least: Array, low: float, high: float) -> tuple[Array, Array]:
    """The best of u, u ± r (u + r/2 for one beyond the box) and the vertex of their parabola, along control j."""
    middle, values = best, least
    a = np.where(middle[:, j] - r >= low, -r, 0.5 * r)  # within the box, which is at least 2r wide
    b = np.where(middle[:, j] + r <= high, r, -0.5 * r)
    ends = []
    for side in (a, b):
        trial = _with(middle, j, middle[:, j] + side)
        ends.append(H(trial))
        best, least = _chosen(trial, ends[-1], best, least)
    with np.errstate(all="ignore"):
        left, right = (ends[0] - values) / a, (ends[1] - values) / b
        vertex = 0.5 * (b * left - a * right) / (left - right)
    vertex = np.where(np.isfinite(vertex), vertex, 0.0)
    return _better(H, _with(middle, j, np.clip(middle[:, j] + vertex, low, high)), best, least)


def _with(u: Array, j: int, values: Array) -> Array:
    found = u.copy()
    found[:, j] = values
    return found


def _better(H: Hamiltonian, trial: Array, best: Array, least: Array) -> tuple[Array, Array]:
    return _chosen(trial, H(trial), best, least)


def _chosen(trial: Array, values: Array, best: Array, least: Array) -> tuple[Array, Array]:
    lower = values < least
    return np.where(lower[:, None], trial, best), np.where(lower, values, least)
