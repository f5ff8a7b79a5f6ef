"""Downhill over boxes, many at once: spectral projected gradients, one evaluation an iteration, a count for a budget.

Every group of controls has a step of its own; what an evaluation of all groups costs does not depend on how many move.
Source: Birgin, Martínez and Raydan, SIAM J. Optim. 10 (2000), algorithm SPG1, monotone here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array

ARMIJO = 1e-4
ROUNDING = 1e-14  # relative to the value: a fall that is none
SHORTEST, LONGEST = 1e-12, 1e12  # steps
SHRINK = 0.01, 0.5  # of a step that failed, at most and at least
PATIENCE = 60  # evaluations after which a group that never moved stays where it is

Slopes = Callable[[NDArray[np.intp], Array], tuple[Array, Array]]


def descended(
    slopes: Slopes, start: Array, low: Array, high: Array, metric: Array, evaluations: int
) -> tuple[Array, Array]:
    """Values (K, G) and points (K, G, size) that are reached from ``start`` between ``low`` and ``high``.

    ``slopes(rows, z)``: values (R, G) and gradients (R, G, size) of the points ``rows`` at z (R, G, size). ``metric``
    (G, size): of the scalar product. Values never rise, and fall wherever the gradient leads into the box: a group that
    has not moved after so many ``evaluations`` goes on until it has, its steps growing shorter.
    """
    z = np.clip(start, low, high)
    value, gradient = slopes(np.arange(len(z)), z)
    live = np.isfinite(value) & np.isfinite(gradient).all(axis=2)
    moved, step = np.zeros(value.shape, dtype=bool), _first_step(z, gradient, metric, low, high)
    for k in range(max(evaluations, PATIENCE)):
        rows = np.flatnonzero((live & ((k < evaluations) | ~moved)).any(axis=1))
        if not rows.size:
            break
        at, slope = z[rows], gradient[rows]
        trial = np.clip(at - step[rows, :, None] * slope / metric, low[rows], high[rows])
        way = trial - at
        fall = -np.einsum("kgi,kgi->kg", slope, way)
        live[rows] &= fall > ROUNDING * (1.0 + np.abs(value[rows]))
        found, turned = slopes(rows, trial)
        with np.errstate(invalid="ignore", over="ignore"):
            better = live[rows] & (found <= value[rows] - ARMIJO * fall) & np.isfinite(turned).all(axis=2)
            spectral = _spectral(way, turned - slope, metric, step[rows])
            shrunk = step[rows] * _shrink(fall, found - value[rows])
        step[rows] = np.clip(np.where(better, spectral, shrunk), SHORTEST, LONGEST)
        z[rows] = np.where(better[:, :, None], trial, at)
        gradient[rows] = np.where(better[:, :, None], turned, slope)
        value[rows] = np.where(better, found, value[rows])
        moved[rows] |= better
    return value, z


def _first_step(z: Array, gradient: Array, metric: Array, low: Array, high: Array) -> Array:
    """One that takes the steepest control across its interval, or by its own size where that has no end; (K, G)."""
    with np.errstate(invalid="ignore"):
        span = np.where(np.isfinite(high - low), high - low, 1.0 + np.abs(z))
        speed = np.where(span > 0.0, np.abs(gradient) / metric / np.maximum(span, 1e-300), 0.0).max(axis=2, initial=0.0)
    return np.clip(1.0 / np.maximum(speed, 1.0 / LONGEST), SHORTEST, LONGEST)


def _spectral(way: Array, turned: Array, metric: Array, step: Array) -> Array:
    """|s|² / s·y, and a longer step where H is not convex along s."""
    curvature = np.einsum("kgi,kgi->kg", way, turned)
    length = np.einsum("gi,kgi,kgi->kg", metric, way, way)
    return np.where(curvature > 0.0, length / np.where(curvature > 0.0, curvature, 1.0), 10.0 * step)


def _shrink(fall: Array, rise: Array) -> Array:
    """Where the parabola through the value, its slope −``fall`` and the trial's ``rise`` is least, as a share."""
    share = 0.5 * fall / np.where(rise + fall > 0.0, rise + fall, np.inf)
    return np.clip(np.nan_to_num(share, nan=SHRINK[0]), *SHRINK)
