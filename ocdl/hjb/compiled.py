"""The sweeps compiled by numba; line for line the arithmetic of ``sweeps`` so that both agree to rounding.

Nodes are addressed in flat arrays by unsigned integers, which spares numba's test for negative indices: half the time.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ocdl.hjb.sweeps import ABSOLUTE_FLOOR, CURVATURE, LINEAR


@numba.njit(cache=True, nogil=True, inline="always")
def _at(line, j, stride):
    return np.uint64(line + j * stride)


@numba.njit(cache=True, nogil=True, inline="always")
def _bend(value, line, j, stride, n):
    j = min(max(j, 1), n - 2)
    return value[_at(line, j - 1, stride)] - 2.0 * value[_at(line, j, stride)] + value[_at(line, j + 1, stride)]


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _interpolated(value, line, stride, n, foot, rule):
    j = min(int(foot), n - 2)
    s = foot - j
    left, right = value[_at(line, j, stride)], value[_at(line, j + 1, stride)]
    rise = right - left
    if rule == LINEAR:
        return left + s * rise
    bend_left, bend_right = _bend(value, line, j, stride, n), _bend(value, line, j + 1, stride, n)
    rise_squared = rise * rise + ABSOLUTE_FLOOR
    rough_left = rise_squared + CURVATURE * bend_left * bend_left
    rough_right = rise_squared + CURVATURE * bend_right * bend_right
    weight_left = (2.0 - s) * (rough_right * rough_right)
    weight_right = (1.0 + s) * (rough_left * rough_left)
    blend = (weight_left * bend_left + weight_right * bend_right) / (weight_left + weight_right)
    return left + s * rise + 0.5 * s * (s - 1.0) * blend


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sweep(value, slow, fast, out, n, stride, lines, columns, rule):
    """V ← min between the two feet (see ``sweeps``) on flat arrays; ranges of the outer and the inner index."""
    for o in range(lines[0], lines[1]):
        for i in range(n):
            for k in range(columns[0], columns[1]):
                line = o * n * stride + k
                here = _at(line, i, stride)
                low, high = slow[here], fast[here]
                first, last = min(int(low), n - 2), min(int(high), n - 2)
                rises, falls = False, False
                left = value[_at(line, first, stride)]
                for j in range(first + 1, last + 2):
                    right = value[_at(line, j, stride)]
                    if right > left:
                        rises = True
                    else:
                        falls = True
                    left = right
                if rises and falls:
                    out[here] = _between(value, line, stride, n, low, high, rule)
                else:
                    out[here] = _interpolated(value, line, stride, n, low if rises else high, rule)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _between(value, line, stride, n, low, high, rule):
    best = min(_interpolated(value, line, stride, n, low, rule), _interpolated(value, line, stride, n, high, rule))
    where, lowest = -1, math.inf
    for j in range(math.ceil(low), int(high) + 1):
        if value[_at(line, j, stride)] < lowest:
            lowest, where = value[_at(line, j, stride)], j
    best = min(best, lowest)
    if rule != LINEAR and 0 < where < n - 1:
        left, middle, right = value[_at(line, where - 1, stride)], lowest, value[_at(line, where + 1, stride)]
        bend = left - 2.0 * middle + right
        if left >= middle and right >= middle and bend > 0.0:
            slope = 0.5 * (right - left)
            shift = min(max(-slope / bend, low - where), high - where)
            best = min(best, middle + shift * (slope + 0.5 * shift * bend))
    return best
