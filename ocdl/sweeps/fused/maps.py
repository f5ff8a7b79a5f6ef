"""Affine maps of controls and parameters to the entries of an array, by what is cheapest: a view, a take, a product."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

DENSE = 4096  # entries of a matrix up to which a dense product is quicker than a sparse one


class LinearMap(Protocol):
    """w (Q, columns) ↦ A w (Q, rows)."""

    def of(self, w: Array) -> Array: ...

    def add_transposed(self, slopes: Array, into: Array) -> None:
        """into += Aᵀ slopes."""
        ...


@dataclass(frozen=True, eq=False)
class Take:
    """One entry for each row, none of them twice, times a factor (None for 1); of a slice without factor a view."""

    index: Indices | slice
    factor: Array | float | None

    def of(self, w: Array) -> Array:
        taken = w[:, self.index] if isinstance(self.index, slice) else w.take(self.index, axis=1)
        return taken if self.factor is None else taken * self.factor

    def add_transposed(self, slopes: Array, into: Array) -> None:
        into[:, self.index] += slopes if self.factor is None else slopes * self.factor


@dataclass(frozen=True, eq=False)
class Product:
    """A matrix, dense or sparse."""

    matrix: Any
    transposed: Any

    def of(self, w: Array) -> Array:
        return np.asarray(w @ self.transposed)

    def add_transposed(self, slopes: Array, into: Array) -> None:
        into += slopes @ self.matrix


def linear_map(matrix: Any) -> LinearMap | None:
    """The map of a sparse matrix; None where it is zero."""
    matrix.eliminate_zeros()
    if matrix.nnz == 0:
        return None
    index, data = matrix.indices.astype(np.intp), matrix.data
    if np.all(np.diff(matrix.indptr) == 1) and np.bincount(index).max() == 1:
        same = bool(np.all(data == data[0]))
        factor = (None if data[0] == 1.0 else float(data[0])) if same else data.copy()
        consecutive = bool(np.all(np.diff(index) == 1))
        return Take(slice(int(index[0]), int(index[-1]) + 1) if consecutive else index, factor)
    matrix = matrix.toarray() if matrix.shape[0] * matrix.shape[1] <= DENSE else matrix
    return Product(matrix, np.ascontiguousarray(matrix.T) if isinstance(matrix, np.ndarray) else matrix.T.tocsr())


@dataclass(frozen=True, eq=False)
class AffineMap:
    """(u (Q, m), p (P,)) ↦ c + A u + B p, (Q, *shape)."""

    shape: tuple[int, ...]
    by_u: LinearMap | None
    by_p: LinearMap | None
    constant: Array | None

    def value(self, u: Array, p: Array) -> Array:
        return self._sum(u, p, self.constant)

    def linear(self, du: Array, dp: Array) -> Array:
        """A du + B dp."""
        return self._sum(du, dp, None)

    def _sum(self, u: Array, p: Array, constant: Array | None) -> Array:
        same = constant
        if self.by_p is not None:
            by_p = self.by_p.of(p[None])
            same = by_p if same is None else by_p + same
        if self.by_u is not None:
            by_u = self.by_u.of(u)
            whole = by_u if same is None else by_u + same
        else:  # of all layers the same
            whole = np.broadcast_to(np.zeros(1) if same is None else same, (len(u), math.prod(self.shape)))
        return whole.reshape(len(u), *self.shape)

    def add_transposed(self, slopes: Array, by_u: Array, by_p: Array) -> None:
        """by_u += Aᵀ slopes, row by row, and by_p += Bᵀ slopes, of all rows."""
        flat = slopes.reshape(len(by_u), -1)
        if self.by_u is not None:
            self.by_u.add_transposed(flat, by_u)
        if self.by_p is not None:
            self.by_p.add_transposed(flat.sum(axis=0, keepdims=True), by_p[None])

    def add_rows_transposed(self, slopes: Array, by_u: Array, by_p: Array) -> None:
        """The same of R slopes (Q, *shape, R): by_u (R, Q, m), by_p (R, P)."""
        Q, by_row = by_u.shape[1], slopes.reshape(by_u.shape[1], -1, by_u.shape[0])
        if self.by_u is not None:
            for q in range(Q):
                self.by_u.add_transposed(by_row[q].T, by_u[:, q])
        if self.by_p is not None:
            self.by_p.add_transposed(by_row.sum(axis=0).T, by_p)


def affine_map(shape: tuple[int, ...], by_u: Any, by_p: Any, constant: Any) -> AffineMap:
    """The map of sparse matrices by u (size, m) and p (size, P), and the constant (size, 1)."""
    c = constant.toarray()[:, 0]
    return AffineMap(shape, linear_map(by_u), linear_map(by_p), c if np.any(c) else None)
