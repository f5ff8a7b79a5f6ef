"""Populations: initial data as a distribution μ, and the points with weights that stand for it in a problem.

    E g = ∫ g dμ ≈ Σ_s ω_s g(x_s):   by Gauss's quadrature in low dimension,   independent draws (error ~ S^{−½}),
    or scrambled Sobol points (towards S^{−1} for smooth g).

A population is a subclass with its ``dimension``, ``draw`` and, where there is one, ``quadrature``.
Sources: Liu and Theodorou (2019), "Deep learning theory review", (MF-OCP); Owen (1997), "Monte Carlo variance of
scrambled net quadrature".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy

from ocdl.arrays import Array, finite_array, fits_memory, is_whole
from ocdl.errors import InvalidInput, NotSupported


class Points(NamedTuple):
    """Points (S, d) and weights ω (S,) of sum 1."""

    points: Array
    weights: Array


@dataclass(frozen=True, eq=False)
class Population:
    """A distribution of initial data in R^d."""

    @property
    def dimension(self) -> int:
        """d."""
        raise NotImplementedError(f"{type(self).__name__} has no dimension")

    def sample(self, count: int, *, seed: int) -> Points:
        """Independent draws of equal weight."""
        _check_count(f"{type(self).__name__}.sample", count)
        return _equal(self._drawn(np.random.default_rng(seed), count))

    def quasi(self, count: int, *, seed: int) -> Points:
        """Scrambled Sobol points of equal weight; best for powers of 2. Raises NotSupported where there is no map."""
        _check_count(f"{type(self).__name__}.quasi", count)
        power = math.ceil(math.log2(count))
        sobol = scipy.stats.qmc.Sobol(self._uniforms, scramble=True, rng=np.random.default_rng(seed))
        uniform = np.clip(sobol.random_base2(power)[:count], np.finfo(float).tiny, 1.0 - np.finfo(float).eps)
        return _equal(self._mapped(uniform))

    def quadrature(self, count: int) -> Points:
        """Gauss's quadrature with ``count`` nodes a dimension. Raises NotSupported where there is none."""
        raise NotSupported(f"{type(self).__name__}.quadrature: there is none; take sample or quasi.")

    @property
    def _uniforms(self) -> int:
        """How many uniform numbers make one point."""
        return self.dimension

    def _drawn(self, generator: np.random.Generator, count: int) -> Array:
        return self._mapped(generator.random((count, self._uniforms)))

    def _mapped(self, uniform: Array) -> Array:
        """Points (S, d) of uniform numbers (S, ·) in (0, 1)."""
        raise NotSupported(f"{type(self).__name__}.quasi: there is no map from uniform numbers; take sample.")


@dataclass(frozen=True, eq=False)
class Normal(Population):
    """N(mean, covariance): mean (d,) or a number; covariance (d, d), variances (d,), or one for all."""

    mean: Any = 0.0
    covariance: Any = 1.0
    _root: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        mean = np.atleast_1d(finite_array("Normal(mean=...)", self.mean))
        given = finite_array("Normal(covariance=...)", self.covariance)
        d = max(mean.size, len(given) if given.ndim else 1)
        covariance = given if given.ndim == 2 else np.diag(np.broadcast_to(given, (d,)))
        if mean.ndim != 1 or mean.size not in (1, d) or covariance.shape != (d, d):
            raise InvalidInput(
                f"Normal(mean, covariance): (d,) and (d, d) are needed; got {mean.shape} and {given.shape}."
            )
        values, vectors = np.linalg.eigh(covariance)
        if not np.array_equal(covariance, covariance.T) or values[0] < -1e-12 * max(values[-1], 0.0) or values[-1] < 0:
            raise InvalidInput(
                f"Normal(covariance=...): a symmetric matrix without negative eigenvalues is needed; the least is "
                f"{values[0]:g}."
            )
        object.__setattr__(self, "mean", np.broadcast_to(mean, (d,)).copy())
        object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "_root", vectors * np.sqrt(np.maximum(values, 0.0)))

    @property
    def dimension(self) -> int:
        return len(self.mean)

    def quadrature(self, count: int) -> Points:
        z, w = np.polynomial.hermite_e.hermegauss(_checked_nodes(self, count))
        points, weights = _tensor([(z, w / w.sum())] * self.dimension)
        return Points(self.mean + points @ self._root.T, weights)

    def _mapped(self, uniform: Array) -> Array:
        return np.asarray(self.mean + scipy.special.ndtri(uniform) @ self._root.T)


@dataclass(frozen=True, eq=False)
class Uniform(Population):
    """The uniform distribution on the box Π [lower_i, upper_i]."""

    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        ends = (finite_array(f"Uniform({name}=...)", getattr(self, name)) for name in ("lower", "upper"))
        lower, upper = (np.array(end) for end in np.broadcast_arrays(*(np.atleast_1d(end) for end in ends)))
        if lower.ndim != 1 or np.any(lower >= upper):
            raise InvalidInput(
                f"Uniform(lower={self.lower!r}, upper={self.upper!r}): numbers or (d,) with lower < upper are needed."
            )
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @property
    def dimension(self) -> int:
        return len(self.lower)

    def quadrature(self, count: int) -> Points:
        y, w = np.polynomial.legendre.leggauss(_checked_nodes(self, count))
        points, weights = _tensor([(y, 0.5 * w)] * self.dimension)
        return Points(self._mapped(0.5 * (1.0 + points)), weights)

    def _mapped(self, uniform: Array) -> Array:
        return np.asarray(self.lower + (self.upper - self.lower) * uniform)


@dataclass(frozen=True, eq=False)
class Mixture(Population):
    """Σ_j weights_j parts_j, equal by default."""

    parts: Sequence[Population]
    weights: Any = None

    def __post_init__(self) -> None:
        parts = tuple(self.parts) if isinstance(self.parts, Sequence) else ()
        if not parts or not all(isinstance(part, Population) for part in parts):
            raise InvalidInput("Mixture(parts=...): a list of populations is needed, such as [Normal(-1), Normal(1)].")
        if len({part.dimension for part in parts}) > 1:
            raise InvalidInput(
                f"Mixture(parts=...): parts of one dimension are needed; got {[part.dimension for part in parts]}."
            )
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "weights", _shares("Mixture(weights=...)", self.weights, len(parts)))

    @property
    def dimension(self) -> int:
        return self.parts[0].dimension

    def quadrature(self, count: int) -> Points:
        found = [part.quadrature(count) for part in self.parts]
        weights = [share * one.weights for share, one in zip(self.weights, found, strict=True)]
        return Points(np.concatenate([one.points for one in found]), np.concatenate(weights))

    @property
    def _uniforms(self) -> int:
        return 1 + max(part._uniforms for part in self.parts)

    def _mapped(self, uniform: Array) -> Array:
        ends = np.cumsum(self.weights)
        which = np.minimum(np.searchsorted(ends, uniform[:, 0], side="right"), len(self.parts) - 1)
        points = np.empty((len(uniform), self.dimension))
        for j, part in enumerate(self.parts):
            points[which == j] = part._mapped(uniform[which == j, 1 : 1 + part._uniforms])
        return points


@dataclass(frozen=True, eq=False)
class Empirical(Population):
    """The points (S, d) themselves, each with its weight, equal by default: what data say of a population."""

    points: Any
    weights: Any = None

    def __post_init__(self) -> None:
        points = finite_array("Empirical(points=...)", self.points)
        points = points[:, None] if points.ndim == 1 else points
        if points.ndim != 2 or not len(points):
            raise InvalidInput(f"Empirical(points=...): points (S, d) are needed; got {np.shape(self.points)}.")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "weights", _shares("Empirical(weights=...)", self.weights, len(points)))

    @property
    def dimension(self) -> int:
        return int(self.points.shape[1])

    @property
    def all(self) -> Points:
        """Every point with its weight: the population itself."""
        return Points(self.points, self.weights)

    @property
    def _uniforms(self) -> int:
        return 1

    def _mapped(self, uniform: Array) -> Array:
        which = np.searchsorted(np.cumsum(self.weights), uniform[:, 0], side="right")
        return np.asarray(self.points[np.minimum(which, len(self.points) - 1)])


def _equal(points: Array) -> Points:
    return Points(points, np.full(len(points), 1.0 / len(points)))


def _tensor(axes: list[tuple[Array, Array]]) -> Points:
    points = np.stack([g.ravel() for g in np.meshgrid(*(y for y, _ in axes), indexing="ij")], axis=1)
    weights = np.prod([g.ravel() for g in np.meshgrid(*(w for _, w in axes), indexing="ij")], axis=0)
    return Points(points, weights)


def _checked_nodes(population: Population, count: Any) -> int:
    said = f"{type(population).__name__}.quadrature"
    _check_count(said, count)
    if count > 160:
        raise InvalidInput(f"{said}({count}): at most 160 nodes a dimension are computed; take sample or quasi.")
    fits_memory(f"{said}({count})", "the points of all dimensions", float(count) ** population.dimension, 100.0)
    return int(count)


def _check_count(said: str, count: Any) -> None:
    if not (is_whole(count) and count >= 1):
        raise InvalidInput(f"{said}(count={count!r}): a whole number, at least 1, is needed.")


def _shares(name: str, given: Any, size: int) -> Array:
    values = np.ones(size) if given is None else finite_array(name, given)
    if values.shape != (size,) or np.any(values <= 0.0):
        raise InvalidInput(f"{name}: {size} positive numbers are needed; got {given!r}.")
    return np.asarray(values / values.sum())
