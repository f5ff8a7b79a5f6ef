"""Levenberg and Marquardt's method, for sums of squares whose residuals become small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.nlp.training.model import minimiser
from ocdl.nlp.training.second_order import gain, products_at, residuals_at, rows_at
from ocdl.nlp.training.walk import Ended, Point, Training, Walk

Array = NDArray[np.float64]

FIRST = 1e-3  # damping at the start, relative to the largest diagonal entry of JᵀJ
LEAST = 1e-15  # the same, at least
MOST = 1e15  # the same, from which on no step is left
ACCEPTED, POOR, GOOD, SURE = 1e-4, 0.1, 0.25, 0.5  # shares of the predicted decrease
AHEAD = 0.1  # of a step, over which the residuals' second derivative is a difference
BENT = 0.75  # 2|a|/|d| from which the path bends too much for its parabola
UP, STEEPER = 3.0, 1.5  # damping after a step that is refused, and after each further one that much more
WORSE, DOWN = 2.0, 0.2  # after one that is poor, good
ABSENT = 1e-13  # effort and penalty smaller than this, relative to J and its gradient, are none


@dataclass(frozen=True)
class LevenbergMarquardt(Training):
    """Damped Gauss–Newton steps for J = ½|ρ|² + E, in which only the curvature of the residuals ρ is left out.

        (JᵀJ + E'' + μ) d = −∇J  within bounds and budgets,

    factorised on the smaller side, unknowns or residuals, and followed along the parabola d + a/2 with the geodesic
    acceleration a, (JᵀJ + E'' + μ) a = −Jᵀρ'', ρ'' along d; where that bends too much, d alone has to earn half of what
    it predicts. Quadratically convergent where the residuals vanish, to costs of 1e-15 and below; slow where they do
    not.

    Sources: Moré, Lecture Notes in Math. 630 (1978); Transtrum and Sethna, arXiv:1201.5885 (2012), sections 3 and 4,
    for μ and a; Kanzow, Yamashita and Fukushima, J. Comput. Appl. Math. 172 (2004), for bounds.
    """

    max_iterations: int = 1000

    def descend(self, walk: Walk) -> Ended:
        last = walk.iterations + self.max_iterations
        damping = FIRST
        while (ended := walk.stop(self.tolerance, last)) is None:
            squares = Squares.at(walk, self.name)
            found, up = None, UP
            while found is None and damping < MOST:
                found, share = tried(walk, squares, damping)
                damping, up = max(LEAST, damping * (up if found is None else _change(share))), STEEPER * up
            if found is None:
                return walk.stalled(self.tolerance)
            walk.move(found)
        return ended


def tried(walk: Walk, squares: Squares, damping: float) -> tuple[Point | None, float]:
    """The next point, None where J does not fall enough; and how much it falls of what was predicted."""
    here, model = walk.point, Damped(squares, damping * squares.scale)
    step = minimiser(model, walk.feasible, here.v, here.gradient)
    predicted = -float(here.gradient @ step + 0.5 * step @ squares.product(step))
    if not predicted > 0.0:
        return None, -1.0
    bend = acceleration(walk, squares, model, step)
    straight = bool(2.0 * np.linalg.norm(bend) <= BENT * np.linalg.norm(step))
    found = walk.at(walk.feasible.project(here.v + step + (0.5 * bend if straight else 0.0)))
    share = gain(walk, found, predicted)
    return (found if share > (ACCEPTED if straight else SURE) else None), share


def acceleration(walk: Walk, squares: Squares, model: Damped, step: Array) -> Array:
    """a on the entries that the step leaves inside the box; 0 where sums are given."""
    v, low, high = walk.point.v, walk.feasible.low, walk.feasible.high
    if walk.feasible.sums:
        return np.zeros(v.size)
    change = residuals_at(walk, v + AHEAD * step) - squares.residuals
    second = 2.0 / AHEAD * (change / AHEAD - squares.jacobian @ step)
    held = (v + step <= low) | (v + step >= high)
    pull = np.where(held, 0.0, second @ squares.jacobian)
    return -model.solve(np.flatnonzero(held), pull[:, None])[0][:, 0]


def _change(share: float) -> float:
    """Lowered much and raised little, so that the valley's walls are left late; small residuals reward it."""
    return DOWN if share > GOOD else 1.0 if share > POOR else WORSE


@dataclass(frozen=True, eq=False)
class Squares:
    """JᵀJ + E'' at one point: ``residuals`` (R,), ``jacobian`` (R, size), and E'', its diagonal (size,) or a matrix."""

    residuals: Array
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
            return cls(residuals, jacobian, np.zeros(size))
        products = products_at(walk, method)

        def regular(d: Array) -> Array:
            return products.gauss_newton(d / walk.scale) / walk.scale - jacobian.T @ (jacobian @ d)

        diagonal, signs = regular(np.ones(size)), np.where(np.arange(size) % 2, -1.0, 1.0)
        if np.allclose(regular(signs), signs * diagonal, rtol=1e-6, atol=1e-9 * np.max(np.abs(diagonal))):
            return cls(residuals, jacobian, diagonal)
        return cls(residuals, jacobian, np.stack([regular(unit) for unit in np.eye(size)], axis=1))

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
        if self.regular.ndim == 2:
            return whole + self.regular
        whole[np.diag_indices_from(whole)] += self.regular
        return whole

    def product(self, d: Array) -> Array:
        """(JᵀJ + E'') d."""
        regular = self.regular * d if self.regular.ndim == 1 else self.regular @ d
        return self.jacobian.T @ (self.jacobian @ d) + regular


class Damped:
    """The model's matrix B = JᵀJ + E'' + ``damping``, and the last of its factors."""

    def __init__(self, squares: Squares, damping: float) -> None:
        self.squares, self.damping = squares, damping
        self._held: bytes | None = None
        self._solver: Callable[[Array], Array]

    def product(self, d: Array) -> Array:
        return self.squares.product(d) + self.damping * d

    def solve(self, held: NDArray[np.intp], right: Array) -> tuple[Array, Array]:
        """On the side of the residuals B⁻¹ = D⁻¹ − D⁻¹Jᵀ(1 + J D⁻¹ Jᵀ)⁻¹ J D⁻¹ with D = E'' + damping."""
        free = np.delete(np.arange(len(right)), held)
        if self._held != held.tobytes():
            self._held, self._solver = held.tobytes(), self._on(free)
        solved = np.zeros_like(right)
        solved[free] = self._solver(right[free])
        return solved, np.column_stack([self.product(d) for d in solved.T])

    def _on(self, free: NDArray[np.intp]) -> Callable[[Array], Array]:
        squares, all_free = self.squares, free.size == self.squares.jacobian.shape[1]
        if not squares.wide:
            matrix = squares.matrix.copy() if all_free else squares.matrix[np.ix_(free, free)]
            matrix[np.diag_indices_from(matrix)] += self.damping
            return _inverse(matrix)
        J = squares.jacobian if all_free else squares.jacobian[:, free]
        D = squares.regular[free, None] + self.damping
        small = J @ (J.T / D)
        small[np.diag_indices_from(small)] += 1.0
        inverse = _inverse(small)
        return lambda right: (right - J.T @ inverse(J @ (right / D))) / D


def _inverse(matrix: Array) -> Callable[[Array], Array]:
    """By Cholesky, over the matrix; to NaN where it is not positive definite."""
    try:
        factor = scipy.linalg.cho_factor(matrix.T, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return lambda right: np.full_like(right, np.nan)
    return lambda right: np.asarray(scipy.linalg.cho_solve(factor, right, check_finite=False))
