"""The passes compiled by numba: parts of a few samples go through all layers while they are in the cache.

The arithmetic of ``wide``, loop by loop. Samples are the inner dimension, so that every inner loop is vectorised; they
are addressed by unsigned integers, which spares numba's test for negative indices.
"""

from __future__ import annotations

import numba
import numpy as np

from ocdl.sweeps.fused.tanh import expm1, tanh

PART = 128  # samples
TANH, SIGMOID, RELU, ELU, IDENTITY = range(5)
FACTOR, MATRIX = 1, 2  # kinds of V and S; 0 where there is none


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_product(M, x, begin, out, start, m):
    """out += M x in m columns, from ``start`` on and from ``begin`` on."""
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
            _add_scaled(M[a, b], x[b], begin, out[a], start, m)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_scaled(c, x, begin, out, start, m):
    for t in range(m):
        out[np.uint64(start + t)] += c * x[np.uint64(begin + t)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(c, out, start, m):
    for t in range(m):
        out[np.uint64(start + t)] = c


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_times(kind, M, x, begin, out, start, m):
    """out += M x where there is an M: a number (1, 1), or a matrix."""
    if kind == MATRIX:
        _add_product(M, x, begin, out, start, m)
    elif kind == FACTOR:
        for a in range(out.shape[0]):
            _add_scaled(M[0, 0], x[a], begin, out[a], start, m)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _dot(x, begin, y, start, m):
    total = 0.0
    for t in range(m):
        total += x[np.uint64(begin + t)] * y[np.uint64(start + t)]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _sum(x, begin, m):
    total = 0.0
    for t in range(m):
        total += x[np.uint64(begin + t)]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_outer(kind, x, begin, y, start, out, m):
    """out += Σ x yᵀ over m columns, or its trace."""
    for a in range(x.shape[0]):
        if kind == MATRIX:
            for b in range(y.shape[0]):
                out[a, b] += _dot(x[a], begin, y[b], start, m)
        elif kind == FACTOR:
            out[0, 0] += _dot(x[a], begin, y[a], start, m)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
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
    elif code == ELU:
        for t in range(m):
            o = np.uint64(start + t)
            s = z[t]
            below = -45.0 if s < -45.0 else (0.0 if s > 0.0 else s)
            y = parameter * expm1(below)
            value[o] = s if s > 0.0 else y
            slope[o] = 1.0 if s > 0.0 else (y + parameter if s < 0.0 else 0.5 * (1.0 + parameter))
    else:
        for t in range(m):
            o = np.uint64(start + t)
            value[o] = z[t]
            slope[o] = 1.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def forward(W, v, V, S, r, kinds, A, b, h, row, code, parameter, X, sigma, slope, x):
    """``wide.forward``; where r is none, it is empty."""
    N, s = row.shape
    k, n = W.shape[1:]
    samples = x.shape[1]
    z, rate = np.empty((k, PART)), np.empty((s, n, PART))
    for begin in range(0, samples, PART):
        m = min(PART, samples - begin)
        for layer in range(N):
            for i in range(s):
                q = row[layer, i]
                here = X[layer, i]
                for a in range(n):
                    for t in range(m):
                        o = np.uint64(begin + t)
                        here[a, o] = x[a, o]
                    for j in range(i):
                        if A[i, j] != 0.0:
                            _add_scaled(h[layer] * A[i, j], rate[j, a], 0, here[a], begin, m)
                for a in range(k):
                    _fill(v[q, a], z[a], 0, m)
                _add_product(W[q], here, begin, z, 0, m)
                for a in range(k):
                    _activate(code, parameter, z[a], sigma[layer, i, a], slope[layer, i, a], begin, m)
                _rate(kinds, V, S, r, q, here, sigma[layer, i], begin, rate[i], m)
            for i in range(s):
                if b[i] != 0.0:
                    for a in range(n):
                        _add_scaled(h[layer] * b[i], rate[i, a], 0, x[a], begin, m)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rate(kinds, V, S, r, q, x, value, begin, rate, m):
    """φ = V σ + S x + r."""
    for a in range(rate.shape[0]):
        _fill(r[q, a] if r.size else 0.0, rate[a], 0, m)
        if kinds[0] == 0:
            _add_scaled(1.0, value[a], begin, rate[a], 0, m)
    if kinds[0]:
        _add_times(kinds[0], V[q], value, begin, rate, 0, m)
    if kinds[1]:
        _add_times(kinds[1], S[q], x, begin, rate, 0, m)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def backward(W, v, V, S, r, kinds, A, b, h, row, X, sigma, slope, p, dW, dv, dV, dS, dr, costate, K, delta):
    """``wide.backward``; costate, K and δ are kept where they are not empty."""
    N, s = row.shape
    k, n = W.shape[1:]
    samples = p.shape[1]
    pulled, at, back = np.empty((s, n, PART)), np.empty((n, PART)), np.empty((k, PART))
    for begin in range(0, samples, PART):
        m = min(PART, samples - begin)
        if costate.size:
            _keep(p, begin, costate[N], begin, m)
        for layer in range(N - 1, -1, -1):
            for i in range(s - 1, -1, -1):
                q = row[layer, i]
                for a in range(n):
                    _fill(0.0, at[a], 0, m)
                    _add_scaled(h[layer] * b[i], p[a], begin, at[a], 0, m)
                    for j in range(i + 1, s):
                        if A[j, i] != 0.0:
                            _add_scaled(h[layer] * A[j, i], pulled[j, a], 0, at[a], 0, m)
                for a in range(k):
                    _fill(0.0, back[a], 0, m)
                    if kinds[0] == 0:
                        _add_scaled(1.0, at[a], 0, back[a], 0, m)
                if kinds[0]:
                    _add_times(kinds[0], V[q].T, at, 0, back, 0, m)
                for a in range(k):
                    _multiply(slope[layer, i, a], begin, back[a], m)
                for a in range(n):
                    _fill(0.0, pulled[i, a], 0, m)
                _add_product(W[q].T, back, 0, pulled[i], 0, m)
                if kinds[1]:
                    _add_times(kinds[1], S[q].T, at, 0, pulled[i], 0, m)
                _add_outer(MATRIX, back, 0, X[layer, i], begin, dW[q], m)
                for a in range(k):
                    dv[q, a] += _sum(back[a], 0, m)
                if kinds[0]:
                    _add_outer(kinds[0], at, 0, sigma[layer, i], begin, dV[q], m)
                if kinds[1]:
                    _add_outer(kinds[1], at, 0, X[layer, i], begin, dS[q], m)
                if dr.size:
                    for a in range(n):
                        dr[q, a] += _sum(at[a], 0, m)
                if costate.size:
                    _keep(at, 0, K[layer, i], begin, m)
                    _keep(back, 0, delta[layer, i], begin, m)
            for i in range(s):
                for a in range(n):
                    _add_scaled(1.0, pulled[i, a], 0, p[a], begin, m)
            if costate.size:
                _keep(p, begin, costate[layer], begin, m)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _multiply(x, begin, out, m):
    for t in range(m):
        out[t] *= x[np.uint64(begin + t)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _keep(x, begin, out, start, m):
    for a in range(x.shape[0]):
        for t in range(m):
            out[a, np.uint64(start + t)] = x[a, np.uint64(begin + t)]
