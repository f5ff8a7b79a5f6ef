"""The sweeps compiled by numba; line for line the arithmetic of ``sweeps`` so that both agree to rounding."""

from __future__ import annotations

import math

import numba

from ocdl.hjb.sweeps import ABSOLUTE_FLOOR, CURVATURE, LINEAR


@numba.njit(cache=True, nogil=True, inline="always")
def _bend(value, o, j, k, n):
    j = min(max(j, 1), n - 2)
    return value[o, j - 1, k] - 2.0 * value[o, j, k] + value[o, j + 1, k]


@numba.njit(cache=True, nogil=True, inline="always")
def _interpolated(value, o, k, n, foot, rule):
    j = min(int(foot), n - 2)
    s = foot - j
    left, right = value[o, j, k], value[o, j + 1, k]
    rise = right - left
    if rule == LINEAR:
        return left + s * rise
    bend_left, bend_right = _bend(value, o, j, k, n), _bend(value, o, j + 1, k, n)
    rise_squared = rise * rise + ABSOLUTE_FLOOR
    rough_left = rise_squared + CURVATURE * bend_left * bend_left
    rough_right = rise_squared + CURVATURE * bend_right * bend_right
    weight_left = (2.0 - s) * (rough_right * rough_right)
    weight_right = (1.0 + s) * (rough_left * rough_left)
    blend = (weight_left * bend_left + weight_right * bend_right) / (weight_left + weight_right)
    return left + s * rise + 0.5 * s * (s - 1.0) * blend


@numba.njit(cache=True, nogil=True)
def sweep(value, slow, fast, out, rule):
    """V ← min over the two feet, the nodes between them and the vertex there; arrays (outer, n, inner)."""
    outer, n, inner = value.shape
    for o in range(outer):
        for i in range(n):
            for k in range(inner):
                low, high = slow[o, i, k], fast[o, i, k]
                best = _interpolated(value, o, k, n, low, rule)
                best = min(best, _interpolated(value, o, k, n, high, rule))
                where, lowest = -1, math.inf
                for j in range(math.ceil(low), int(high) + 1):
                    if value[o, j, k] < lowest:
                        lowest, where = value[o, j, k], j
                best = min(best, lowest)
                if rule != LINEAR and 0 < where < n - 1:
                    left, middle, right = value[o, where - 1, k], lowest, value[o, where + 1, k]
                    bend = left - 2.0 * middle + right
                    if left >= middle and right >= middle and bend > 0.0:
                        slope = 0.5 * (right - left)
                        shift = min(max(-slope / bend, low - where), high - where)
                        best = min(best, middle + shift * (slope + 0.5 * shift * bend))
                out[o, i, k] = best
