"""Truncated Newton steps with exact Hessian products: the polish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.nlp.training.feasible import Feasible
from ocdl.nlp.training.second_order import Products, gain, products_at
from ocdl.nlp.training.walk import Ended, Point, Training, Walk

Array = NDArray[np.float64]

ACCEPTED, POOR, GOOD = 1e-4, 0.25, 0.75  # shares of the predicted decrease
SHRINK, GROW = 0.25, 2.0  # of the trust region
MOST = 1000  # products for one step
LEAST = 1e-14  # radius, relative to |v|, below which no step is left
LOOSEST = 0.1  # the residual of Newton's equation, relative to |g|: min(this, √|g|)


@dataclass(frozen=True)
class NewtonCG(Training):
    """Newton's method, its equation solved by conjugate gradients within a trust region, from a good start.

    Negative curvature is followed to the edge of the region. The entries on a bound that −g would leave there are held,
    and steps are projected; budgets are kept by conjugate gradients in their null space. For a polish to 1e-11 where
    J gives products with its Hessian: a product costs a few gradients, whatever the number of unknowns.

    Source: Steihaug, SIAM J. Numer. Anal. 20 (1983); Lin and Moré, SIAM J. Optim. 9 (1999).
    """

    tolerance: float = 1e-11
    max_iterations: int = 200

    def descend(self, walk: Walk) -> Ended:
        last = walk.iterations + self.max_iterations
        size = max(1.0, float(np.linalg.norm(walk.point.v)))
        radius = size
        while (ended := walk.stop(self.tolerance, last)) is None:
            products = products_at(walk, self.name)
            found = None
            while found is None and radius > LEAST * size:
                goal = max(min(LOOSEST, walk.norm**0.5) * walk.norm, 0.1 * self.tolerance)
                found, radius = tried(walk, products, radius, goal)
            if found is None:
                return walk.stalled(self.tolerance)
            walk.move(found)
        return ended


def tried(walk: Walk, products: Products, radius: float, goal: float) -> tuple[Point | None, float]:
    """The next point, None where the region is too large for the model; and the next radius."""
    here, feasible = walk.point, walk.feasible

    def product(d: Array) -> Array:
        return products.hessian(d / walk.scale) / walk.scale

    step = _within(product, feasible, here, radius, goal)
    predicted = -float(here.gradient @ step + 0.5 * step @ product(step))
    length = float(np.linalg.norm(step))
    if not predicted > 0.0:
        return None, SHRINK * radius
    found = walk.at(feasible.project(here.v + step))
    share = gain(walk, found, predicted)
    if share < POOR:
        radius = SHRINK * min(length, radius)
    elif share > GOOD and length > 0.9 * radius:
        radius *= GROW
    return (found if share > ACCEPTED else None), radius


def _within(product: Callable[[Array], Array], feasible: Feasible, here: Point, radius: float, goal: float) -> Array:
    """A feasible step: of conjugate gradients on the face, projected, or cut at the first bound where J rises so."""
    free = ~feasible.held(here.v, here.gradient)
    rows = feasible.rows * free

    def tangent(d: Array) -> Array:
        d = np.where(free, d, 0.0)
        for row in rows[np.any(rows != 0.0, axis=1)]:
            d -= (row @ d) / (row @ row) * row
        return d

    step = steihaug(lambda d: tangent(product(d)), tangent(here.gradient), radius, goal)
    inside = feasible.project(here.v + step) - here.v
    if here.gradient @ inside < 0.0:
        return inside
    return min(1.0, feasible.longest(here.v, step)) * step


def steihaug(product: Callable[[Array], Array], g: Array, radius: float, goal: float) -> Array:
    """Nearly the minimiser of gᵀd + ½ dᵀH d in |d| ≤ ``radius``: conjugate gradients to a residual of ``goal``, to the
    edge, or along negative curvature to the edge.
    """
    d, residual = np.zeros_like(g), -g
    direction, square = residual, float(g @ g)
    for _ in range(min(2 * g.size, MOST)):
        if square**0.5 <= goal:
            break
        image = product(direction)
        curvature = float(direction @ image)
        length = square / curvature if curvature > 0.0 else np.inf
        edge = _to_edge(d, direction, radius)
        if length >= edge:
            return d + edge * direction
        d = d + length * direction
        residual = residual - length * image
        before, square = square, float(residual @ residual)
        direction = residual + (square / before) * direction
    return d


def _to_edge(d: Array, direction: Array, radius: float) -> float:
    """τ > 0 with |d + τ direction| = radius."""
    a, b, c = float(direction @ direction), float(d @ direction), float(d @ d) - radius**2
    root = max(b * b - a * c, 0.0) ** 0.5
    return -c / (b + root) if b > 0.0 else (root - b) / a
