"""Steps of explicit schemes through dense layers, and their derivatives: what a network of steps does to perturbations.

X_i = x + h Σ_j a_ij φ_j(X_j),   x⁺ = x + h Σ_i b_i φ_i(X_i),   φ(x) = V σ(W x + v) + S x + r.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ocdl.arrays import Array
from ocdl.depth.explicit_step import explicit_step
from ocdl.depth.schemes import Tableau
from ocdl.statement.activations import Activation
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.layer import DenseLayer, layers_of_steps


@dataclass(frozen=True, eq=False)
class ExplicitStep:
    """One step: a velocity φ_i of rows x for each stage, mostly the same one."""

    layers: tuple[Callable[[Array], Array], ...]
    tableau: Tableau
    h: float

    def stages(self, x: Array) -> tuple[list[Array], Array]:
        """X_1, …, X_s and x⁺ of x (..., n)."""
        return explicit_step(self.tableau, self.h, self.layers, x)


@dataclass(frozen=True, eq=False)
class Step(ExplicitStep):
    """A step of dense layers."""

    layers: tuple[DenseLayer, ...]

    def jacobian(self, x: Array) -> Array:
        """∂x⁺/∂x, (..., n, n): the scheme's own derivative, by the stages of the variational equation."""
        eye, tangents = np.eye(x.shape[-1]), list[Array]()
        for a, layer, X in zip(self.tableau.A, self.layers, self.stages(x)[0], strict=True):
            at = eye + self.h * sum(c * s for c, s in zip(a, tangents, strict=False))
            tangents.append(layer.jacobian(X) @ at)
        return np.asarray(eye + self.h * sum(c * s for c, s in zip(self.tableau.b, tangents, strict=True)))

    def pulled_back(self, x: Array, p: Array) -> Array:
        """(∂x⁺/∂x)ᵀ p of p (..., n), by the stages of the adjoint equation: no Jacobian is formed of them all."""
        inner, back = self.stages(x)[0], list[Array]()  # the latter from the last stage to the first
        for i in reversed(range(self.tableau.stages)):
            later = zip(self.tableau.A[:i:-1, i], back, strict=True)
            at = self.h * (self.tableau.b[i] * p + sum(a * b for a, b in later))
            back.append(_transposed(self.layers[i], inner[i], at))
        return np.asarray(p + sum(back))


def _transposed(layer: DenseLayer, x: Array, p: Array) -> Array:
    """φ'(x)ᵀ p of rows x and p (..., n)."""
    z = layer.preactivation(x)
    q = p if layer.V is None else p @ layer.V if np.ndim(layer.V) else p * layer.V
    found = (q * layer.activation.derivative(z, layer.activation(z))) @ layer.W
    if layer.S is None:
        return np.asarray(found)
    return np.asarray(found + (p @ layer.S if np.ndim(layer.S) else p * layer.S))


def stepped(steps: Iterable[ExplicitStep], x0: Array) -> Array:
    """States (N+1, ...) of steps, one after the other."""
    x = [x0]
    for step in steps:
        x.append(step.stages(x[-1])[1])
    return np.stack(x)


def steps_of(activation: Activation, layers: LayerArrays, tableau: Tableau, widths: Array) -> Iterator[Step]:
    """The steps of widths h (N,) through N layers, or N·s where each stage has its own."""
    for h, of_stages in zip(widths, layers_of_steps(activation, layers, tableau.stages, len(widths)), strict=True):
        yield Step(of_stages, tableau, float(h))


@dataclass(frozen=True, eq=False)
class Factors:
    """φ' = V D W + S of a layer as matrices V (n, k), W (k, n), S (n, n), D = diag σ'."""

    V: Array
    W: Array
    S: Array

    @classmethod
    def of(cls, layer: DenseLayer, root: Array | float = 1.0) -> Factors:
        """root: √w (n,), for coordinates in which the inner product of the states is Euclid's."""
        n = layer.W.shape[1]
        root = np.broadcast_to(root, n)
        W = layer.W / root
        if np.ndim(layer.V) < 2:  # k = n: √w goes into W, and V stays a multiple of 1
            V, W = np.eye(n) if layer.V is None else layer.V * np.eye(n), root[:, None] * W
        else:
            V = root[:, None] * layer.V
        S = np.zeros((n, n)) if layer.S is None else layer.S if np.ndim(layer.S) else layer.S * np.eye(n)
        return cls(V, W, root[:, None] * S / root)
