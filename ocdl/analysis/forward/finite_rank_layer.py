"""One layer σ(a − Bf) of a kernel of finite rank, as a function of the inner products c_l = (ψ_l, f)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.statement.activations import Activation

DEPENDENT = 1e-10  # of squared lengths, against the longest: functions that others give already


@dataclass(frozen=True, eq=False)
class FiniteRankLayer:
    """a (M,), μ (r,), φ and ψ (M, r) a column each, of a layer; of a larger kernel cut down to these also its norm
    ‖B‖ and μ_{r+1}, the norm of what was cut off.
    """

    activation: Activation
    bias: Array
    mu: Array
    phi: Array
    psi: Array
    weights: Array
    norm: float = 0.0
    dropped: float = 0.0

    def inner(self, f: Array) -> Array:
        """c = (ψ_l, f), (..., r), of f (..., M)."""
        return np.asarray(f @ self._weighed)

    def preactivation(self, c: Array) -> Array:
        """u (..., M) of c (..., r)."""
        return self.bias - (c * self.mu) @ self.phi.T

    def velocity(self, c: Array) -> Array:
        """f_t = σ(u), (..., M)."""
        return np.asarray(self.activation(self.preactivation(c)))

    def of_states(self, f: Array) -> Array:
        """f_t at states f (..., M)."""
        return self.velocity(self.inner(f))

    def at(self, c: Array, i: Any) -> Array:
        """σ(u) of rows c (P, K, r) at neuron i (P,) each, (P, K)."""
        return np.asarray(self.activation(self.bias[i, None] - np.einsum("pkr,pr->pk", c, self.mu * self.phi[i])))

    def length(self, f: Array) -> Array:
        """‖f‖, over the last axis."""
        return np.sqrt(np.sum(self.weights * f * f, axis=-1))

    def moved(self, f: Array, c: Array) -> Array:
        """By what f changes, in the span of ψ, if (ψ_l, f) is to be c."""
        return np.asarray((c - self.inner(f)) @ self._dual)

    @cached_property
    def outside(self) -> float:
        """‖Z‖, of the part of a outside R(B)."""
        root, kept = np.sqrt(self.weights), self.phi[:, self.mu != 0.0]
        basis, lengths, _ = np.linalg.svd(root[:, None] * kept, full_matrices=False)
        basis = basis[:, lengths**2 > DEPENDENT * max(lengths.max(initial=0.0) ** 2, np.finfo(float).tiny)]
        a = root * self.bias
        return float(np.linalg.norm(a - basis @ (basis.T @ a)))

    @cached_property
    def _weighed(self) -> Array:
        return np.asarray(self.weights[:, None] * self.psi)

    @cached_property
    def _dual(self) -> Array:
        """(r, M): the functions of span ψ whose inner products with the ψ_l are those of the unit matrix."""
        return np.asarray(np.linalg.pinv(self.psi.T @ self._weighed, DEPENDENT, hermitian=True) @ self.psi.T)
