"""The limited memory: B and H = B⁻¹ from the last steps s and changes y of the gradient, rows of S and Y.

With R the upper triangle (in time) of S Yᵀ, L the strictly lower one, D the diagonal, γ = sᵀy/yᵀy of the last pair and
θ = 1/γ,

    H = γ 1 + Sᵀ R⁻ᵀ (D + γ Y Yᵀ) R⁻¹ S − γ Sᵀ R⁻ᵀ Y − γ Yᵀ R⁻¹ S,
    B = θ 1 − Wᵀ K⁻¹ W,   W = (Y; θ S),   K = (−D, Lᵀ; L, θ S Sᵀ).

A new pair takes the place of the oldest one. R⁻¹ is kept and needs no order of its rows: without the oldest pair it
is R⁻¹ without that row and column, with a new one it gains the column (−R⁻¹ S y; 1)/sᵀy.
Source: Byrd, Nocedal and Schnabel, Math. Program. 63 (1994), theorems 2.2 and 2.3.
"""

from __future__ import annotations

from functools import cached_property

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
        self._inverse, self._yy, self._diagonal = np.zeros((m, m)), np.zeros((m, m)), np.zeros(m)
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
        self._yy[j] = self._yy[:, j] = products[m:]
        self._diagonal[j] = curvature
        self.gamma = curvature / length
        self._next, self.count = (j + 1) % m, min(self.count + 1, m)
        vars(self).pop("_W", None)
        vars(self).pop("_K", None)
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

    @cached_property
    def _W(self) -> Array:
        k, m = self.count, self.most
        return np.concatenate([self._pairs[m : m + k], self._pairs[:k] / self.gamma])

    @cached_property
    def _K(self) -> Array:
        k, m = self.count, self.most
        S, Y = self._pairs[:k], self._pairs[m : m + k]
        born = (np.arange(k) - self._next) % k
        lower = np.where(born[:, None] > born, S.dot(Y.T), 0.0)
        K = np.empty((2 * k, 2 * k))
        K[:k, :k] = np.diag(-self._diagonal[:k])
        K[k:, :k], K[:k, k:] = lower, lower.T
        K[k:, k:] = S.dot(S.T) / self.gamma
        return K

    def product(self, d: Array) -> Array:
        """B d."""
        if not self.count:
            return d.copy()
        return d / self.gamma - self._W.T.dot(_solve(self._K, self._W.dot(d)))

    def solve(self, free: NDArray[np.bool_], right: Array) -> Array:
        """B_FF⁻¹ ``right`` (F, k) on the entries ``free``."""
        if not self.count:
            return right
        W, gamma = self._W[:, free], self.gamma
        return gamma * (right + gamma * W.T.dot(_solve(self._K - gamma * W.dot(W.T), W.dot(right))))


def _solve(matrix: Array, right: Array) -> Array:
    """LAPACK without the checks, which take longer here; NaN where the matrix is singular."""
    _, _, solved, info = scipy.linalg.lapack.dgesv(matrix, right)
    return solved if info == 0 else np.full_like(right, np.nan)
