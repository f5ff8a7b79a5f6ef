"""Points of a box: few that cover it, where a global search for the least Hamiltonian begins, and random ones."""

from __future__ import annotations

from itertools import product

import numpy as np

from ocdl.arrays import Array

POINTS = {1: 41, 2: 13, 3: 7}  # along every axis of a finite box of so many controls; of more, along one at a time
LADDER = 4.0 ** np.arange(-4, 6)  # distances from the centre where an interval is unbounded


def lattice(low: Array, high: Array, most: float = np.inf) -> Array:
    """Points (K, m) of the box [low, high] ⊂ R^m, among them its centre and the point nearest to 0.

    For one to three controls a full lattice with the vertices of a finite box; for more the centre and, one control at
    a time, the points of its axis. An unbounded side is covered by distances that grow geometrically. Coarser where it
    would have more than ``most`` points, but never fewer than three along an axis.
    """
    m = low.size
    near_zero = np.clip(np.zeros(m), low, high)
    finite = np.isfinite(low) & np.isfinite(high)
    centre = np.where(finite, 0.5 * (np.where(finite, low, 0.0) + np.where(finite, high, 0.0)), near_zero)
    count = int(max(3, min(POINTS.get(m, POINTS[2]), most ** (1 / m) if m in POINTS else most / max(m, 1))))
    axes = [_axis(low[i], high[i], centre[i], count) for i in range(m)]
    if m in POINTS:
        points = np.array(list(product(*axes)))
    else:
        along = [np.tile(centre, (axis.size, 1)) for axis in axes]
        for i, axis in enumerate(axes):
            along[i][:, i] = axis
        points = np.concatenate(along) if along else np.zeros((1, 0))
    return np.unique(np.concatenate([points.reshape(-1, m), near_zero[None], centre[None]]), axis=0)


def cover(low: Array, high: Array, most: float, *, random: int, seed: int = 0) -> Array:
    """Points (K, m) of the box to begin a global search from: the lattice of one to three controls; of more the centre,
    the point nearest to 0 and as many ``random`` points, every other of them a vertex where the box is finite.
    """
    m = low.size
    if m in POINTS:
        return lattice(low, high, most)
    generator = np.random.default_rng(seed)
    finite = np.isfinite(low) & np.isfinite(high)
    near_zero = np.clip(np.zeros(m), low, high)
    inside = generator.uniform(size=(int(max(2, min(random, most))), m))
    inside[::2] = np.round(inside[::2])
    with np.errstate(invalid="ignore"):
        for point in inside:  # one at a time: of very many controls all at once take memory
            point[:] = np.where(finite, low + point * (high - low), np.clip(4.0 * point - 2.0, low, high))
        centre = np.where(finite, 0.5 * (low + high), near_zero)
    return np.concatenate([near_zero[None], centre[None], inside])


def _axis(low: float, high: float, centre: float, count: int) -> Array:
    if np.isfinite(low) and np.isfinite(high):
        return np.unique(np.append(np.linspace(low, high, count), centre))
    steps = LADDER[:: int(np.ceil(2 * LADDER.size / count))] if count < 2 * LADDER.size else LADDER
    points = np.concatenate([centre - steps, [centre], centre + steps])
    return np.unique(np.clip(points, low, high))


def drawn(generator: np.random.Generator, low: Array, high: Array, shape: tuple[int, ...]) -> Array:
    """Random points of a box: uniform where it is finite, else N(0, 1) clipped to it."""
    finite = np.isfinite(low) & np.isfinite(high)
    inside = generator.uniform(np.where(finite, low, 0.0), np.where(finite, high, 1.0), shape)
    return np.where(finite, inside, np.clip(generator.standard_normal(shape), low, high))
