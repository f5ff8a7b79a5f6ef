"""The terminal loss of a network: a loss on a link on outputs that are affine in the last state.

    ℓ(x, p, d) = loss(h(O), d),  O = W (w∘x) + μ  or  O = x.

It is a callable object that writes its formula from the very loss, link and weights it holds: who meets one as
``problem.terminal`` may take these for the formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.statement.losses import Link, Loss


@dataclass(frozen=True, eq=False)
class Output:
    """O(x, p) = W B x + μ with p = [W (K, r) row by row, μ (K,)] from ``place`` on; O = x without ``features``.

    weights (K,): the quadrature of the output, 1 for outputs of unit weight. features: B, (n,) for a diagonal such as
    the weights w of the width quadrature, or (r, n). fixed: [W, μ] where they are no parameters.
    """

    weights: Array
    features: Array | None = None
    place: int = 0
    fixed: Array | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(K, r) of W."""
        return self.weights.size, 0 if self.features is None else len(self.features)

    @property
    def size(self) -> int:
        """The number of trained parameters."""
        return 0 if self.features is None or self.fixed is not None else self.weights.size * (len(self.features) + 1)

    @property
    def metric(self) -> Array:
        """Quadrature weights of the parameters, (size,); features that are no quadrature weigh 1."""
        if not self.size:
            return np.zeros(0)
        assert self.features is not None
        width = self.features if self.features.ndim == 1 else np.ones(len(self.features))
        return np.concatenate([np.outer(self.weights, width).ravel(), self.weights])

    def __call__(self, x: Any, p: Any) -> Any:
        """O as a CasADi expression."""
        if self.features is None:
            return x
        K, r = self.shape
        given = p[self.place :] if self.fixed is None else ca.DM(self.fixed)
        seen = self.features * x if self.features.ndim == 1 else ca.DM(self.features) @ x
        return ca.reshape(given[: K * r], r, K).T @ seen + given[K * r : K * (r + 1)]

    # -- in numbers ----------------------------------------------------------------------------------

    def values(self, x: Array, p: Array) -> Array:
        """O (S, K) of states (S, n)."""
        if self.features is None:
            return x
        R, mu = self.arrays(p)
        return np.asarray(x @ R.T + mu)

    def seen(self, x: Array) -> Array:
        """B x (S, r) of states (S, n)."""
        assert self.features is not None
        return x * self.features if self.features.ndim == 1 else x @ self.features.T

    def arrays(self, p: Array) -> tuple[Array, Array]:
        """R = W B (K, n) and μ (K,) at parameters p (P,)."""
        return self._arrays(p[self.place :] if self.fixed is None else self.fixed)

    def tangent(self, dp: Array) -> tuple[Array, Array]:
        """The change of R and μ with p."""
        return self._arrays(dp[self.place :] if self.fixed is None else np.zeros_like(self.fixed))

    def _arrays(self, given: Array) -> tuple[Array, Array]:
        assert self.features is not None
        K, r = self.shape
        W = given[: K * r].reshape(K, r)
        R = W * self.features if self.features.ndim == 1 else W @ self.features
        return R, given[K * r : K * (r + 1)]

    def pulled_back(self, R: Array, mu: Array, P: int) -> Array:
        """A gradient in R (K, n) and μ (K,), as one in p (P,)."""
        gradient = np.zeros(P)
        if self.size:
            assert self.features is not None
            W = R * self.features if self.features.ndim == 1 else R @ self.features.T
            gradient[self.place : self.place + self.size] = np.concatenate([W.ravel(), mu])
        return gradient


@dataclass(frozen=True, eq=False)
class ReadoutLoss:
    """ℓ(x, p, d): ``loss`` of h(O) against the labels d (K,), h the ``link``, O of the last state."""

    output: Output
    loss: Loss
    link: Link

    def __call__(self, x: Any, p: Any, d: Any) -> Any:
        return self.loss.total(self.output(x, p), d, self.output.weights, self.link)

    @property
    def known(self) -> bool:
        """Whether loss and link offer the derivatives of these very formulas in numbers."""
        return self.loss.known(self.link)
