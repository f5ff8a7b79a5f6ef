"""A controlled Markov chain on the nodes of a box that moves as dX = φ dt + σ dW does.

From node x it goes to x ± ξ_k dx, where ½σσᵀ = Σ w_k (ξ_k dx)(ξ_k dx)ᵀ (``selling``), M = Σ w_k ξ_k ξ_kᵀ, at rates

    w_k ± g_k/2,   g_k = w_k ⟨ξ_k, M⁻¹ φ/dx⟩,  made to be |g_k| ≤ 2 w_k  (central differences, of second order),

and what Σ g_k ξ_k then lacks of φ/dx, along each axis to the side where it points (upwind, of first order). g is made
so by clipping each entry or by scaling all, whichever lacks less; scaled it lacks at most φ/dx itself. So rates are
never negative, and the scheme of the chain is monotone: V cannot fall where its data rise. A move out of the box is
mirrored at its edge: the process is reflected there, ∂V/∂n = 0. Exponential costs (1/k) log E e^{kJ} add
(k/2)|σᵀ∇V|² = max_w {⟨σw, ∇V⟩ − |w|²/(2k)} (min for k < 0): a drift σw and a cost −|w|²/(2k), with w = kσᵀ∇V.
Sources: Kushner and Dupuis (2001), "Numerical methods for stochastic control problems in continuous time", chapter 5;
Wang and Forsyth (2008), "Maximal use of central differencing for HJB PDEs in finance"; Fleming and Soner (2006),
"Controlled Markov processes and viscosity solutions", chapter VI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.errors import SolveFailed
from ocdl.hjb.diffusion.coefficients import Coefficients
from ocdl.hjb.diffusion.nodes import Nodes
from ocdl.hjb.diffusion.selling import decomposed

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

NEGATIVE = 1e-12  # of a rate, relative to the largest: rounding
SINGULAR = 1e-9  # of M, relative to its trace
SILENT = 1e-100  # of M, where there is no noise
SOLVED = 1e-12  # relative residual of a linear system
ITERATIONS = 1000


@dataclass(frozen=True, eq=False)
class Moves:
    """From every node ``rates`` (Q, J) to ``targets`` (Q, J), and the ``cost`` (Q,) of time spent there."""

    targets: Whole
    rates: Array
    cost: Array

    def hamiltonian(self, value: Array) -> Array:
        """L + Σ_j rate_j (V_j − V), (Q,)."""
        return self.cost + np.einsum("qj,qj->q", self.rates, value[self.targets] - value[:, None])

    def system(self, h: float) -> Any:
        """The matrix of V ↦ V − h Σ_j rate_j (V_j − V). SolveFailed where it is not monotone."""
        Q, J = self.targets.shape
        here = np.arange(Q)
        rates = np.where(self.targets == here[:, None], 0.0, self.rates)
        entries = np.concatenate([-h * rates, 1.0 + h * rates.sum(axis=1, keepdims=True)], axis=1)
        columns = np.concatenate([self.targets, here[:, None]], axis=1)
        matrix = scipy.sparse.csr_array((entries.ravel(), columns.ravel(), (J + 1) * np.arange(Q + 1)), shape=(Q, Q))
        matrix.sum_duplicates()
        beside = matrix.indices != np.repeat(here, np.diff(matrix.indptr))
        worst = float(np.max(matrix.data[beside], initial=0.0)) / h
        if worst > NEGATIVE * float(np.max(np.abs(rates), initial=0.0)):
            raise SolveFailed(f"a negative rate {-worst:.3g} of the chain: the scheme is not monotone.")
        return matrix

    def step(self, later: Array, h: float) -> Array:
        """V of (1 − hA) V = V⁺ + hL, A the generator: a step of Euler's implicit method under these controls."""
        system, right = self.system(h), later + h * self.cost
        if np.max(np.abs(self.targets - np.arange(len(later))[:, None])) == 1:
            bands = np.zeros((3, len(later)))
            bands[0, 1:], bands[1], bands[2, :-1] = (system.diagonal(k) for k in (1, 0, -1))
            return np.asarray(scipy.linalg.solve_banded((1, 1), bands, right))
        scale = system.diagonal()
        rows = system.copy()
        rows.data /= np.repeat(scale, np.diff(rows.indptr))
        found, failed = scipy.sparse.linalg.bicgstab(
            rows, right / scale, x0=later, rtol=SOLVED, atol=0.0, maxiter=ITERATIONS
        )
        return np.asarray(scipy.sparse.linalg.spsolve(system.tocsc(), right) if failed else found)


class Chain:
    """The chain of a problem's ``coefficients`` on ``nodes``; ``k`` of exponential costs, 0 for means.

    ``rounder``: at the share of nodes where σσᵀ was made rounder, so that moves do not reach too far.
    """

    def __init__(self, coefficients: Coefficients, nodes: Nodes, k: float) -> None:
        self.coefficients, self.nodes, self.k = coefficients, nodes, k
        self.reach = max(
            2.0, float(np.sqrt(min(nodes.shape) - 1))
        )  # what is made rounder errs by 1/reach², as nodes do
        self.rounder = 0.0
        self._spread: tuple[Whole, Array, Whole, Array] | None = None
        self._last: tuple[Whole, Whole] | None = None

    def moves(self, t: float, u: Array, value: Array) -> Moves:
        """Under controls u (Q, m); of V (Q,) only the gradient matters, where costs are exponential."""
        nodes = self.nodes
        phi, sigma, cost = self.coefficients(t, nodes.states, u)
        if self.k:
            slope = nodes.gradient(value)
            tilt = self.k * np.einsum("qik,qi->qk", sigma, slope)
            phi = phi + np.einsum("qik,qk->qi", sigma, tilt)
            cost = cost - np.einsum("qk,qk->q", tilt, tilt) / (2.0 * self.k)
        targets, w, offsets, inverse = self._noise(sigma)
        c = phi / nodes.spacing
        g, rest = _carried(c, w, offsets, inverse)
        rates = [w + 0.5 * g, w - 0.5 * g, np.maximum(rest, 0.0), np.maximum(-rest, 0.0)]
        return Moves(np.concatenate([targets, *nodes.beside], axis=1), np.concatenate(rates, axis=1), cost)

    def _noise(self, sigma: Array) -> tuple[Whole, Array, Whole, Array]:
        """Where the noise moves to (Q, 2K), w (Q, K), ξ (Q, K, n), and ξ_kᵀ M⁻¹ (Q, K, n)."""
        kept = self._spread
        if kept is None:
            scaled = sigma / self.nodes.spacing[:, None]
            M = 0.5 * scaled @ scaled.transpose(0, 2, 1)
            w, offsets, far = decomposed(M, self.reach)
            self.rounder = max(self.rounder, float(far.mean()))
            M = np.einsum("qk,qki,qkj->qij", w, offsets, offsets)
            floor = np.maximum(SINGULAR * np.trace(M, axis1=1, axis2=2), SILENT)
            inverse: Array = np.linalg.inv(M + floor[:, None, None] * np.eye(M.shape[-1]))
            kept = self._targets(offsets), w, offsets, np.asarray(offsets @ inverse, dtype=float)
            if not (self.coefficients.controlled_noise or self.coefficients.varying_noise):
                self._spread = kept
        return kept

    def _targets(self, offsets: Whole) -> Whole:
        """Where moves of ±ξ (Q, K, n) lead, (Q, 2K); most often they are those of the last call."""
        if self._last is None or not np.array_equal(self._last[0], offsets):
            both = np.concatenate([self.nodes.moved(offsets), self.nodes.moved(-offsets)], axis=1)
            self._last = offsets, both
        return self._last[1]


def _carried(c: Array, w: Array, offsets: Whole, inverse: Array) -> tuple[Array, Array]:
    """g (Q, K), and the rest (Q, n) of a drift c (Q, n) in cells that moves at rates w ± g/2 do not carry."""
    share = 0.5 * np.einsum("qki,qi->qk", inverse, c) * (w > 0.0)
    most = np.maximum(np.abs(share).max(axis=1, keepdims=True), 1.0)
    ways = [2.0 * w * part for part in (np.clip(share, -1.0, 1.0), share / most)]
    rests = [c - np.einsum("qk,qki->qi", g, offsets) for g in ways]
    clipped, scaled = (np.abs(rest).sum(axis=1, keepdims=True) for rest in rests)
    return np.where(clipped < scaled, *ways), np.where(clipped < scaled, *rests)
