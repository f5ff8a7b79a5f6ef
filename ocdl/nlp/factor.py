"""Newton's step in the reduced space: (H + diag) d = r, by a dense factorisation or by Riccati's recursion.

H is the Hessian in w = (p, u_0, ..., u_{N−1}) that the condensed layers make up. Dense: H is assembled and factorised,
(N m)² S n + (N m)³/3 operations. Riccati: with X all samples' states side by side (S n), X⁺ = A X + B u + C p, the
cost-to-go ½ (X, p)ᵀ V (X, p) is carried backward, N (S n)² m operations up to a factor,

    Λ = T + BᵀVB + diag,   R = S + AᵀVB,   V ← Q + AᵀVA − R Λ⁻¹ Rᵀ,

and H + diag is positive definite exactly where every Λ is. Where the layers are dense and all of this is dearer than
products with H, conjugate gradients.
Source: Rao, Wright and Rawlings, J. Optim. Theory Appl. 99 (1998), section 3.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.nlp.curvature import Blocks
from ocdl.nlp.oracle import Point

Array = NDArray[np.float64]

RESIDUAL = 1e-4  # of conjugate gradients, relative
MOST = 1000  # products for one step


class NotPositive(ArithmeticError):
    """H + diag is not positive definite."""


class Factor(Protocol):
    """A factorised H + diag."""

    def solve(self, r: Array) -> Array:
        """d with (H + diag) d = r."""
        ...


def factorised(point: Point, diagonal: Array) -> Factor:
    """∇²J + diag(diagonal) at ``point`` by the cheapest way. Raises NotPositive."""
    if point.oracle.by_products:
        return ConjugateGradients(point, diagonal)
    if point.blocks is None:
        raise NotPositive
    if dense_is_cheaper(point.blocks):
        return DenseFactor(point.hessian, diagonal)
    return RiccatiFactor(point.blocks, diagonal)


def dense_is_cheaper(blocks: Blocks) -> bool:
    """By the leading terms of the operation counts."""
    N, S, n, q = blocks.input.shape
    P = len(blocks.parameters)
    m, states = q - P, S * n
    unknowns = P + N * m
    dense = unknowns**2 * states + unknowns**3 / 3
    riccati = N * (3 * states**2 * (m + P) + 2 * states * m**2 + m**3 / 3)
    return dense <= riccati


class DenseFactor:
    """Cholesky's factor of the assembled matrix."""

    def __init__(self, hessian: Array, diagonal: Array) -> None:
        shifted = hessian.copy()
        shifted[np.diag_indices_from(shifted)] += diagonal
        self._factor = _cholesky(shifted)

    def solve(self, r: Array) -> Array:
        return np.asarray(scipy.linalg.cho_solve((self._factor, True), r, check_finite=False))


class ConjugateGradients:
    """No factor at all: conjugate gradients on products with the Hessian, preconditioned by diag + ρ metric, with ρ
    the Hessian's size along the first residual.
    """

    def __init__(self, point: Point, diagonal: Array) -> None:
        self.point, self.diagonal, self.metric = point, diagonal, point.oracle.metric

    def solve(self, r: Array) -> Array:
        """d to a residual of ``RESIDUAL``; raises NotPositive where a direction shows that H + diag is not."""
        preconditioner = self._preconditioner(r)
        d, residual = np.zeros_like(r), r
        z = residual / preconditioner
        direction, square = z, float(residual @ z)
        goal = RESIDUAL**2 * square
        for _ in range(min(2 * r.size, MOST)):
            if not square > goal:
                break
            image = self._product(direction) + self.diagonal * direction
            curvature = float(direction @ image)
            if not curvature > 0.0:
                raise NotPositive
            length = square / curvature
            d = d + length * direction
            residual = residual - length * image
            z = residual / preconditioner
            before, square = square, float(residual @ z)
            direction = z + (square / before) * direction
        return d

    def _preconditioner(self, r: Array) -> Array:
        first = r / self.metric
        size = abs(float(first @ self._product(first))) / float(first @ (self.metric * first))
        return self.diagonal + max(size, np.finfo(float).tiny) * self.metric

    def _product(self, d: Array) -> Array:
        oracle, products = self.point.oracle, self.point.products
        if products is None:
            raise NotPositive
        du, dp = oracle.split(d)
        return oracle.join(*products.product(du, dp))


class RiccatiFactor:
    """Every layer's L = chol Λ and Y = L⁻¹ Rᵀ, and the factor of what is left for p."""

    def __init__(self, blocks: Blocks, diagonal: Array) -> None:
        N, S, n, q = blocks.input.shape
        self.blocks, self.P = blocks, len(blocks.parameters)
        self.m, self.states = q - self.P, S * n
        self.input = blocks.input.reshape(N, S * n, q)
        self.factors: list[Any] = [None] * N
        self.responses: list[Any] = [None] * N
        inner = diagonal[self.P :].reshape(N, self.m)
        value = self._end()
        for k in reversed(range(N)):
            value = self._eliminate(k, value, inner[k])
        own = value[self.states :, self.states :] + np.diag(diagonal[: self.P])
        self.last = _cholesky(own)

    def _end(self) -> Array:
        """V at the end: the terminal loss in (X, p), and the costs of p alone."""
        states, end = self.states, self.blocks.end_cross.reshape(self.states, self.P)
        value = np.zeros((states + self.P, states + self.P))
        _on_blocks(value[:states, :states], self.blocks.end_state)
        value[:states, states:], value[states:, :states] = end, end.T
        value[states:, states:] = self.blocks.parameters
        return value

    def _eliminate(self, k: int, value: Array, diagonal: Array) -> Array:
        """V at the layer's start from V at its end; u_k is minimised out."""
        m, states, T = self.m, self.states, self.blocks.control[k]
        B, C = self.input[k, :, :m], self.input[k, :, m:]
        cross = self.blocks.cross[k].reshape(states, -1)
        across, below, own = value[:states, :states], value[states:, :states], value[states:, states:]
        carried = across @ B
        pivot = T[:m, :m] + B.T @ carried
        pivot[np.diag_indices(m)] += diagonal
        factor = _cholesky(pivot)
        carried_p = across @ C + below.T  # V_xx C + V_xp
        R = np.concatenate([cross[:, :m] + self._pulled(k, carried), T[m:, :m] + C.T @ carried + below @ B])
        response = _lower(factor, R.T)
        before = -(response.T @ response)
        before[:states, :states] += self._pulled(k, self._pulled(k, across).T)
        _on_blocks(before[:states, :states], self.blocks.state[k])
        mixed = cross[:, m:] + self._pulled(k, carried_p)
        before[:states, states:] += mixed
        before[states:, :states] += mixed.T
        half = C.T @ carried_p + below @ C
        before[states:, states:] += own + T[m:, m:] + half
        self.factors[k], self.responses[k] = factor, response
        return before

    def _pulled(self, k: int, columns: Array) -> Array:
        """Aᵀ columns, A the samples' Φ side by side."""
        flow = self.blocks.flow[k]
        S, n, _ = flow.shape
        return np.asarray(flow.swapaxes(1, 2) @ columns.reshape(S, n, -1)).reshape(S * n, -1)

    def _pushed(self, k: int, X: Array) -> Array:
        flow = self.blocks.flow[k]
        return np.asarray(flow @ X.reshape(*flow.shape[:2], 1)).ravel()

    def solve(self, r: Array) -> Array:
        """One sweep back for the linear terms, one forward for the step."""
        P, m, states, N = self.P, self.m, self.states, len(self.factors)
        right = r[P:].reshape(N, m)
        slope, reduced = np.zeros(states + P), np.empty((N, m))  # ∂/∂(X, p) of the cost-to-go, L⁻¹ (Bᵀ slope − r)
        for k in reversed(range(N)):
            B, C = self.input[k, :, :m], self.input[k, :, m:]
            in_x = slope[:states]
            reduced[k] = _lower(self.factors[k], B.T @ in_x - right[k])
            pulled = np.concatenate([self._pulled(k, in_x[:, None])[:, 0], slope[states:] + C.T @ in_x])
            slope = pulled - self.responses[k].T @ reduced[k]
        d = np.empty_like(r)
        d[:P] = scipy.linalg.cho_solve((self.last, True), r[:P] - slope[states:], check_finite=False) if P else 0.0
        at, X = np.zeros(states), np.concatenate([np.zeros(states), d[:P]])
        for k in range(N):
            step = -scipy.linalg.solve_triangular(
                self.factors[k], reduced[k] + self.responses[k] @ X, lower=True, trans="T", check_finite=False
            )
            d[P + k * m : P + (k + 1) * m] = step
            at = self._pushed(k, at) + self.input[k] @ np.concatenate([step, d[:P]])
            X[:states] = at
        return d


def _on_blocks(matrix: Array, blocks: Array) -> None:
    """Add blocks (S, n, n) to the diagonal of a matrix (S n, S n)."""
    S, n, _ = blocks.shape
    for s in range(S):
        matrix[s * n : (s + 1) * n, s * n : (s + 1) * n] += blocks[s]


def _lower(factor: Array, right: Array) -> Array:
    return np.asarray(scipy.linalg.solve_triangular(factor, right, lower=True, check_finite=False))


def _cholesky(matrix: Array) -> Array:
    if not np.all(np.isfinite(matrix)):
        raise NotPositive
    try:
        return np.asarray(scipy.linalg.cholesky(matrix, lower=True, check_finite=False))
    except scipy.linalg.LinAlgError:
        raise NotPositive from None
