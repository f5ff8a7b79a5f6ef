"""Width: quadratures on Y, the method of lines for ∫ · dz.

A rule on [0, 1] is a subclass of ``IntervalRule`` with ``reference()`` and its ``exactness``; nodal values
stand for a polynomial unless its ``basis`` says otherwise.
Sources: Trefethen, "Is Gauss quadrature better than Clenshaw–Curtis?", SIAM Review 50 (2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
import scipy

from ocdl.arrays import LARGEST, SMALLEST, Array, fits_memory, is_whole, real_array, shown
from ocdl.errors import InvalidInput

Domain = Any  # (lower, upper), or one such pair per dimension


@dataclass(frozen=True, eq=False)
class Nodes:
    """Width nodes y, shape (M,) on an interval or (M, n) in n dimensions, and weights w (M,) > 0;
    as a rule of its own it is the user's quadrature, taken as it stands.
    """

    points: Any
    weights: Any

    exactness = 0  # nothing is known of it
    approximation = 1.0

    def __post_init__(self) -> None:
        points, weights = real_array("Nodes(points, ...)", self.points), real_array("Nodes(..., weights)", self.weights)
        if points.ndim not in (1, 2) or weights.ndim != 1 or len(points) != len(weights) or weights.size == 0:
            raise InvalidInput(
                "Nodes(points, weights): M points of shape (M,) or (M, n) need M weights, M ≥ 1; "
                f"got shapes {points.shape} and {weights.shape}."
            )
        if not np.all(np.isfinite(points)):
            raise InvalidInput("Nodes(points, ...): points must be finite; got NaN or infinity.")
        if not np.all(np.isfinite(weights)) or np.any(weights < SMALLEST):
            raise InvalidInput(
                f"Nodes(..., weights): weights must be positive, at least {SMALLEST:.1e}, and finite; the smallest is "
                f"{np.min(weights):g}."
            )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "weights", weights)

    @property
    def size(self) -> int:
        """Number of nodes M."""
        return int(self.weights.size)

    def on(self, domain: Domain) -> Nodes:
        pairs, axes = intervals(domain), np.atleast_2d(self.points.T)
        if len(pairs) != len(axes):
            raise InvalidInput(
                f"Nodes(points of shape {self.points.shape}): the domain {domain} has {len(pairs)} dimension(s)."
            )
        if not all(np.all((lo <= y) & (y <= hi)) for (lo, hi), y in zip(pairs, axes, strict=True)):
            raise InvalidInput(f"Nodes(points, ...): every point must lie in the domain {domain}.")
        return self

    def interpolation(self, domain: Domain, at: Array) -> Array:
        """As ``IntervalRule.interpolation``, of functions constant as far as each node is the nearest."""
        apart = at.reshape(len(at), 1, -1) - self.points.reshape(1, self.size, -1)
        return np.eye(self.size)[np.argmin(np.sum(apart**2, axis=-1), axis=1)]


@dataclass(frozen=True)
class IntervalRule:
    """A quadrature with ``count`` nodes on an interval."""

    count: int

    least = 1
    approximation = inf  # the order at which nodal values of a smooth function give it back, in L²(Y)

    def __post_init__(self) -> None:
        if not is_whole(self.count) or self.count < self.least:
            raise InvalidInput(
                f"{type(self).__name__}({self.count!r}): the number of width nodes must be a whole number, "
                f"at least {self.least}."
            )
        said = f"{type(self).__name__}({shown(self.count)})"
        fits_memory(said, "points and weights of so many nodes", min(self.count, LARGEST), 32.0)

    @property
    def size(self) -> int:
        """Number of nodes M."""
        return int(self.count)

    @property
    def exactness(self) -> int:
        """The highest degree of polynomials integrated exactly."""
        raise NotImplementedError

    def reference(self) -> tuple[Array, Array]:
        """Nodes and weights on [0, 1]."""
        raise NotImplementedError

    def on(self, domain: Domain) -> Nodes:
        pairs = intervals(domain)
        if len(pairs) != 1:
            raise InvalidInput(
                f"{self!r}: a rule on an interval cannot cover the {len(pairs)}-dimensional domain {domain}; "
                "use TensorProduct(rule, rule, ...)."
            )
        (lower, upper), (y, w) = pairs[0], self.reference()
        return Nodes(lower + (upper - lower) * y, (upper - lower) * w)

    def basis(self, at: Array) -> Array:
        """(K, M): at places (K,) of [0, 1] the functions of which nodal values are the coefficients, polynomials."""
        return np.asarray(scipy.interpolate.BarycentricInterpolator(self.reference()[0], np.eye(self.count))(at))

    def interpolation(self, domain: Domain, at: Array) -> Array:
        """(K, M): the matrix that takes nodal values to values of the function they stand for, at places of Y."""
        ((lower, upper),) = intervals(domain)
        return self.basis((at - lower) / (upper - lower))


class Midpoint(IntervalRule):
    """Equal cells, a node in the middle of each: piecewise-constant functions of y."""

    approximation = 1.0

    @property
    def exactness(self) -> int:
        return 1

    def reference(self) -> tuple[Array, Array]:
        return (np.arange(self.count) + 0.5) / self.count, np.full(self.count, 1.0 / self.count)

    def basis(self, at: Array) -> Array:
        return np.eye(self.count)[np.clip((at * self.count).astype(int), 0, self.count - 1)]


class Trapezoid(IntervalRule):
    """Equidistant nodes with both ends: piecewise-linear functions of y."""

    least = 2
    approximation = 2.0

    @property
    def exactness(self) -> int:
        return 1

    def reference(self) -> tuple[Array, Array]:
        w = np.full(self.count, 1.0 / (self.count - 1))
        w[[0, -1]] *= 0.5
        return np.linspace(0.0, 1.0, self.count), w

    def basis(self, at: Array) -> Array:
        return np.maximum(0.0, 1.0 - np.abs(at[:, None] * (self.count - 1) - np.arange(self.count)))


class GaussLegendre(IntervalRule):
    """Gauss–Legendre nodes."""

    @property
    def exactness(self) -> int:
        return 2 * self.count - 1

    def reference(self) -> tuple[Array, Array]:
        y, w = np.polynomial.legendre.leggauss(self.count)
        return 0.5 * (1.0 + y), 0.5 * w


class ClenshawCurtis(IntervalRule):
    """Chebyshev extreme points with both ends."""

    least = 2

    @property
    def exactness(self) -> int:
        return self.count if self.count % 2 else self.count - 1

    def reference(self) -> tuple[Array, Array]:
        """w_k = (c_k/n) (1 − Σ_{j=1}^{n/2} β_j cos(2jθ_k)/(4j² − 1)), n = count − 1."""
        n = self.count - 1
        theta = np.pi * np.arange(self.count) / n
        j = np.arange(1, n // 2 + 1)
        beta = np.where(2 * j == n, 1.0, 2.0)
        w = (1.0 - np.cos(2.0 * np.outer(theta, j)) @ (beta / (4.0 * j**2 - 1.0))) * 2.0 / n
        w[[0, -1]] *= 0.5
        return 0.5 * (1.0 - np.cos(theta)), 0.5 * w


@dataclass(frozen=True, init=False)
class TensorProduct:
    """Nodes on a box of R^n: one interval rule per dimension, the last varying fastest."""

    rules: tuple[IntervalRule, ...]

    def __init__(self, *rules: IntervalRule) -> None:
        if not rules or not all(isinstance(rule, IntervalRule) for rule in rules):
            raise InvalidInput("TensorProduct(*rules): give one rule on an interval per dimension, e.g. Midpoint(4).")
        object.__setattr__(self, "rules", rules)

    @property
    def size(self) -> int:
        """Number of nodes M."""
        return prod(rule.size for rule in self.rules)

    @property
    def exactness(self) -> int:
        return min(rule.exactness for rule in self.rules)

    @property
    def approximation(self) -> float:
        return min(rule.approximation for rule in self.rules)

    def interpolation(self, domain: Domain, at: Array) -> Array:
        """As ``IntervalRule.interpolation``, of products of their functions; at: (K, n)."""
        out = np.ones((len(at), 1))
        for rule, pair, y in zip(self.rules, intervals(domain), at.T, strict=True):
            out = (out[:, :, None] * rule.interpolation(pair, y)[:, None, :]).reshape(len(at), -1)
        return out

    def on(self, domain: Domain) -> Nodes:
        pairs = intervals(domain)
        if len(pairs) != len(self.rules):
            raise InvalidInput(
                f"{self!r}: {len(self.rules)} rules for the {len(pairs)}-dimensional domain {domain}; "
                "give the problem a domain such as ((0, 1), (0, 1))."
            )
        parts = [rule.on(pair) for rule, pair in zip(self.rules, pairs, strict=True)]
        points = np.stack([g.ravel() for g in np.meshgrid(*(p.points for p in parts), indexing="ij")], axis=1)
        weights = np.prod([g.ravel() for g in np.meshgrid(*(p.weights for p in parts), indexing="ij")], axis=0)
        return Nodes(points, weights)


Width = IntervalRule | TensorProduct | Nodes


def intervals(domain: Domain) -> list[tuple[float, float]]:
    """The domain Y as a list of (lower, upper), one per dimension."""
    try:
        pairs = real_array("domain", domain)
    except InvalidInput:
        pairs = np.zeros(0)
    pairs = pairs[None, :] if pairs.ndim == 1 else pairs
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.all(np.isfinite(pairs)) or np.any(pairs[:, 0] >= pairs[:, 1]):
        raise InvalidInput(
            f"domain={domain!r}: the domain is an interval (lower, upper) or one interval per dimension, lower < upper."
        )
    return [(float(lo), float(hi)) for lo, hi in pairs]
