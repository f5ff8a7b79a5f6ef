"""Tensor splines at many points by numpy: sums of products of B-splines, the recursion of Cox and de Boor by axes.

Source: de Boor, A practical guide to splines (2001), chapters IX, X and XVII.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.arrays import Array


@dataclass(frozen=True, eq=False)
class TensorSpline:
    """Σ c[i, j, ...] N_i(x₁) N_j(x₂) ..., whose outer pieces go on beyond the ends.

    knots: an increasing row for each axis, with repetitions. coefficients: an axis each. degrees: of the pieces.
    """

    knots: tuple[Array, ...]
    coefficients: Array
    degrees: tuple[int, ...]

    @classmethod
    def through(cls, points: Sequence[Array], values: Array, degree: int) -> TensorSpline:
        """The interpolant of values on a grid, with the not-a-knot condition at its ends."""
        knots, coefficients = [], values
        for axis, row in enumerate(points):
            spline = scipy.interpolate.make_interp_spline(row, np.moveaxis(coefficients, axis, 0), k=degree)
            coefficients = np.moveaxis(spline.c, 0, axis)
            knots.append(spline.t)
        return cls(tuple(knots), coefficients, (degree,) * len(knots))

    def __call__(self, x: Array) -> Array:
        """Values (K,) at the columns of x (n, K)."""
        bases = [_basis(*axis) for axis in zip(self.knots, self.degrees, x, strict=True)]
        values = np.zeros(x.shape[1])
        for part in product(*(range(degree + 1) for degree in self.degrees)):
            place = tuple(first + i for (first, _), i in zip(bases, part, strict=True))
            values += np.prod([b[i] for (_, b), i in zip(bases, part, strict=True)], axis=0) * self.coefficients[place]
        return values

    def slope(self, axis: int) -> TensorSpline:
        """The derivative along an axis."""
        t, degree, c = self.knots[axis], self.degrees[axis], np.moveaxis(self.coefficients, axis, -1)
        c = degree * np.diff(c) / (t[degree + 1 : -1] - t[1 : -degree - 1])
        knots, degrees = list(self.knots), list(self.degrees)
        knots[axis], degrees[axis] = t[1:-1], degree - 1
        return TensorSpline(tuple(knots), np.moveaxis(c, -1, axis), tuple(degrees))


def _basis(t: Array, degree: int, x: Array) -> tuple[NDArray[np.intp], Array]:
    """Of the B-splines on the piece of each x: the number of the first (K,), and their values (degree + 1, K)."""
    piece = np.clip(np.searchsorted(t, x, side="right") - 1, degree, t.size - degree - 2)
    basis = np.ones((1, x.size))
    for d in range(1, degree + 1):
        ends = [(t[piece + i - d], t[piece + i]) for i in range(1, d + 1)]
        share = np.array([(x - low) / (high - low) for low, high in ends]) * basis
        basis = np.concatenate([basis - share, np.zeros((1, x.size))])
        basis[1:] += share
    return piece - degree, basis
