"""Pre-activations s⁻ and s⁺ of a velocity box over whole boxes of states, for any number of them at once.

    s⁺_i(f) = o_i + Σ_j T_ij(f_j),   T_ij(f) = ↑_ij max(f, 0) + ↓_ij min(f, 0),

with T convex for s⁺ and concave for s⁻: the widest values are taken at ends of the intervals.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ocdl.arrays import Array
from ocdl.statement.velocity_box import SplitPreactivation, VelocityBox, split_preactivations

HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Extremes:
    """The velocity box; states have shape (..., M)."""

    box: VelocityBox

    @cached_property
    def splits(self) -> tuple[SplitPreactivation, SplitPreactivation]:
        return split_preactivations(self.box)

    @cached_property
    def slopes(self) -> tuple[Array, Array]:
        """The largest |∂s_i/∂f_j| of s⁻ and of s⁺, (M, M) each."""
        slow, fast = (np.maximum(np.abs(split.rising), np.abs(split.falling)) for split in self.splits)
        return slow, fast

    def velocity(self, s: Array) -> Array:
        return np.asarray(self.box.activation(s))

    def theta(self, f: Array, v: Array) -> Array:
        """θ ∈ [−1, 1]^M of the rank-one controls that give the velocities v at f: the root of σ(s(θ)) = v, where s(θ) =
        ½(1 − θ) s⁻ + ½(1 + θ) s⁺, by bisection, which needs no derivative of σ.
        """
        slow, fast = self.box.preactivations(f)
        low, high = -np.ones_like(v), np.ones_like(v)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = self.velocity(0.5 * (1.0 - middle) * slow + 0.5 * (1.0 + middle) * fast) < v
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    def of_others(self, low: Array, high: Array) -> tuple[Array, Array]:
        """The smallest s⁻_i and the largest s⁺_i over low_j ≤ f_j ≤ high_j, j ≠ i, without what f_i adds."""
        slow, fast = self.splits
        others = ~np.eye(self.box.width, dtype=bool)
        least = np.minimum(_terms(slow, low), _terms(slow, high)).sum(axis=-1, where=others) + slow.origin
        largest = np.maximum(_terms(fast, low), _terms(fast, high)).sum(axis=-1, where=others) + fast.origin
        return least, largest

    def slowest(self, others: Array, low: Array, high: Array) -> Array:
        """min σ(s⁻_i) over low_i ≤ f_i ≤ high_i, with what the ``others`` add at most."""
        own = self.splits[0]
        return self.velocity(others + np.minimum(_own(own, low), _own(own, high)))

    def fastest(self, others: Array, low: Array, high: Array) -> Array:
        """max σ(s⁺_i) over low_i ≤ f_i ≤ high_i, with what the ``others`` add at most."""
        own = self.splits[1]
        return self.velocity(others + np.maximum(_own(own, low), _own(own, high)))


def _terms(split: SplitPreactivation, f: Array) -> Array:
    """T_ij(f_j), (..., M, M)."""
    return split.rising * np.maximum(f, 0.0)[..., None, :] + split.falling * np.minimum(f, 0.0)[..., None, :]


def _own(split: SplitPreactivation, f: Array) -> Array:
    """T_ii(f_i), (..., M)."""
    return np.diagonal(split.rising) * np.maximum(f, 0.0) + np.diagonal(split.falling) * np.minimum(f, 0.0)
