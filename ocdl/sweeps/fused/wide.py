"""The passes in NumPy: every product of a layer is one call of BLAS over all samples of the block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.tape import Tangent, Tape

Array = NDArray[np.float64]
Forces = tuple[Array | None, Array | None]


def forward(tape: Tape) -> None:
    """Fill the tape from ``tape.end``, which holds x_0 (n, S)."""
    layers, x = tape.layers, tape.end
    (N, s), sigma = layers.row.shape, layers.activation
    W, v, V, S, r = layers.arrays
    rates: list[Any] = [None] * s
    z, part = np.empty((layers.k, x.shape[1])), np.empty(x.shape)
    for k in range(N):
        h = layers.h[k]
        for i in range(s):
            q, X = layers.row[k, i], tape.stage_states[k, i]
            X[...] = x
            for j, a in layers.earlier[i]:
                X += np.multiply(rates[j], h * a, out=part)
            np.matmul(W[q], X, out=z)
            z += v[q, :, None]
            value = tape.sigma[k, i]
            value[...] = sigma(z)
            tape.slope[k, i] = sigma.derivative(z, value)
            rates[i] = value if V is None else _times(V[q], value)
            if S is not None:
                rates[i] = rates[i] + _times(S[q], X)
            if r is not None:
                rates[i] = rates[i] + r[q, :, None]
        for i, weight in layers.weights:
            x += np.multiply(rates[i], h * weight, out=part)


def backward(
    tape: Tape, p: Array, slopes: LayerArrays, kept: tuple[Array, Array, Array] | None, forces: Forces
) -> None:
    """Move p (n, S) from x_N to x_0 and add the derivatives by the coefficients to ``slopes``.

    ``kept``: where p at the nodes (N+1, n, S), K (N, s, n, S) and δ (N, s, k, S) are written, if anywhere. ``forces``:
    kicks (N+1, n, S), added to p at the inner nodes, and sources (N, s, n, S), added to G.
    """
    layers = tape.layers
    N, s = layers.row.shape
    W, _, V, S, _ = layers.arrays
    b = layers.tableau.b
    costate, K, delta = _passing(tape) if kept is None else kept
    kicks, sources = forces
    pulled: list[Any] = [None] * s
    part = np.empty(p.shape)
    costate[N] = p
    for k in reversed(range(N)):
        h = layers.h[k]
        if kicks is not None and k + 1 < N:
            p += kicks[k + 1]
        for i in reversed(range(s)):
            q, at, back = layers.row[k, i], K[k, i], delta[k, i]
            np.multiply(p, h * b[i], out=at)
            for j, a in layers.later[i]:
                at += np.multiply(pulled[j], h * a, out=part)
            np.multiply(at if V is None else _times(V[q].T, at), tape.slope[k, i], out=back)
            pulled[i] = W[q].T @ back
            if S is not None:
                pulled[i] += _times(S[q].T, at)
            if sources is not None:
                pulled[i] += sources[k, i]
            _gather(slopes, q, (at, back), (tape.stage_states[k, i], tape.sigma[k, i]))
        for i in range(s):
            p += pulled[i]
        costate[k] = p


def tangent(tape: Tape, moved: LayerArrays, x: Array) -> Tangent:
    """How the states move with the coefficients and with x_0 by x (n, S), which becomes that of x_N."""
    layers, d = tape.layers, moved
    (N, s), (W, _, V, S, _) = layers.row.shape, layers.arrays
    found = Tangent(moved, np.empty(tape.stage_states.shape), np.empty(tape.sigma.shape), x)
    rates: list[Any] = [None] * s
    for k in range(N):
        h = layers.h[k]
        for i in range(s):
            q, dX, z = layers.row[k, i], found.stage_states[k, i], found.z[k, i]
            X, value, slope = tape.stage_states[k, i], tape.sigma[k, i], tape.slope[k, i]
            dX[...] = x
            for j, a in layers.earlier[i]:
                dX += (h * a) * rates[j]
            np.matmul(W[q], dX, out=z)
            z += d.W[q] @ X
            z += d.v[q, :, None]
            rate = slope * z
            if V is not None and d.V is not None:
                rate = _times(V[q], rate) + _times(d.V[q], value)
            if S is not None and d.S is not None:
                rate += _times(S[q], dX) + _times(d.S[q], X)
            if d.r is not None:
                rate += d.r[q, :, None]
            rates[i] = rate
        for i, weight in layers.weights:
            x += (h * weight) * rates[i]
    return found


def second_backward(tape: Tape, along: Tangent, p: Array, dp: Array, slopes: LayerArrays) -> None:
    """Move p and dp (n, S) from x_N to x_0 and add the derivatives of what ``backward`` adds to ``slopes``."""
    layers, d = tape.layers, along.arrays
    (N, s), (W, _, V, S, _) = layers.row.shape, layers.arrays
    b = layers.tableau.b
    pulled: list[Any] = [None] * s
    for k in reversed(range(N)):
        h = layers.h[k]
        for i in reversed(range(s)):
            q, X, value, slope = layers.row[k, i], tape.stage_states[k, i], tape.sigma[k, i], tape.slope[k, i]
            dX, dz = along.stage_states[k, i], along.z[k, i]
            K, dK = (h * b[i]) * p, (h * b[i]) * dp
            for j, a in layers.later[i]:
                K += (h * a) * pulled[j][0]
                dK += (h * a) * pulled[j][1]
            back, moved = (K, dK) if V is None else (_times(V[q].T, K), _times(V[q].T, dK))
            if d.V is not None:
                moved = moved + _times(d.V[q].T, K)
            delta = slope * back
            moved = slope * moved
            moved += tape.curvature[k, i] * dz * back
            G, dG = W[q].T @ delta, W[q].T @ moved
            dG += d.W[q].T @ delta
            if S is not None and d.S is not None:
                G += _times(S[q].T, K)
                dG += _times(S[q].T, dK) + _times(d.S[q].T, K)
            pulled[i] = G, dG
            _gather(slopes, q, (dK, moved), (X, value))
            _gather_products(slopes, q, (K, delta), (dX, slope * dz))
        for G, dG in pulled:
            p += G
            dp += dG


def _passing(tape: Tape) -> tuple[Array, ...]:
    """p, K and δ of which all layers and stages are one memory: nobody reads them again."""
    states, hidden = tape.stage_states.shape, tape.sigma.shape
    shapes = (states[0] + 1, *states[2:]), states, hidden
    return tuple(_repeated(np.empty(shape[-2:]), shape) for shape in shapes)


def _repeated(array: Array, shape: tuple[int, ...]) -> Array:
    return np.lib.stride_tricks.as_strided(array, shape, (0,) * (len(shape) - 2) + array.strides)


def _gather(slopes: LayerArrays, q: int, back: tuple[Array, Array], ahead: tuple[Array, Array]) -> None:
    """Add one stage's derivatives by row q of the coefficients: of K and δ, x and σ there."""
    K, delta = back
    slopes.v[q] += delta.sum(axis=1)
    if slopes.r is not None:
        slopes.r[q] += K.sum(axis=1)
    _gather_products(slopes, q, back, ahead)


def _gather_products(slopes: LayerArrays, q: int, back: tuple[Array, Array], ahead: tuple[Array, Array]) -> None:
    (K, delta), (x, value) = back, ahead
    slopes.W[q] += delta @ x.T
    for entry, factor in ((slopes.V, value), (slopes.S, x)):
        if entry is not None:
            entry[q] += K @ factor.T if entry.ndim == 3 else np.vdot(K, factor)


def _times(factor: Any, array: Array) -> Array:
    """By a number or by a matrix."""
    return np.asarray(factor @ array if np.ndim(factor) else factor * array)
