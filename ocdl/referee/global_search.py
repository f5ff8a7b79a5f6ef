"""The global part of a minimisation over boxes, many at once: where to begin, and which have no lower bound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.referee.lattice import POINTS, cover

Indices = NDArray[np.intp]

WORK = 10_000_000  # entries of controls evaluated in one search: a large problem has a coarser cover
LEAST = 24  # points of a cover, however large the problem
PICKS = 3  # points of a cover from which a descent begins
MANY = 100_000  # entries of controls from which there is one
APART = 0.25  # of the box, between two such points of many controls
COARSE, ZOOM = 8, 64  # points of a pattern, at least and at most
ZOOMS = 10  # how often it shrinks
FIRST, SHRINK = 0.2, 0.5
RADII = 10.0 ** np.array([3, 6, 9])
SLOPE = 1e-6  # relative to H: less, on the way to infinity, is rounding


def covers(low: Array, high: Array, most: float, *, random: int) -> tuple[Array, Indices]:
    """The different boxes among low ≤ z ≤ high (R, m), each with its cover, points (B, L, m); and each row's box."""
    boxes, of = np.unique(np.hstack([low, high]), axis=0, return_inverse=True)
    m = low.shape[1]
    each = [cover(box[:m], box[m:], most, random=random) for box in boxes]
    longest = max(len(points) for points in each)
    padded = [np.concatenate([points, np.repeat(points[-1:], longest - len(points), axis=0)]) for points in each]
    return np.stack(padded), of.ravel()


def best_apart(values: Array, points: Array, low: Array, high: Array, count: int) -> list[Array]:
    """The ``count`` best of points (R, L, m) with ``values`` (R, L), each (R, m), a share of the box apart."""
    with np.errstate(invalid="ignore"):
        share = (points - low[:, None]) / np.maximum(high - low, 1e-300)[:, None]
    scaled = np.where(np.isfinite(high - low)[:, None], share, np.arcsinh(points) / 8.0)
    _, L, m = points.shape
    apart = 1.5 / max(L ** (1 / m) - 1.0, 2.0) if m in POINTS else APART
    left, rows, picks = np.where(np.isnan(values), np.inf, values), np.arange(len(values)), []
    for _ in range(count):
        best = np.argmin(left, axis=1)
        picks.append(points[rows, best])
        left[np.max(np.abs(scaled - scaled[rows, best][:, None]), axis=2) <= apart] = np.inf
    return picks


def zoomed(values: Callable[[Array], Array], z: Array, low: Array, high: Array, most: float) -> tuple[Array, Array]:
    """Better points than z (R, m) of the boxes (R, m), where no derivative leads, and their values (R,): the best of
    patterns of points around it, ever closer. ``values`` (R, L) of points (R, L, m).
    """
    m = z.shape[1]
    pattern = cover(-np.ones(m), np.ones(m), most, random=int(most))
    with np.errstate(invalid="ignore"):
        span = np.where(np.isfinite(high - low), high - low, 1.0 + np.abs(z))
    rows, best = np.arange(len(z)), np.nan_to_num(values(z[:, None])[:, 0], nan=np.inf)
    for k in range(ZOOMS):
        near = z[:, None] + FIRST * SHRINK**k * span[:, None] * pattern
        points = np.clip(near, low[:, None], high[:, None])
        found = np.nan_to_num(values(points), nan=np.inf)
        at = np.argmin(found, axis=1)
        better = found[rows, at] < best
        best, z = np.where(better, found[rows, at], best), np.where(better[:, None], points[rows, at], z)
    return best, z


def rays(low: Array, high: Array, further: list[Array]) -> list[Array]:
    """Directions (R, m) in which the boxes (R, m) have no end: along the axes, for few controls also between them, and
    those of ``further`` as far as they do.
    """
    m = low.shape[1]
    axes = np.concatenate([np.eye(m), -np.eye(m)])
    signs = np.array([d for d in product((-1.0, 0.0, 1.0), repeat=m) if any(d)]) if m in POINTS else axes
    candidates = [np.broadcast_to(d, low.shape) for d in signs] + further
    endless = [np.where(d > 0.0, high == np.inf, low == -np.inf) for d in candidates]
    kept = [np.where(free, d, 0.0) for free, d in zip(endless, candidates, strict=True)]
    return [d for d in kept if np.any(d)]


def falls_for_ever(
    values: Callable[[Array], Array], z: Array, value: Array, directions: list[Array]
) -> NDArray[np.bool_]:
    """Whether ``values`` (R,) of points (R, m) fall without end from z, where they are ``value``, along a direction:
    by as much from one of ``RADII`` to the next as from the one before.
    """
    endless = np.zeros(len(z), dtype=bool)
    for direction in directions:
        length = np.max(np.abs(direction), axis=1, keepdims=True)
        unit = np.divide(direction, length, out=np.zeros_like(direction), where=length > 0.0)
        with np.errstate(all="ignore"):  # far out a formula may overflow
            first, second, third = (values(z + radius * unit) for radius in RADII)
            begins = value - first > SLOPE * RADII[0] * (1.0 + np.abs(value))
            goes_on = (first - second > 0.0) & (second - third >= 0.5 * (first - second))
        endless |= begins & goes_on & (length[:, 0] > 0.0)
    return endless
