"""The passes compiled by numba: parts of a few samples go through all layers while they are in the cache.

The arithmetic of ``wide``, stage by stage. Samples are the inner dimension, so that every inner loop is vectorised, and
are addressed by unsigned integers, which spares numba's test for negative indices. Arrays are (rows, samples); those of
the tape hold all samples, of which the part starts at ``begin``, scratch holds the ``m`` samples of the part alone.
"""

from __future__ import annotations

from functools import partial

import numba
import numpy as np

from ocdl.sweeps.fused.codes import EXPONENTIAL, MATRIX, NONE, ONE, RELU, SIGMOID, TANH
from ocdl.sweeps.fused.tanh import FLAT, expm1, tanh

PART = 256  # samples

compiled = partial(numba.njit, cache=True, nogil=True, error_model="numpy")


@compiled()
def forward(W, v, V, S, r, kinds, A, b, h, row, code, parameter, X, sigma, slope, x):
    """``wide.forward``."""
    N, s = row.shape
    k, n = W.shape[1:]
    z, others = np.empty((k, PART)), np.empty((s, n, PART))
    alone = kinds[0] == ONE and kinds[1] == NONE and r.size == 0  # φ = σ(z)
    for begin in range(0, x.shape[1], PART):
        m, first = min(PART, x.shape[1] - begin), begin if alone else 0
        for layer in range(N):
            rates = sigma[layer] if alone else others
            for i in range(s):
                q = row[layer, i]
                here, value, rate = X[layer, i], sigma[layer, i], rates[i]
                _start_stage(h[layer], A, i, x, rates, first, here, begin, m)
                _fill(v[q], z, 0, m)
                _add_product(W[q], here, begin, z, 0, m)
                for a in range(k):
                    _activate(code, parameter, z[a], value[a], slope[layer, i, a], begin, m)
                if not alone:
                    _start_rate(r, q, rate, m)
                    _add_times(kinds[0], V, q, value, begin, rate, m)
                    _add_times(kinds[1], S, q, here, begin, rate, m)
            _end_layer(h[layer], b, rates, first, x, begin, m)


@compiled()
def tangent(W, v, V, S, r, kinds, A, b, h, row, dW, dv, dV, dS, dr, X, sigma, slope, dX, dz, x):
    """``wide.tangent``."""
    N, s = row.shape
    k, n = W.shape[1:]
    bent, rates = np.empty((k, PART)), np.empty((s, n, PART))
    for begin in range(0, x.shape[1], PART):
        m = min(PART, x.shape[1] - begin)
        for layer in range(N):
            for i in range(s):
                q = row[layer, i]
                here, there, z, rate = X[layer, i], dX[layer, i], dz[layer, i], rates[i]
                _start_stage(h[layer], A, i, x, rates, 0, there, begin, m)
                _fill(dv[q], z, begin, m)
                _add_product(W[q], there, begin, z, begin, m)
                _add_product(dW[q], here, begin, z, begin, m)
                _multiply(slope[layer, i], begin, z, begin, bent, m)
                _start_rate(dr, q, rate, m)
                _add_times(kinds[0], V, q, bent, 0, rate, m)
                _add_times(kinds[1], S, q, there, begin, rate, m)
                _add_times(kinds[2], dV, q, sigma[layer, i], begin, rate, m)
                _add_times(kinds[1], dS, q, here, begin, rate, m)
            _end_layer(h[layer], b, rates, 0, x, begin, m)


@compiled()
def backward(W, v, V, S, r, kinds, A, b, h, row, X, sigma, slope, p, gW, gv, gV, gS, gr, costate, K, delta):
    """``wide.backward``; costate, K and δ are kept where they are not empty."""
    N, s = row.shape
    k, n = W.shape[1:]
    pulled, at, back = np.empty((s, n, PART)), np.empty((n, PART)), np.empty((k, PART))
    for begin in range(0, p.shape[1], PART):
        m = min(PART, p.shape[1] - begin)
        if costate.size:
            _copy(p, begin, costate[N], begin, m)
        for layer in range(N - 1, -1, -1):
            for i in range(s - 1, -1, -1):
                q, here, value = row[layer, i], X[layer, i], sigma[layer, i]
                _start_back(h[layer], A, b, i, p, pulled, at, begin, m)
                if kinds[0] == ONE:
                    _multiply(slope[layer, i], begin, at, 0, back, m)
                else:
                    _clear(back, m)
                    _add_transposed(kinds[0], V, q, at, back, m)
                    _multiply(slope[layer, i], begin, back, 0, back, m)
                _clear(pulled[i], m)
                _add_product(W[q].T, back, 0, pulled[i], 0, m)
                _add_transposed(kinds[1], S, q, at, pulled[i], m)
                _add_sums(back, gv, q, m)
                _add_sums(at, gr, q, m)
                _add_outer(MATRIX, back, here, begin, gW, q, m)
                _add_outer(kinds[2], at, value, begin, gV, q, m)
                _add_outer(kinds[1], at, here, begin, gS, q, m)
                if costate.size:
                    _copy(at, 0, K[layer, i], begin, m)
                    _copy(back, 0, delta[layer, i], begin, m)
            _end_back(pulled, p, begin, m)
            if costate.size:
                _copy(p, begin, costate[layer], begin, m)


@compiled()
def second_backward(
    W, v, V, S, r, kinds, A, b, h, row,
    dW, dv, dV, dS, dr, X, sigma, slope, curvature, dX, dz, p, dp, gW, gv, gV, gS, gr,
):  # fmt: skip
    """``wide.second_backward``."""
    N, s = row.shape
    k, n = W.shape[1:]
    pulled, at, back = np.empty((s, n, PART)), np.empty((n, PART)), np.empty((k, PART))
    pulled_on, at_on, back_on = np.empty((s, n, PART)), np.empty((n, PART)), np.empty((k, PART))
    bent = np.empty((k, PART))
    for begin in range(0, p.shape[1], PART):
        m = min(PART, p.shape[1] - begin)
        for layer in range(N - 1, -1, -1):
            for i in range(s - 1, -1, -1):
                q, here, there, z = row[layer, i], X[layer, i], dX[layer, i], dz[layer, i]
                _start_back(h[layer], A, b, i, p, pulled, at, begin, m)
                _start_back(h[layer], A, b, i, dp, pulled_on, at_on, begin, m)
                _clear(back, m)
                _clear(back_on, m)
                _add_transposed(kinds[0], V, q, at, back, m)
                _add_transposed(kinds[0], V, q, at_on, back_on, m)
                _add_transposed(kinds[2], dV, q, at, back_on, m)
                _bend(slope[layer, i], curvature[layer, i], z, begin, back, back_on, m)
                _clear(pulled[i], m)
                _clear(pulled_on[i], m)
                _add_product(W[q].T, back, 0, pulled[i], 0, m)
                _add_product(W[q].T, back_on, 0, pulled_on[i], 0, m)
                _add_product(dW[q].T, back, 0, pulled_on[i], 0, m)
                _add_transposed(kinds[1], S, q, at, pulled[i], m)
                _add_transposed(kinds[1], S, q, at_on, pulled_on[i], m)
                _add_transposed(kinds[1], dS, q, at, pulled_on[i], m)
                _multiply(slope[layer, i], begin, z, begin, bent, m)
                _add_sums(back_on, gv, q, m)
                _add_sums(at_on, gr, q, m)
                _add_outer(MATRIX, back_on, here, begin, gW, q, m)
                _add_outer(MATRIX, back, there, begin, gW, q, m)
                _add_outer(kinds[2], at_on, sigma[layer, i], begin, gV, q, m)
                _add_outer(kinds[2], at, bent, 0, gV, q, m)
                _add_outer(kinds[1], at_on, here, begin, gS, q, m)
                _add_outer(kinds[1], at, there, begin, gS, q, m)
            _end_back(pulled, p, begin, m)
            _end_back(pulled_on, dp, begin, m)


@compiled()
def _start_stage(h, A, i, x, rates, first, here, begin, m):
    """X_i = x + h Σ_j a_ij φ_j, with the part's φ from column ``first`` on."""
    _copy(x, begin, here, begin, m)
    for j in range(i):
        if A[i, j] != 0.0:
            _add_scaled(h * A[i, j], rates[j], first, here, begin, m)


@compiled()
def _start_rate(r, q, rate, m):
    """φ = r, or 0."""
    if r.size:
        _fill(r[q], rate, 0, m)
    else:
        _clear(rate, m)


@compiled()
def _end_layer(h, b, rates, first, x, begin, m):
    """x += h Σ b_i φ_i."""
    for i in range(b.size):
        if b[i] != 0.0:
            _add_scaled(h * b[i], rates[i], first, x, begin, m)


@compiled()
def _start_back(h, A, b, i, p, pulled, at, begin, m):
    """K_i = h b_i p + h Σ_j a_ji G_j."""
    for a in range(at.shape[0]):
        for t in range(m):
            at[a, t] = h * b[i] * p[a, np.uint64(begin + t)]
    for j in range(i + 1, b.size):
        if A[j, i] != 0.0:
            _add_scaled(h * A[j, i], pulled[j], 0, at, 0, m)


@compiled()
def _end_back(pulled, p, begin, m):
    """p += Σ G_i."""
    for i in range(pulled.shape[0]):
        _add_scaled(1.0, pulled[i], 0, p, begin, m)


@compiled(fastmath={"contract"})
def _activate(code, parameter, z, value, slope, start, m):
    """σ and σ' of a row of z."""
    if code == TANH:
        for t in range(m):
            o = np.uint64(start + t)
            y = tanh(z[t])
            value[o] = y
            slope[o] = 1.0 - y * y
    elif code == SIGMOID:
        for t in range(m):
            o = np.uint64(start + t)
            y = 0.5 * (1.0 + tanh(0.5 * z[t]))
            value[o] = y
            slope[o] = y * (1.0 - y)
    elif code == RELU:  # of slope ``parameter`` below
        for t in range(m):
            o = np.uint64(start + t)
            s = z[t]
            value[o] = s if s > 0.0 else parameter * s
            slope[o] = 1.0 if s > 0.0 else (parameter if s < 0.0 else 0.5 * (1.0 + parameter))
    elif code == EXPONENTIAL:
        for t in range(m):
            o = np.uint64(start + t)
            s = z[t]
            below = -FLAT if s < -FLAT else (0.0 if s > 0.0 else s)
            y = parameter * expm1(below)
            value[o] = s if s > 0.0 else y
            slope[o] = 1.0 if s > 0.0 else (y + parameter if s < 0.0 else 0.5 * (1.0 + parameter))
    else:
        for t in range(m):
            o = np.uint64(start + t)
            value[o] = z[t]
            slope[o] = 1.0


@compiled(fastmath={"contract"})
def _bend(slope, curvature, z, begin, back, back_on, m):
    """Vᵀ K and its derivative become δ and its derivative."""
    for a in range(back.shape[0]):
        for t in range(m):
            i = np.uint64(begin + t)
            bent = curvature[a, i] * z[a, i] * back[a, t]
            back_on[a, t] = slope[a, i] * back_on[a, t] + bent
            back[a, t] *= slope[a, i]


@compiled()
def _add_times(kind, M, q, x, begin, out, m):
    """out += M x for a number, a matrix, or 1."""
    if kind == MATRIX:
        _add_product(M[q], x, begin, out, 0, m)
    elif kind != NONE:
        _add_scaled(1.0 if kind == ONE else M[q, 0, 0], x, begin, out, 0, m)


@compiled()
def _add_transposed(kind, M, q, x, out, m):
    """out += Mᵀ x."""
    if kind == MATRIX:
        _add_product(M[q].T, x, 0, out, 0, m)
    elif kind != NONE:
        _add_scaled(1.0 if kind == ONE else M[q, 0, 0], x, 0, out, 0, m)


@compiled()
def _add_outer(kind, x, y, begin, out, q, m):
    """out += Σ x yᵀ, or its trace where out is a number."""
    if kind == NONE:
        return
    for a in range(x.shape[0]):
        if kind == MATRIX:
            for b in range(y.shape[0]):
                out[q, a, b] += _dot(x[a], y[b], begin, m)
        else:
            out[q, 0, 0] += _dot(x[a], y[a], begin, m)


@compiled()
def _add_sums(x, out, q, m):
    if out.size:
        for a in range(x.shape[0]):
            out[q, a] += _sum(x[a], m)


@compiled(fastmath={"contract"})
def _add_product(M, x, begin, out, start, m):
    """out += M x, four columns of M at a time."""
    rows, columns = M.shape
    for a in range(rows):
        b = 0
        while b + 4 <= columns:
            c0, c1, c2, c3 = M[a, b], M[a, b + 1], M[a, b + 2], M[a, b + 3]
            for t in range(m):
                i, o = np.uint64(begin + t), np.uint64(start + t)
                out[a, o] += (c0 * x[b, i] + c1 * x[b + 1, i]) + (c2 * x[b + 2, i] + c3 * x[b + 3, i])
            b += 4
        if b + 2 <= columns:
            c0, c1 = M[a, b], M[a, b + 1]
            for t in range(m):
                i, o = np.uint64(begin + t), np.uint64(start + t)
                out[a, o] += c0 * x[b, i] + c1 * x[b + 1, i]
            b += 2
        if b < columns:
            c0 = M[a, b]
            for t in range(m):
                out[a, np.uint64(start + t)] += c0 * x[b, np.uint64(begin + t)]


@compiled(fastmath={"contract"})
def _add_scaled(c, x, begin, out, start, m):
    for a in range(out.shape[0]):
        for t in range(m):
            out[a, np.uint64(start + t)] += c * x[a, np.uint64(begin + t)]


@compiled()
def _multiply(x, begin, y, start, out, m):
    for a in range(out.shape[0]):
        for t in range(m):
            out[a, t] = x[a, np.uint64(begin + t)] * y[a, np.uint64(start + t)]


@compiled()
def _copy(x, begin, out, start, m):
    for a in range(out.shape[0]):
        for t in range(m):
            out[a, np.uint64(start + t)] = x[a, np.uint64(begin + t)]


@compiled()
def _fill(c, out, start, m):
    for a in range(out.shape[0]):
        for t in range(m):
            out[a, np.uint64(start + t)] = c[a]


@compiled()
def _clear(out, m):
    for a in range(out.shape[0]):
        for t in range(m):
            out[a, t] = 0.0


@compiled(fastmath={"contract", "reassoc"})
def _dot(x, y, begin, m):
    total = 0.0
    for t in range(m):
        total += x[t] * y[np.uint64(begin + t)]
    return total


@compiled(fastmath={"contract", "reassoc"})
def _sum(x, m):
    total = 0.0
    for t in range(m):
        total += x[t]
    return total
