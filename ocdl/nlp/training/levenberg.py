"""Levenberg and Marquardt's method, for sums of squares whose residuals become small."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.nlp.training.model import minimiser
from ocdl.nlp.training.second_order import gain, products_at, rows_at
from ocdl.nlp.training.walk import Ended, Point, Training, Walk

Array = NDArray[np.float64]

FIRST = 1e-3  # damping at the start, relative to the largest diagonal entry of JᵀJ
LEAST = 1e-15  # the same, at least
MOST = 1e15  # the same, from which on no step is left
ACCEPTED, POOR, GOOD = 1e-4, 0.1, 0.25  # shares of the predicted decrease
UP, WORSE, DOWN = 3.0, 2.0, 0.1  # damping after a step that is refused, poor, good
ABSENT = 1e-13  # effort and penalty smaller than this, relative to J and its gradient, are none


@dataclass(frozen=True)
class LevenbergMarquardt(Training):
    """Damped Gauss–Newton steps for J = ½|ρ|² + E, in which only the curvature of the residuals ρ is left out.

        (JᵀJ + E'' + μ) d = −∇J  within bounds and budgets,

    factorised on the smaller side, unknowns or residuals. Quadratically convergent where the residuals vanish, to costs
    of 1e-15 and below; slow where they do not.

    Sources: Moré, Lecture Notes in Math. 630 (1978); Transtrum and Sethna, arXiv:1201.5885 (2012), section 3, for μ;
    Kanzow, Yamashita and Fukushima, J. Comput. Appl. Math. 172 (2004), for bounds.
    """

    max_iterations: int = 1000

    def descend(self, walk: Walk) -> Ended:
        last = walk.iterations + self.max_iterations
        damping = FIRST
        while (ended := walk.stop(self.tolerance, last)) is None:
            squares = Squares.at(walk, self.name)
            found = None
            while found is None and damping < MOST:
                found, share = tried(walk, squares, damping)
                damping = max(LEAST, damping * _change(found, share))
            if found is None:
                return walk.stalled(self.tolerance)
            walk.move(found)
        return ended


def tried(walk: Walk, squares: Squares, damping: float) -> tuple[Point | None, float]:
    """The next point, None where J does not fall; and how much it falls of what was predicted."""
    here = walk.point
    step = minimiser(Damped(squares, damping * squares.scale), walk.feasible, here.v, here.gradient)
    predicted = -float(here.gradient @ step + 0.5 * step @ squares.product(step))
    if not predicted > 0.0:
        return None, -1.0
    found = walk.at(walk.feasible.project(here.v + step))
    share = gain(walk, found, predicted)
    return (found if share > ACCEPTED else None), share


def _change(found: Point | None, share: float) -> float:
    """Lowered much and raised little, so that the valley's walls are left late; small residuals reward it."""
    if found is None:
        return UP
    return DOWN if share > GOOD else 1.0 if share > POOR else WORSE


@dataclass(frozen=True, eq=False)
class Squares:
    """JᵀJ + E'' at one point: ``jacobian`` (R, size), and E'' as its diagonal (size,) or a matrix."""

    jacobian: Array
    regular: Array

    @classmethod
    def at(cls, walk: Walk, method: str) -> Squares:
        """From the walk's residuals and products with its Gauss–Newton matrix. NotSupported where there are none."""
        residuals, jacobian = rows_at(walk, method)
        here, size = walk.point, walk.point.v.size
        rest = here.gradient - residuals @ jacobian
        absent = ABSENT * (abs(here.cost) + float(np.linalg.norm(here.gradient)))
        if abs(here.cost - 0.5 * residuals @ residuals) <= absent and np.linalg.norm(rest) <= absent:
            return cls(jacobian, np.zeros(size))
        products = products_at(walk, method)

        def regular(d: Array) -> Array:
            return products.gauss_newton(d / walk.scale) / walk.scale - jacobian.T @ (jacobian @ d)

        diagonal, signs = regular(np.ones(size)), np.where(np.arange(size) % 2, -1.0, 1.0)
        if np.allclose(regular(signs), signs * diagonal, rtol=1e-6, atol=1e-9 * np.max(np.abs(diagonal))):
            return cls(jacobian, diagonal)
        return cls(jacobian, np.stack([regular(unit) for unit in np.eye(size)], axis=1))

    @property
    def wide(self) -> bool:
        """Whether the residuals are the smaller side."""
        return self.jacobian.shape[0] < self.jacobian.shape[1] and self.regular.ndim == 1

    @cached_property
    def scale(self) -> float:
        """The largest diagonal entry of JᵀJ."""
        return float(np.max(np.einsum("ri,ri->i", self.jacobian, self.jacobian)))

    @cached_property
    def matrix(self) -> Array:
        """JᵀJ + E''."""
        whole = self.jacobian.T @ self.jacobian
        return whole + (np.diag(self.regular) if self.regular.ndim == 1 else self.regular)

    def product(self, d: Array) -> Array:
        """(JᵀJ + E'') d."""
        regular = self.regular * d if self.regular.ndim == 1 else self.regular @ d
        return self.jacobian.T @ (self.jacobian @ d) + regular


@dataclass(frozen=True, eq=False)
class Damped:
    """The model's matrix B = JᵀJ + E'' + ``damping``."""

    squares: Squares
    damping: float

    def product(self, d: Array) -> Array:
        return self.squares.product(d) + self.damping * d

    def solve(self, held: NDArray[np.intp], right: Array) -> tuple[Array, Array]:
        """On the side of the residuals B⁻¹ = D⁻¹ − D⁻¹Jᵀ(1 + J D⁻¹ Jᵀ)⁻¹ J D⁻¹ with D = E'' + damping."""
        free = np.delete(np.arange(len(right)), held)
        solved = np.zeros_like(right)
        solved[free] = self._on(free, right[free])
        return solved, np.column_stack([self.product(d) for d in solved.T])

    def _on(self, free: NDArray[np.intp], right: Array) -> Array:
        squares = self.squares
        if not squares.wide:
            matrix = squares.matrix[np.ix_(free, free)]
            matrix[np.diag_indices_from(matrix)] += self.damping
            return _solved(matrix, right)
        J, D = squares.jacobian[:, free], squares.regular[free, None] + self.damping
        small = J @ (J.T / D)
        small[np.diag_indices_from(small)] += 1.0
        return (right - J.T @ _solved(small, J @ (right / D))) / D


def _solved(matrix: Array, right: Array) -> Array:
    """By Cholesky; NaN where the matrix is not positive definite."""
    try:
        return scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix, check_finite=False), right, check_finite=False)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)
