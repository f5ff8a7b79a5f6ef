"""The upwind scheme compiled by numba: the formulas of ``weno`` and ``hamiltonian``, fused line by line of the grid.

A line runs along the last axis, where nodes are neighbours in memory, so that every loop over it uses the processor's
vectors, and what is between the loops stays in the cache. Arrays of V are padded (``Padded``) and flat.
"""

from __future__ import annotations

import numba
import numpy as np

from ocdl.hjb.grids import weno
from ocdl.hjb.grids.compiling import FAST, callable_by_others, compiled
from ocdl.hjb.schemes import flux

WIDE = weno.PADDING
callable_by_others(flux.optimal)
callable_by_others(flux.upwinded)
_weno3, _weno5 = compiled(weno.weno3), compiled(weno.weno5)
_optimal, _least_straight, _least_curved = (
    compiled(formula) for formula in (flux.optimal, flux.least_straight, flux.least_curved)
)


@numba.njit(inline="always", fastmath=FAST, error_model="numpy")
def _sides(a, b, c, d, e, f, order):
    if order == 5:
        return _weno5(a, b, c, d, e), _weno5(f, e, d, c, b)
    if order == 3:
        return _weno3(b, c, d), _weno3(e, d, c)
    return c, d


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _derivatives(V, at, n, strides, rises, offset, node, order, mean, half):
    """½ (D⁻ + D⁺) and ½ (D⁺ − D⁻) along every axis on the line that begins at ``at``."""
    D, count = n.size, n[-1]
    for i in range(D - 1):
        s, o = strides[i], offset[i] + node[i]
        r0, r1, r2, r3, r4, r5 = rises[o], rises[o + 1], rises[o + 2], rises[o + 3], rises[o + 4], rises[o + 5]
        v0, v1, v2 = V[at - 3 * s : at - 3 * s + count], V[at - 2 * s : at - 2 * s + count], V[at - s : at - s + count]
        v3, v4 = V[at : at + count], V[at + s : at + s + count]
        v5, v6 = V[at + 2 * s : at + 2 * s + count], V[at + 3 * s : at + 3 * s + count]
        middle, apart = mean[i], half[i]
        for k in range(count):
            left, right = _sides(
                (v1[k] - v0[k]) * r0, (v2[k] - v1[k]) * r1, (v3[k] - v2[k]) * r2,
                (v4[k] - v3[k]) * r3, (v5[k] - v4[k]) * r4, (v6[k] - v5[k]) * r5, order,
            )  # fmt: skip
            middle[k], apart[k] = 0.5 * (left + right), 0.5 * (right - left)
    v, r, middle, apart = V[at - WIDE : at + count + WIDE], rises[offset[D - 1] :], mean[D - 1], half[D - 1]
    for k in range(count):
        left, right = _sides(
            (v[k + 1] - v[k]) * r[k], (v[k + 2] - v[k + 1]) * r[k + 1], (v[k + 3] - v[k + 2]) * r[k + 2],
            (v[k + 4] - v[k + 3]) * r[k + 3], (v[k + 5] - v[k + 4]) * r[k + 4], (v[k + 6] - v[k + 5]) * r[k + 5], order,
        )  # fmt: skip
        middle[k], apart[k] = 0.5 * (left + right), 0.5 * (right - left)


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _alone(total, f, g, c, low, high, weight, way, middle, apart):
    """Add the least H of the one control of an axis."""
    if weight > 0.0:
        for k in range(total.size):
            left, right = way * (middle[k] - apart[k]), way * (middle[k] + apart[k])
            total[k] += way * _least_curved(f[k], g[k], way * c[k], low, high, weight, left, right)
    else:
        for k in range(total.size):
            left, right = way * (middle[k] - apart[k]), way * (middle[k] + apart[k])
            total[k] += way * _least_straight(f[k], g[k], way * c[k], low, high, left, right)


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _together(total, mean, half, first, columns, axis, control, j, low, high, weight, way, slow, fast, slope, spread):
    """Add the least H of control j at the mean gradient, and to the velocities those it takes between the gradients."""
    D, count = mean.shape
    slope[:] = 0.0
    spread[:] = 0.0
    for e in range(axis.size):
        if control[e] == j:
            g = columns[e, first : first + count]
            if axis[e] == D:
                for k in range(count):
                    slope[k] += g[k]
            else:
                p, q = mean[axis[e]], half[axis[e]]
                for k in range(count):
                    slope[k] += g[k] * p[k]
                    spread[k] += abs(g[k] * q[k])
    for k in range(count):
        s, d = way * slope[k], spread[k]
        u = _optimal(s, low, high, weight)
        total[k] += way * (s + 0.5 * weight * u) * u
        slope[k], spread[k] = _optimal(s + d, low, high, weight), _optimal(s - d, low, high, weight)
    for e in range(axis.size):
        if control[e] == j and axis[e] < D:
            g, lower, upper = columns[e, first : first + count], slow[axis[e]], fast[axis[e]]
            for k in range(count):
                one, other = g[k] * slope[k], g[k] * spread[k]
                lower[k] += min(one, other)
                upper[k] += max(one, other)


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _hamiltonian(
    mean,
    half,
    first,
    drift,
    columns,
    axis,
    control,
    low,
    high,
    weight,
    sign,
    entries,
    costs,
    left,
    slow,
    fast,
    work,
    total,
):
    """The numerical H on a line whose nodes are those from ``first`` on."""
    D, count = mean.shape
    total[:] = drift[D, first : first + count]
    for i in range(D):
        f, p, q, e = drift[i, first : first + count], mean[i], half[i], entries[i]
        if e >= 0:
            j, g, c = control[e], columns[e, first : first + count], work[2]
            if costs[i] >= 0:
                c = columns[costs[i], first : first + count]
            _alone(total, f, g, c, low[j], high[j], weight[j], sign[j], p, q)
        else:
            lower, upper = slow[i], fast[i]
            for k in range(count):
                total[k] += f[k] * p[k]
                lower[k] = f[k]
                upper[k] = f[k]
    for j in range(low.size):
        if left[j]:
            _together(
                total, mean, half, first, columns, axis, control, j, low[j], high[j], weight[j], sign[j],
                slow, fast, work[0], work[1],
            )  # fmt: skip
    for i in range(D):
        if entries[i] < 0:
            q, lower, upper = half[i], slow[i], fast[i]
            for k in range(count):
                total[k] += max(abs(lower[k]), abs(upper[k])) * q[k]


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def march(
    V, A, B, n, strides, offset, rises, ghost, one, two, share,
    drift, columns, axis, control, low, high, weight, sign, entries, costs, left,
    target, obstacle, stages, h, substeps, order, discount,
):  # fmt: skip
    """V after so many steps of h; it is in V, A or B, as the number returned says."""
    D, count = n.size, n[-1]
    lines = 1
    for i in range(D - 1):
        lines *= n[i]
    mean, half, slow, fast = np.empty((D, count)), np.empty((D, count)), np.empty((D, count)), np.empty((D, count))
    work, total, node = np.zeros((3, count)), np.empty(count), np.zeros(D, np.int64)
    last = 0
    for _ in range(substeps):
        for stage in range(len(stages)):
            a, b, c = stages[stage, 0], stages[stage, 1], stages[stage, 2] * h
            start, now, to = V, V, A
            if len(stages) == 1:
                if last == 1:
                    start, now, to = A, A, V
                last = 1 - last
            elif stage == 1:
                now, to = A, B
            elif stage == 2:
                now, to = B, A
            elif stage == 3:
                now, to = A, V
            for k in range(ghost.size):
                now[ghost[k]] = now[one[k]] + share[k] * (now[one[k]] - now[two[k]])
            for line in range(lines):
                rest, at = line, WIDE
                for i in range(D - 2, -1, -1):
                    node[i] = rest % n[i]
                    at += (node[i] + WIDE) * strides[i]
                    rest //= n[i]
                _derivatives(now, at, n, strides, rises, offset, node, order, mean, half)
                first = line * count
                _hamiltonian(
                    mean, half, first, drift, columns, axis, control, low, high, weight, sign,
                    entries, costs, left, slow, fast, work, total,
                )  # fmt: skip
                v, w, out = start[at : at + count], now[at : at + count], to[at : at + count]
                for k in range(count):
                    out[k] = a * v[k] + b * (w[k] + c * (total[k] - discount * w[k]))
                if target.size:
                    g = target[first : first + count]
                    for k in range(count):
                        out[k] = min(out[k], g[k])
                if obstacle.size:
                    g = obstacle[first : first + count]
                    for k in range(count):
                        out[k] = max(out[k], g[k])
    return last
