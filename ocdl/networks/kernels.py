"""Kernels: what the matrix K of a layer is made of, a full matrix or one of fewer or of structured entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.layout import Part


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


def _check_rank(kernel: Kernel, rank: Any) -> None:
    if rank is not None and not (is_whole(rank) and rank >= 1):
        raise InvalidInput(f"{type(kernel).__name__}(rank={rank!r}): a rank is a whole number, at least 1.")
