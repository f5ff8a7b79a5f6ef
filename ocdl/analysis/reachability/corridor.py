"""A target is out of reach: the corridor between two boxes of states is empty.

Every trajectory from x^0 that ends in a box of targets stays between bounds lo(t) ≤ x(t) ≤ hi(t). They begin as those
of the comparison system and are narrowed in turn, forwards from x^0 and backwards from the targets: over a step h

    hi_i(t + h) ≤ hi_i(t) + h max { σ(s⁺_i(f)) : f in the corridor during the step, f_i near hi_i },
    hi_i(t) ≤ hi_i(t + h) − h min { σ(s⁻_i(f)) : … },

and lo alike. "Near": a state below hi(t) + h min ẋ_i at the end needs no bound, others are within h times the largest
velocities of it all along. Where lo > hi at any depth, no trajectory reaches any of the targets, excursions included: a
neuron that may still return has a wide corridor, and speeds the others up. Where bounds of several neurons do not go
together in one trajectory, the corridor is halved, and each half narrowed on its own.
Source: the comparison of M. Müller, Math. Z. 26 (1927); for the narrowing Jaulin et al., "Applied Interval Analysis"
(2001), chapter 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.analysis.reachability.comparison import ROUNDING, Comparison
from ocdl.analysis.reachability.extremes import Extremes
from ocdl.arrays import Array

SWEEPS = 12
GAIN = 1e-3  # of the width of the corridor: less is no progress


@dataclass(frozen=True, eq=False)
class Corridor:
    """Bounds of C corridors, at the nodes low, high (N+1, C, M) and during the steps ``between`` (2, N, C, M)."""

    extremes: Extremes
    step: float
    low: Array
    high: Array
    between: Array

    @classmethod
    def from_start(cls, extremes: Extremes, x0: Array, horizon: float, steps: int) -> Corridor:
        """One corridor, of all trajectories from x0."""
        tube = Comparison(extremes.box).tube(x0, x0, horizon, steps)
        low, high = np.moveaxis(tube.nodes, 2, 1)[:, :, None]
        return cls(extremes, horizon / steps, low, high, np.moveaxis(tube.between, 2, 1)[:, :, None])

    def to(self, low: Array, high: Array) -> Corridor:
        """Of a single corridor, those of the trajectories that end in the boxes [low, high], (C, M) each."""
        lows, highs = (np.repeat(ends, len(low), axis=1) for ends in (self.low, self.high))
        lows[-1], highs[-1] = np.maximum(lows[-1], low), np.minimum(highs[-1], high)
        between = np.repeat(self.between, len(low), axis=2)
        return Corridor(self.extremes, self.step, lows, highs, between).narrowed()

    @property
    def gap(self) -> Array:
        """The largest lo − hi, (C,): no trajectory where it exceeds rounding."""
        return np.asarray((self.low - self.high).max(axis=(0, 2)))

    @property
    def empty(self) -> Array:
        """(C,): proven that no trajectory passes."""
        size = 1.0 + float(np.abs(self.between).max())
        return np.asarray(self.gap > 4.0 * ROUNDING * size)

    def narrowed(self) -> Corridor:
        """Forwards and backwards until nothing is gained any more."""
        found = self
        for _ in range(SWEEPS):
            before = found
            found = found._swept()
            gained = (before.high - before.low) - (found.high - found.low)
            widest = np.maximum((self.high - self.low).max(axis=(0, 2)), ROUNDING)
            if np.all(found.empty | (gained.max(axis=(0, 2)) <= GAIN * widest)):
                break
        return found

    def excludes(self, low: Array, high: Array, halvings: int = 0) -> bool:
        """Of a single corridor: it is proven that no trajectory ends in the box [low, high], (M,) each."""
        left = self.to(low[None], high[None])
        for _ in range(halvings):
            left = left.picked(np.logical_not(left.empty))
            if not left.low.shape[1]:
                return True
            left = left.halved().narrowed()
        return bool(np.all(left.empty))

    def picked(self, which: Array) -> Corridor:
        return Corridor(self.extremes, self.step, self.low[:, which], self.high[:, which], self.between[:, :, which])

    def halved(self) -> Corridor:
        """Twice as many: each cut in two where it is widest."""
        N, C = self.low.shape[0], self.low.shape[1]
        widths = np.moveaxis(self.high - self.low, 1, 0).reshape(C, -1)
        node, i = np.unravel_index(widths.argmax(axis=1), (N, self.low.shape[2]))
        every = np.arange(C)
        middle = 0.5 * (self.low[node, every, i] + self.high[node, every, i])
        low, high = (np.concatenate([ends, ends], axis=1) for ends in (self.low, self.high))
        high[node, every, i], low[node, every + C, i] = middle, middle
        return Corridor(self.extremes, self.step, low, high, np.concatenate([self.between] * 2, axis=2))

    def _swept(self) -> Corridor:
        """Every bound tightened once."""
        between = self._hull()
        least, largest = self.extremes.of_others(*between)
        slow = self.extremes.slowest(least, *between)
        fast = self.extremes.fastest(largest, *between)
        low, high = self.low.copy(), self.high.copy()
        for k in range(len(slow)):
            self._along(k, k + 1, low, high, between[:, k], (least[k], largest[k]), (slow[k], fast[k]))
        for k in reversed(range(len(slow))):
            self._against(k + 1, k, low, high, between[:, k], (least[k], largest[k]), (slow[k], fast[k]))
        return Corridor(self.extremes, self.step, low, high, between)

    def _along(
        self, k: int, to: int, low: Array, high: Array, hull: Array, others: tuple[Array, Array], v: tuple[Array, Array]
    ) -> None:
        """The bounds at the end of a step from those at its beginning."""
        h, (slow, fast) = self.step, v
        up, down = h * np.maximum(fast, 0.0), h * np.maximum(-slow, 0.0)
        least, most = high[k] + h * slow, low[k] + h * fast
        rise = self.extremes.fastest(others[1], *_window(hull, least - up, high[k] + up))
        fall = self.extremes.slowest(others[0], *_window(hull, low[k] - down, most + down))
        high[to] = np.minimum(high[to], np.maximum(least, high[k] + h * rise))
        low[to] = np.maximum(low[to], np.minimum(most, low[k] + h * fall))

    def _against(
        self, k: int, to: int, low: Array, high: Array, hull: Array, others: tuple[Array, Array], v: tuple[Array, Array]
    ) -> None:
        """The bounds at the beginning of a step from those at its end."""
        h, (slow, fast) = self.step, v
        up, down = h * np.maximum(fast, 0.0), h * np.maximum(-slow, 0.0)
        least, most = high[k] - h * fast, low[k] - h * slow
        fall = self.extremes.slowest(others[0], *_window(hull, least - down, high[k] + down))
        rise = self.extremes.fastest(others[1], *_window(hull, low[k] - up, most + up))
        high[to] = np.minimum(high[to], np.maximum(least, high[k] - h * fall))
        low[to] = np.maximum(low[to], np.minimum(most, low[k] - h * rise))

    def _hull(self) -> Array:
        """The corridor during each step: between lines of the extreme velocities from its ends."""
        least, largest = self.extremes.of_others(*self.between)
        slow = self.extremes.slowest(least, *self.between)
        fast = self.extremes.fastest(largest, *self.between)
        upper = _peak(self.high[:-1], self.high[1:], fast, slow, self.step)
        lower = -_peak(-self.low[:-1], -self.low[1:], -slow, -fast, self.step)
        return np.stack([np.maximum(self.between[0], lower), np.minimum(self.between[1], upper)])


def _peak(first: Array, last: Array, fast: Array, slow: Array, h: float) -> Array:
    """max over 0 ≤ τ ≤ h of min(first + fast τ, last − slow (h − τ))."""
    spread = np.maximum(fast - slow, np.finfo(float).tiny)
    meeting = np.clip((last - slow * h - first) / spread, 0.0, h)
    tau = np.where(slow > 0.0, h, np.where(fast < 0.0, 0.0, meeting))
    return np.asarray(np.minimum(first + fast * tau, last - slow * (h - tau)))


def _window(hull: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The part of a step's hull in which the state can be."""
    return np.minimum(np.maximum(low, hull[0]), hull[1]), np.maximum(np.minimum(high, hull[1]), hull[0])
