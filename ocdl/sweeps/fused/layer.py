"""One dense layer on plain arrays: φ(x) = V σ(W x + v) + S x + r of rows x, and its Jacobian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.statement.activations import Activation
from ocdl.sweeps.fused.form import LayerArrays

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """φ of W (k, n), v (k,), and V, S, r or None as in ``LayerArrays``; x (..., n), whatever arrays they are."""

    activation: Activation
    W: Any
    v: Any
    V: Any = None
    S: Any = None
    r: Any = None

    @classmethod
    def of(cls, activation: Activation, layers: LayerArrays, q: int) -> DenseLayer:
        """Layer, or stage, q of several."""
        return cls(activation, *(None if part is None else part[q] for part in layers))

    def preactivation(self, x: Any) -> Any:
        """z = W x + v, (..., k)."""
        return x @ self.W.T + self.v

    def __call__(self, x: Any) -> Any:
        phi = self.activation(self.preactivation(x))
        phi = phi if self.V is None else _times(phi, self.V)
        phi = phi if self.S is None else phi + _times(x, self.S)
        return phi if self.r is None else phi + self.r

    def jacobian(self, x: Array) -> Array:
        """∂φ/∂x = V diag σ'(z) W + S, (..., n, n)."""
        z = self.preactivation(x)
        slopes = self.activation.derivative(z, self.activation(z))
        J: Array = slopes[..., :, None] * self.W
        if self.V is not None:
            J = self.V @ J if np.ndim(self.V) else self.V * J
        if self.S is None:
            return J
        return J + (self.S if np.ndim(self.S) else self.S * np.eye(x.shape[-1]))


def layers_of_steps(
    activation: Activation, layers: LayerArrays, stages: int, count: int
) -> Iterator[tuple[DenseLayer, ...]]:
    """The layers at the stages of each of ``count`` steps: the same one for all, or Q = count · stages of their own."""
    shared = len(layers.W) == count
    for k in range(count):
        rows = [k] * stages if shared else range(k * stages, (k + 1) * stages)
        yield tuple(DenseLayer.of(activation, layers, q) for q in rows)


def _times(x: Any, factor: Any) -> Any:
    """Rows x times a number, or every row by a matrix."""
    return x @ factor.T if np.ndim(factor) else x * factor
