"""Bounds on states: the set K(t) = {X : lo(t) ≤ x_s ≤ hi(t) for every sample s}, and who can stay in it.

    W(X, t) = min_u max { g(X(τ), τ) : t ≤ τ ≤ T },   g(X, t) = max_i of what X_i exceeds its bounds by, in grid cells,

obeys W(X, t) = max { g(X, t), min_u W(X(t + h), t + h) }, and W ≤ 0 exactly where some control keeps all bounds to the
end. V is the constrained viscosity solution: the minimum over the controls with W(X(t + h), t + h) ≤ 0, and +∞ where
W > 0. W is Lipschitz, so that its zero level is known between the nodes; a table of the states where V is finite would
move by whole cells, or not at all, in every step. Beyond that level V is continued, unseen, along the controls that
violate the bounds least, so that no infinite number is ever interpolated. V is continuous but has a kink at that level:
a cell that it cuts is good to first order, and along a trajectory that follows it, or a bound that moves between the
nodes, these errors add up (orders of ½ to 1 were observed); bounds on which nodes lie cost no accuracy. The bounds are
kept at the ends of the steps.
Sources: Soner, "Optimal control with state-space constraint I" (SIAM J. Control Optim. 24, 1986); Bokanowski, Forcadel
and Zidani, "Reachability and minimal times for state constrained nonlinear problems without any controllability
assumption" (SIAM J. Control Optim. 48, 2010).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.grid import StateGrid, covering_axis
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]
Index = NDArray[np.int64]

ADMISSIBLE = 1e-9  # cells, for the rounding of a step that ends on a bound
VIABLE = 1e-6  # cells, for the same in a table that is asked between its nodes and depths
KEPT = 1e-6  # cells by which a rollout may leave the bounds before it is repeated with a margin
ROLLOUTS = 5
DEEPEST = 6.0  # cells: W is cut off at −DEEPEST, beyond which no step leaves K
FEWEST_CELLS = 8
BLIND = "the sign of ∇V does not know the bounds on the states; use feedback='lookahead'"
RIDDERS = 7
NARROW = 1e-3  # cells, so that of two bounds at a corner W has the normal of one


def hull(problem: ControlProblem) -> tuple[Array, Array]:
    """The least box (D,) that holds K(t) at all depths."""
    low, high = problem.state_hull
    return np.tile(low, problem.samples), np.tile(high, problem.samples)


def fitted_axis(low: float, high: float, nodes: int, fixed: Sequence[bool]) -> Array:
    """``nodes`` uniform nodes with one on every end that is ``fixed``; one on 0, too, where another end is free."""
    if not any(fixed):
        return covering_axis(low, high, nodes)
    if not all(fixed) and low < 0.0 < high:
        end = high if fixed[1] else low
        cells = int(abs(end) / (high - low) * (nodes - 1))
        if cells >= FEWEST_CELLS:
            reach = abs(end) / cells * (nodes - 1)
            low, high = (end - reach, end) if fixed[1] else (end, end + reach)
    return np.linspace(low, high, nodes)


@dataclass(frozen=True, eq=False)
class StateBounds:
    """g and W of the bounds of a problem, in cells of a grid."""

    problem: ControlProblem
    grid: StateGrid

    def excess(self, x: Array, t: Any) -> Array:
        """g at states x (q, D) and depths t, a number or (q,); at least −``DEEPEST``."""
        low, high = self.ends(t)
        return np.maximum(np.max(np.maximum(low - x, x - high) / self.grid.spacing, axis=-1), -DEEPEST)

    def over(self, x: Array, t: float) -> float:
        """By how many cells states x (q, D) leave their bounds at depth t, at most."""
        return max(0.0, float(np.max(self.excess(x, t))))

    def terminal(self) -> Array:
        """W at T, on the grid."""
        return self.excess(self.grid.states(), self.problem.span)

    @cached_property
    def counted(self) -> Array:
        """1 / spacing along the axes whose states have a bound at all: elsewhere flows are stopped at the edge."""
        return np.where(np.any(np.isfinite(hull(self.problem)), axis=0), 1.0 / self.grid.spacing, 0.0)

    def ends(self, t: Any) -> tuple[Array, Array]:
        """Bounds (D,) at one depth, (q, D) at depths (q,)."""
        if not self.problem.bounds.varies("x"):
            return self._at(0.0)
        depths, which = np.unique(np.asarray(t, dtype=float), return_inverse=True)
        if depths.size == 1:
            return self._at(float(depths[0]))
        low, high = (np.array(side) for side in zip(*(self._at(float(depth)) for depth in depths), strict=True))
        return low[which], high[which]

    def _at(self, depth: float) -> tuple[Array, Array]:
        if depth not in self._known:
            ends = self.problem.state_box_at(np.array([depth]))
            self._known[depth] = tuple(np.tile(end[0], self.problem.samples) for end in ends)  # type: ignore[assignment]
        return self._known[depth]

    @cached_property
    def _known(self) -> dict[float, tuple[Array, Array]]:
        return {}


@dataclass(frozen=True, eq=False)
class Excess:
    """W at states X (q, D) and depths t from a ``table`` (X, t) → W on the grid, with a ``margin`` to keep, in cells.

    Beyond the edge of the grid W grows by one a cell, and it is never below g.
    """

    bounds: StateBounds
    table: Callable[[Array, Any], Array]
    margin: float = 0.0

    def __call__(self, x: Array, t: Any) -> Array:
        grid = self.bounds.grid
        outside = np.max(np.abs(x - np.clip(x, grid.lower, grid.upper)) * self.bounds.counted, axis=-1)
        return np.maximum(self.table(x, t) + outside, self.bounds.excess(x, t)) + self.margin

    def linear(self, x: Array, t: Any) -> tuple[Array, Array]:
        """What each bound and W exceeds, (q, 2 D + 1), and its gradient in X, (q, 2 D + 1, D)."""
        grid = self.bounds.grid
        low, high = self.bounds.ends(t)
        over = np.concatenate([(low - x) / grid.spacing, (x - high) / grid.spacing], axis=1) + self.margin
        normal = np.concatenate([-np.diag(1.0 / grid.spacing), np.diag(1.0 / grid.spacing)])
        own, all_ = self.slope(x, t, NARROW)[:, None], np.broadcast_to(normal, (len(x), *normal.shape))
        normals = np.concatenate([all_, own], axis=1)
        return np.concatenate([over, self(x, t)[:, None]], axis=1), normals

    def slope(self, x: Array, t: Any, cells: float = 1.0) -> Array:
        """∂W/∂X (q, D), by central differences over so many ``cells``."""
        width = cells * self.bounds.grid.spacing
        sides = [self(x + shift, t) - self(x - shift, t) for shift in np.diag(0.5 * width)]
        return np.stack(sides, axis=-1) / width


@dataclass(frozen=True, eq=False)
class Within:
    """The controls admissible for some states: ``excess`` of where a step ends at most ``allowed`` (q,).

    ``safe`` (q, m) are admissible ones, those that violate least.
    """

    excess: Excess
    allowed: Array
    safe: Array


def farthest(excess: Callable[[Array, Index], Array], u: Array, move: Array) -> Array:
    """u + λ · move (q, m) with the largest λ ≤ 1 found such that excess(u + λ · move, rows) ≤ 0, where u is admissible.

    By Ridders' method, whose bracket halves at every round.
    """
    reached = u + move
    rows = np.flatnonzero(np.any(move != 0.0, axis=1))
    over = excess(reached[rows], rows) if rows.size else np.zeros(0)
    rows, over = rows[~(over <= 0.0)], over[~(over <= 0.0)]
    if rows.size == 0:
        return reached
    start, step = u[rows], move[rows]
    low, high, under = np.zeros(rows.size), np.ones(rows.size), np.minimum(excess(start, rows), 0.0)
    for _ in range(RIDDERS):
        middle = 0.5 * (low + high)
        at_middle = excess(start + middle[:, None] * step, rows)
        root = np.sqrt(at_middle**2 - under * over)
        trial = middle - (middle - low) * at_middle / np.where(root > 0.0, root, np.inf)
        at_trial = excess(start + trial[:, None] * step, rows)
        for share, at in ((middle, at_middle), (trial, at_trial)):
            inside = (at <= 0.0) & (share > low)
            low, under = np.where(inside, share, low), np.where(inside, at, under)
        for share, at in ((middle, at_middle), (trial, at_trial)):
            outside = ~(at <= 0.0) & (share < high) & (share > low)
            high, over = np.where(outside, share, high), np.where(outside, at, over)
    reached[rows] = start + low[:, None] * step
    return reached
