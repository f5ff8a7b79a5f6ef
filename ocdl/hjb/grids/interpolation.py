"""Interpolation of the value function between nodes and stored depths: local weights, one axis at a time.

Cubic: Hermite cells with three-point slopes (cubic convolution, Keys 1981, on uniform nodes): once differentiable,
third order, gradient of second order. Linear: monotone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.grid import StateGrid

Array = NDArray[np.float64]
Weights = tuple[NDArray[np.int64], Array, Array]
Rule = Callable[[Array, Array], Weights]

BEYOND = 2
BLOCK = 1 << 20  # entries gathered at once


def cubic_weights(nodes: Array, at: Array) -> Weights:
    """Indices (q, w), weights of the value and of the slope, w = min(4, nodes); ``at`` (q,) is clamped to the nodes."""
    n, width = nodes.size, min(4, nodes.size)
    if n < 3:
        return linear_weights(nodes, at)
    j, h, s = _cell(nodes, at)
    first = np.clip(j - 1, 0, n - width)
    left, right = _slope_rows(nodes, j, first, width), _slope_rows(nodes, j + 1, first, width)
    rows = np.arange(j.size)
    value, slope = np.zeros((j.size, width)), np.zeros((j.size, width))
    value[rows, j - first] += (1 + 2 * s) * (1 - s) ** 2
    value[rows, j + 1 - first] += s * s * (3 - 2 * s)
    value += (h * s * (1 - s) ** 2)[:, None] * left + (h * s * s * (s - 1))[:, None] * right
    slope[rows, j - first] += -6 * s * (1 - s) / h
    slope[rows, j + 1 - first] += 6 * s * (1 - s) / h
    slope += ((1 - s) * (1 - 3 * s))[:, None] * left + (s * (3 * s - 2))[:, None] * right
    return first[:, None] + np.arange(width), value, slope


def around(rule: Rule, nodes: Array, at: Array, period: float) -> Weights:
    """A rule on nodes around a circle, which are continued by ``BEYOND`` nodes at either end."""
    if not period:
        return rule(nodes, at)
    before, after = nodes[-BEYOND:] - period, nodes[:BEYOND] + period
    continued = np.concatenate([before, nodes, after])
    index, value, slope = rule(continued, nodes[0] + np.mod(at - nodes[0], period))
    return (index - BEYOND) % nodes.size, value, slope


def weights_on(grid: StateGrid, rule: Rule, x: Array) -> list[Weights]:
    """A rule along every axis of the grid, for states x (q, D)."""
    return [around(rule, *axis) for axis in zip(grid.axes, x.T, grid.periods, strict=True)]


def linear_weights(nodes: Array, at: Array) -> Weights:
    """The same with the two nodes of the cell (one node: a constant)."""
    if nodes.size == 1:
        return np.zeros((at.size, 1), dtype=np.int64), np.ones((at.size, 1)), np.zeros((at.size, 1))
    j, h, s = _cell(nodes, at)
    return j[:, None] + np.arange(2), np.stack([1 - s, s], axis=1), np.stack([-1 / h, 1 / h], axis=1)


def _cell(nodes: Array, at: Array) -> tuple[NDArray[np.int64], Array, Array]:
    at = np.clip(at, nodes[0], nodes[-1])
    j = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, nodes.size - 2)
    h = nodes[j + 1] - nodes[j]
    return j, h, (at - nodes[j]) / h


def _slope_rows(nodes: Array, j: NDArray[np.int64], first: NDArray[np.int64], width: int) -> Array:
    """Weights (q, width) of the slope at node j by the parabola through three nodes around it."""
    k = np.clip(j - 1, 0, nodes.size - 3)
    x0, x1, x2, x = nodes[k], nodes[k + 1], nodes[k + 2], nodes[j]
    rows, weights = np.arange(j.size), np.zeros((j.size, width))
    weights[rows, k - first] = (2 * x - x1 - x2) / ((x0 - x1) * (x0 - x2))
    weights[rows, k + 1 - first] = (2 * x - x0 - x2) / ((x1 - x0) * (x1 - x2))
    weights[rows, k + 2 - first] = (2 * x - x0 - x1) / ((x2 - x0) * (x2 - x1))
    return weights


def interpolate(values: Array, weights: Sequence[Weights], slope_along: int | None = None) -> Array:
    """Σ values over the stencils of all axes, (q,); along axis ``slope_along`` the derivative is taken."""
    q = weights[0][0].shape[0]
    entries = int(np.prod([w[0].shape[1] for w in weights]))
    result, size = np.empty(q), max(1, BLOCK // entries)
    for k in range(0, q, size):
        part = slice(k, min(k + size, q))
        block = values[_open_indices([w[0][part] for w in weights])]
        for axis in reversed(range(len(weights))):
            block = np.einsum("q...w,qw->q...", block, weights[axis][2 if axis == slope_along else 1][part])
        result[part] = block
    return result


def _open_indices(indices: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], ...]:
    count = len(indices)
    return tuple(
        index.reshape(index.shape[0], *(1,) * axis, index.shape[1], *(1,) * (count - 1 - axis))
        for axis, index in enumerate(indices)
    )
