"""A target is reached: curves whose velocities lie in the velocity box are trajectories.

All attainable velocities of one sample are a box, so that an absolutely continuous curve y from x^0 is a trajectory of
some control if and only if, at almost every depth,

    σ(s⁻_i(y(t))) ≤ ẏ_i(t) ≤ σ(s⁺_i(y(t))),   i = 1, …, M.

On a polygon ẏ is constant between corners and s^± are linear between corners and zeros of the y_j, so that finitely
many inequalities decide it: no integrator has a part in the proof. With them hold those of all curves y + ρ(t)∘d,
|d_i| ≤ δ_i, which end in a box around y(T), as long as the room left by y exceeds ρ_i' δ_i and what ρ∘δ moves s by,
Σ_j |∂s_i/∂f_j| ρ_j δ_j; ρ_i rises from 0 to 1 in proportion to the room.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2; Filippov, SIAM J. Control 1
(1962), for the control.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.analysis.reachability.extremes import Extremes
from ocdl.arrays import Array

BISECTIONS = 40  # of a margin


def slack(extremes: Extremes, t: Array, y: Array, margin: Array | float = 0.0) -> Array:
    """By how much all velocities lie inside the box, at least, on polygons with corners y (K+1, ..., M) at depths t
    (K+1,), and on all those curves that end within ``margin`` of theirs, a number or one per component; shape (...).
    """
    room = _room(extremes, t, y)
    if not np.any(margin):
        return np.asarray(room.min(axis=(0, -1)))
    rising = np.maximum(room, 0.0) * _column(np.diff(t), y)
    total = rising.sum(axis=0)
    rising = np.where(total > 0.0, rising, _column(np.diff(t), y)) / np.where(total > 0.0, total, t[-1])
    begun = np.concatenate([np.zeros_like(rising[:1]), np.cumsum(rising, axis=0)])
    left = _room(extremes, t, y, begun * margin) - rising / _column(np.diff(t), y) * margin
    return np.asarray(left.min(axis=(0, -1)))


def _column(steps: Array, y: Array) -> Array:
    return steps.reshape(-1, *[1] * (y.ndim - 1))


def _room(extremes: Extremes, t: Array, y: Array, beside: Array | float = 0.0) -> Array:
    """The least distance of the velocities from the ends of the box on every step, (K, ..., M), for all states within
    ``beside`` of the polygon, which is a number or linear on each step as y is.
    """
    v, shares = np.diff(y, axis=0) / _column(np.diff(t), y), _shares(y)
    slow, fast = extremes.box.preactivations(y[:-1] + shares * (y[1:] - y[:-1]))
    low, high = (np.broadcast_to(beside, y.shape) @ slope.T for slope in extremes.slopes)
    least, most = (
        extremes.velocity(s + sign * (by[:-1] + shares * (by[1:] - by[:-1])))
        for s, by, sign in ((slow, low, 1.0), (fast, high, -1.0))
    )
    return np.asarray(np.minimum(v - least, most - v).min(axis=0))


def _shares(y: Array) -> Array:
    """Of every step, those at which s^± may bend: 0, 1, and where a component is 0; (M + 2, K, ..., 1)."""
    before, after = y[:-1], y[1:]
    apart = np.where(before == after, 1.0, before - after)
    zeros = np.moveaxis(np.clip(before / apart, 0.0, 1.0), -1, 0)
    return np.concatenate([np.zeros_like(zeros[:1]), np.ones_like(zeros[:1]), zeros])[..., None]


@dataclass(frozen=True, eq=False)
class Curve:
    """A polygon with corners y (K+1, M) at depths t (K+1,), t_0 = 0."""

    extremes: Extremes
    t: Array
    y: Array

    @classmethod
    def through(cls, extremes: Extremes, t: Array, y: Array, target: Array) -> Curve:
        """The polygon y + (t/T) d that ends at the target."""
        moved = y + (t / t[-1])[:, None] * (target - y[-1])
        moved[-1] = target
        return cls(extremes, t, moved)

    @property
    def slack(self) -> float:
        """How far inside the box of velocities it stays; rounding aside, it is a trajectory where this is ≥ 0."""
        return float(slack(self.extremes, self.t, self.y))

    @property
    def rounding(self) -> float:
        """Of the slack: of chords over their steps, and of the pre-activations."""
        size = 1.0 + float(np.abs(self.y).max())
        return 64.0 * np.finfo(float).eps * size * (1.0 / float(np.diff(self.t).min()) + self._steepness)

    @property
    def _steepness(self) -> float:
        box = self.extremes.box
        return float(sum(slope.sum(axis=1).max() for slope in self.extremes.slopes)) + float(
            np.abs([box.a_lower, box.a_upper]).max()
        )

    @property
    def margin(self) -> float:
        """The δ for which every point within δ of the end, in each component, is proven to be reached, about."""
        low, high = 0.0, float(np.abs(np.diff(self.y, axis=0)).sum()) + 1.0
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            inside = bool(slack(self.extremes, self.t, self.y, middle) >= self.rounding)
            low, high = (middle, high) if inside else (low, middle)
        return low

    def at(self, depth: float) -> Array:
        """y (M,)."""
        return np.array([np.interp(depth, self.t, row) for row in self.y.T])

    def controls(self, depth: float) -> tuple[Array, Array]:
        """Rank-one controls a (M,) and b (M, M) that drive the state along the curve."""
        k = int(np.clip(np.searchsorted(self.t, depth, side="right") - 1, 0, self.t.size - 2))
        v = (self.y[k + 1] - self.y[k]) / (self.t[k + 1] - self.t[k])
        f = self.at(depth)
        return self.extremes.box.controls(f, self.extremes.theta(f, v))
