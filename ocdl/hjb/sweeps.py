"""One sweep of the split scheme along one axis, in numpy or (when installed) numba: the same arithmetic twice.

    V(x) ← min { V(slow foot), V(fast foot), V at the nodes between the feet, V at the vertex of the parabola there },

the exact dynamic programming step of f_i' ∈ [slowest, fastest] with the other neurons frozen. Where the nodes of the
cells between the feet fall (rise) throughout, the fast (slow) foot alone is interpolated. Between nodes V is
interpolated through four points by two parabolas whose blend is cubic where V is smooth and leans to the smoother one
elsewhere ("weno"; Carlini, Ferretti and Russo 2005, section 3), or linearly ("linear": monotone, no vertex).
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

Array = NDArray[np.float64]
Sweep = Callable[..., None]
Part = tuple[tuple[int, int], tuple[int, int]]

LINEAR, WENO = 0, 1
INTERPOLATIONS = {"weno": WENO, "linear": LINEAR}

CURVATURE = 4.0  # smoothness is rise² + CURVATURE · bend²; 13/12 is ∫ P'² + P''²; larger is sharper at kinks
ABSOLUTE_FLOOR = 1e-100
CHUNK = 1 << 15
WORTH_A_THREAD = 1 << 16


def numba_available() -> bool:
    return importlib.util.find_spec("numba") is not None


def sweep(value: Array, feet: tuple[Array, Array], axis: int, out: Array, *, interpolation: str, kernels: str) -> None:
    """Write the sweep of ``value`` along ``axis`` to ``out``; ``interpolation`` is a key of INTERPOLATIONS."""
    rule = INTERPOLATIONS[interpolation]
    outer, n, inner = math.prod(value.shape[:axis]), value.shape[axis], math.prod(value.shape[axis + 1 :])
    if kernels == "numba":
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
        stride, n = self.stride, self.n
        j = np.minimum(foot.astype(np.int64), n - 2)
        s = foot - j
        at = line + j * stride
        left, right = self.flat.take(at), self.flat.take(at + stride)
        rise = right - left
        if self.rule == LINEAR:
            return np.asarray(left + s * rise)
        bend_left, bend_right = self._bend(line, j), self._bend(line, j + 1)
        rise_squared = rise * rise + ABSOLUTE_FLOOR
        rough_left = rise_squared + CURVATURE * bend_left * bend_left
        rough_right = rise_squared + CURVATURE * bend_right * bend_right
        weight_left = (2.0 - s) * (rough_right * rough_right)
        weight_right = (1.0 + s) * (rough_left * rough_left)
        blend = (weight_left * bend_left + weight_right * bend_right) / (weight_left + weight_right)
        return np.asarray(left + s * rise + 0.5 * s * (s - 1.0) * blend)

    @cached_property
    def _bends(self) -> Array:
        value = self.flat.reshape(-1, self.n, self.stride)
        bend = np.empty(value.shape)
        bend[:, 1:-1] = value[:, :-2] - 2.0 * value[:, 1:-1] + value[:, 2:]
        bend[:, 0], bend[:, -1] = bend[:, 1], bend[:, -2]
        return bend.ravel()

    def _bend(self, line: Any, j: Any) -> Array:
        return self._bends.take(line + j * self.stride)

    def between(self, line: Any, low: Array, high: Array) -> Array:
        """The least of the upper foot, the nodes between, and the vertex of the parabola through the least node."""
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
        rows = np.nonzero(has & (where > 0) & (where < self.n - 1))
        j = where[rows]
        at = line[rows] + j * stride
        left, middle, right = self.flat.take(at - stride), self.flat.take(at), self.flat.take(at + stride)
        bend = left - 2.0 * middle + right
        valley = (left >= middle) & (right >= middle) & (bend > 0.0)
        slope = 0.5 * (right - left)
        shift = np.clip(-slope / np.where(valley, bend, 1.0), low[rows] - j, high[rows] - j)
        vertex = middle + shift * (slope + 0.5 * shift * bend)
        best[rows] = np.where(valley & (vertex < best[rows]), vertex, best[rows])
        return best


@cache
def numba_sweep() -> Sweep:
    """The same sweep compiled; raises ImportError when numba is missing."""
    from ocdl.hjb.compiled import sweep as compiled

    return compiled
