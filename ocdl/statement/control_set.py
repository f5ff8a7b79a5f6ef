"""Control sets beyond boxes: what (a_i, b_ij) ∈ A ⊂ R², or a finite set of values, means for a selection problem.

(a_i, b_ij) ∈ A for every j, with one a_i for all of them. The pre-activation a_i − Σ_j w_j b_ij f_j is largest where

    a − F⁺ β⁻(a) + F⁻ β⁺(a),   F± = Σ_j w_j max(±f_j, 0),   β± the ends of the slice of A at a,

is; b_ij = β⁻(a) where f_j > 0 and β⁺(a) where f_j < 0. Where all f_j have one sign, (a, β) is the point of A that is
extreme in the direction (1, −∫f). The smallest pre-activation is minus the largest over −A.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", (4.9) and (4.10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import casadi as ca
import numpy as np
import scipy

from ocdl.arrays import Array, finite_array, is_real
from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Box
from ocdl.statement.velocity_box import VelocityBox

OUTLINE = 64  # points of a curved boundary by which sets are compared


class ControlSet:
    """What the controls may be; ``box`` is the smallest one around it, named as the controls are."""

    @property
    def box(self) -> Box:
        raise NotImplementedError(f"{type(self).__name__} has no box")

    def violation(self, controls: Mapping[str, Array]) -> float:
        """The largest distance from the set, about, of named ``controls``, e.g. a (N, M) and b (N, M, M)."""
        raise NotImplementedError(f"{type(self).__name__} knows no distance")


@dataclass(frozen=True)
class PairSet(ControlSet):
    """A convex compact A ⊂ R² for all pairs (a_i, b_ij).

    A new one answers: which ``slice`` it has at a, which a is ``extreme``, which ``rows`` are ≤ 0 inside it, and which
    points span its ``outline``.
    """

    def slice(self, a: Array) -> tuple[Array, Array]:
        """β⁻(a) and β⁺(a)."""
        raise NotImplementedError(f"{type(self).__name__} has no slices")

    def extreme(self, minus: Array, plus: Array, sign: float) -> Array:
        """a of the largest sign·(a − F⁺ β(a) + F⁻ β'(a)), for F⁺ = ``plus`` and F⁻ = ``minus`` ≥ 0."""
        raise NotImplementedError(f"{type(self).__name__} has no extreme points")

    @property
    def centre(self) -> tuple[float, float]:
        raise NotImplementedError(f"{type(self).__name__} has no centre")

    def rows(self, a: Any, b: Any) -> list[Any]:
        """Expressions in a and b of one pair, numbers, arrays or symbols, all ≤ 0 in the set; distances, about."""
        raise NotImplementedError(f"{type(self).__name__} has no rows")

    @property
    def outline(self) -> Array:
        """Points (K, 2) of the boundary whose hull is the set, about."""
        raise NotImplementedError(f"{type(self).__name__} has no outline")

    @property
    def box(self) -> Box:
        (a, b), (a_high, b_high) = self.outline.min(axis=0), self.outline.max(axis=0)
        return Box(a=(a, a_high), b=(b, b_high))

    def violation(self, controls: Mapping[str, Array]) -> float:
        a, b = np.broadcast_arrays(controls["a"][..., None], controls["b"])
        return max(0.0, *(float(np.max(row, initial=-np.inf)) for row in self.rows(a, b)))

    def within(self, other: ControlSet) -> bool:
        """Whether all of the set, to the resolution of its outline, lies in ``other``."""
        a, b = self.outline.T[:, :, None]
        return other.violation({"a": a, "b": b[:, :, None]}) <= 1e-9

    def synthesis(self, f: Array, weights: Array, sign: float) -> tuple[Array, Array]:
        """a (...,) and b (..., M) of the largest (sign 1) or smallest (−1) pre-activation at f (..., M)."""
        plus, minus = np.maximum(f, 0.0) @ weights, np.maximum(-f, 0.0) @ weights
        a = self.extreme(minus, plus, sign)
        low, high = (end[..., None] for end in self.slice(a))
        return a, np.where(sign * f > 0.0, low, np.where(f == 0.0, 0.5 * (low + high), high))


@dataclass(frozen=True)
class Disc(PairSet):
    """(a − a₀)² + (b − b₀)² ≤ R²."""

    middle: tuple[float, float] = (0.0, 0.0)
    radius: float = 1.0

    def __post_init__(self) -> None:
        if finite_array("Disc(middle=...)", self.middle).shape != (2,):
            raise InvalidInput(f"Disc(middle={self.middle!r}): the centre is a pair (a, b).")
        if not (is_real(self.radius) and 0.0 < self.radius < np.inf):
            raise InvalidInput(f"Disc(radius={self.radius!r}): the radius must be positive.")

    @property
    def centre(self) -> tuple[float, float]:
        return self.middle

    def rows(self, a: Any, b: Any) -> list[Any]:
        R = self.radius
        return [((a - self.middle[0]) ** 2 + (b - self.middle[1]) ** 2 - R**2) / (2.0 * R)]

    @property
    def outline(self) -> Array:
        angle = 2.0 * np.pi * np.arange(OUTLINE) / OUTLINE  # a multiple of four: the box is exact
        return np.asarray(self.middle) + self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def slice(self, a: Array) -> tuple[Array, Array]:
        half = np.sqrt(np.maximum(self.radius**2 - (a - self.middle[0]) ** 2, 0.0))
        return self.middle[1] - half, self.middle[1] + half

    def extreme(self, minus: Array, plus: Array, sign: float) -> Array:
        """The point of the disc in the direction (±1, F⁺ + F⁻)."""
        return np.asarray(self.middle[0] + sign * self.radius / np.sqrt(1.0 + (plus + minus) ** 2))


@dataclass(frozen=True)
class Polygon(PairSet):
    """The convex hull of ``vertices`` (V, 2), pairs (a, b)."""

    vertices: Any = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))

    def __post_init__(self) -> None:
        points = finite_array("Polygon(vertices=...)", self.vertices)
        if points.ndim != 2 or points.shape[1] != 2 or np.linalg.matrix_rank(points - points[0]) < 2:
            raise InvalidInput("Polygon(vertices=...): at least three points (a, b), not on one line, are needed.")
        object.__setattr__(self, "vertices", tuple((float(a), float(b)) for a, b in points))

    @property
    def _points(self) -> Array:
        return np.unique(np.asarray(self.vertices, dtype=float), axis=0)

    def rows(self, a: Any, b: Any) -> list[Any]:
        """n · (a, b) − c ≤ 0 with the unit normals n of the edges."""
        corners = self.outline
        edge = np.roll(corners, -1, axis=0) - corners
        normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / np.linalg.norm(edge, axis=1)[:, None]
        return [n[0] * (a - corner[0]) + n[1] * (b - corner[1]) for n, corner in zip(normal, corners, strict=True)]

    @property
    def outline(self) -> Array:
        """The vertices of the hull, counter-clockwise."""
        return np.asarray(self._points[scipy.spatial.ConvexHull(self._points).vertices])

    @property
    def centre(self) -> tuple[float, float]:
        a, b = self._points.mean(axis=0)
        return float(a), float(b)

    def slice(self, a: Array) -> tuple[Array, Array]:
        """The lower and upper hull at a: least and largest b of the segments between any two vertices."""
        points = self._points
        low, high = np.full(np.shape(a), np.inf), np.full(np.shape(a), -np.inf)
        for one in points:
            for other in points:
                if other[0] < one[0]:
                    continue
                inside = (a >= one[0] - 1e-12) & (a <= other[0] + 1e-12)
                width = other[0] - one[0]
                share = np.clip((a - one[0]) / width, 0.0, 1.0) if width > 0.0 else np.zeros(np.shape(a))
                b = one[1] + share * (other[1] - one[1])
                low, high = np.where(inside & (b < low), b, low), np.where(inside & (b > high), b, high)
        return low, high

    def extreme(self, minus: Array, plus: Array, sign: float) -> Array:
        """The objective is concave and piecewise linear in a: it is largest at a vertex."""
        corners = np.unique(self._points[:, 0])
        low, high = self.slice(corners)
        first, second = (low, high) if sign > 0.0 else (high, low)
        values = sign * (corners - plus[..., None] * first + minus[..., None] * second)
        return np.asarray(corners[np.argmax(values, axis=-1)])


@dataclass(frozen=True, init=False)
class Finite(ControlSet):
    """Finitely many values for every control by name, e.g. ``Finite(a=(-1, 0, 1), b=(-1, 1))``."""

    values: tuple[tuple[str, tuple[float, ...]], ...]

    def __init__(self, **values: Sequence[float]) -> None:
        sets = []
        for name, given in values.items():
            numbers = np.unique(finite_array(f"Finite({name}=...)", given))
            if np.ndim(given) != 1 or numbers.size < 2:
                raise InvalidInput(f"Finite({name}={given!r}): at least two different numbers are needed.")
            sets.append((name, tuple(float(v) for v in numbers)))
        if not sets:
            raise InvalidInput("Finite(): give the values of every control, e.g. Finite(a=(-1, 1), b=(-1, 1)).")
        object.__setattr__(self, "values", tuple(sets))

    @property
    def box(self) -> Box:
        return Box(**{name: (numbers[0], numbers[-1]) for name, numbers in self.values})

    def violation(self, controls: Mapping[str, Array]) -> float:
        return max(
            float(np.max(np.min(np.abs(controls[name][..., None] - np.array(numbers)), axis=-1), initial=0.0))
            for name, numbers in self.values
        )

    def __repr__(self) -> str:
        sets = (f"{name}=({', '.join(f'{v:g}' for v in numbers)})" for name, numbers in self.values)
        return f"Finite({', '.join(sets)})"


@dataclass(frozen=True, eq=False)
class SetVelocities(VelocityBox):
    """The attainable velocities where (a_i, b_ij) ranges over a control set: a box of extreme pre-activations."""

    controls_in: PairSet

    @classmethod
    def within(cls, box: VelocityBox, controls: PairSet) -> SetVelocities:
        return cls(**{f.name: getattr(box, f.name) for f in fields(VelocityBox)}, controls_in=controls)

    @property
    def of_a_box(self) -> bool:
        return False

    def preactivations(self, f: Array) -> tuple[Array, Array]:
        ends = []
        for sign in (-1.0, 1.0):
            a, b = self.controls_in.synthesis(f, self.weights, sign)
            ends.append(np.repeat((a - np.sum(b * self.weights * f, axis=-1))[..., None], self.width, axis=-1))
        return ends[0], ends[1]


def path_rows(set_: PairSet, u: Any, M: int) -> Any:
    """The rows ≤ 0 that keep all pairs (a_i, b_ij) of the controls u = [a, b row by row] in ``set_``."""
    a, b = u[:M], u[M:]
    rows = [row for i in range(M) for j in range(M) for row in set_.rows(a[i], b[i * M + j])]
    return ca.vertcat(*rows)
