"""The sweeps compiled by numba; line for line the arithmetic of ``sweeps`` so that both agree to rounding.

Nodes are addressed in flat arrays by unsigned integers, which spares numba's test for negative indices: half the time.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ocdl.hjb.grids.rules import KINKED, LINEAR, SIXTH, SPIKE, TWENTIETH


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
    p, q = _bend(value, line, j, stride, n), _bend(value, line, j + 1, stride, n)
    before, after = _bend(value, line, j - 1, stride, n), _bend(value, line, j + 2, stride, n)
    fourth_left, fourth_right = before - 2.0 * p + q, p - 2.0 * q + after
    largest = max(max(abs(before), abs(p)), max(abs(q), abs(after)))
    if largest > SPIKE * ((abs(before) + abs(p)) + (abs(q) + abs(after))):
        fourth_left = fourth_right = 0.0
        if abs(p) == largest:
            p = q
        elif abs(q) == largest:
            q = p
    u = 1.0 - s
    ss, uu = s * s, u * u
    found = left + s * rise + SIXTH * u * (uu - 1.0) * (p + TWENTIETH * (uu - 4.0) * fourth_left)
    found += SIXTH * s * (ss - 1.0) * (q + TWENTIETH * (ss - 4.0) * fourth_right)
    if (found - left) * (found - right) > 0.0:
        bend = 3.0 * p * q / ((2.0 - s) * q + (1.0 + s) * p) if p * q > 0.0 else 0.0
        parabola = left + s * rise - 0.5 * s * u * bend
        found = min(max(found, min(left, right, parabola)), max(left, right, parabola))
    return found


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _dip(value, line, stride, n, j, low, high):
    left = value[_at(line, j, stride)]
    rise = value[_at(line, j + 1, stride)] - left
    p, q = _bend(value, line, j, stride, n), _bend(value, line, j + 1, stride, n)
    before, after = _bend(value, line, j - 1, stride, n), _bend(value, line, j + 2, stride, n)
    jump = after - before
    near, far = math.sqrt(abs(p - before)), math.sqrt(abs(after - q))
    if (p - before) * jump >= 0.0 and (after - q) * jump >= 0.0 and 0.0 < near + far < KINKED * math.sqrt(abs(jump)):
        kink = far / (near + far)
    elif p > 0.0 and q > 0.0:
        before = after = 2.0 * p * q / (p + q)
        jump, kink = 0.0, 0.0
    else:
        return math.inf
    slope = rise - 0.5 * before - 0.5 * jump * (1.0 - kink) * (1.0 - kink)
    if slope >= 0.0 or slope + before + jump * (1.0 - kink) <= 0.0:
        return math.inf
    s = -slope / before if slope + before * kink >= 0.0 else (jump * kink - slope) / after
    s = min(max(s, low - j), high - j)
    beyond = max(s - kink, 0.0)
    return left + s * (slope + 0.5 * before * s) + 0.5 * jump * beyond * beyond


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
    if rule != LINEAR and where > 0:
        best = min(best, _dip(value, line, stride, n, where - 1, low, high))
    if rule != LINEAR and 0 <= where < n - 1:
        best = min(best, _dip(value, line, stride, n, where, low, high))
    return best
