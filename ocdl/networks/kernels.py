"""Kernels: what the matrix K of a layer is made of, a full matrix or one of fewer or of structured entries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_real, is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.layout import Part
from ocdl.statement.stability import check_margin


@dataclass(frozen=True)
class Kernel:
    """K (n, n) as a function of controls. A new kernel is a subclass with ``parts`` and ``matrix``.

    What is bounded and regularised are its controls, each entry once.
    """

    def parts(self, n: int) -> tuple[Part, ...]:
        """The controls for width n."""
        raise NotImplementedError(f"{type(self).__name__} has no parts")

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        """K (n, n)."""
        raise NotImplementedError(f"{type(self).__name__} has no matrix")


class DenseKernel(Kernel):
    """K, all of its n² entries."""

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("K", ("y", "z"), (n, n)),)

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        return u["K"]


class SymmetricKernel(Kernel):
    """K = Kᵀ of the entries ``k`` of its upper triangle row by row, (n(n + 1)/2,)."""

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("k", ("pair",), (n * (n + 1) // 2,)),)

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        places = np.zeros((n, n), dtype=int)
        places[np.triu_indices(n)] = np.arange(n * (n + 1) // 2)
        return _placed(u["k"], np.maximum(places, places.T))


@dataclass(frozen=True)
class GramKernel(Kernel):
    """K = BᵀB ≥ 0 with B (rank, n); rank n by default."""

    rank: int | None = None

    def __post_init__(self) -> None:
        _check_rank(self, self.rank)

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("B", ("rank", "z"), (self.rank or n, n)),)

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        return u["B"].T @ u["B"]


@dataclass(frozen=True)
class DissipativeKernel(Kernel):
    """K = −(GᵀG + A − Aᵀ + γ), with which B = −K has B_s = GᵀG + γ ≥ γ; γ = ``margin`` ≥ 0.

    G (n, n), and the entries of A above its diagonal row by row, (n(n − 1)/2,). Every K with B_s ≥ γ is one.
    """

    margin: float = 0.0

    def __post_init__(self) -> None:
        check_margin(self)

    def parts(self, n: int) -> tuple[Part, ...]:
        above = (Part("A", ("pair",), (n * (n - 1) // 2,)),) if n > 1 else ()
        return Part("G", ("rank", "z"), (n, n)), *above

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        symmetric = u["G"].T @ u["G"] + self.margin * ca.DM.eye(n)
        return -symmetric if n == 1 else -symmetric - _antisymmetric(u["A"], n)


@dataclass(frozen=True)
class BoundedKernel(Kernel):
    """K = c M / √(1 + |M|²) with M (n, n) and |M|² = Σ M_ij²: smooth, and every K with |K| < c once; c = ``most`` > 0.

    ‖K‖ ≤ |K| < c in every layer, so that differences grow at most by exp(c T sup |σ'|).
    """

    most: float = 1.0

    def __post_init__(self) -> None:
        if not (is_real(self.most) and math.isfinite(self.most) and self.most > 0.0):
            raise InvalidInput(f"BoundedKernel(most={self.most!r}): the bound must be positive and finite.")

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("M", ("y", "z"), (n, n)),)

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        return self.most * u["M"] / ca.sqrt(1.0 + ca.sumsqr(u["M"]))


class ConvolutionKernel(Kernel):
    """K_ij = b_{i−j}, a kernel b(y − z) on equidistant nodes; b (2n − 1,) from lag −(n − 1) to n − 1."""

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("b", ("lag",), (2 * n - 1,)),)

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        return _placed(u["b"], np.subtract.outer(np.arange(n), np.arange(n)) + n - 1)


@dataclass(frozen=True)
class LowRankKernel(Kernel):
    """K = U Vᵀ with U and V (n, rank)."""

    rank: int = 1

    def __post_init__(self) -> None:
        _check_rank(self, self.rank)

    def parts(self, n: int) -> tuple[Part, ...]:
        return Part("U", ("y", "rank"), (n, self.rank)), Part("V", ("z", "rank"), (n, self.rank))

    def matrix(self, u: Mapping[str, Any], n: int) -> Any:
        return u["U"] @ u["V"].T


def _placed(values: Any, places: NDArray[Any]) -> Any:
    """The matrix with entry (i, j) = values[places[i, j]]."""
    return ca.reshape(values[places.ravel(order="F").tolist()], *places.shape)


def _antisymmetric(above: Any, n: int) -> Any:
    """The matrix with entries ``above`` its diagonal, and below it their negatives."""
    places = np.zeros((n, n), dtype=int)
    places[np.triu_indices(n, 1)] = 1 + np.arange(n * (n - 1) // 2)
    return _placed(ca.vertcat(0, above, -above), places + np.where(places.T > 0, places.T + places.max(), 0))


def _check_rank(kernel: Kernel, rank: Any) -> None:
    if rank is not None and not (is_whole(rank) and rank >= 1):
        raise InvalidInput(f"{type(kernel).__name__}(rank={rank!r}): a rank is a whole number, at least 1.")
