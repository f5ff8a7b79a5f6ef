"""Integral operators on L²(Y) by quadrature, and their singular systems.

    (Bf)(y) = ∫_Y b(y, z) f(z) dz,   B̂ = W^{½} b W^{½},  W = diag(w):

f ↦ √w∘f carries L²(Y) with the inner product Σ w_i f_i g_i to Rᴹ, and B to the matrix B̂. Its eigenvalues, singular
values, symmetric part and norms are those of the operator, and don't change scale as the grid is refined.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.arrays import Array, finite_array, is_real
from ocdl.callables import called
from ocdl.errors import InvalidInput
from ocdl.statement.width import Nodes, Width

Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class SingularSystem:
    """B = Σ_l μ_l (ψ_l, ·) φ_l: μ (M,) falling, φ and ψ (M, M), values of functions at the nodes a column each,
    orthonormal in L²(Y); those of μ_l ≤ ``cut`` count as zero, ``rank`` are above.
    """

    mu: Array
    phi: Array
    psi: Array
    cut: float
    weights: Array

    @property
    def rank(self) -> int:
        return int(np.sum(self.mu > self.cut))

    @property
    def range(self) -> Array:
        """φ_1, …, φ_rank, (M, rank): a basis of R(B)."""
        return self.phi[:, : self.rank]

    @property
    def null_space(self) -> Array:
        """ψ_l of μ_l = 0, (M, M − rank): a basis of N(B)."""
        return self.psi[:, self.rank :]


@dataclass(frozen=True, eq=False)
class KernelOperator:
    """B of a kernel b[i, j] = b(y_i, z_j), (M, M), on nodes y and weights w (see the module's formula)."""

    kernel: Array
    nodes: Nodes

    def __post_init__(self) -> None:
        b, M = finite_array("KernelOperator(kernel, ...)", self.kernel), self.nodes.size
        if b.shape != (M, M):
            raise InvalidInput(
                f"KernelOperator(kernel, ...): {M} nodes need a kernel of shape ({M}, {M}); got {b.shape}."
            )
        object.__setattr__(self, "kernel", b)

    @classmethod
    def of(cls, kernel: Callable[[Array, Array], Any] | Any, width: Width, domain: Any = (0.0, 1.0)) -> KernelOperator:
        """kernel: b(y, z) of nodes that broadcast, y (M, 1) and z (1, M) ((M, 1, n) and (1, M, n) in n dimensions); or
        values (M, M), or one number. width: a quadrature such as ``GaussLegendre(24)``. domain: Y.
        """
        nodes = _nodes(width, domain)
        y = nodes.points
        values = (
            called("kernel", "y and z", kernel, y[:, None].copy(), y[None, :].copy()) if callable(kernel) else kernel
        )
        b = finite_array("kernel", values)
        if b.ndim < 2:
            b = np.broadcast_to(b, (nodes.size, nodes.size))
        return cls(b, nodes)

    @classmethod
    def finite_rank(
        cls, mu: Any, phi: Callable[[Array], Any], psi: Callable[[Array], Any], width: Width, domain: Any = (0.0, 1.0)
    ) -> KernelOperator:
        """B = Σ_l μ_l (ψ_l, ·) φ_l. mu: (r,). phi, psi: functions of the nodes with values (r, M), or such arrays."""
        nodes = _nodes(width, domain)
        factors = finite_array("mu", mu)
        p, q = (
            finite_array(name, called(name, "the nodes y", given, nodes.points.copy()) if callable(given) else given)
            for name, given in (("phi", phi), ("psi", psi))
        )
        expected = (factors.size, nodes.size)
        if factors.ndim != 1 or p.shape != expected or q.shape != expected:
            raise InvalidInput(
                f"KernelOperator.finite_rank(mu, phi, psi): r numbers need φ and ψ of shape (r, M) = {expected}; got "
                f"mu {factors.shape}, phi {p.shape}, psi {q.shape}."
            )
        return cls(p.T @ (factors[:, None] * q), nodes)

    @property
    def weights(self) -> Array:
        return np.asarray(self.nodes.weights)

    @cached_property
    def matrix(self) -> Array:
        """B̂ = W^{½} b W^{½}."""
        root = np.sqrt(self.weights)
        return root[:, None] * self.kernel * root

    def __call__(self, f: Array) -> Array:
        """Bf at the nodes, of f (..., M)."""
        out: Array = (f * self.weights) @ self.kernel.T
        return out

    def inner(self, f: Array, g: Array) -> Array:
        """(f, g) = ∫ f g dy, over the last axis."""
        return np.asarray(np.sum(self.weights * f * g, axis=-1))

    def norm(self, f: Array) -> Array:
        """‖f‖ in L²(Y), over the last axis."""
        return np.sqrt(self.inner(f, f))

    @property
    def adjoint(self) -> KernelOperator:
        """Bᵀ, of the kernel b(z, y)."""
        return KernelOperator(self.kernel.T, self.nodes)

    @property
    def symmetric_part(self) -> KernelOperator:
        """B_s = ½(B + Bᵀ)."""
        return KernelOperator(0.5 * (self.kernel + self.kernel.T), self.nodes)

    @cached_property
    def eigenvalues(self) -> Complex:
        """Of B, (M,), by real part from the least."""
        found = np.linalg.eigvals(self.matrix).astype(complex)
        return found[np.argsort(found.real, kind="stable")]

    @cached_property
    def least_symmetric(self) -> float:
        """λ_min of B_s: the largest c with (Bv, v) ≥ c ‖v‖²."""
        return float(scipy.linalg.eigvalsh(self.symmetric_part.matrix, subset_by_index=(0, 0))[0])

    @cached_property
    def spectral_norm(self) -> float:
        """‖B‖ as an operator of L²(Y), μ_1."""
        return float(np.linalg.norm(self.matrix, 2))

    @property
    def hilbert_schmidt_norm(self) -> float:
        """‖b‖ in L²(Y × Y)."""
        return float(np.linalg.norm(self.matrix))

    @property
    def rounding(self) -> float:
        """What rounding alone can move an eigenvalue of B_s or a singular value of B: M ε ‖B‖."""
        return float(self.nodes.size * np.finfo(float).eps * self.spectral_norm)

    def is_symmetric(self) -> bool:
        """B = Bᵀ, to rounding."""
        return bool(np.linalg.norm(self.matrix - self.matrix.T) <= 2.0 * self.rounding)

    def singular_system(self, tolerance: float | None = None) -> SingularSystem:
        """By the weighted SVD of B̂. tolerance: singular values up to tolerance·μ_1 count as zero; M ε by default."""
        if tolerance is not None and not (is_real(tolerance) and 0.0 <= tolerance < 1.0):
            raise InvalidInput(f"singular_system(tolerance={tolerance!r}): a number from 0 to below 1 is needed.")
        left, mu, right = np.linalg.svd(self.matrix)
        root = np.sqrt(self.weights)
        cut = self.rounding if tolerance is None else float(tolerance) * float(mu[0])
        return SingularSystem(mu, left / root[:, None], right.T / root[:, None], cut, self.weights)


def _nodes(width: Any, domain: Any) -> Nodes:
    if not isinstance(width, Width):
        raise InvalidInput(f"KernelOperator(width={width!r}): give a quadrature such as ocdl.GaussLegendre(24).")
    return width.on(domain)
