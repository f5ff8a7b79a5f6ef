"""The sweeps compiled by numba, by the formulas of ``everett`` that ``sweeps`` evaluates with numpy.

Nodes are addressed in flat arrays by unsigned integers, which spares numba's test for negative indices: half the time.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ocdl.hjb.grids import everett
from ocdl.hjb.grids.compiling import compiled
from ocdl.hjb.grids.rules import LINEAR

_spiked, _spared, _everett, _limited, _least = (
    compiled(formula) for formula in (everett.spiked, everett.spared, everett.everett, everett.limited, everett.dip)
)


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
    if rule == LINEAR:
        return left + s * (right - left)
    p, q = _bend(value, line, j, stride, n), _bend(value, line, j + 1, stride, n)
    before, after = _bend(value, line, j - 1, stride, n), _bend(value, line, j + 2, stride, n)
    fourth_left, fourth_right = before - 2.0 * p + q, p - 2.0 * q + after
    if _spiked(before, p, q, after):
        fourth_left = fourth_right = 0.0
        p, q = _spared(before, p, q, after)
    found = _everett(s, left, right, p, q, fourth_left, fourth_right)
    if (found - left) * (found - right) > 0.0:
        found = _limited(found, s, left, right, p, q)
    return found


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _dip(value, line, stride, n, j, low, high):
    left, right = value[_at(line, j, stride)], value[_at(line, j + 1, stride)]
    p, q = _bend(value, line, j, stride, n), _bend(value, line, j + 1, stride, n)
    before, after = _bend(value, line, j - 1, stride, n), _bend(value, line, j + 2, stride, n)
    return _least(low - j, high - j, left, right, before, p, q, after)


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
