"""Componentwise enclosure of the reachable set of one sample: the comparison (Müller) system of the velocity box.

    hi_i' = max { σ(s⁺_i(f)) : lo ≤ f ≤ hi, f_i = hi_i },   lo_i' = min { σ(s⁻_i(f)) : lo ≤ f ≤ hi, f_i = lo_i },

from lo(0) = hi(0) = x^0. Every state attainable at depth t lies in [lo(t), hi(t)], whatever the controls. s⁺ is a sum
of convex piecewise linear terms and s⁻ of concave ones, so each extreme is taken at an end of the intervals.

With z = (−lo, hi) the system z' = F(z) is quasi-monotone: any Z with Z(0) ≥ z(0) and Z' ≥ F(Z) stays above z. So the
bounds are proven, not estimated: Z' is taken linear on every step and the inequality is verified on all of it, by the
values of F(Z) at the ends of the step and by the range of its derivative between them.
Source: M. Müller, Math. Z. 26 (1927); Walter, "Differential and Integral Inequalities", section II.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.analysis.reachability.ranges import Interval, Ranges, derivative_range, product
from ocdl.errors import NotSupported
from ocdl.statement.velocity_box import VelocityBox, split_preactivations

Array = NDArray[np.float64]

ITERATIONS = 60
MARGIN = 1e-14  # of the rates, for the verification to end
ROUNDING = 1e-12  # of the bounds
BLOCK = 1 << 20  # entries of the largest array, about
STEPS, FEWEST_STEPS, WORK = 1024, 64, 1 << 17


def enclosure(box: VelocityBox, x0: Array, horizon: float, steps: int = 64) -> tuple[Array, Array]:
    """Proven bounds lo, hi (M,) of the states attainable at any depth in [0, T]."""
    return Comparison(box).tube(x0, x0, horizon, steps).hull


def reachable_box(box: VelocityBox, x0: Array, horizon: float, steps: int | None = None) -> tuple[Array, Array]:
    """Proven bounds lo, hi (M,) of every state attainable at depth T from x0 (M,), of second order in 1/steps.

    1024 steps by default, for many neurons fewer. Raises NotSupported where the steps are too long for the proof.
    """
    steps = max(FEWEST_STEPS, min(STEPS, WORK // box.width**2)) if steps is None else steps
    low, high = Comparison(box).tube(x0, x0, horizon, steps).nodes[:, :, -1]
    return low, high


@dataclass(frozen=True, eq=False)
class Tube:
    """Bounds lo, hi of the reachable states at the ends of the steps, ``nodes`` (2, M, steps + 1), and throughout each
    step, ``between`` (2, M, steps).
    """

    nodes: Array
    between: Array

    @property
    def hull(self) -> tuple[Array, Array]:
        """Bounds (M,) at any depth."""
        return self.between[0].min(axis=1), self.between[1].max(axis=1)


@dataclass(frozen=True, eq=False)
class Comparison:
    """z' = F(z), F = ±σ(±G) with G convex and piecewise linear: z and G are signed so that larger is always wider.

    Arrays have shape (2, M, ...): lo and hi of every neuron.
    """

    box: VelocityBox

    def tube(self, low: Array, high: Array, horizon: float, steps: int) -> Tube:
        """Bounds of the states attainable from the box [low, high], (M,) each.

        z' = g + ρ with g linear on every step and ρ constant: by Picard's iteration g becomes F(z) at the nodes and ρ
        what F(z) exceeds its chord by, until g + ρ ≥ F(z) is verified; where that fails, one half after the other.
        """
        h, begin = horizon / steps, _signed(np.stack([low, high]))[:, :, None]
        g = np.repeat(self._rate(self._sums(begin)), steps + 1, axis=2)
        rho = np.zeros_like(g[:, :, 1:])
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(ITERATIONS):
                z = np.append(begin, begin + np.cumsum(h * (0.5 * (g[:, :, 1:] + g[:, :, :-1]) + rho), axis=2), axis=2)
                G = self._sums(z)
                rate = self._rate(G)
                off, varies = (float(np.max(np.abs(d))) for d in (rate - g, np.diff(rate, axis=2)))
                if not np.isfinite(off):
                    break
                if off <= 0.1 * h * varies + MARGIN:
                    bend = self._bend(z, g, rho, G, rate, h)
                    needed = np.maximum(rate[:, :, 1:] - g[:, :, 1:], rate[:, :, :-1] - g[:, :, :-1]) + bend
                    if np.all(needed <= rho):
                        return self._tube(z, g, h)
                    rho = 1.02 * bend + off + MARGIN * (1.0 + float(np.max(np.abs(rate))))
                g = rate
        if steps == 1:
            raise NotSupported(f"the comparison equations have no proven bounds over a step of {horizon:g}.")
        part = steps // 2
        first = self.tube(low, high, part * h, part)
        middle = first.nodes[:, :, -1]
        rest = self.tube(middle[0], middle[1], (steps - part) * h, steps - part)
        nodes = np.append(first.nodes, rest.nodes[:, :, 1:], axis=2)
        return Tube(nodes, np.append(first.between, rest.between, axis=2))

    def preactivations(self, low: Array, high: Array) -> tuple[Array, Array]:
        """The least and the largest of s⁻ and s⁺ over a box of states [low, high], (2, M) each."""
        ends, (origin, rising, falling) = np.stack([low, high])[:, None, None], self._terms
        terms = rising[:, 0] * np.maximum(ends, 0.0) + falling[:, 0] * np.minimum(ends, 0.0)
        inside = np.where((low < 0.0) & (high > 0.0), 0.0, np.inf)
        least = _signed(origin + np.minimum(terms.min(axis=0), inside).sum(axis=2))
        largest = _signed(origin + terms.max(axis=0).sum(axis=2))
        return np.minimum(least, largest), np.maximum(least, largest)

    @staticmethod
    def _tube(z: Array, g: Array, h: float) -> Tube:
        rounding = ROUNDING * (1.0 + float(np.abs(z).max()))
        return Tube(_signed(z + rounding), _signed(_hull(z, _sag(g, h))[1] + rounding))

    @cached_property
    def _terms(self) -> tuple[Array, Array, Array]:
        """origin (2, M), rising and falling (2, 1, M, M), signed: what f_j adds to G_i is convex in f_j."""
        slow, fast = split_preactivations(self.box)
        return (
            np.stack([-slow.origin, fast.origin]),
            np.stack([-slow.rising, fast.rising])[:, None],
            np.stack([-slow.falling, fast.falling])[:, None],
        )

    @cached_property
    def derivatives(self) -> tuple[Ranges, Ranges]:
        """The ranges of σ' and σ''."""
        return derivative_range(self.box.activation, 1), derivative_range(self.box.activation, 2)

    def _rate(self, G: Array) -> Array:
        return _signed(np.asarray(self.box.activation(_signed(G))))

    def _rows(self, depths: int) -> list[tuple[slice, Array, Array]]:
        """Neurons i in blocks, with the slopes of the terms of their G_i, (2, 1, rows, M, 1)."""
        _, rising, falling = self._terms
        size = max(1, BLOCK // (4 * self.box.width * depths))
        rows = [slice(i, i + size) for i in range(0, self.box.width, size)]
        return [(i, rising[:, :, i, :, None], falling[:, :, i, :, None]) for i in rows]

    def _entering(self, ends: Array, rows: slice) -> Array:
        """f_j at both ends as they enter G_i, (2, 2, rows, M, depths): the own neuron's end is given."""
        own = np.eye(self.box.width, dtype=bool)[rows, :, None]
        return np.where(own, ends[:, None, None], ends[None, :, None])

    def _sums(self, z: Array) -> Array:
        """G(z)."""
        ends, G = _signed(z), np.empty(z.shape)
        for rows, rising, falling in self._rows(z.shape[2]):
            f = self._entering(ends, rows)
            G[:, rows] = (rising * np.maximum(f, 0.0) + falling * np.minimum(f, 0.0)).max(axis=1).sum(axis=2)
        return G + self._terms[0][:, :, None]

    def _bend(self, z: Array, g: Array, rho: Array, G: Array, rate: Array, h: float) -> Array:
        """What F(z) exceeds its chord by on every step, (2, M, steps).

        A function with derivative in [m, M] exceeds its chord over h by at most h (M − m)/4; and F, increasing in G,
        by no more than its own range.
        """
        moves = _hull(g, 0.0)
        low, high = self._sums_slope(_hull(z, _sag(g, h)), (moves[0] + rho, moves[1] + rho))
        least, largest = _hull(G, 0.25 * h * (high - low))
        monotone = self._rate(largest) - np.minimum(rate[:, :, 1:], rate[:, :, :-1])
        ends = _signed(least), _signed(largest)
        slope = product(self.derivatives[0](np.minimum(*ends), np.maximum(*ends)), (low, high))
        return np.fmin(monotone, 0.25 * h * (slope[1] - slope[0]))

    def _sums_slope(self, z: Interval, moves: Interval) -> Interval:
        """The range of dG/dt where z and z' range over intervals; a term that is always the lesser has no part."""
        f, speed = _unsigned(z), _unsigned(moves)
        low, high = np.empty(z[0].shape), np.empty(z[0].shape)
        for rows, rising, falling in self._rows(z[0].shape[2]):
            a, b = (self._entering(end, rows) for end in f)
            at = [rising * np.maximum(end, 0.0) + falling * np.minimum(end, 0.0) for end in (a, b)]
            least = np.minimum(np.minimum(*at), np.where((a < 0.0) & (b > 0.0), 0.0, np.inf))
            less = np.maximum(*at) < least[:, ::-1]
            slopes = np.where(a < 0.0, falling, rising), np.where(b > 0.0, rising, falling)
            rates = product(slopes, (self._entering(speed[0], rows), self._entering(speed[1], rows)))
            low[:, rows] = np.where(less, np.inf, rates[0]).min(axis=1).sum(axis=2)
            high[:, rows] = np.where(less, -np.inf, rates[1]).max(axis=1).sum(axis=2)
        return low, high


def _signed(ends: Array) -> Array:
    """z = (−lo, hi) from lo and hi, and back."""
    return np.stack([-ends[0], ends[1]])


def _unsigned(z: Interval) -> Interval:
    """Intervals of lo and hi from those of z."""
    return np.stack([-z[1][0], z[0][1]]), np.stack([-z[0][0], z[1][1]])


def _hull(nodes: Array, beyond: Array | float) -> Interval:
    """The range over every step of what leaves the hull of its values at the ends by at most ``beyond``."""
    first, last = nodes[:, :, :-1], nodes[:, :, 1:]
    return np.minimum(first, last) - beyond, np.maximum(first, last) + beyond


def _sag(g: Array, h: float) -> Array:
    """The distance of z from its chord, where z' is linear between g at the ends."""
    return np.asarray(h / 8.0 * np.abs(np.diff(g, axis=2)))
