"""Derivatives of a table at its nodes, by parabolas through three nodes: centred, or from one side of a kink.

The parabola through x_0, x_1, x_2 has at x the derivative  [x_0, x_1] + c (2x − x_0 − x_1)  and the second one 2c, with
c = [x_0, x_1, x_2] a divided difference of V: second order on any nodes. Across a kink c is of the size of its jump
over the spacing, beside it of the size of V'' (the choice of ENO schemes).
Source: Osher and Shu, SIAM J. Numer. Anal. 28 (1991), section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ocdl.arrays import Array
from ocdl.errors import InvalidInput
from ocdl.hjb.feedback.value_function import ValueFunction

FEWEST = 3
LEFT, CENTRED, RIGHT = -2, -1, 0  # the first node of a parabola, seen from where its slope is taken
SMOOTHER = 3.0  # times less curved: then a parabola of one side is taken for the centred one


def parabola(values: Array, nodes: Array, axis: int, first: int, stride: int = 1) -> tuple[Array, Array]:
    """Slope at every node along ``axis`` of the parabola through the nodes ``first``, ``first`` + stride and ``first``
    + 2 stride away, moved inside at the ends; and its c. Both of the shape of ``values``.
    """
    n = nodes.size
    begin = np.clip(np.arange(n) + first, 0, n - 1 - 2 * stride)
    x0, x1, x2 = (nodes[begin + k * stride] for k in range(3))
    v = np.moveaxis(values, axis, -1)
    v0, v1, v2 = (v[..., begin + k * stride] for k in range(3))
    rise = (v1 - v0) / (x1 - x0)
    bend = ((v2 - v1) / (x2 - x1) - rise) / (x2 - x0)
    return tuple(np.moveaxis(part, -1, axis) for part in (rise + bend * (2.0 * nodes - x0 - x1), bend))  # type: ignore


def smoothest(values: Array, nodes: Array, axis: int) -> Array:
    """∂V along an axis: centred, from one side where that is ``SMOOTHER`` times less curved."""
    slope, bend = parabola(values, nodes, axis, CENTRED)
    least = np.abs(bend)
    for first in (LEFT, RIGHT):
        beside, curved = parabola(values, nodes, axis, first)
        better = SMOOTHER * np.abs(curved) < least
        slope, least = np.where(better, beside, slope), np.where(better, SMOOTHER * np.abs(curved), least)
    return slope


@dataclass(frozen=True, eq=False)
class Differences:
    """Derivatives of V at the nodes of its table: ``rate`` ∂V/∂t (K, n_1, ..., n_D), ``gradient`` (..., D)."""

    value: ValueFunction

    def __post_init__(self) -> None:
        counts = {"depths": self.value.t.size, "nodes along an axis": min(self.value.grid.shape)}
        for what, count in counts.items():
            if count < FEWEST:
                raise InvalidInput(f"{self.value!r}: derivatives need at least {FEWEST} {what}; got {count}.")

    @cached_property
    def rate(self) -> Array:
        return smoothest(self.value.values, self.value.t, 0)

    @cached_property
    def gradient(self) -> Array:
        axes = enumerate(self.value.grid.axes)
        return np.stack([smoothest(self.value.values, axis, 1 + i) for i, axis in axes], axis=-1)
