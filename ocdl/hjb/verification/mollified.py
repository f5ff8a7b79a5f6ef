"""A table of V smoothed by quadratic B-splines, V_j their coefficients: once differentiable, and no steeper anywhere.

    at a node      W = (V_{j−1} + 6 V_j + V_{j+1})/8,     W' = (V_{j+1} − V_{j−1})/2h,
    in the middle  W = (V_j + V_{j+1})/2,                 W' = (V_{j+1} − V_j)/h,

and W' is linear in between. Every slope is a convex combination of slopes of V: as H is concave, smoothing V cannot
lower ∂_tV + H but for what H changes over a cell, kinks or not. At the ends V is continued linearly.
Source: de Boor, "A Practical Guide to Splines" (1978), chapter XI (Schoenberg's variation diminishing approximation).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.hjb.grids.interpolation import Weights


def spline_weights(nodes: Array, at: Array) -> Weights:
    """Indices (q, 3), weights of the value and of the slope, as of ``cubic_weights``; ``nodes`` are equidistant."""
    n, h = nodes.size, (nodes[-1] - nodes[0]) / (nodes.size - 1)
    where = (np.clip(at, nodes[0], nodes[-1]) - nodes[0]) / h
    j = np.clip(np.rint(where).astype(np.int64), 0, n - 1)
    s = where - j
    value = np.stack([0.5 * (0.5 - s) ** 2, 0.75 - s * s, 0.5 * (0.5 + s) ** 2], axis=1)
    slope = np.stack([s - 0.5, -2.0 * s, s + 0.5], axis=1) / h
    for weights in (value, slope):
        _continued(weights, j == 0)
        _continued(weights[:, ::-1], j == n - 1)
    return np.clip(j - 1, 0, n - 3)[:, None] + np.arange(3), value, slope


def _continued(weights: Array, at_end: Any) -> None:
    """The weight of the node beyond an end, 2 V_0 − V_1, given to those there are; in place."""
    ghost = weights[at_end, 0]
    weights[at_end] = np.stack(
        [weights[at_end, 1] + 2.0 * ghost, weights[at_end, 2] - ghost, np.zeros_like(ghost)], axis=1
    )


def smoothed(values: Array, axis: int) -> Array:
    """W at the nodes and in the middles along an axis, of n nodes 2n − 1 places."""
    v = _padded(values, axis)
    return _interleaved(
        (v[..., :-2] + 6.0 * v[..., 1:-1] + v[..., 2:]) / 8.0, 0.5 * (v[..., 1:-2] + v[..., 2:-1]), axis
    )


def slopes(values: Array, spacing: float, axis: int) -> Array:
    """W' there."""
    rise = np.diff(_padded(values, axis), axis=-1) / spacing
    return _interleaved(0.5 * (rise[..., :-1] + rise[..., 1:]), rise[..., 1:-1], axis)


def refined(nodes: Array) -> Array:
    """The places themselves."""
    return _interleaved(nodes, 0.5 * (nodes[:-1] + nodes[1:]), 0)


def _padded(values: Array, axis: int) -> Array:
    v = np.moveaxis(values, axis, -1)
    return np.concatenate([2.0 * v[..., :1] - v[..., 1:2], v, 2.0 * v[..., -1:] - v[..., -2:-1]], axis=-1)


def _interleaved(nodes: Array, middles: Array, axis: int) -> Array:
    found = np.empty((*nodes.shape[:-1], 2 * nodes.shape[-1] - 1))
    found[..., ::2], found[..., 1::2] = nodes, middles
    return np.moveaxis(found, -1, axis)
