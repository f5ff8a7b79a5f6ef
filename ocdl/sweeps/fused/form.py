"""The form of a dense layer, as recogniser, coefficients and kernels share it.

    φ = V σ(z) + S x + r,   z = W x + v,

with W (k, n), v (k,), V, S and r functions of the controls u and parameters p of the layer alone: what depends on the
samples is a dense layer, what does not, is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.statement.activations import Activation

Array = NDArray[np.float64]


class LayerArrays(NamedTuple):
    """The coefficients of Q layers (of Q = N·s stages where controls vary within a layer), or derivatives by them.

    W (Q, k, n), v (Q, k); V: None for 1, (Q,) for a factor of each layer, (Q, n, k) for a matrix; S: None for 0, (Q,)
    for a factor times x, (Q, n, n) for a matrix; r: None for 0, or (Q, n). Where V is None or a factor, k = n.
    """

    W: Array
    v: Array
    V: Array | None = None
    S: Array | None = None
    r: Array | None = None


class Coefficients(Protocol):
    """Θ: u (Q, m), p (P,) ↦ ``LayerArrays``, and its derivatives. ``linear``: Θ is affine in (u, p), Θ'' = 0."""

    @property
    def linear(self) -> bool: ...

    def arrays(self, u: Array, p: Array) -> LayerArrays:
        """Θ(u, p)."""
        ...

    def tangent(self, u: Array, p: Array, du: Array, dp: Array) -> LayerArrays:
        """Θ'(u, p)(du, dp); None where the entry of ``arrays`` is."""
        ...

    def pulled_back(self, u: Array, p: Array, slopes: LayerArrays) -> tuple[Array, Array]:
        """Θ'(u, p)ᵀ slopes: (Q, m) and (P,)."""
        ...

    def rows_pulled_back(self, u: Array, p: Array, slopes: LayerArrays) -> tuple[Array, Array]:
        """The same of R slopes side by side, each entry with one axis of them at its end: (R, Q, m) and (R, P)."""
        ...

    def curved(self, u: Array, p: Array, slopes: LayerArrays, du: Array, dp: Array) -> tuple[Array, Array]:
        """(slopes · Θ''(u, p))(du, dp): (Q, m) and (P,); zero where ``linear``."""
        ...


class Terminal(Protocol):
    """Σ_s ω_s ℓ(x_s, p, d_s) of a block of samples: x (S, n), d (S, ·), ω (S,)."""

    def value(self, x: Array, p: Array, d: Array, omega: Array) -> float: ...

    def slopes(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[float, Array, Array]:
        """The value, its gradient in x (S, n), and in p (P,)."""
        ...

    def products(
        self, x: Array, p: Array, d: Array, omega: Array, dx: Array, dp: Array, *, gauss_newton: bool = False
    ) -> tuple[Array, Array]:
        """The Hessian in (x, p) times (dx (S, n), dp (P,)), or its Gauss–Newton part J_Oᵀ ℓ''(O) J_O; that of squares
        is ρ'ᵀρ' of ``rows``.
        """
        ...

    @property
    def residuals(self) -> bool:
        """ℓ is half, or once, a sum of squares, so that ``rows`` is offered."""
        ...

    def rows(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[Array, Array, Array]:
        """√ω-weighted residuals ρ (S, K) with Σ ω ℓ = ½ |ρ|², and ∂ρ/∂x (S, K, n), ∂ρ/∂p (S, K, P)."""
        ...


@dataclass(frozen=True, eq=False)
class DenseForm:
    """What the formulas of a problem say of its layers: sizes n and k, σ and Θ. ``exact``: proven from the graph."""

    n: int
    k: int
    activation: Activation
    coefficients: Coefficients
