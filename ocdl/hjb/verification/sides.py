"""Bounds on both sides of V from a table of it: lower ≤ V ≤ upper, whatever the table's error.

Lower: let W be the table, smoothed (``mollified``). Along any control dW/dt + L ≥ ∂_tW + H, so

    V(x, t) ≥ W(x, t) − ∫_t^T max_X (∂_sW + H)⁻ ds − max_X (W(·, T) − ℓ)⁺,

the maxima over the states X that can be reached. The concave kinks of V do no harm, as H is concave in ∇W. The maxima
are taken at the nodes and in the middles of cells and steps; between those they are not proven.
Upper: the cost of a rollout of the table's feedback, one control among all.
Source: Bardi and Capuzzo-Dolcetta, "Optimal Control and Viscosity Solutions of Hamilton–Jacobi–Bellman Equations"
(1997), Proposition II.5.1 and section III.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.analysis.reachability.comparison import Comparison
from ocdl.arrays import Array, finite_array
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.bounds.least_cost import least_cost
from ocdl.hjb.feedback.value_function import ValueFunction
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.grids.interpolation import interpolate
from ocdl.hjb.schemes.simulation import simulated
from ocdl.hjb.schemes.terminal import terminal_values
from ocdl.hjb.verification.least import LeastHamiltonian
from ocdl.hjb.verification.mollified import refined, slopes, smoothed, spline_weights

STEPS = 64  # of a tube of reachable states


def two_sided(value: ValueFunction, x: Any, t: float = 0.0, *, region: Any = None, steps: int = 64) -> xr.Dataset:
    """``lower`` ≤ V ≤ ``upper`` and ``value``, what the table says, at states x (..., D) at depth t, in order as
    dimension point; attrs: ``proven``, whether every minimum of H was.

    region: (lower, upper) of all states that can be reached from there, a pair or one for each state; by default a
    proven enclosure for one sample with a velocity box and no running cost, else an estimate by simulated controls.
    steps: of the rollout. Raises InvalidInput where the region leaves the table, NotSupported where states are bounded.
    """
    below = SubSolution.of(value, x, t, region=region)
    points, depths, _ = value.points(x, t)
    rolled = value.rollout(points, float(depths[0]), steps=steps)
    found = {"lower": below(points, float(depths[0])), "value": value(points, depths), "upper": rolled.cost}
    coords = {f"f{i}": ("point", along) for i, along in enumerate(points.T)}
    parts = {name: ("point", part) for name, part in found.items()}
    return xr.Dataset(parts, {**coords, "t": float(depths[0])}, {"proven": int(below.proven)})


@dataclass(frozen=True, eq=False)
class SubSolution:
    """W less what it lacks to be a sub-solution on a region: ``lacking`` (K,), from each depth to T the integral above
    and the excess of W(·, T) over ℓ; ``proven``: every minimum of H was.
    """

    value: ValueFunction
    lacking: Array
    proven: bool

    @classmethod
    def of(cls, value: ValueFunction, x: Any, t: float = 0.0, *, region: Any = None) -> SubSolution:
        """On the states that can be reached from x (..., D) at depth t."""
        if value.bounds is not None:
            raise NotSupported("two_sided: the states are bounded, and V is infinite where they cannot be kept.")
        steps = np.diff(value.t)
        if steps.size < 2 or np.ptp(steps) > 1e-9 * steps[0]:
            raise InvalidInput(
                f"two_sided: V at three or more depths of equal distance is needed; it is kept at {value.t.size}, with "
                "unequal steps or too few. Ask ValueIteration for depths=None."
            )
        points, depths, _ = value.points(x, float(t))
        low, high = _reached(value, points) if region is None else _given(value, region)
        part, first = _cells(value, low, high), max(int(np.searchsorted(value.t, depths[0], side="right")) - 1, 0)
        law, h = LeastHamiltonian(value), value.t[1] - value.t[0]
        below = np.maximum(0.0, -_least_residuals(value, law, first, part))
        steps = h * np.maximum(np.maximum(below[:-2:2], below[1:-1:2]), below[2::2])  # the most of each step
        lacking = _excess(value, part) + np.append(np.cumsum(steps[::-1])[::-1], 0.0)
        return cls(value, lacking, law.proven)

    def __call__(self, x: Array, t: float) -> Array:
        """The lower bound (q,) at states x (q, D) at depth t."""
        depths = np.full(len(x), t)
        axes = [spline_weights(axis, x[:, i]) for i, axis in enumerate(self.value.grid.axes)]
        W = interpolate(self.value.values, [spline_weights(self.value.t, depths), *axes])
        k = max(int(np.searchsorted(self.value.t, t, side="right")) - 1, 0)
        return np.maximum(W - self.lacking[k], least_cost(self.value.problem, self.value.grid)(depths))


def _given(value: ValueFunction, region: Any) -> tuple[Array, Array]:
    ends = finite_array("two_sided(region=...)", region)
    D = value.grid.dimension
    if ends.shape not in ((2,), (2, D), (D, 2)):
        raise InvalidInput(
            f"two_sided(region=...): (lower, upper), or one pair for each state; got shape {ends.shape}."
        )
    pairs = np.tile(ends, (D, 1)) if ends.ndim == 1 else np.broadcast_to(ends, (D, 2))
    return pairs[:, 0], pairs[:, 1]


def _reached(value: ValueFunction, points: Array) -> tuple[Array, Array]:
    """Bounds (D,) of what can be reached from any of the states (q, D): enclosed, else simulated from the corners."""
    problem, low, high = value.problem, points.min(axis=0), points.max(axis=0)
    box = problem.velocity_box
    if box is not None and box.of_a_box and problem.samples == 1 and not problem.has_running_cost:
        return Comparison(box).tube(low, high, problem.span, STEPS).hull
    ends = []
    for corner in {tuple(np.where(side, high, low)) for side in product((False, True), repeat=low.size)}:
        start = problem.with_numbers(initial=np.reshape(corner, (problem.samples, problem.n)))
        ends.append(simulated(type(value.law)(start, value.law.controls, value.law.minimiser)))
    return np.min([end[0] for end in ends], axis=0), np.max([end[1] for end in ends], axis=0)


def _cells(value: ValueFunction, low: Array, high: Array) -> tuple[slice, ...]:
    """The nodes of all cells that meet [low, high]."""
    grid = value.grid
    if not np.all(grid.covers(np.stack([low, high]))):
        raise InvalidInput(
            f"two_sided: states between {low} and {high} can be reached, and V is tabulated from {grid.lower} to "
            f"{grid.upper}; ask ValueIteration for a larger domain, or give region=(lower, upper)."
        )
    first = np.floor((low - grid.lower) / grid.spacing + 1e-9).astype(int)
    last = np.ceil((high - grid.lower) / grid.spacing - 1e-9).astype(int)
    return tuple(
        slice(max(a, 0), min(max(b, a + 1), n - 1) + 1) for a, b, n in zip(first, last, grid.shape, strict=True)
    )


def _least_residuals(value: ValueFunction, law: LeastHamiltonian, first: int, part: tuple[slice, ...]) -> Array:
    """min ∂_tW + H over the nodes and middles of the cells, at depths from ``first`` on and in the middles of steps."""
    grid, table = _refined(value, part), value.values[(slice(None), *part)]
    x, t = grid.states().reshape(-1, grid.dimension), refined(value.t)
    rates, levels = slopes(table, value.t[1] - value.t[0], 0), smoothed(table, 0)
    least = np.full(t.size, np.inf)
    for row in range(2 * first, t.size):
        rate, level = rates[row], levels[row]
        for i in range(grid.dimension):
            rate = smoothed(rate, i)
        slope = np.stack([_slope(level, i, value.grid.spacing) for i in range(grid.dimension)], axis=-1)
        least[row] = float(np.min(rate.ravel() + law(x, np.full(len(x), t[row]), slope.reshape(x.shape))))
    return least


def _slope(level: Array, i: int, spacing: Array) -> Array:
    """∂W/∂x_i at nodes and middles."""
    for j in range(level.ndim):
        level = slopes(level, float(spacing[i]), i) if j == i else smoothed(level, j)
    return level


def _refined(value: ValueFunction, part: tuple[slice, ...]) -> StateGrid:
    """The nodes of the part and the middles of its cells."""
    return StateGrid(tuple(refined(axis[along]) for axis, along in zip(value.grid.axes, part, strict=True)))


def _excess(value: ValueFunction, part: tuple[slice, ...]) -> float:
    """max (W(·, T) − ℓ)⁺ there."""
    W = value.values[-1][part]
    for i in range(W.ndim):
        W = smoothed(W, i)
    return max(0.0, float(np.max(W - terminal_values(value.problem, _refined(value, part)))))
