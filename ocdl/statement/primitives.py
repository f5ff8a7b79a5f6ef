"""Σ(s) = ∫_0^s σ and sup |σ'| of an activation of which nothing but the formula is known.

The integral is by Gauss–Legendre panels, halved until each equals its halves to rounding: a kink ends up between tiny
panels, wherever it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.arrays import Array

Function = Callable[[Array], Array]

POINTS, WEIGHTS = (0.5 * part for part in np.polynomial.legendre.leggauss(16))  # on [−½, ½]
NARROWEST = 2.0**-52  # a panel, relative to where it lies
EQUAL = 8.0 * np.finfo(float).eps  # a panel and its halves
MOST = 50_000  # panels at a time: a formula of many wrong digits is no reason to go on
GROWS = 1.01  # a slope that still rises by this factor over the last decade is not bounded
ZOOMS, FINER = 6, 41  # about the steepest place of a sample, so many times between its neighbours


@dataclass(frozen=True, eq=False)
class Panels:
    """Σ at ``edges`` (P+1,), which rise from −reach to reach, 0 among them."""

    sigma: Function
    edges: Array
    sums: Array

    @classmethod
    def of(cls, sigma: Function, reach: float) -> Panels:
        """reach: a power of two, at least 1."""
        right = 2.0 ** np.arange(-2.0, math.log2(reach) + 1.0)
        edges = np.concatenate([-right[::-1], [0.0], right])
        left, right = edges[:-1], edges[1:]
        done: list[tuple[Array, Array]] = []
        while left.size:
            parts, rough = _tried(sigma, left, right)
            rough = rough & (left.size < MOST)
            done.append((left[~rough], parts[~rough]))
            left, right = left[rough], right[rough]
            middle = 0.5 * (left + right)
            left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        lefts, parts = (np.concatenate(column) for column in zip(*done, strict=True))
        order = np.argsort(lefts)
        zero = int(np.searchsorted(lefts[order], 0.0))
        below, above = np.cumsum(-parts[order][:zero][::-1])[::-1], np.cumsum(parts[order][zero:])
        return cls(sigma, np.append(lefts[order], reach), np.concatenate([below, [0.0], above]))

    def __call__(self, s: Array) -> Array:
        """Σ(s): that of the edge next to s on the side of 0, and the rest by one panel."""
        p = np.clip(np.searchsorted(self.edges, s, side="right") - 1, 0, self.edges.size - 2)
        near = np.where(s < 0.0, p + 1, p)
        return np.asarray(self.sums[near] + _gauss(self.sigma, self.edges[near], s)[0])


def _tried(sigma: Function, left: Array, right: Array) -> tuple[Array, Any]:
    """∫σ over panels (P,) by their halves, and whether the whole panel has it otherwise than to rounding.

    Rounding is relative to ∫|σ|, and to |s| where a formula cancels.
    """
    middle, far = 0.5 * (left + right), np.maximum(np.maximum(np.abs(left), np.abs(right)), 1.0)
    whole, size = _gauss(sigma, left, right)
    halves = _gauss(sigma, left, middle)[0] + _gauss(sigma, middle, right)[0]
    with np.errstate(all="ignore"):
        differ = np.abs(whole - halves) > EQUAL * (size + far * (right - left))
    return halves, differ & (right - left > NARROWEST * far)


def _gauss(sigma: Function, left: Array, right: Array) -> tuple[Array, Array]:
    """∫σ and ∫|σ| from left to right, of any shape."""
    middle, width = 0.5 * (left + right), right - left
    with np.errstate(all="ignore"):
        values = np.asarray(sigma(middle[..., None] + width[..., None] * POINTS))
        return width * (values @ WEIGHTS), np.abs(width) * (np.abs(values) @ WEIGHTS)


def steepest(slope: Function, s: Array) -> float:
    """sup |σ'| by a sample s that reaches far to both sides, closer about its steepest place.

    slope: |σ'|. Infinite where it still rises at an end of the sample; places where it is no number are left out.
    """
    with np.errstate(all="ignore"):
        values = slope(s)
    s, values = s[~np.isnan(values)], values[~np.isnan(values)]
    for side in (s > 0.0, s < 0.0):
        far = np.abs(s[side]) > 0.1 * np.abs(s[side][np.isfinite(values[side])]).max()
        if values[side].max() == math.inf or values[side][far].max() > GROWS * values[side][~far].max():
            return math.inf
    best = float(values.max())
    for _ in range(ZOOMS):
        k = int(np.argmax(values))
        s = np.linspace(s[max(k - 1, 0)], s[min(k + 1, s.size - 1)], FINER)
        with np.errstate(all="ignore"):
            values = slope(s)
        values[np.isnan(values)] = 0.0
        best = max(best, float(values.max()))
    return best
