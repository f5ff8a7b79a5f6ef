"""The limited memory: B and H = B⁻¹ from the last steps s and changes y of the gradient, rows of S and Y.

With R the upper triangle (in time) of S Yᵀ, L the strictly lower one, D the diagonal, γ = sᵀy/yᵀy of the last pair and
θ = 1/γ,

    H = γ 1 + Sᵀ R⁻ᵀ (D + γ Y Yᵀ) R⁻¹ S − γ Sᵀ R⁻ᵀ Y − γ Yᵀ R⁻¹ S,
    B = θ 1 − Vᵀ K⁻¹ V,   V = (S; Y),   K = (γ S Sᵀ, γ L; γ Lᵀ, −D).

A new pair takes the place of the oldest one. R⁻¹ is kept and needs no order of its rows: without the oldest pair it
is R⁻¹ without that row and column, with a new one it gains the column (−R⁻¹ S y; 1)/sᵀy.
Source: Byrd, Nocedal and Schnabel, Math. Program. 63 (1994), theorems 2.2 and 2.3.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]

CURVED = 2.3e-16  # a pair needs sᵀy > this · yᵀy


class Memory:
    """At most ``most`` pairs of vectors of ``size`` entries; B = H = 1 while there is none."""

    def __init__(self, size: int, most: int) -> None:
        self.most = most
        self._pairs = np.zeros((2 * most, size))  # S, then Y
        self.forget()

    def forget(self) -> None:
        """Back to no pair."""
        m = self.most
        self._pairs[:] = 0.0
        self._upper, self._inverse, self._yy = (np.zeros((m, m)) for _ in range(3))  # R, R⁻¹, Y Yᵀ
        self._diagonal = np.zeros(m)
        self.count, self._next, self.gamma = 0, 0, 1.0

    def add(self, s: Array, y: Array) -> bool:
        """Take the pair, unless it shows no positive curvature."""
        curvature, length = float(s.dot(y)), float(y.dot(y))
        if not curvature > CURVED * length:
            return False
        j, m = self._next, self.most
        self._pairs[j], self._pairs[m + j] = s, y
        products = self._pairs.dot(y)  # small products: ``dot`` takes half the time of ``@``
        self._inverse[j] = self._inverse[:, j] = 0.0
        self._inverse[:, j] = self._inverse.dot(products[:m]) / -curvature
        self._inverse[j, j] = 1.0 / curvature
        self._upper[j], self._upper[:, j] = 0.0, products[:m]
        self._yy[j] = self._yy[:, j] = products[m:]
        self._diagonal[j] = curvature
        self.gamma = curvature / length
        self._next, self.count = (j + 1) % m, min(self.count + 1, m)
        return True

    def times(self, g: Array) -> Array:
        """H g."""
        if not self.count:
            return g.copy()
        m, gamma = self.most, self.gamma
        both = self._pairs.dot(g)
        q = self._inverse.dot(both[:m])
        p = self._inverse.T.dot(self._diagonal * q + gamma * (self._yy.dot(q) - both[m:]))
        both[:m], both[m:] = p, -gamma * q
        return gamma * g + self._pairs.T.dot(both)

    def product(self, d: Array) -> Array:
        """B d."""
        if not self.count:
            return d.copy()
        return d / self.gamma - self._kept.T.dot(_solved(self._K, self._kept.dot(d)))

    def solve(self, held: NDArray[np.intp], right: Array) -> tuple[Array, Array]:
        """B_FF⁻¹ right_F and its image under B on all entries; ``right`` (size, c) is zero where ``held``.

        B_FF⁻¹ = γ 1 + γ² V_Fᵀ (K − γ V_F V_Fᵀ)⁻¹ V_F,   K − γ V Vᵀ = (0, −γ R; −γ Rᵀ, −D − γ Y Yᵀ).
        """
        if not self.count:
            return right, right
        k, gamma, V = self.count, self.gamma, self._kept
        inner = np.zeros((2 * k, 2 * k))
        inner[:k, k:] = -gamma * self._upper[:k, :k]
        inner[k:, :k] = inner[:k, k:].T
        inner[k:, k:] = -gamma * self._yy[:k, :k]
        inner.ravel()[k * (2 * k + 1) :: 2 * k + 1] -= self._diagonal[:k]  # ten times as fast as by indices
        if held.size:
            outside = V.take(held, axis=1)
            inner += gamma * outside.dot(outside.T)
        lifted = gamma * V.T.dot(_solved(inner, V.dot(right)))
        solved = gamma * (right + lifted)
        image = right.copy()
        solved[held], image[held] = 0.0, -lifted[held]
        return solved, image

    @property
    def _kept(self) -> Array:
        """V, the rows of S and Y that are filled."""
        k, m = self.count, self.most
        return self._pairs if k == m else np.concatenate([self._pairs[:k], self._pairs[m : m + k]])

    @property
    def _K(self) -> Array:
        k, m = self.count, self.most
        S, Y = self._pairs[:k], self._pairs[m : m + k]
        born = (np.arange(k) - self._next) % k
        L = np.where(born[:, None] > born, S.dot(Y.T), 0.0)
        return np.block([[self.gamma * S.dot(S.T), self.gamma * L], [self.gamma * L.T, np.diag(-self._diagonal[:k])]])


def _solved(matrix: Array, right: Array) -> Array:
    """LAPACK for a symmetric matrix, without checks that take longer; NaN where the matrix is singular."""
    _, _, solved, info = scipy.linalg.lapack.dsysv(matrix, right)
    return solved.reshape(right.shape) if info == 0 else np.full_like(right, np.nan)
