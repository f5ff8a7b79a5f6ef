"""One sweep of the split scheme along one axis, in numpy or (when installed) numba: the same formulas (``everett``).

    V(x) ← min { V(slow foot), V(fast foot), V at the nodes between the feet, the dips beside the least of them },

the exact dynamic programming step of f_i' ∈ [slowest, fastest] with the other neurons frozen. Where the nodes of the
cells between the feet fall (rise) throughout, the fast (slow) foot alone is interpolated. "linear" is monotone and has
no dips. In "weno" V between nodes is the sixth-order interpolant (Everett's form): with u = 1 − s and central
differences δ², δ⁴ of V,

    V(j + s) = u V_j + s V_{j+1} + e(u) at j + e(s) at j + 1,   e(t) = t (t² − 1)/6 (δ²V + (t² − 4)/20 δ⁴V),

without a lean to the smoother side: the sweeps leave kinks of V' of size O(dt) a few cells apart, where a lean has a
sign and N steps add it up to O(dx), while the errors of a linear rule cancel. Two exceptions: where one bend δ²V of
four outweighs the others the kink is on its node, and the other side alone counts; and beyond its two nodes the
interpolant is held to a parabola with the harmonic mean of their bends (Amat, Donat, Liandrat and Trillo 2006), which
is flat next to a plateau, because the minimum would carry an undershoot all over the plateau. A dip, likewise, is the
vertex of that parabola, or of two that touch at a kink of V'' inside the cell.
Arrays are viewed as (outer, n, inner) with n the axis swept.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.everett import dip, everett, limited, spared, spiked
from ocdl.hjb.grids.rules import INTERPOLATIONS, LINEAR
from ocdl.interrupts import uninterrupted

Array = NDArray[np.float64]
Sweep = Callable[..., None]
Part = tuple[tuple[int, int], tuple[int, int]]

CHUNK = 1 << 15
WORTH_A_THREAD = 1 << 16


def numba_available() -> bool:
    return importlib.util.find_spec("numba") is not None


def sweep(value: Array, feet: tuple[Array, Array], axis: int, out: Array, *, interpolation: str, kernels: str) -> None:
    """Write the sweep of ``value`` along ``axis`` to ``out``; ``interpolation`` is a key of INTERPOLATIONS."""
    rule = INTERPOLATIONS[interpolation]
    outer, n, inner = math.prod(value.shape[:axis]), value.shape[axis], math.prod(value.shape[axis + 1 :])
    if kernels == "numba":
        with uninterrupted():  # numba loaded or compiled by half is lost to the process
            _compiled_sweep([array.reshape(-1) for array in (value, *feet, out)], (outer, n, inner), rule)
        return
    views = [array.reshape(outer, n, inner) for array in (value, *feet, out)]
    for lines, columns in _parts(outer, inner, max(1, -(-value.size // CHUNK))):
        v, slow, fast, written = (view[slice(*lines), :, slice(*columns)] for view in views)
        numpy_sweep(v, slow, fast, written, rule)


def _compiled_sweep(arrays: list[Array], view: tuple[int, int, int], rule: int) -> None:
    outer, n, inner = view
    parts = _parts(outer, inner, _threads(outer * n * inner))
    kernel = numba_sweep()

    def run(part: Part) -> None:
        kernel(*arrays, n, inner, *part, rule)

    if len(parts) == 1:
        run(parts[0])
        return
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(run, parts))


def _threads(nodes: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, nodes // WORTH_A_THREAD))


def _parts(outer: int, inner: int, wanted: int) -> list[Part]:
    """About ``wanted`` pieces of whole lines: ranges of the outer index, then of the inner one."""
    rows = min(wanted, outer)
    columns = min(inner, -(-wanted // rows))
    return [
        ((outer * r // rows, outer * (r + 1) // rows), (inner * c // columns, inner * (c + 1) // columns))
        for r in range(rows)
        for c in range(columns)
    ]


def numpy_sweep(value: Array, slow: Array, fast: Array, out: Array, rule: int) -> None:
    """The sweep of one piece (outer, n, inner) in numpy."""
    outer, n, stride = value.shape
    lines = _Lines(value.ravel(), stride, n, rule)
    line = (np.arange(outer)[:, None, None] * (n * stride) + np.arange(stride)).astype(np.int64)
    climb = np.zeros(value.shape, dtype=np.int32)  # rises less falls from the line's first node
    np.cumsum(np.where(value[:, 1:] > value[:, :-1], np.int32(1), np.int32(-1)), axis=1, out=climb[:, 1:])
    first = np.minimum(slow.astype(np.int64), n - 2)
    last = np.minimum(fast.astype(np.int64), n - 2) + 1
    change = climb.ravel().take(line + last * stride) - climb.ravel().take(line + first * stride)
    last -= first
    falling = change == -last
    out[...] = lines.interpolated(line, np.where(falling, fast, slow))
    rows = np.nonzero(~falling & (change != last))
    if rows[0].size:
        here = np.broadcast_to(line, value.shape)[rows]
        out[rows] = np.minimum(out[rows], lines.between(here, slow[rows], fast[rows]))


class _Lines:
    """Lines of V in one flat array: a line starts at ``line`` and its n nodes are ``stride`` apart."""

    def __init__(self, flat: Array, stride: int, n: int, rule: int) -> None:
        self.flat, self.stride, self.n, self.rule = flat, stride, n, rule

    def interpolated(self, line: Any, foot: Array) -> Array:
        stride = self.stride
        j = np.minimum(foot.astype(np.int64), self.n - 2)
        s = foot - j
        at = line + j * stride
        next_at = at + stride
        left, right = self.flat.take(at), self.flat.take(next_at)
        found = left + s * (right - left)
        if self.rule == LINEAR:
            return np.asarray(found)
        p, q = self._bends.take(at), self._bends.take(next_at)
        fourth_left, fourth_right = self._fourths.take(at), self._fourths.take(next_at)
        rows = np.nonzero(self._spikes.take(at))
        if rows[0].size:
            fourth_left[rows] = fourth_right[rows] = 0.0
            before = self._bends.take((at - stride * (j > 0))[rows])
            after = self._bends.take((next_at + stride * (j < self.n - 2))[rows])
            p[rows], q[rows] = spared(before, p[rows], q[rows], after)
        found = everett(s, left, right, p, q, fourth_left, fourth_right)
        out = np.nonzero((found - left) * (found - right) > 0.0)
        if out[0].size:
            found[out] = limited(*(part[out] for part in (found, s, left, right, p, q)))
        return np.asarray(found)

    @cached_property
    def _padded(self) -> Array:
        """V's second differences along the lines, at either end twice more that of the node before."""
        value = self.flat.reshape(-1, self.n, self.stride)
        bends = value[:, :-2] - 2.0 * value[:, 1:-1] + value[:, 2:]
        return np.concatenate([bends[:, :1], bends[:, :1], bends, bends[:, -1:], bends[:, -1:]], axis=1)

    @cached_property
    def _bends(self) -> Array:
        return self._padded[:, 1:-1].ravel()

    @cached_property
    def _fourths(self) -> Array:
        bends = self._padded
        return np.asarray(bends[:, :-2] - 2.0 * bends[:, 1:-1] + bends[:, 2:]).ravel()

    @cached_property
    def _spikes(self) -> NDArray[np.bool_]:
        """For the cell after each node."""
        bends = np.concatenate([self._padded, self._padded[:, -1:]], axis=1)
        found = spiked(bends[:, :-3], bends[:, 1:-2], bends[:, 2:-1], bends[:, 3:])
        return np.asarray(found).ravel()

    def between(self, line: Any, low: Array, high: Array) -> Array:
        """The least of the upper foot, the nodes between, and the dips of the two cells at the least node."""
        best = self.interpolated(line, high)
        first, last = np.ceil(low).astype(np.int64), np.floor(high).astype(np.int64)
        has, stride = last >= first, self.stride
        lowest = np.where(has, self.flat.take(line + np.minimum(first, self.n - 1) * stride), np.inf)
        where = first.copy()
        for k in range(1, int((last - first).max(initial=0)) + 1):
            j = np.minimum(first + k, last)
            candidate = self.flat.take(line + np.maximum(j, 0) * stride)
            lower = has & (candidate < lowest)
            np.copyto(lowest, candidate, where=lower)
            np.copyto(where, j, where=lower)
        np.minimum(best, lowest, out=best)
        if self.rule == LINEAR:
            return best
        cells = np.concatenate([where - 1, where])
        rows = np.nonzero(np.tile(has, 2) & (cells >= 0) & (cells < self.n - 1))
        dips = np.full(cells.shape, np.inf)
        dips[rows] = self._dip(cells[rows], *(np.tile(given, 2)[rows] for given in (line, low, high)))
        return np.asarray(np.minimum(best, np.minimum(*dips.reshape(2, -1))))

    def _dip(self, j: Any, line: Any, low: Array, high: Array) -> Array:
        """The least value inside cell j and between the feet; infinite where V does not turn there."""
        left, right = (self.flat.take(line + k * self.stride) for k in (j, j + 1))
        neighbours = (np.maximum(j - 1, 0), j, j + 1, np.minimum(j + 2, self.n - 1))
        bends = (self._bends.take(line + k * self.stride) for k in neighbours)
        return np.asarray(dip(low - j, high - j, left, right, *bends))


@cache
def numba_sweep() -> Sweep:
    """The same sweep compiled; raises ImportError when numba is missing."""
    from ocdl.hjb.grids.compiled import sweep as compiled

    return compiled
