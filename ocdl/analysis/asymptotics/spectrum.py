"""Spectra of operators with what rounding can tell of them: eigenvalues on the imaginary axis, and defective ones.

    B = Σ_l μ_l (ψ_l, ·) φ_l of rank r has M − r eigenvalues 0, on N(B), and those of D Tᵀ, T = ((φ_l, ψ_n)), on R(B):
    D Tᵀ c = ω c  ⇒  BΦc = ωΦc.  Eigenvalue 0 is defective, R(B) ∩ N(B) ≠ {0}, if and only if T is singular.

Rounding moves an eigenvalue by κ M ε ‖B‖, κ = 1/|yᴴx| of its unit eigenvectors (Wilkinson, 1965), and those of a
Jordan block of size k, whose κ then is about ε^{1/k − 1}, by the k-th root of M ε.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ocdl.analysis.operators import Complex, KernelOperator, SingularSystem
from ocdl.arrays import Array

ILL = 1e-2 / np.sqrt(np.finfo(float).eps)  # κ of an eigenvalue that rounding cannot tell from a defective one


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues ω (n,) by real part from the least, ``vectors`` (n, n) a column each, ``condition`` κ (n,).

    on_axis: real parts that rounding cannot tell from 0. defective: some of these have too few eigenvectors.
    """

    values: Complex
    vectors: Complex
    condition: Array
    on_axis: Any
    defective: bool

    @classmethod
    def of(cls, matrix: Array, rounding: float) -> Spectrum:
        """Of a matrix (n, n) whose entries make an error of norm ``rounding``."""
        values, left, right = scipy.linalg.eig(matrix, left=True, right=True)
        with np.errstate(divide="ignore"):
            condition = 1.0 / np.abs(np.sum(left.conj() * right, axis=0))
        on_axis = _on_axis(matrix, values, condition, 4.0 * rounding)  # of the matrix, and of finding its eigenvalues
        order = np.argsort(values.real, kind="stable")
        contracts = bool(np.all(np.linalg.eigvalsh(0.5 * (matrix + matrix.T)) >= -rounding))  # has no defective ones
        defective = not contracts and bool(np.any(condition[on_axis] > ILL))
        return cls(values[order].astype(complex), right[:, order], condition[order], on_axis[order], defective)

    @classmethod
    def of_operator(cls, operator: KernelOperator, system: SingularSystem) -> Spectrum:
        """Of B, with functions at the nodes for vectors."""
        inner = cls.of(system.mu[: system.rank, None] * gram_matrix(system).T, operator.rounding)
        null = system.null_space
        values = np.concatenate([inner.values, np.zeros(null.shape[1])])
        vectors = np.hstack([system.range @ inner.vectors, null])
        condition = np.concatenate([inner.condition, np.ones(null.shape[1])])
        on_axis = np.concatenate([inner.on_axis, np.ones(null.shape[1], dtype=bool)])
        order = np.argsort(values.real, kind="stable")
        defective = inner.defective or not invertible(system)
        return cls(values[order], vectors[:, order], condition[order], on_axis[order], defective)

    @property
    def rate(self) -> float:
        """min Re ω; 0 where rounding cannot tell it from 0."""
        return float(np.min(np.where(self.on_axis, 0.0, self.values.real), initial=np.inf))

    @property
    def verdict(self) -> str:
        """Of ẇ = −ωw: "unstable", "stable" or "asymptotically stable"; defective modes of Re ω = 0 grow as t."""
        if self.rate < 0.0 or self.defective:
            return "unstable"
        return "stable" if np.any(self.on_axis) else "asymptotically stable"


def _on_axis(matrix: Array, values: Complex, condition: Array, error: float) -> Any:
    """Which eigenvalues ω an ``error`` of the matrix K may move to iη, η = Im ω: K − iη is then singular up to it."""
    size = float(np.linalg.norm(matrix, 2)) if values.size else 0.0
    farthest = size * (error / size) ** (1.0 / values.size) if size > 0.0 else 0.0  # of a block of all
    on = np.abs(values.real) <= np.minimum(condition * error, farthest)
    for j in np.flatnonzero(on):
        shifted = matrix - 1j * values[j].imag * np.eye(values.size)
        on[j] = float(np.linalg.norm(shifted, -2)) <= error
    return on


def gram_matrix(system: SingularSystem) -> Array:
    """The generalised Gram matrix T = ((φ_l, ψ_n)), (r, r)."""
    psi = system.psi[:, : system.rank]
    return np.asarray(system.range.T @ (system.weights[:, None] * psi))


def least_singular(system: SingularSystem) -> tuple[float, float]:
    """The least singular value of T, 1 of a symmetric B, and up to what it counts as zero."""
    r = system.rank
    if r == 0:
        return 1.0, 0.0
    least = float(np.linalg.norm(gram_matrix(system), -2))
    rounding = system.mu.size * np.finfo(float).eps * system.mu[0] / system.mu[r - 1]
    return least, float(min(rounding, np.sqrt(np.finfo(float).eps)))


def invertible(system: SingularSystem) -> bool:
    """T is invertible, beyond rounding."""
    least, zero = least_singular(system)
    return least > zero
