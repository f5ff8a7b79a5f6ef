"""Minimisation over groups of controls that do not meet: one small problem a point and group, all in lockstep.

Controls u (K, m) of K points read group by group are (K·G, size), the groups of a point next to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.referee.lockstep import projected_newton

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

AT_ONCE = 1_000_000  # entries of states and controls held at once


@dataclass(frozen=True, eq=False)
class Columns:
    """K points with C columns each: t (K, C), x and Λ (K, C, n), ω (C,); and the parameters p (P,)."""

    t: Array
    x: Array
    costate: Array
    omega: Array
    p: Array

    def at(self, u: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        """What a Hamiltonian takes at controls u (K, m)."""
        return self.t, self.x, self.costate, self.omega, u, self.p

    def of(self, rows: Indices) -> Columns:
        """Those of some of the points, or of points more than once."""
        return Columns(self.t[rows], self.x[rows], self.costate[rows], self.omega, self.p)


def blocks(shape: tuple[int, ...], groups: Indices) -> list[Indices]:
    """Points of which each block bounds the memory, of columns x of ``shape`` (K, C, n)."""
    K, C, n = shape
    entries = K * max(groups.size, C * (2 * n + groups.shape[1]))
    return np.array_split(np.arange(K), max(1, min(K, -(-entries // AT_ONCE))))


def grouped(u: Array, groups: Indices) -> Array:
    """Controls (K, m) group by group, (K·G, size)."""
    return u[:, groups].reshape(u.shape[0] * groups.shape[0], groups.shape[1])


def ungrouped(z: Array, u: Array, groups: Indices) -> Array:
    """Controls u (K, m) with those of the groups from z (K·G, size)."""
    controls = u.copy()
    controls[:, groups] = z.reshape(len(u), *groups.shape)
    return controls


def with_groups(u: Array, other: Array, which: NDArray[np.bool_], groups: Indices) -> Array:
    """Controls u (K, m) with the groups ``which`` (K, G) from ``other`` (K, m)."""
    members = np.empty(u.shape, dtype=bool)
    members[:, groups] = which[:, :, None]
    return np.where(members, other, u)


@dataclass(frozen=True, eq=False)
class GroupSearch:
    """min H_g(z) + Σ hold (z − u)² over each group of each point, by projected Newton from u and elsewhere.

    ``derivatives(*columns.at(u))``: H_g (K, G), gradient (K, G, size) and Hessian (K, G, size, size); ``values``: H_g
    alone. ``box``: each end (K·G, size). ``hold`` (G, size) ≥ 0.
    """

    derivatives: Callable[..., tuple[Array, Array, Array]]
    values: Callable[..., Array]
    groups: Indices
    columns: Columns
    u: Array
    box: tuple[Array, Array]
    hold: Array
    iterations: int

    def best(self, begins: Iterable[Array] = ()) -> tuple[Array, Array]:
        """The least values (K, G) and their controls (K, m), from u and from ``begins``: each holds the (K·G, size) of
        one start, or of several below one another, which are then minimised together.
        """
        begin = grouped(self.u, self.groups)
        least, at = self._reached(begin)
        for many in begins:
            values, points = self._reached(many)
            for value, z in zip(
                values.reshape(-1, len(begin)), np.split(points, len(points) // len(begin)), strict=True
            ):
                better = (value < least) | np.isnan(least)
                least, at = np.where(better, value, least), np.where(better[:, None], z, at)
        return least.reshape(len(self.u), -1), ungrouped(at, self.u, self.groups)

    def _reached(self, start: Array) -> tuple[Array, Array]:
        low, high = (np.tile(end, (len(start) // len(end), 1)) for end in self.box)
        given = (self._derivatives, start, low, high, self.iterations)
        return projected_newton(*given, values=self._values)

    def _derivatives(self, which: Indices, z: Array) -> tuple[Array, Array, Array]:
        """Value, gradient and Hessian of the problems ``which``, counted over starts, points and groups."""
        of, given = self._given(which, z)
        value, slope, blocks = (part[of] for part in self.derivatives(*given))
        hold, away = self._held(which, z)
        value, slope = value + np.sum(hold * away**2, axis=1), slope + 2.0 * hold * away
        return value, slope, blocks + 2.0 * hold[:, :, None] * np.eye(z.shape[1])

    def _values(self, which: Indices, z: Array) -> Array:
        of, given = self._given(which, z)
        hold, away = self._held(which, z)
        return np.asarray(self.values(*given)[of] + np.sum(hold * away**2, axis=1))

    def _given(self, which: Indices, z: Array) -> tuple[tuple[Indices, Indices], tuple[Array, ...]]:
        """Where the problems are among what a Hamiltonian finds, and what it takes."""
        K, G = len(self.u), len(self.groups)
        starts, at = np.unique(which // G, return_inverse=True)
        points, group = starts % K, which % G
        controls = self.u[points]
        controls[at[:, None], self.groups[group]] = z
        return (at, group), self.columns.of(points).at(controls)

    def _held(self, which: Indices, z: Array) -> tuple[Array, Array]:
        """What holds the problems, and how far they are from u."""
        K, G = len(self.u), len(self.groups)
        return self.hold[which % G], z - self.u[(which // G % K)[:, None], self.groups[which % G]]
