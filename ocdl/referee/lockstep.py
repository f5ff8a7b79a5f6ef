"""Projected Newton, many small box-constrained problems in lockstep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ARMIJO = 1e-4
CURVATURE = 1e-8  # least curvature, relative to the largest


def projected_newton(
    derivatives: Callable[[NDArray[np.intp], Array], tuple[Array, Array, Array]],
    start: Array,
    low: Array,
    high: Array,
    iterations: int,
    *,
    values: Callable[[NDArray[np.intp], Array], Array] | None = None,
) -> tuple[Array, Array]:
    """Values (K,) and points (K, m) that local minimisation over low ≤ z ≤ high (K, m) reaches from ``start``.

    ``derivatives(which, z)``: value, gradient and Hessian of the problems ``which`` at z (len(which), m).
    ``values(which, z)``: their values alone, for the trials of a line search after the first.
    Variables at a bound that the gradient pushes against are held; the Hessian of the others has its eigenvalues made
    positive; the step is projected and halved until the value falls by Armijo's rule. Values never rise. A problem ends
    where its derivatives are not finite.
    Source: Bertsekas, SIAM J. Control Optim. 20 (1982), section 2.
    """
    z = np.clip(start, low, high)
    live = np.arange(len(z))
    value, gradient, hessian = derivatives(live, z)
    best = value.copy()
    for _ in range(iterations):
        finite = np.isfinite(value) & np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
        if not np.all(finite):
            live, value, gradient, hessian = live[finite], value[finite], gradient[finite], hessian[finite]
        if not live.size:
            break
        at, lower, upper = z[live], low[live], high[live]
        held = ((at <= lower) & (gradient > 0.0)) | ((at >= upper) & (gradient < 0.0))
        direction = _directions(gradient, hessian, held)
        direction /= np.maximum(
            1.0, np.max(np.abs(direction) / _span(at, lower, upper), axis=1, keepdims=True, initial=0.0)
        )
        moved, found = _searched(derivatives, values, live, at, value, gradient, direction, lower, upper)
        if not np.any(moved):
            break
        live = live[moved]
        z[live], (value, gradient, hessian) = found[0], found[1:]
        best[live] = value
    return best, z


def _directions(gradient: Array, hessian: Array, held: NDArray[np.bool_]) -> Array:
    free = ~held
    masked = np.where(free[:, :, None] & free[:, None, :], hessian, 0.0)
    values, vectors = np.linalg.eigh(masked)
    size = np.abs(values)
    size = np.maximum(size, CURVATURE * np.max(size, axis=1, keepdims=True, initial=0.0) + 1e-14)
    slope = np.where(free, gradient, 0.0)
    along = np.einsum("kji,kj->ki", vectors, slope) / size
    return -np.where(free, np.einsum("kij,kj->ki", vectors, along), 0.0)


def _span(z: Array, low: Array, high: Array) -> Array:
    """How far a step may reach: the box's width, or ten times the variable where it is unbounded."""
    return np.where(np.isfinite(high - low), np.maximum(high - low, 1e-300), 10.0 * (1.0 + np.abs(z)))


def _searched(
    derivatives: Callable[[NDArray[np.intp], Array], tuple[Array, Array, Array]],
    values: Callable[[NDArray[np.intp], Array], Array] | None,
    live: NDArray[np.intp],
    z: Array,
    value: Array,
    gradient: Array,
    direction: Array,
    low: Array,
    high: Array,
) -> tuple[NDArray[np.bool_], tuple[Array, Array, Array, Array]]:
    """Which problems moved, and their new points and derivatives."""
    point, new = z.copy(), [value.copy(), gradient.copy(), np.empty((*gradient.shape, gradient.shape[1]))]
    rounding = 1e-15 * (1.0 + np.abs(value))
    with np.errstate(over="ignore", invalid="ignore"):
        downhill = np.sum(gradient * direction, axis=1)
    moved, open_, length = np.zeros(len(z), bool), np.arange(len(z)), 1.0
    for _ in range(25):
        open_ = open_[length * downhill[open_] < -rounding[open_]]
        if not open_.size:
            break
        trial = np.clip(z[open_] + length * direction[open_], low[open_], high[open_])
        slope = np.sum(gradient[open_] * (trial - z[open_]), axis=1)
        tried = np.flatnonzero(
            slope < -rounding[open_]
        )  # a step cut off by the box need not lead downhill: a shorter may
        if tried.size:
            at, trial, slope = open_[tried], trial[tried], slope[tried]
            alone = None if length == 1.0 else values
            found = derivatives(live[at], trial) if alone is None else (alone(live[at], trial),)
            good = found[0] <= value[at] + ARMIJO * slope
            at, trial = at[good], trial[good]
            point[at], moved[at] = trial, True
            if at.size:
                got = [part[good] for part in found] if alone is None else derivatives(live[at], trial)
                for held, part in zip(new, got, strict=True):
                    held[at] = part
        open_, length = open_[~moved[open_]], 0.5 * length
    return moved, (point[moved], new[0][moved], new[1][moved], new[2][moved])
