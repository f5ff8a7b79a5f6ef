"""The set that a method on controls alone stays in: a box, and weighted sums that are given.

    C = {v : l ≤ v ≤ h,  Σ_i a_i v_i = c for each sum},

in the variables v = √metric · w, whose Euclidean norm is that of function space. A budget ∫ u_j dt = c is such a sum;
no entry is in two of them, so the projection treats one after the other.
Source: Duchi, Shalev-Shwartz, Singer and Chandra, ICML (2008), for the simplex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.statement.spending import check_attainable, measure
from ocdl.sweeps.reduced import ReducedCost

Array = NDArray[np.float64]

ROUNDING = 1e-15


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """Σ_i a_i v_i = ``total`` over the entries ``at``, with weights a > 0."""

    at: NDArray[np.intp]
    weights: Array
    total: float

    def project(self, y: Array, low: Array, high: Array) -> Array:
        """The point of the sum and the box next to y: Π(y − λ a), with λ the root of a falling, piecewise linear Σ."""
        a = self.weights
        kinks = np.concatenate([(y - low) / a, (y - high) / a])
        kinks = np.unique(kinks[np.isfinite(kinks)])
        below, above = 0, kinks.size  # the root lies behind kinks[below − 1] and before kinks[above]
        while below < above:
            middle = (below + above) // 2
            if a @ np.clip(y - kinks[middle] * a, low, high) >= self.total:
                below = middle + 1
            else:
                above = middle
        return self._on_piece(y, low, high, kinks, below)

    def _on_piece(self, y: Array, low: Array, high: Array, kinks: Array, k: int) -> Array:
        """Between kinks[k − 1] and kinks[k] the same entries are free: λ solves a linear equation."""
        a = self.weights
        if not kinks.size:
            inside = 0.0
        elif k in (0, kinks.size):
            inside = kinks[0] - 1.0 if k == 0 else kinks[-1] + 1.0
        else:
            inside = 0.5 * (kinks[k - 1] + kinks[k])
        x = self._shifted(y, np.clip(y - inside * a, low, high), low, high)
        near = ROUNDING * float(np.max(np.abs(y)))  # λ is as uncertain as y: who is so near to a bound is on it
        x = np.where(x - low <= near, low, np.where(high - x <= near, high, x))
        return self._shifted(x, x, low, high)

    def _shifted(self, y: Array, x: Array, low: Array, high: Array) -> Array:
        """y − λ a where x is inside the box, and x elsewhere, with the sum as given."""
        a, free = self.weights, (low < x) & (x < high)
        if not free.any():
            return x
        shift = (a[free] @ y[free] + a[~free] @ x[~free] - self.total) / (a[free] @ a[free])
        x = x.copy()
        x[free] = np.clip(y[free] - shift * a[free], low[free], high[free])
        return x


@dataclass(frozen=True, eq=False)
class Feasible:
    """C: bounds ``low`` and ``high`` (size,), infinite where there are none, and the ``sums``."""

    low: Array
    high: Array
    sums: Sequence[WeightedSum] = ()

    @classmethod
    def of(cls, reduced: ReducedCost, scale: Array) -> Feasible:
        """The box and the budgets of a problem in v = scale · w."""
        low, high = (bound * scale for bound in reduced.bounds)
        return cls(low, high, _budgets(reduced, scale))

    @cached_property
    def bounded(self) -> bool:
        """Whether there is anything to stay in."""
        return bool(self.sums) or bool(np.any(np.isfinite(self.low) | np.isfinite(self.high)))

    def project(self, v: Array) -> Array:
        """Π(v), the point of C next to v."""
        if not self.bounded:
            return v
        inside = np.minimum(np.maximum(v, self.low), self.high)  # np.clip takes four times as long
        for one in self.sums:
            inside[one.at] = one.project(v[one.at], self.low[one.at], self.high[one.at])
        return inside

    def contains(self, v: Array) -> bool:
        """Whether v is in the box, and nothing else is asked."""
        return not self.bounded or not (self.sums or (v < self.low).any() or (v > self.high).any())

    def residual(self, v: Array, gradient: Array) -> Array:
        """v − Π(v − g), zero exactly where v is stationary; g where nothing bounds v."""
        return v - self.project(v - gradient) if self.bounded else gradient

    def held(self, v: Array, gradient: Array) -> NDArray[np.bool_]:
        """The entries on a bound that a step along −g would leave there."""
        if not self.bounded:
            return np.zeros(v.size, dtype=bool)
        ahead = self.project(v - gradient)
        return ((v <= self.low) & (ahead <= self.low)) | ((v >= self.high) & (ahead >= self.high))

    @cached_property
    def rows(self) -> Array:
        """The sums' weights, (k, size); orthogonal, for no entry is in two sums."""
        rows = np.zeros((len(self.sums), self.low.size))
        for row, one in zip(rows, self.sums, strict=True):
            row[one.at] = one.weights
        return rows

    def normal(self, v: Array, gradient: Array) -> Array:
        """The part λᵀa of a gradient, next to it on the entries that are not held."""
        free = ~self.held(v, gradient)
        part = np.zeros(v.size)
        for row in self.rows:
            size = float(row[free] @ row[free])
            if size > 0.0:
                part += float(row[free] @ gradient[free]) / size * row
        return part

    def longest(self, v: Array, step: Array) -> float:
        """The largest α with v + α step in the box."""
        if not self.bounded:
            return np.inf
        room, speed = np.where(step > 0.0, self.high - v, v - self.low), np.abs(step)
        lengths = np.divide(room, speed, out=np.full(v.size, np.inf), where=speed > 0.0)
        return max(float(lengths.min(initial=np.inf)), 0.0)


def _budgets(reduced: ReducedCost, scale: Array) -> list[WeightedSum]:
    """Σ_k w_k u_kj = Σ_k (w_k / scale) v_kj, with w_k the integral of the basis function of coefficient k."""
    problem, depth = reduced.problem, reduced.depth
    if not problem.budgets:
        return []
    check_attainable(problem, depth)
    places = [problem.P + j + problem.m * np.arange(depth.control_rows) for j in problem.budgeted]
    weights = measure(problem, depth)
    return [
        WeightedSum(at, weights / scale[at], float(budget.total))
        for at, budget in zip(places, problem.budgets, strict=True)
    ]
