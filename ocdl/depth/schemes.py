"""Depth: Runge–Kutta tableaux, collocation, and the mesh of layers.

A depth scheme is a tableau (A, b, c), an order, a mesh, and the shape of the controls in a layer. To add one, subclass
``DepthScheme`` (or ``Collocation``) and give its ``tableau``; sweeps, transcription and tests find it.
Sources: Hairer, Nørsett and Wanner, "Solving ordinary differential equations I", chapter II;
Hairer and Wanner, II, section IV.5 (Gauss, Radau IIA).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from math import factorial
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from ocdl.arrays import LARGEST, Array, finite_array, fits_memory, is_whole, real_array, shown
from ocdl.depth.control_shapes import ControlShape, PiecewiseConstant, lagrange
from ocdl.errors import InvalidInput

EXACT = 1e-10  # of the conditions of a tableau
HIGHEST = 8  # order up to which they are checked
MOST_STAGES = 100  # of a collocation; a tableau takes about 4e-9 degree⁴ seconds
MOST_SHOWN = 6  # layer widths that a scheme's name lists


@dataclass(frozen=True, eq=False)
class Tableau:
    """x⁺ = x + h Σ b_i k_i with k_i = φ(t + c_i h, x + h Σ_j a_ij k_j); A (s, s), b (s,), c (s,).

    Raises InvalidInput where shapes disagree, Σ b ≠ 1, c is not the sum of the rows of A, or an order condition up to
    the stated order is violated: all of them up to order 4, above it those of quadrature and of tall trees.
    """

    A: Array
    b: Array
    c: Array
    order: int

    def __post_init__(self) -> None:
        for name in ("A", "b", "c"):
            object.__setattr__(self, name, finite_array(f"Tableau({name}=...)", getattr(self, name)))
        s = self.b.size
        if s < 1 or self.b.shape != (s,) or self.c.shape != (s,) or self.A.shape != (s, s):
            raise InvalidInput(
                "Tableau(A, b, c, order): s stages need the shapes (s, s), (s,) and (s,); "
                f"got {self.A.shape}, {self.b.shape} and {self.c.shape}."
            )
        if not is_whole(self.order) or self.order < 1:
            raise InvalidInput(f"Tableau(order={shown(self.order)}): the order is a whole number, at least 1.")
        rows = self.A.sum(axis=1)
        i = int(np.argmax(np.abs(rows - self.c)))
        if abs(rows[i] - self.c[i]) > EXACT:
            raise InvalidInput(
                f"Tableau(c=...): c holds the sums of the rows of A; row {i} sums to {rows[i]:.12g}, c[{i}] is "
                f"{self.c[i]:.12g}."
            )
        for order, said, value, right in _conditions(self.A, self.b, self.c):
            if order <= self.order and abs(value - right) > EXACT:
                raise InvalidInput(
                    f"Tableau(order={self.order}): order {order} needs {said} = {right:.12g}; got {value:.12g}."
                )

    @property
    def stages(self) -> int:
        return int(self.b.size)

    @property
    def key(self) -> tuple[bytes, bytes, bytes]:
        """What tells it from others."""
        return self.A.tobytes(), self.b.tobytes(), self.c.tobytes()

    @cached_property
    def explicit(self) -> bool:
        return bool(np.all(np.triu(self.A) == 0.0))

    @property
    def stiffly_accurate(self) -> bool:
        """The last stage is the end of the layer."""
        return bool(np.array_equal(self.A[-1], self.b))

    @property
    def collocates(self) -> bool:
        """The stages lie on a polynomial of degree s whose slope there is φ: Σ_j a_ij c_j^{k−1} = c_i^k / k, k ≤ s."""
        distinct = np.unique(self.c).size == self.stages
        moments = (np.abs(self.A @ self.c ** (k - 1) - self.c**k / k) for k in range(1, self.stages + 1))
        return distinct and all(bool(np.all(moment <= EXACT)) for moment in moments)


def _conditions(A: Array, b: Array, c: Array) -> Iterator[tuple[int, str, float, float]]:
    """Order, formula, value and right value of conditions for the order (Hairer, Nørsett and Wanner, table II.2.2)."""
    tall = np.ones(c.size)
    for k in range(1, HIGHEST + 1):
        yield k, "Σ b" if k == 1 else f"b·c^{k - 1}", float(b @ c ** (k - 1)), 1.0 / k
        yield k, f"b·A^{k - 1} 1", float(b @ tall), 1.0 / factorial(k)
        tall = A @ tall
    yield 4, "b·(c ∘ A c)", float(b @ (c * (A @ c))), 1.0 / 8.0
    yield 4, "b·A c²", float(b @ (A @ c**2)), 1.0 / 12.0


def explicit_tableau(rows: Sequence[Sequence[float]], b: Sequence[float], order: int) -> Tableau:
    """A tableau from the rows below the diagonal; c_i = Σ_j a_ij."""
    A = np.zeros((len(b), len(b)))
    for i, row in enumerate(rows, start=1):
        A[i, : len(row)] = row
    return Tableau(A, np.array(b, dtype=float), A.sum(axis=1), order)


class Layers(Protocol):
    """What sweeps and constraints need of a depth scheme; also of a mesh that is none the user chose."""

    @property
    def tableau(self) -> Tableau: ...

    @property
    def controls(self) -> ControlShape: ...

    @property
    def condensed(self) -> bool: ...

    @property
    def count(self) -> int: ...

    def mesh(self, horizon: float) -> Array: ...


@dataclass(frozen=True, repr=False)
class DepthScheme:
    """Base of the depth schemes.

    layers: the number N of equal layers, or their widths h_k, which must sum to the horizon (a free horizon scales
        them).
    controls: how controls vary in a layer: ``PiecewiseConstant()``, ``PiecewiseLinear()`` or ``PerStage()``.
    """

    layers: int | Sequence[float]
    controls: ControlShape = field(default=PiecewiseConstant(), kw_only=True)
    condensed: ClassVar[bool] = False  # the direct route eliminates the stages of a layer: multiple shooting

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls).get("tableau")
        if own is not None and not isinstance(own, Tableau) and not hasattr(own, "__get__"):
            raise InvalidInput(f"{cls.__name__}.tableau = {shown(own)}: give an ocdl.Tableau(A, b, c, order).")

    def __repr__(self) -> str:
        given = {
            f.name: getattr(self, f.name) for f in fields(self) if not f.kw_only or getattr(self, f.name) != f.default
        }
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in given.items())
        return f"{type(self).__name__}({shown})"

    def __post_init__(self) -> None:
        said = f"{type(self).__name__}(layers={_shown(self.layers)})"
        if not isinstance(self.controls, ControlShape):
            raise InvalidInput(
                f"{type(self).__name__}(controls={self.controls!r}): give PiecewiseConstant(), PiecewiseLinear() or "
                "PerStage()."
            )
        if isinstance(self.layers, (bool, str)):
            raise InvalidInput(f"{said}: layers is a positive whole number or the layer widths.")
        if isinstance(self.layers, (int, np.integer)):
            if self.layers < 1:
                raise InvalidInput(f"{said}: a network needs at least one layer; got {self.layers}.")
            fits_memory(said, "depths and widths of so many layers", min(self.layers, LARGEST), 32.0)
            return
        try:
            widths = real_array("layers", self.layers)
        except InvalidInput:
            raise InvalidInput(f"{said}: layers is a positive whole number or the layer widths.") from None
        if widths.ndim != 1 or widths.size == 0:
            raise InvalidInput(f"{said}: layers is a positive whole number or a list of layer widths.")
        if not np.all(np.isfinite(widths)) or np.any(widths <= 0.0):
            raise InvalidInput(f"{said}: layer widths must be positive and finite.")
        object.__setattr__(self, "layers", tuple(float(width) for width in widths))

    @property
    def tableau(self) -> Tableau:
        raise InvalidInput(f"{type(self).__name__} has no tableau: give one, an ocdl.Tableau(A, b, c, order).")

    @property
    def count(self) -> int:
        """Number of layers N."""
        return int(self.layers) if isinstance(self.layers, (int, np.integer)) else len(self.layers)

    @property
    def control_rows(self) -> int:
        """Number Q of rows of the controls u (Q, m): N where they are constant in a layer."""
        if not self.controls.suits(self.tableau.c):
            raise InvalidInput(f"{self!r}: {self.controls} needs a scheme whose stages lie at different depths.")
        return self.controls.rows(self.count, self.tableau.stages)

    def with_layers(self, layers: int | Sequence[float]) -> Self:
        """The same scheme on another mesh."""
        return replace(self, layers=layers)

    def mesh(self, horizon: float) -> Array:
        """Nodes t_0 = 0 < ... < t_N = T, shape (N+1,)."""
        if isinstance(self.layers, (int, np.integer)):
            return _equal_layers(int(self.layers), horizon).copy()
        nodes = np.concatenate([[0.0], np.cumsum(self.layers)])
        if abs(nodes[-1] - horizon) > 1e-9 * horizon:
            raise InvalidInput(
                f"{type(self).__name__}(layers=<{self.count} widths>): the layer widths must sum to the horizon "
                f"{horizon:g}; they sum to {nodes[-1]:g}."
            )
        nodes[-1] = horizon
        return nodes


@lru_cache(maxsize=16)
def _equal_layers(count: int, horizon: float) -> Array:
    return np.linspace(0.0, horizon, count + 1)


def _shown(value: object) -> str:
    """A field as the user would write it, long lists of widths abbreviated."""
    if isinstance(value, (tuple, list, np.ndarray)) and len(value) > MOST_SHOWN:
        return f"<{len(value)} widths>"
    return value.__name__ if isinstance(value, type) else shown(value)


class ExplicitEuler(DepthScheme):
    """x⁺ = x + h φ(x): a residual network. Order 1."""

    tableau = explicit_tableau([], [1.0], 1)


class ImprovedEuler(DepthScheme):
    """Heun's method, the trapezoidal rule with an Euler predictor. Order 2."""

    tableau = explicit_tableau([[1.0]], [0.5, 0.5], 2)


class Kutta3(DepthScheme):
    """Kutta's method of order 3."""

    tableau = explicit_tableau([[1 / 2], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6], 3)


class Kutta4(DepthScheme):
    """The classical method of order 4."""

    tableau = explicit_tableau([[1 / 2], [0.0, 1 / 2], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], 4)


class ImplicitMidpoint(DepthScheme):
    """One Gauss point a layer; symplectic and its own adjoint. Order 2."""

    @cached_property
    def tableau(self) -> Tableau:
        return gauss_tableau(1)


@dataclass(frozen=True, repr=False)
class MultipleShooting(DepthScheme):
    """Each layer is integrated by ``steps`` equal steps of an explicit ``scheme``; order that of the scheme.

    The composition is one tableau of steps × stages rows. On the direct route only the nodes are variables: the stages
    of a layer are eliminated.
    """

    steps: int = 4
    scheme: type[DepthScheme] = Kutta4
    condensed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.steps) or self.steps < 1:
            raise InvalidInput(f"MultipleShooting(steps={self.steps!r}): the number of steps is whole, at least 1.")
        entries = min(self.steps, 1e100) ** 2 * 16.0
        fits_memory(f"MultipleShooting(steps={shown(self.steps)})", "the tableaux of so many steps", entries)
        single = getattr(self.scheme, "tableau", None)
        if not isinstance(single, Tableau) or not single.explicit:
            raise InvalidInput(
                f"MultipleShooting(scheme={self.scheme!r}): an explicit scheme such as ocdl.Kutta4 is needed; "
                "implicit ones are collocated by Radau or Gauss."
            )

    @cached_property
    def tableau(self) -> Tableau:
        return composed(self.scheme.tableau, int(self.steps))  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class Collocation(DepthScheme):
    """Collocation at ``degree`` points a layer."""

    degree: int = field(default=3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.degree) or self.degree < 1:
            raise InvalidInput(
                f"{type(self).__name__}(degree={self.degree!r}): the degree is a whole number of collocation points, "
                "at least 1."
            )
        if self.degree > MOST_STAGES:
            raise InvalidInput(
                f"{type(self).__name__}(degree={shown(self.degree)}): at most {MOST_STAGES}; the tableau alone takes "
                f"about {4e-9 * min(self.degree, 1e70) ** 4:.2g} s, and the equations of a layer grow with it. "
                "Take more layers of a lower degree."
            )


@dataclass(frozen=True, repr=False)
class Gauss(Collocation):
    """Gauss–Legendre collocation, order 2·degree."""

    @property
    def tableau(self) -> Tableau:
        return gauss_tableau(int(self.degree))


@dataclass(frozen=True, repr=False)
class Radau(Collocation):
    """Radau IIA collocation, order 2·degree − 1; the last point is the end of the layer."""

    @property
    def tableau(self) -> Tableau:
        return radau_tableau(int(self.degree))


@lru_cache
def gauss_tableau(degree: int) -> Tableau:
    nodes = 0.5 * (1.0 + np.polynomial.legendre.leggauss(degree)[0])
    return collocation_tableau(nodes, 2 * degree)


@lru_cache
def radau_tableau(degree: int) -> Tableau:
    """Nodes are the zeros of P_s − P_{s−1} (s = degree), of which 1 is one."""
    if degree == 1:
        return collocation_tableau(np.array([1.0]), 1)
    series = np.zeros(degree + 1)
    series[degree], series[degree - 1] = 1.0, -1.0
    roots = np.sort(np.polynomial.legendre.legroots(series).real)
    slope = np.polynomial.legendre.legder(series)
    for _ in range(2):
        roots -= np.polynomial.legendre.legval(roots, series) / np.polynomial.legendre.legval(roots, slope)
    roots[-1] = 1.0
    return collocation_tableau(0.5 * (1.0 + roots), 2 * degree - 1)


def composed(single: Tableau, steps: int) -> Tableau:
    """``steps`` equal steps of ``single`` as one tableau: step m starts from (1/steps) Σ_{earlier} b φ."""
    s = single.stages
    A = np.zeros((steps * s, steps * s))
    for m in range(steps):
        rows = slice(m * s, (m + 1) * s)
        A[rows, : m * s] = np.tile(single.b, m)
        A[rows, rows] = single.A
    c = (np.repeat(np.arange(steps), s) + np.tile(single.c, steps)) / steps
    return Tableau(A / steps, np.tile(single.b, steps) / steps, c, single.order)


def collocation_tableau(nodes: Array, order: int) -> Tableau:
    """a_ij = ∫_0^{c_i} ℓ_j, b_j = ∫_0^1 ℓ_j, ℓ_j the Lagrange polynomials of the nodes c."""
    integrals = lagrange_integrals(nodes, np.append(nodes, 1.0))
    A, b = integrals[:-1], integrals[-1]
    return Tableau(A, A[-1].copy() if nodes[-1] == 1.0 else b, nodes, order)


def lagrange_integrals(nodes: Array, ends: Array) -> Array:
    """∫_0^end ℓ_j of the Lagrange polynomials of distinct nodes, (E, s) of ends (E,)."""
    points, weights = np.polynomial.legendre.leggauss(nodes.size)
    points, weights = 0.5 * (1.0 + points), 0.5 * weights
    out: Array = np.einsum("q,iqj,i->ij", weights, lagrange(nodes, np.outer(ends, points)), ends)
    return out
