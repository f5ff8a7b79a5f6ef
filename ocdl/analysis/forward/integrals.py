"""∫ σ(u) dt of every neuron between depths, along a known course of few unknowns, with error control.

By Lobatto's five points, of order 8, against the two halves; a neuron of which they disagree is bisected on its own, so
that the kinks of σ, which each neuron meets at depths of its own, cost the others nothing. Both ends are among the
points: a kink between an end and the first of Gauss's points would be seen by neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array

POINTS, WEIGHTS = np.sqrt(3 / 7) * np.array([-1.0, 0.0, 1.0]), np.array([49 / 90, 32 / 45, 49 / 90])
POINTS, WEIGHTS = np.concatenate([[-1.0], POINTS, [1.0]]), np.concatenate([[0.1], WEIGHTS, [0.1]])
DEEPEST = 50  # bisections, after which a piece is as short as rounding
AT_ONCE = 1 << 20  # numbers that are held together

Course = Callable[[Array], Array]  # depths (...) to c (..., S, r)


class Integrand(Protocol):
    """σ(u) as a function of c."""

    def velocity(self, c: Array) -> Array:
        """(..., M) of c (..., r)."""
        ...

    def at(self, c: Array, i: NDArray[np.intp]) -> Array:
        """(P, K) at one neuron i (P,) each, of c (P, K, r)."""
        ...


def integrals(layer: Integrand, course: Course, cuts: Array, tolerance: float, shape: tuple[int, ...]) -> Array:
    """(K − 1, S, M): from each of the depths ``cuts`` (K,) to the next; tolerance: of each of them, absolute and
    relative."""
    out = np.empty((cuts.size - 1, *shape))
    marked = [np.empty((3, 0), dtype=int)]
    for k in _blocks(len(out), out[0].size):
        a, b = cuts[k], cuts[k + 1]
        middle = 0.5 * (a + b)
        out[k] = _dense(layer, course, a, middle) + _dense(layer, course, middle, b)
        q, s, i = np.nonzero(_apart(_dense(layer, course, a, b), out[k], tolerance))
        marked.append(np.stack([k[q], s, i]))
    q, s, i = np.concatenate(marked, axis=1)
    out[q, s, i] = 0.0
    for part in _blocks(q.size, 2 * shape[0]):
        _bisected(layer, course, cuts, (q[part], s[part], i[part]), tolerance, out)
    return out


def _blocks(count: int, each: int) -> list[NDArray[np.intp]]:
    """Numbers to ``count`` in blocks of so many that ``each`` numbers at every point of theirs are held together."""
    size = max(1, AT_ONCE // (each * POINTS.size))
    return [np.arange(begin, min(begin + size, count)) for begin in range(0, count, size)]


def _depths(a: Array, b: Array) -> Array:
    """Lobatto's from a to b (P,), (P, 5)."""
    return np.asarray(0.5 * (a + b)[:, None] + 0.5 * (b - a)[:, None] * POINTS)


def _dense(layer: Integrand, course: Course, a: Array, b: Array) -> Array:
    """Of all neurons from a to b (P,), (P, S, M)."""
    values = np.tensordot(WEIGHTS, layer.velocity(course(_depths(a, b))), axes=(0, 1))
    return np.asarray(0.5 * (b - a)[:, None, None] * values)


def _bisected(
    layer: Integrand, course: Course, cuts: Array, where: tuple[NDArray[np.intp], ...], tolerance: float, out: Array
) -> None:
    """Add the integrals of some (piece, sample, neuron) to ``out``."""
    q, s, i = where
    a, b = cuts[q], cuts[q + 1]
    whole = _sparse(layer, course, a, b, s, i)
    for depth in range(DEEPEST):
        middle = 0.5 * (a + b)
        halves = _sparse(layer, course, a, middle, s, i), _sparse(layer, course, middle, b, s, i)
        on = _apart(whole, halves[0] + halves[1], tolerance) & (depth < DEEPEST - 1)
        np.add.at(out, (q[~on], s[~on], i[~on]), (halves[0] + halves[1])[~on])
        if not np.any(on):
            return
        q, s, i = (np.concatenate([k[on], k[on]]) for k in (q, s, i))
        a, b = np.concatenate([a[on], middle[on]]), np.concatenate([middle[on], b[on]])
        whole = np.concatenate([half[on] for half in halves])


def _sparse(layer: Integrand, course: Course, a: Array, b: Array, s: NDArray[np.intp], i: NDArray[np.intp]) -> Array:
    """Of one sample s and neuron i from a to b each, (P,)."""
    c = course(_depths(a, b))[np.arange(s.size), :, s]
    return np.asarray(0.5 * (b - a) * (layer.at(c, i) @ WEIGHTS))


def _apart(whole: Array, halves: Array, tolerance: float) -> NDArray[np.bool_]:
    return np.abs(whole - halves) > tolerance * (1.0 + np.abs(halves))
