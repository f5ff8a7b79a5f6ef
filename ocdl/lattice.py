"""Points of a box: few that cover it, where a global search for the least Hamiltonian begins, and random ones."""

from __future__ import annotations

from itertools import product

import numpy as np

from ocdl.arrays import Array

POINTS = {1: 41, 2: 13, 3: 7}  # along every axis of a finite box of so many controls; of more, along one at a time
LADDER = 4.0 ** np.arange(-4, 6)  # distances from the centre where an interval is unbounded


def lattice(low: Array, high: Array) -> Array:
    """Points (K, m) of the box [low, high] ⊂ R^m, among them its centre and the point nearest to 0.

    For one to three controls a full lattice with the vertices of a finite box; for more the centre and, one control at
    a time, the points of its axis. An unbounded side is covered by distances that grow geometrically.
    """
    m = low.size
    near_zero = np.clip(np.zeros(m), low, high)
    finite = np.isfinite(low) & np.isfinite(high)
    centre = np.where(finite, 0.5 * (np.where(finite, low, 0.0) + np.where(finite, high, 0.0)), near_zero)
    count = POINTS.get(m, POINTS[2])
    axes = [_axis(low[i], high[i], centre[i], count) for i in range(m)]
    if m in POINTS:
        points = np.array(list(product(*axes)))
    else:
        along = [np.tile(centre, (axis.size, 1)) for axis in axes]
        for i, axis in enumerate(axes):
            along[i][:, i] = axis
        points = np.concatenate(along) if along else np.zeros((1, 0))
    return np.unique(np.concatenate([points.reshape(-1, m), near_zero[None], centre[None]]), axis=0)


def _axis(low: float, high: float, centre: float, count: int) -> Array:
    if np.isfinite(low) and np.isfinite(high):
        return np.unique(np.append(np.linspace(low, high, count), centre))
    points = np.concatenate([centre - LADDER, [centre], centre + LADDER])
    return np.unique(np.clip(points, low, high))


def drawn(generator: np.random.Generator, low: Array, high: Array, shape: tuple[int, ...]) -> Array:
    """Random points of a box: uniform where it is finite, else N(0, 1) clipped to it."""
    finite = np.isfinite(low) & np.isfinite(high)
    inside = generator.uniform(np.where(finite, low, 0.0), np.where(finite, high, 1.0), shape)
    return np.where(finite, inside, np.clip(generator.standard_normal(shape), low, high))
