"""Quadratic forms in named unknowns, from which unknowns are eliminated: extremised out, with their inertia counted.

With M = [P B; Bᵀ C], P of what goes: C − Bᵀ P⁻¹ B is left, and the inertia of M is that of P and of what is left
(Sylvester, Haynsworth). Directions in which P vanishes stay, as new unknowns. So the inertia of a whole KKT matrix is
told layer by layer: positive definite on the null space of its constraints exactly where M has as many positive
eigenvalues as there are variables (Gould, Math. Programming 32 (1985)).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

NULL = 1e-9  # an eigenvalue of a matrix whose rows are of size one
NOTHING = 1e-14  # an entry, as a share of the largest
_new = count(1)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """P = V diag(1/λ)⁻¹ Vᵀ on its range, ``null`` directions beside it; scaled so that sizes are comparable."""

    values: Array
    vectors: Array
    null: Array

    @classmethod
    def of(cls, P: Array, size: float) -> Spectrum:
        """Of a symmetric matrix; entries far below ``size`` are nothing."""
        P = np.where(np.abs(P) > NOTHING * size, P, 0.0)
        scale = np.ones(len(P))
        for _ in range(4):
            row = np.max(np.abs(scale[:, None] * P * scale), axis=1, initial=0.0)
            scale /= np.sqrt(np.where(row > 0.0, row, 1.0))
        values, vectors = np.linalg.eigh(scale[:, None] * P * scale)
        there = np.abs(values) > NULL
        vectors = scale[:, None] * vectors
        return cls(values[there], vectors[:, there], vectors[:, ~there])

    @property
    def positive(self) -> int:
        return int(np.sum(self.values > 0.0))

    @property
    def negative(self) -> int:
        return int(np.sum(self.values < 0.0))

    def solve(self, right: Array) -> Array:
        """P⁺ right, in the scaled sense: nothing along the null directions."""
        return np.asarray(self.vectors @ ((self.vectors.T @ right) / self.values[:, None]))


@dataclass(frozen=True, eq=False)
class Quadratic:
    """½ vᵀ M v in the unknowns ``names`` (K,), M (K, K); ``positive``, ``negative``: eigenvalues eliminated so far."""

    names: Indices
    M: Array
    positive: int = 0
    negative: int = 0

    def place(self, names: Indices) -> Indices:
        """Where unknowns are."""
        order = np.argsort(self.names)
        return np.asarray(order[np.searchsorted(self.names, names, sorter=order)])

    def block(self, rows: Indices, columns: Indices) -> Array:
        return np.asarray(self.M[np.ix_(self.place(rows), self.place(columns))])

    def among(self, names: Indices) -> Quadratic:
        """The form where all other unknowns vanish."""
        return Quadratic(names, self.block(names, names), self.positive, self.negative)

    def with_unknowns(self, names: Indices) -> Quadratic:
        """The same form with more unknowns, on which it does not depend."""
        every = np.union1d(self.names, names)
        wider = Quadratic(every, np.zeros((every.size, every.size)), self.positive, self.negative)
        at = wider.place(self.names)
        wider.M[np.ix_(at, at)] = self.M
        return wider

    def add(self, names: Indices, block: Array) -> None:
        at = self.place(names)
        np.add.at(self.M, np.ix_(at, at), block)

    def spectrum(self, names: Indices) -> Spectrum:
        return Spectrum.of(self.block(names, names), float(np.max(np.abs(self.M), initial=0.0)))

    def without(self, names: Indices) -> Quadratic:
        """Extremised over ``names``; directions without curvature stay, under new names (negative numbers)."""
        rest = np.setdiff1d(self.names, names)
        found, across = self.spectrum(names), self.block(names, rest)
        new = np.array([-next(_new) for _ in range(found.null.shape[1])], dtype=np.int64)
        left = Quadratic(
            np.concatenate([rest, new]),
            np.zeros((rest.size + new.size,) * 2),
            self.positive + found.positive,
            self.negative + found.negative,
        )
        left.M[: rest.size, : rest.size] = self.block(rest, rest) - across.T @ found.solve(across)
        left.M[rest.size :, : rest.size] = found.null.T @ across
        left.M[: rest.size, rest.size :] = left.M[rest.size :, : rest.size].T
        return left

    def solved(self, names: Indices) -> tuple[Quadratic, Indices, Array]:
        """Extremised over ``names`` that equations determine (as many of them are multipliers as variables), what is
        left, and their response (names, rest) to it: v = response · rest.
        """
        rest = np.setdiff1d(self.names, names)
        across = self.block(names, rest)
        response = np.asarray(-np.linalg.solve(self.block(names, names), across), dtype=float)
        M = self.block(rest, rest) + across.T @ response
        half = names.size // 2
        left = Quadratic(rest, 0.5 * (M + M.T), self.positive + half, self.negative + half)
        return left, rest, response
