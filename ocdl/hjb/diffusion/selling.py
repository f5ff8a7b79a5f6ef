"""Selling's decomposition: a positive definite matrix as Σ w ξξᵀ with w ≥ 0 and few, short vectors ξ of integers.

For an obtuse superbase, integers b_0, ..., b_n with Σ b = 0, |det(b_1, ..., b_n)| = 1 and ⟨b_i, M b_j⟩ ≤ 0 for i ≠ j,

    M = Σ_{i<j} −⟨b_i, M b_j⟩ ξ_ij ξ_ijᵀ,   ξ_ij = c_i − c_j,   ⟨c_i, b_j⟩ = δ_ij (i, j < n),  c_n = 0.

For a matrix with dominant diagonal these are the vectors of Kushner and Dupuis, e_i and e_i ± e_j; for any other they
reach farther. Where they would reach too far, as for one process along an irrational direction, the matrix is made a
little rounder first.
Sources: Selling (1874); Conway and Sloane (1992), "Low-dimensional lattices VI"; Bonnans, Ottenwaelter and Zidani
(2004), "A fast algorithm for the two dimensional HJB equation"; Fehrenbach and Mirebeau (2014), section 2.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

LONGEST = 1000.0  # entry of a superbase vector: beyond, one direction is followed for ever
SWAPS = 64  # of a superbase; each lowers the sum of its vectors' lengths
ROUNDING = 1e-13  # of a product of superbase vectors, relative to the trace


def decomposed(M: Array, reach: float) -> tuple[Array, Whole, NDArray[np.bool_]]:
    """Weights w (q, K) ≥ 0 and offsets ξ (q, K, n), K = n(n+1)/2, of matrices M (q, n, n), and which were made rounder.

    reach: the largest entry of an offset; where it does not suffice, M + tr(M)/reach² I is decomposed.
    """
    if M.shape[-1] == 1:
        return M[..., 0], np.ones(M.shape, dtype=np.int64), np.zeros(len(M), dtype=bool)
    w, offsets, obtuse = _decomposed(M)
    far = ~obtuse | (np.abs(np.where(w[..., None] > 0.0, offsets, 0)).max(axis=(1, 2)) > reach)
    if np.any(far):
        rounder = M[far] + np.einsum("qii,jk->qjk", M[far], np.eye(M.shape[-1])) / reach**2
        w[far], offsets[far], _ = _decomposed(rounder)
    return w, offsets, far


def _decomposed(M: Array) -> tuple[Array, Whole, NDArray[np.bool_]]:
    q, n = M.shape[:2]
    superbase = np.tile(np.vstack([np.eye(n), -np.ones(n)]), (q, 1, 1))
    slack = ROUNDING * np.trace(M, axis1=1, axis2=2)
    pairs = list(combinations(range(n + 1), 2))
    acute, lost = np.arange(q), np.zeros(q, dtype=bool)
    for _ in range(SWAPS):
        products = _products(superbase[acute], M[acute], pairs)
        worst = products.argmax(axis=1)
        still = products[np.arange(acute.size), worst] > slack[acute]
        lost |= np.abs(superbase).max(axis=(1, 2)) > LONGEST
        still &= ~lost[acute]
        acute, worst = acute[still], worst[still]
        if not acute.size:
            break
        for k in np.unique(worst):
            _swap(superbase, acute[worst == k], pairs[k])
    dual = np.concatenate([np.rint(np.linalg.inv(superbase[:, :n])), np.zeros((q, n, 1))], axis=2)
    offsets = np.stack([dual[..., i] - dual[..., j] for i, j in pairs], axis=1)
    obtuse = ~lost
    obtuse[acute] = False
    return np.maximum(-_products(superbase, M, pairs), 0.0), offsets.astype(np.int64), obtuse


def _products(superbase: Array, M: Array, pairs: list[tuple[int, int]]) -> Array:
    """⟨b_i, M b_j⟩ of all pairs, (q, K)."""
    gram = superbase @ M @ superbase.transpose(0, 2, 1)
    return np.stack([gram[:, i, j] for i, j in pairs], axis=1)


def _swap(superbase: Array, rows: Whole, pair: tuple[int, int]) -> None:
    """Selling's step: b_i → −b_i, b_k → b_k + (2/(n−1)) b_i for the others but b_j; the sum stays zero."""
    i, _ = pair
    others = [k for k in range(superbase.shape[1]) if k not in pair]
    b = superbase[rows, i]
    superbase[rows, i] = -b
    for k in others:
        superbase[rows, k] += 2.0 / len(others) * b
