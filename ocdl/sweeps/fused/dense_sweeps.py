"""Trajectories of dense layers: states forward, costates back, all of them kept; for many samples or wide layers.

X_i = x_k + h Σ_j a_ij φ_j,   φ = V σ(z) + S x + r,   K_i = h b_i p⁺ + h Σ_j a_ji G_j,   G = φ_xᵀ K
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocdl.sweeps.fused import passes
from ocdl.sweeps.fused.dense_cost import DenseCost
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.tape import DenseLayers, Tape, zeros

Array = NDArray[np.float64]


class Back(NamedTuple):
    """Costates at the nodes (N+1, S, n), K at the stages (N, s, S, n), gradients in u and p."""

    costate: Array
    K: Array
    u: Array
    p: Array


class Claimed(NamedTuple):
    """What follows from costates that are given: those one layer before, K, G, and the gradients."""

    costate: Array
    K: Array
    pulled: Array
    u: Array
    p: Array


class DenseSweeps:
    """The sweeps of a problem by its ``DenseCost``."""

    def __init__(self, cost: DenseCost) -> None:
        self.cost = cost

    def states(self, u: Array, p: Array, x0: Array) -> tuple[Array, Array]:
        """States at the nodes (N+1, S, n) and at the stages (N, s, S, n)."""
        layers = self.cost.mesh.layers(u, p)
        (N, s), (S, n) = layers.row.shape, x0.shape
        x, stages, tape = np.empty((N + 1, S, n)), np.empty((N, s, S, n)), None
        for block in _blocks(layers, S):
            tape = passes.forward(layers, x0[block], reuse=tape)
            x[:, block], stages[:, :, block] = tape.nodes, tape.stages
        return x, stages

    def ends(self, u: Array, p: Array, x0: Array) -> Array:
        """x_N (S, n), with no more than a block of what lies before."""
        layers, tape, x_N = self.cost.mesh.layers(u, p), None, np.empty(x0.shape)
        for block in _blocks(layers, len(x0)):
            tape = passes.forward(layers, x0[block], reuse=tape)
            x_N[block] = tape.x_N
        return x_N

    def loss(self, x_N: Array, p: Array, data: Array) -> float:
        """Σ_s ω_s ℓ(x_s(T), p, d_s)."""
        return self.cost.terminal.value(x_N, p, data, self.cost.samples.omega)

    def back(self, stages: Array, x_N: Array, u: Array, p: Array) -> Back:
        """The adjoint along states that are given, with the gradient of the terminal losses alone."""
        cost, samples, layers = self.cost, self.cost.samples, self.cost.mesh.layers(u, p)
        (N, _, S, n), sums, in_p = stages.shape, zeros(layers.arrays), np.zeros(p.size)
        costate, K = np.empty((N + 1, S, n)), np.empty(stages.shape)
        for block in _blocks(layers, stages.shape[2]):
            tape = along(layers, stages[:, :, block], x_N[block])
            _, p_N, by_p = cost.terminal.slopes(tape.x_N, p, samples.d[block], samples.omega[block])
            found = passes.backward(tape, p_N, keep=True)
            assert found.costate is not None and found.K is not None
            costate[:, block], K[:, :, block] = found.costate, found.K
            _add(sums, found.arrays)
            in_p += by_p
        return Back(costate, K, *self.cost._pulled(u, p, sums, in_p))

    def claimed(self, stages: Array, x_N: Array, u: Array, p: Array, costate: Array) -> Claimed:
        """Every layer's adjoint from the costate at its end, whatever the next layer says."""
        cost, samples, layers = self.cost, self.cost.samples, self.cost.mesh.layers(u, p)
        sums, in_p, before = zeros(layers.arrays), np.zeros(p.size), np.empty(costate.shape)
        K, pulled = np.empty(stages.shape), np.empty(stages.shape)
        for block in _blocks(layers, stages.shape[2]):
            tape = along(layers, stages[:, :, block], x_N[block])
            _, before[-1, block], by_p = cost.terminal.slopes(tape.x_N, p, samples.d[block], samples.omega[block])
            part = _one_layer_back(tape, costate[1:, block].swapaxes(1, 2), sums)
            K[:, :, block], pulled[:, :, block] = (array.swapaxes(2, 3) for array in part)
            before[:-1, block] = costate[1:, block] + pulled[:, :, block].sum(axis=1)
            in_p += by_p
        return Claimed(before, K, pulled, *self.cost._pulled(u, p, sums, in_p))

    def rates(self, stages: Array, u: Array, p: Array) -> Array:
        """φ at the stages, (N, s, S, n)."""
        layers, found = self.cost.mesh.layers(u, p), np.empty(stages.shape)
        for block in _blocks(layers, stages.shape[2]):
            tape = along(layers, stages[:, :, block], stages[0, 0, block])
            found[:, :, block] = _rates(tape).swapaxes(2, 3)
        return found


def along(layers: DenseLayers, stages: Array, x_N: Array) -> Tape:
    """The tape of stages (N, s, S, n) and x_N (S, n) that are given."""
    states, row, arrays = np.ascontiguousarray(stages.swapaxes(2, 3)), layers.row, layers.arrays
    z = arrays.W[row] @ states  # contiguous all, as the compiled loops know them
    z += arrays.v[row][..., None]
    value = np.asarray(layers.activation(z))
    return Tape(layers, states, value, np.asarray(layers.activation.derivative(z, value)), x_N.T.copy())


def _rates(tape: Tape) -> Array:
    """φ at the stages, (N, s, n, S)."""
    row, (_, _, V, S, r) = tape.layers.row, tape.layers.arrays
    rates = tape.sigma if V is None else _times(V[row], tape.sigma)
    rates = rates if S is None else rates + _times(S[row], tape.stage_states)
    return rates if r is None else rates + r[row][..., None]


def _one_layer_back(tape: Tape, after: Array, sums: LayerArrays) -> tuple[Array, Array]:
    """K and G (N, s, n, S) of all layers at once from p (N, n, S) at their ends, with their derivatives in ``sums``."""
    layers, (W, _, V, S, _) = tape.layers, tape.layers.arrays
    h, b, (_, s) = layers.h[:, None, None], layers.tableau.b, layers.row.shape
    K, G = np.empty(tape.stage_states.shape), np.empty(tape.stage_states.shape)
    for i in reversed(range(s)):
        q = layers.row[:, i]
        K[:, i] = h * (b[i] * after + sum((a * G[:, j] for j, a in layers.later[i]), np.zeros(())))
        back = K[:, i] if V is None else _times(_transposed(V[q]), K[:, i])
        delta = back * tape.slope[:, i]
        G[:, i] = W[q].swapaxes(1, 2) @ delta
        if S is not None:
            G[:, i] += _times(_transposed(S[q]), K[:, i])
        _gather(sums, q, K[:, i], delta, tape.stage_states[:, i], tape.sigma[:, i])
    return K, G


def _gather(sums: LayerArrays, q: NDArray[np.int64], K: Array, delta: Array, x: Array, value: Array) -> None:
    """Add the derivatives by the rows q of the coefficients, none of them twice."""
    W, v, V, S, r = sums
    W[q] += delta @ x.swapaxes(1, 2)
    v[q] += delta.sum(axis=2)
    for entry, factor in ((V, value), (S, x)):
        if entry is not None:
            entry[q] += K @ factor.swapaxes(1, 2) if entry.ndim == 3 else np.einsum("kns,kns->k", K, factor)
    if r is not None:
        r[q] += K.sum(axis=2)


def _times(factor: Array, arrays: Array) -> Array:
    """Row by row by a number or by a matrix."""
    return factor @ arrays if factor.ndim == arrays.ndim else factor[..., None, None] * arrays


def _transposed(factor: Array) -> Array:
    return factor if factor.ndim == 1 else factor.swapaxes(1, 2)


def _blocks(layers: DenseLayers, samples: int) -> list[slice]:
    size = passes.block_size(layers.row.size, layers.n, layers.k)
    return [slice(begin, min(begin + size, samples)) for begin in range(0, samples, size)]


def _add(sums: LayerArrays, more: LayerArrays) -> None:
    """sums += more, entry by entry."""
    for one, other in zip(sums, more, strict=True):
        if one is not None and other is not None:
            one += other
