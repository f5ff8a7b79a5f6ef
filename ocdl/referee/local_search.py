"""The least Hamiltonian by a counted number of evaluations: downhill from the controls in force and from elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.referee.downhill import descended
from ocdl.referee.global_search import falls_for_ever
from ocdl.referee.groups import Columns
from ocdl.referee.lattice import cover
from ocdl.referee.separated import SeparatedHamiltonian

OWN, OTHER = 20, 12  # evaluations of a descent from the controls in force, and from the corner or from a cover
COVER = 12  # random points of a cover

Indices = NDArray[np.intp]


def local_search(
    law: SeparatedHamiltonian, columns: Columns, u: Array, box: tuple[Array, Array], *, patience: int = 1
) -> tuple[Array, Array]:
    """H_g(u) − H_g(u*) ≥ 0 (K, G), and the best controls u* (K, m); +∞ where H_g falls without end along a descent.

    ``box``: the bounds of every point, each (K, m). Every group descends from u, from the corner of the box along −∇H
    and from the best of some points that cover the box, in ``patience`` times ``OWN`` and ``OTHER`` evaluations: the
    same figures whenever it is asked, and positive wherever ∇H leads into the box.
    """
    low, high, at = (array.take(law.groups, axis=1) for array in (*box, u))
    metric, places = np.asarray(law.problem.control_metric)[law.groups], np.argsort(law.groups, axis=None)

    def controls(z: Array) -> Array:
        return z.reshape(len(z), -1).take(places, axis=1)

    def slopes(rows: Indices, z: Array) -> tuple[Array, Array]:
        here = columns if rows.size == len(u) else columns.of(rows)
        return law.slopes(*here.at(controls(z)))

    def values(z: Array) -> Array:
        return law.values(*columns.at(controls(z)))

    begin, slope = slopes(np.arange(len(u)), at)
    corner = np.where(slope > 0.0, low, high)
    starts = [np.where(np.isfinite(corner), corner, at), _best_of_cover(values, controls(at), box, law.groups)]
    best, z = descended(slopes, at, low, high, metric, OWN * patience)
    for start in starts:
        found, reached = descended(slopes, start, low, high, metric, OTHER * patience)
        better = (found < best) | np.isnan(best)
        best, z = np.where(better, found, best), np.where(better[:, :, None], reached, z)
    gains = begin - best
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        ways = [np.where(np.where(way > 0.0, high, low) == np.sign(way) * np.inf, way, 0.0) for way in (-slope, z - at)]
        gains = np.where(_endless(values, at, begin, ways), np.inf, gains)
    return gains, controls(z)


def _best_of_cover(values: Callable[[Array], Array], u: Array, box: tuple[Array, Array], groups: Indices) -> Array:
    """Of every group the best of the points (K, G, size) that cover the box."""
    best, at = np.full((len(u), len(groups)), np.inf), u.take(groups, axis=1)
    for point in cover(box[0][0], box[1][0], COVER, random=COVER):
        z = np.clip(point, *box).take(groups, axis=1)
        found = values(z)
        better = found < best
        best, at = np.where(better, found, best), np.where(better[:, :, None], z, at)
    return at


def _endless(values: Callable[[Array], Array], z: Array, value: Array, ways: list[Array]) -> NDArray[np.bool_]:
    """Whether H_g falls without end from z (K, G, size) along one of the ways."""
    size = z.shape[2]

    def of_rows(points: Array) -> Array:
        return values(points.reshape(z.shape)).ravel()

    flat = [way.reshape(-1, size) for way in ways]
    return np.asarray(falls_for_ever(of_rows, z.reshape(-1, size), value.ravel(), flat).reshape(value.shape))
