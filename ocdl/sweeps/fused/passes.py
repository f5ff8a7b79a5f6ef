"""Passes of a block of samples through dense layers: states and tape, gradients, Hessian products, rows of Jacobians.

    forward          x_0 ↦ x_N and a tape
    backward         p_N = ∂J/∂x_N ↦ ∂J/∂Θ = Σ_s (…) and p_0, by the symplectic adjoint (``sweeps.sweeper``):
                     K_i = h b_i p⁺ + h Σ_j a_ji G_j,  δ = σ' ∘ VᵀK,  G = Wᵀδ + SᵀK,  p = p⁺ + Σ G_i
    tangent          (dΘ, dx_0) ↦ dx_N
    second_backward  the same along (dΘ, dx_0) of ``backward``: the Hessian's product, given dp_N = ∂²J/∂x_N² dx_N
    rows             ∂(seed · x_N)/∂Θ of every sample and seed

Θ are the ``LayerArrays`` of the layers. Sums over samples have one order for a block: results are the same to the bit.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ocdl.sweeps.fused import narrow, wide
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.tape import DenseLayers, Pullback, Tangent, Tape, blank, zeros

Array = NDArray[np.float64]

NARROW = 12  # up to this width compiled loops are quicker than BLAS
TAPE = 1 << 25  # bytes of a block's tape, which stay in the cache
SAMPLES = 256, 2000  # of a block, at least and at most


@cache
def compiles() -> bool:
    """Whether numba is installed."""
    return find_spec("numba") is not None


def suits_loops(layers: DenseLayers) -> bool:
    """Whether the compiled loops serve these layers."""
    return compiles() and max(layers.n, layers.k) <= NARROW


def block_size(stages: int, n: int, k: int) -> int:
    """Samples of a block that so many stages of n states and k neurons sweep quickly in bounded memory."""
    least, most = SAMPLES
    return min(max(TAPE // (8 * stages * (n + 2 * k)), least), most)


def _kernel(layers: DenseLayers, compiled: bool | None) -> ModuleType:
    return narrow if (suits_loops(layers) if compiled is None else compiled) else wide


def forward(layers: DenseLayers, x_0: Array, *, reuse: Tape | None = None, compiled: bool | None = None) -> Tape:
    """The tape of samples x_0 (S, n), written over ``reuse`` where its sizes fit."""
    tape = blank(layers, len(x_0), reuse)
    tape.end[...] = x_0.T
    _kernel(layers, compiled).forward(tape)
    return tape


def backward(
    tape: Tape,
    p_N: Array,
    *,
    kicks: Array | None = None,
    sources: Array | None = None,
    keep: bool = False,
    compiled: bool | None = None,
) -> Pullback:
    """The derivatives of Σ_s p_N · x_N by Θ and x_0, for p_N (S, n); ``keep``: with costates at nodes and stages.

    Of further costs: ``kicks`` (N+1, S, n) by x at the inner nodes, which the costate there, just behind it, does not
    hold yet, and ``sources`` (N, s, S, n) by X at the stages.
    """
    layers, p = tape.layers, _columns(tape, p_N)
    (N, s), (n, samples), k = layers.row.shape, p.shape, layers.k
    shapes = (N + 1, n, samples), (N, s, n, samples), (N, s, k, samples)
    kept = tuple(np.empty(shape) for shape in shapes) if keep else None
    slopes = zeros(layers.arrays)
    forces = tuple(None if force is None else force.swapaxes(-2, -1) for force in (kicks, sources))
    _kernel(layers, compiled).backward(tape, p, slopes, kept, forces)
    return Pullback(slopes, p.T, *(array.swapaxes(-2, -1) for array in kept or ()))


def tangent(tape: Tape, moved: LayerArrays, dx_0: Array | None = None, *, compiled: bool | None = None) -> Tangent:
    """How x_N moves with Θ by ``moved`` and with x_0 by dx_0 (S, n)."""
    tape.layers.check(moved)
    dx = np.zeros(tape.end.shape) if dx_0 is None else _columns(tape, dx_0)
    found: Tangent = _kernel(tape.layers, compiled).tangent(tape, moved, dx)
    return found


def second_backward(
    tape: Tape, along: Tangent, p_N: Array, dp_N: Array, *, gauss_newton: bool = False, compiled: bool | None = None
) -> Pullback:
    """The derivative along ``along`` of what ``backward`` returns, where p_N (S, n) moves by dp_N.

    ``gauss_newton``: less what the second derivatives of the layers give: the pullback of dp_N.
    """
    if gauss_newton:
        return backward(tape, dp_N, compiled=compiled)
    slopes, p, dp = zeros(tape.layers.arrays), _columns(tape, p_N), _columns(tape, dp_N)
    _kernel(tape.layers, compiled).second_backward(tape, along, p, dp, slopes)
    return Pullback(slopes, dp.T)


def rows(tape: Tape, seeds: Array, *, compiled: bool | None = None) -> LayerArrays:
    """∂(seeds · x_N)/∂Θ for seeds (S, K, n), with samples last: every entry of Θ gets axes (K, S) at its end."""
    S, K, _ = seeds.shape
    found = zeros(tape.layers.arrays, (K, S))
    for output in range(K):
        _spread(tape, backward(tape, seeds[:, output], keep=True, compiled=compiled), found, output)
    return found


def _spread(tape: Tape, pulled: Pullback, found: LayerArrays, output: int) -> None:
    """Add the derivatives of one output of every sample: K and δ times x and σ, not summed."""
    assert pulled.K is not None and pulled.delta is not None
    W, v, V, S, r = found
    for (k, i), q in np.ndenumerate(tape.layers.row):
        K, delta, X = pulled.K[k, i].T, pulled.delta[k, i].T, tape.stage_states[k, i]
        W[q, :, :, output] += delta[:, None] * X
        v[q, :, output] += delta
        for entry, factor in ((V, tape.sigma[k, i]), (S, X)):
            if entry is not None and entry.ndim == 5:
                entry[q, :, :, output] += K[:, None] * factor
            elif entry is not None:
                entry[q, output] += np.sum(K * factor, axis=0)
        if r is not None:
            r[q, :, output] += K


def _columns(tape: Tape, rows: Array) -> Array:
    """A copy (n, S) of what the tape's samples have, (S, n)."""
    columns = np.empty(tape.end.shape)
    columns[...] = rows.T
    return columns
