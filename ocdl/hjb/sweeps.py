"""One sweep of the split scheme along one axis, in numpy or (when installed) numba: the same arithmetic twice.

    V(x) ← min { V(slow foot), V(fast foot), V at the nodes between the feet, V at the vertex of the parabola there },

the exact dynamic programming step of f_i' ∈ [slowest, fastest] with the other neurons frozen. Between nodes V is
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
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Sweep = Callable[..., None]

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
    kernel: Sweep = numba_sweep() if kernels == "numba" else numpy_sweep
    view = (math.prod(value.shape[:axis]), value.shape[axis], math.prod(value.shape[axis + 1 :]))
    arrays = [array.reshape(view) for array in (value, *feet, out)]
    parts = _parts(view, _threads(value.size) if kernels == "numba" else max(1, -(-value.size // CHUNK)))
    pieces = [[array[part] for array in arrays] for part in parts]
    if kernels == "numba" and len(pieces) > 1:
        with ThreadPoolExecutor(len(pieces)) as pool:
            list(pool.map(lambda piece: kernel(*piece, rule), pieces))
    else:
        for piece in pieces:
            kernel(*piece, rule)


def _threads(nodes: int) -> int:
    return max(
        1,
        min(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            nodes // WORTH_A_THREAD,
        ),
    )


def _parts(view: tuple[int, int, int], wanted: int) -> list[tuple[slice, slice, slice]]:
    """About ``wanted`` pieces of whole lines: rows of the outer index, then of the inner one."""
    outer, _, inner = view
    rows = min(wanted, outer)
    columns = min(inner, -(-wanted // rows))
    return [
        (
            slice(outer * r // rows, outer * (r + 1) // rows),
            slice(None),
            slice(inner * c // columns, inner * (c + 1) // columns),
        )
        for r in range(rows)
        for c in range(columns)
    ]


def numpy_sweep(value: Array, slow: Array, fast: Array, out: Array, rule: int) -> None:
    """The sweep of one piece (outer, n, inner) in numpy."""
    n = value.shape[1]
    bend = np.empty(value.shape)
    bend[:, 1:-1] = value[:, :-2] - 2.0 * value[:, 1:-1] + value[:, 2:]
    bend[:, 0], bend[:, -1] = bend[:, 1], bend[:, -2]
    flat, bends = value.ravel(), bend.ravel()
    stride = value.shape[2]
    line = (np.arange(value.shape[0])[:, None, None] * n * stride + np.arange(stride)).astype(np.int64)
    best = _interpolated(flat, bends, line, stride, n, slow, rule)
    np.minimum(best, _interpolated(flat, bends, line, stride, n, fast, rule), out=best)
    first, last = np.ceil(slow).astype(np.int64), np.floor(fast).astype(np.int64)
    _nodes_between(flat, bends, line, stride, n, (slow, fast), (first, last), best, rule)
    out[...] = best


def _interpolated(flat: Array, bends: Array, line: Any, stride: int, n: int, foot: Array, rule: int) -> Array:
    j = np.minimum(foot.astype(np.int64), n - 2)
    s = foot - j
    at = line + j * stride
    left, right = flat.take(at), flat.take(at + stride)
    rise = right - left
    if rule == LINEAR:
        return np.asarray(left + s * rise)
    bend_left, bend_right = bends.take(at), bends.take(at + stride)
    rise_squared = rise * rise + ABSOLUTE_FLOOR
    rough_left = rise_squared + CURVATURE * bend_left * bend_left
    rough_right = rise_squared + CURVATURE * bend_right * bend_right
    weight_left = (2.0 - s) * (rough_right * rough_right)
    weight_right = (1.0 + s) * (rough_left * rough_left)
    blend = (weight_left * bend_left + weight_right * bend_right) / (weight_left + weight_right)
    return np.asarray(left + s * rise + 0.5 * s * (s - 1.0) * blend)


def _nodes_between(
    flat: Array,
    bends: Array,
    line: Any,
    stride: int,
    n: int,
    feet: tuple[Array, Array],
    ends: Any,
    best: Array,
    rule: int,
) -> None:
    """Lower ``best`` to the least node between the feet, and to the vertex of the parabola through its neighbours."""
    first, last = ends
    has = last >= first
    lowest = np.where(has, flat.take(line + np.minimum(first, n - 1) * stride), np.inf)
    where = first.copy()
    for k in range(1, int((last - first).max()) + 1):
        j = np.minimum(first + k, last)
        candidate = flat.take(line + np.maximum(j, 0) * stride)
        lower = has & (candidate < lowest)
        np.copyto(lowest, candidate, where=lower)
        np.copyto(where, j, where=lower)
    np.minimum(best, lowest, out=best)
    if rule == LINEAR:
        return
    rows = np.nonzero(has & (where > 0) & (where < n - 1))
    j = where[rows]
    at = np.broadcast_to(line, best.shape)[rows] + j * stride
    left, middle, right, bend = flat.take(at - stride), flat.take(at), flat.take(at + stride), bends.take(at)
    valley = (left >= middle) & (right >= middle) & (bend > 0.0)
    slope = 0.5 * (right - left)
    shift = np.clip(-slope / np.where(valley, bend, 1.0), feet[0][rows] - j, feet[1][rows] - j)
    vertex = middle + shift * (slope + 0.5 * shift * bend)
    best[rows] = np.where(valley & (vertex < best[rows]), vertex, best[rows])


@cache
def numba_sweep() -> Sweep:
    """The same sweep compiled; raises ImportError when numba is missing."""
    from ocdl.hjb.compiled import sweep as compiled

    return compiled
