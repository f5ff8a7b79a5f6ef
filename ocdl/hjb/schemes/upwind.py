"""Godunov's upwind scheme on the exact Hamiltonian: the independent second scheme.

    V_τ = Σ_i min { v⁺ D⁺_i V + ... : v ∈ {v⁻_i, v⁺_i, 0 if between} },   v D = max(v, 0) D⁺ + min(v, 0) D⁻,

with τ = T − t and one-sided derivatives D⁻, D⁺ of order 1 (Euler's method, monotone), WENO3 or WENO5 (the third order
strong stability preserving Runge–Kutta method). Beyond the domain V is continued linearly.
Sources: Godunov's flux for a convex Hamiltonian, Osher and Sethian (1988); Jiang and Peng, SIAM J. Sci. Comput. 21
(2000), section 2; Shu and Osher (1988).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.flows import slabs
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.schemes.split import Memoryless
from ocdl.statement.velocity_box import VelocityBox

Array = NDArray[np.float64]

DERIVATIVES = ("upwind", "upwind-weno3", "upwind-weno5")
PADDING = 3


class Upwind(Memoryless):
    """Holds the extreme velocities at every node (2M arrays) and needs 6 more of the grid's size in a step."""

    def __init__(self, box: VelocityBox, grid: StateGrid, step: float, derivative: str) -> None:
        self._step, self._derivative, self._spacing = step, derivative, grid.spacing
        self._slow, self._fast = (np.empty((box.width, *grid.shape)) for _ in range(2))
        for part in slabs(grid.shape):
            slow, fast = box.velocities(grid.states(part))
            self._slow[:, part], self._fast[:, part] = np.moveaxis(slow, -1, 0), np.moveaxis(fast, -1, 0)

    def advance(self, value: Array, done: int) -> Array:
        h = self._step
        first = value + h * self._rate(value)
        if self._derivative == "upwind":
            return first
        second = 0.75 * value + 0.25 * (first + h * self._rate(first))
        return np.asarray(value / 3.0 + 2.0 / 3.0 * (second + h * self._rate(second)))

    def _rate(self, value: Array) -> Array:
        total = np.zeros(value.shape)
        for axis, dx in enumerate(self._spacing):
            left, right = one_sided(value, axis, float(dx), self._derivative)
            slow, fast = self._slow[axis], self._fast[axis]
            low, high = (np.maximum(v, 0.0) * right + np.minimum(v, 0.0) * left for v in (slow, fast))
            best = np.minimum(low, high)
            total += np.where((slow < 0.0) & (fast > 0.0), np.minimum(best, 0.0), best)
        return total


def one_sided(value: Array, axis: int, dx: float, derivative: str) -> tuple[Array, Array]:
    """D⁻ and D⁺ of ``value`` along ``axis``."""
    n = value.shape[axis]
    padding = [(PADDING, PADDING) if k == axis else (0, 0) for k in range(value.ndim)]
    slopes = np.moveaxis(np.pad(np.diff(value, axis=axis) / dx, padding, mode="edge"), axis, 0)

    def shifted(offset: int) -> Array:
        """The slope between nodes i + offset and i + offset + 1, for every node i."""
        return slopes[PADDING + offset : PADDING + offset + n]

    if derivative == "upwind":
        left, right = shifted(-1), shifted(0)
    elif derivative == "upwind-weno3":
        left, right = _weno3([shifted(k) for k in (-2, -1, 0)]), _weno3([shifted(k) for k in (1, 0, -1)])
    else:
        left = _weno5([shifted(k) for k in (-3, -2, -1, 0, 1)])
        right = _weno5([shifted(k) for k in (2, 1, 0, -1, -2)])
    return np.moveaxis(left, 0, axis), np.moveaxis(right, 0, axis)


def _weno3(v: Sequence[Array]) -> Array:
    stencils = ((3.0 * v[1] - v[0]) / 2.0, (v[1] + v[2]) / 2.0)
    roughness = ((v[1] - v[0]) ** 2, (v[2] - v[1]) ** 2)
    return _blended(stencils, roughness, (1 / 3, 2 / 3), v)


def _weno5(v: Sequence[Array]) -> Array:
    a, b, c, d, e = v
    stencils = (
        (2.0 * a - 7.0 * b + 11.0 * c) / 6.0,
        (-b + 5.0 * c + 2.0 * d) / 6.0,
        (2.0 * c + 5.0 * d - e) / 6.0,
    )
    roughness = (
        13.0 / 12.0 * (a - 2.0 * b + c) ** 2 + 0.25 * (a - 4.0 * b + 3.0 * c) ** 2,
        13.0 / 12.0 * (b - 2.0 * c + d) ** 2 + 0.25 * (b - d) ** 2,
        13.0 / 12.0 * (c - 2.0 * d + e) ** 2 + 0.25 * (3.0 * c - 4.0 * d + e) ** 2,
    )
    return _blended(stencils, roughness, (0.1, 0.6, 0.3), v)


def _blended(
    stencils: Sequence[Array], roughness: Sequence[Array], ideal: Sequence[float], v: Sequence[Array]
) -> Array:
    """Σ ω_k stencil_k with ω_k ∝ ideal_k / (roughness_k + floor)²; the floor is relative to the slopes."""
    floor = 1e-6 * np.max([slope * slope for slope in v], axis=0) + 1e-99
    weights = [share / (rough + floor) ** 2 for share, rough in zip(ideal, roughness, strict=True)]
    return np.asarray(sum(w * s for w, s in zip(weights, stencils, strict=True)) / sum(weights))
