"""What second-order methods ask of a ``ReducedCost`` beyond J and its gradient, and what they make of it.

products(w): v ↦ ∇²J(w) v, and (JᵀJ + E'') v without the curvature of the residuals;
rows(w): residuals ρ (R,) and their Jacobian J (R, size), where J(w) = ½|ρ|² + E with effort and penalty E;
residuals(w): ρ alone.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.errors import NotSupported
from ocdl.nlp.training.walk import Point, Walk

Array = NDArray[np.float64]

VISIBLE = 10.0  # times the noise of J: decreases that can be told from it


class Products(Protocol):
    """Products with the second derivatives at one w, Euclidean."""

    def hessian(self, v: Array) -> Array:
        """∇²J v."""
        ...

    def gauss_newton(self, v: Array) -> Array:
        """(JᵀJ + E'') v."""
        ...


def products_at(walk: Walk, method: str) -> Products:
    """The products at the walk's point. NotSupported where J has none."""
    made: Products = _asked(walk, "products", f"{method}: J of this problem gives no products with its Hessian")
    return made


def rows_at(walk: Walk, method: str) -> tuple[Array, Array]:
    """ρ (R,) and its Jacobian in the scaled variables, (R, size). NotSupported where J is no sum of squares."""
    residuals, jacobian = _asked(walk, "rows", f"{method}: J of this problem gives no residuals of least squares")
    return residuals, jacobian / walk.scale


def residuals_at(walk: Walk, v: Array) -> Array:
    """ρ (R,) alone, at v."""
    return np.asarray(walk.reduced.residuals(v / walk.scale))


def offers(walk: Walk, name: str) -> bool:
    """Whether J of this problem has ``products`` or ``rows``; nothing is evaluated."""
    return bool(getattr(walk.reduced, f"has_{name}", False))


def _asked(walk: Walk, name: str, refusal: str) -> Any:
    if not offers(walk, name):
        raise NotSupported(f"{refusal}; use LBFGS or InteriorPoint.")
    return getattr(walk.reduced, name)(walk.point.v / walk.scale)


def gain(walk: Walk, found: Point, predicted: float) -> float:
    """How much J falls of what was ``predicted``; where rounding hides it, by the trapezoidal rule on its gradient."""
    here = walk.point
    if not (np.isfinite(found.cost) and np.all(np.isfinite(found.gradient))):
        return -1.0
    fallen, noise = here.cost - found.cost, walk.noise
    if predicted > VISIBLE * noise:
        return fallen / predicted
    if fallen < -VISIBLE * noise:
        return -1.0
    return float((here.gradient + found.gradient) @ (here.v - found.v)) / (2.0 * predicted)
