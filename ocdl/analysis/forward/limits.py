"""Thermodynamic limits: what networks converge to as their layers and neurons double, how fast, and by which theorem.

    z_{l+1} = z_l + τ σ(a_l − B_l z_l) → ż = σ(a − Bz),   τ → 0 (Theorem 2.1),
    ż_h = σ(a_h − h^d B_h z_h) → f_t = σ(a − ∫ b f dz),   h → 0 (Theorem 2.2),

if σ grows at most linearly (A1), coefficients and data stay bounded (A2, A3), and the coefficients converge almost
everywhere. Of bounded functions that is no more than their convergence in L², which is what is measured: that they
cease to change as the grid is refined. A finite sequence of grids proves no limit; it shows where there is none.
The proof of Theorem 2.2 holds for a network of fixed layers, layer by layer. Of layers and neurons that are refined at
once, the theorems speak of one limit after the other, and the distances of both together.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.forward.orders import GROWTH, SLOWEST, falling, growth, linear_growth, richardson
from ocdl.analysis.forward.refined import Level, apart, controls_apart, given, trained, weakly_apart
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.interrupts import uninterrupted
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem
from ocdl.solving.method import Method
from ocdl.statement.selection import Grid
from ocdl.sweeps.fused.recognise import dense_form
from ocdl.tables import plain_table, plain_text


@dataclass(frozen=True, eq=False)
class ThermodynamicLimit:
    """``levels``, coarse to fine; tests: g of the weak distance; ``solutions`` where they were trained."""

    levels: tuple[Level, ...]
    tests: Callable[[Array], Any] | None
    solutions: tuple[Solution, ...] = ()

    @cached_property
    def distance(self) -> Array:
        """Of every network from the next finer one, max_t ‖f − f'‖ in L²(Y), (J − 1,)."""
        return np.array([apart(*pair) for pair in self._pairs])

    @cached_property
    def weak_distance(self) -> Array:
        """max_t |∫ (f − f') g dy| over the test functions g, (J − 1,)."""
        return np.array([weakly_apart(*pair, self.tests) for pair in self._pairs])

    @cached_property
    def controls_distance(self) -> dict[str, Array]:
        """Of every control in L² of y, z and t, (J − 1,) each."""
        found = [controls_apart(*pair) for pair in self._pairs]
        return {name: np.array([one[name] for one in found]) for name in found[0]}

    @property
    def orders(self) -> Array:
        """Of ``distance`` from each refinement to the next, (J − 2,)."""
        return self._orders(self.distance)

    @property
    def weak_orders(self) -> Array:
        """Of ``weak_distance``, (J − 2,)."""
        return self._orders(self.weak_distance)

    @property
    def expected(self) -> float:
        """The order of ``distance`` for smooth coefficients: of the scheme, 1 for given controls that vary along the
        depth, as a layer takes their values where it begins; and that of the width's functions; the least of these.
        """
        return self._expected(lambda level: level.width.approximation if level.width is not None else np.inf)

    @property
    def weak_expected(self) -> float:
        """The same of ``weak_distance``, with the order of the quadrature, its exactness + 1."""
        return self._expected(lambda level: level.width.exactness + 1.0 if level.width is not None else np.inf)

    @cached_property
    def extrapolated(self) -> xr.Dataset:
        """Richardson's limits, at the order observed on the three finest grids, of ∫ f(y, T) g dy (sample, test), or of
        the entries of x(T), and of the cost; NaN where there is none. ``..._change``: from the finest.
        """
        ends = np.stack([level.moments(self.tests)[-1] for level in self.levels])
        values = {"moments": (("sample", "test"), ends), "cost": ((), np.array([one.cost for one in self.levels]))}
        found = {name: (dims, richardson(series, self._factors[-2:])) for name, (dims, series) in values.items()}
        changes = {f"{name}_change": (values[name][0], np.abs(found[name][1] - values[name][1][-1])) for name in found}
        return xr.Dataset(found | changes)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Theorem 2.1 where layers are refined, Theorem 2.2 where neurons are."""
        return tuple(
            finding
            for refined, finding in (
                (self._depth_refined, self._large_depth),
                (self._width_refined, self._large_width),
            )
            if refined
        )

    @property
    def converges(self) -> bool:
        """Whether the states were seen to converge in C([0, T]; L²(Y)), whatever theorems say."""
        return self._falling(self.distance) >= SLOWEST

    @property
    def converges_weakly(self) -> bool:
        """Whether their integrals with test functions were."""
        return self._falling(self.weak_distance) >= SLOWEST

    def to_dataset(self) -> xr.Dataset:
        """All of the table, by the networks' numbers of layers and neurons, from the second on."""
        fine = self.levels[1:]
        columns = {"distance": self.distance, "weak distance": self.weak_distance} | self.controls_distance
        coords = {"layers": [one.layers for one in fine], "neurons": [one.weights.size for one in fine]}
        data = xr.Dataset(
            {name: ("refinement", values) for name, values in columns.items()},
            {name: ("refinement", values) for name, values in coords.items()},
        )
        late = {"order": self.orders, "weak order": self.weak_orders}
        data = data.assign({name: ("refinement", np.append(np.nan, values)) for name, values in late.items()})
        data = data.assign(
            cost=("refinement", [one.cost for one in fine]), bound=("refinement", [one.bound for one in fine])
        )
        return data.assign_attrs(expected=self.expected, weak_expected=self.weak_expected)

    def __str__(self) -> str:
        data = self.to_dataset()
        names = ["layers", "neurons", *data.data_vars]
        table = plain_table()
        for name in names:
            table.add_column(name, justify="right")
        for k in range(data.sizes["refinement"]):
            table.add_row(*(f"{data[name].values[k]:.4g}" for name in names))
        expected = f"orders expected of smooth coefficients: {self.expected:g}, weakly {self.weak_expected:g}"
        seen = f"seen to converge in C([0, T]; L²(Y)): {_yes(self.converges)}, weakly: {_yes(self.converges_weakly)}"
        return plain_text([table, expected, seen, *map(str, self.findings)])

    @property
    def _pairs(self) -> list[tuple[Level, Level]]:
        return list(zip(self.levels[:-1], self.levels[1:], strict=True))

    @property
    def _depth_refined(self) -> bool:
        return self.levels[-1].layers > self.levels[0].layers

    @property
    def _width_refined(self) -> bool:
        return self.levels[-1].weights.size > self.levels[0].weights.size

    @cached_property
    def _factors(self) -> Array:
        """By how much each step refines, (J − 1,): the layers, or the cells where the layers stay."""
        sizes = [level.layers if self._depth_refined else 1.0 / level.spacing for level in self.levels]
        return np.array(sizes[1:]) / np.array(sizes[:-1])

    def _orders(self, distances: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(distances[:-1] / distances[1:]) / np.log(self._factors[1:]))

    def _falling(self, distances: Array) -> float:
        return falling(distances, self._factors, max(level.bound for level in self.levels))

    def _expected(self, of_width: Callable[[Level], float]) -> float:
        first = self.levels[0]
        sampled = not self.solutions and self.levels[-1].varies
        in_depth = 1.0 if sampled else float(first.depth.tableau.order)
        return min(in_depth if self._depth_refined else np.inf, of_width(first) if self._width_refined else np.inf)

    @property
    def _large_depth(self) -> Finding:
        said = f"z^τ converges in C([0, T]); distances fall to {self.distance[-1]:.3e}{_with(self.orders)}"
        shared = self._hypotheses("τ", "A2")
        return Finding("Theorem 2.1 (Liu and Markowich)", shared, said)

    @property
    def _large_width(self) -> Finding:
        said = f"f_h converges in D'(Y × [0, T)); weak distances fall to {self.weak_distance[-1]:.3e}"
        data = np.array([apart(_begun(a), _begun(b)) for a, b in self._pairs])
        converging = Hypothesis("f_I,h converges: its order in L²", self._falling(data), SLOWEST)
        shared = self._hypotheses("h", "A3")
        return Finding("Theorem 2.2 (Liu and Markowich)", (*shared, converging), said + _with(self.weak_orders))

    def _hypotheses(self, small: str, bounded: str) -> tuple[Hypothesis, ...]:
        form = dense_form(self.levels[0].core)
        arrays = None if form is None else form.coefficients.arrays(self._rows, self.levels[0].p)
        plain = arrays is not None and arrays.V is None and arrays.S is None and arrays.r is None
        bounds = np.array([level.bound for level in self.levels])
        within = f"({bounded}) a, b, f_I are within C = {bounds.max():.4g}: minus the power at which C grows"
        falls = {name: self._falling(of) for name, of in self.controls_distance.items()}
        return (
            Hypothesis.declared("the layers are σ(a − Bf)", plain),
            linear_growth(form.activation) if form is not None else Hypothesis.declared("(A1)", False),
            Hypothesis(within, -growth(bounds, self._factors), -GROWTH),
            *(Hypothesis(f"{name}_{small} converges: its order in L²", of, SLOWEST) for name, of in falls.items()),
        )

    @property
    def _rows(self) -> Array:
        first = self.levels[0]
        assert first.core.layout is not None
        return first.core.layout.pack(first.core.layout.controls, first.controls, (first.layers,))


def thermodynamic_limit(
    problem: Problem,
    grids: Iterable[Grid | DepthScheme],
    method: Method | None = None,
    *,
    controls: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None = None,
    first: Method | None = None,
    start: Any = None,
    seed: int | None = None,
    tests: Callable[[Array], Any] | None = None,
) -> ThermodynamicLimit:
    """Networks of ``problem`` on ``grids``, coarse to fine, compared each with the next.

    grids: three at least, of more and more layers, neurons, or both; a ControlProblem knows layers alone.
    controls: given ones, such as {"a": lambda t, y: ..., "b": lambda t, y, z: ...}, jumps allowed, whose values are
        taken where a layer begins and at the nodes, inside bounds or not; or a function of the grid that returns them.
    method: trains, each network from the one before; ``first``, ``start`` and ``seed`` are the coarsest's.
    tests: g, a function of the nodes y with values (G, M); 1 and cosines by default.

    Raises InvalidInput; NotSupported for controls that are not constant in each layer; SolveFailed.
    """
    several = list(grids) if isinstance(grids, Iterable) else [grids]
    if len(several) < 3:
        raise InvalidInput(f"thermodynamic_limit(grids=...): an order needs three grids at least; got {len(several)}.")
    if (method is None) == (controls is None):
        raise InvalidInput("thermodynamic_limit: give either controls, or a method that trains them.")
    levels: list[Level] = []
    solutions: list[Solution] = []
    with uninterrupted():
        for grid in several:
            if method is None:
                levels.append(given(problem, grid, controls))
                continue
            begin = (solutions[-1], None) if solutions else (start, seed)
            level, solution = trained(problem, grid, method if solutions or first is None else first, *begin)
            levels.append(level)
            solutions.append(solution)
    _check_refined(levels)
    return ThermodynamicLimit(tuple(levels), tests, tuple(solutions))


def _begun(level: Level) -> Level:
    """The same with the initial state alone."""
    return replace(level, t=level.t[[0, -1]], x=level.x[[0, 0]])


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def _with(orders: Array) -> str:
    return f", order {orders[-1]:.2f}" if np.isfinite(orders[-1]) else ""


def _check_refined(levels: list[Level]) -> None:
    """Raise InvalidInput unless every grid refines the one before, in depth always, in width always, or both."""
    sizes = np.array([(level.layers, level.weights.size) for level in levels])
    steps = np.diff(sizes, axis=0)
    if np.any(steps < 0) or not any(
        np.all(steps[:, k] > 0) and np.all((steps[:, 1 - k] > 0) == (steps[0, 1 - k] > 0)) for k in (0, 1)
    ):
        said = ", ".join(f"{N} layers of {M}" for N, M in sizes)
        raise InvalidInput(f"thermodynamic_limit(grids=...): layers, neurons or both increase; got {said}.")
