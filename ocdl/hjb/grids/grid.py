"""The grid of states: uniform axes with a node on zero, and what it costs in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DEFAULT_NODES = {1: 641, 2: 161, 3: 61, 4: 21, 5: 11}
FEWEST_NODES = 7


@dataclass(frozen=True, eq=False)
class StateGrid:
    """A tensor grid: ``axes[i]`` (n_i,) are the uniformly spaced nodes of state i."""

    axes: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)

    @property
    def dimension(self) -> int:
        return len(self.axes)

    @property
    def nodes(self) -> int:
        return math.prod(self.shape)

    @property
    def spacing(self) -> Array:
        return np.array([(axis[-1] - axis[0]) / (axis.size - 1) for axis in self.axes])

    @property
    def lower(self) -> Array:
        return np.array([axis[0] for axis in self.axes])

    @property
    def upper(self) -> Array:
        return np.array([axis[-1] for axis in self.axes])

    def __str__(self) -> str:
        return " × ".join(str(n) for n in self.shape) + " nodes"

    def __repr__(self) -> str:
        return f"<StateGrid of {self}>"

    def states(self, first: slice = slice(None)) -> Array:
        """The nodes, shape (n_1, ..., n_M, M); ``first`` picks a slab along the first axis."""
        mesh = np.meshgrid(self.axes[0][first], *self.axes[1:], indexing="ij")
        return np.stack(mesh, axis=-1)

    def covers(self, x: Array) -> NDArray[np.bool_]:
        """Whether states x (..., M) lie in the grid's domain, up to rounding; shape (...)."""
        slack = 1e-9 * (self.upper - self.lower)
        return np.all((x >= self.lower - slack) & (x <= self.upper + slack), axis=-1)


def covering_axis(lower: float, upper: float, nodes: int) -> Array:
    """``nodes`` uniform nodes over [lower, upper], shifted by less than a cell so that one lies on a multiple of dx.

    The dynamics has a kink at f = 0; with a node there the kink falls on a cell's edge.
    """
    if math.isclose(lower, -upper, rel_tol=1e-12) and nodes % 2 == 1:
        half = nodes // 2
        return np.asarray(upper * np.arange(-half, half + 1) / half)
    dx = (upper - lower) / (nodes - 2)
    return np.asarray(dx * np.arange(nodes) + dx * math.floor(lower / dx))


def coarser_axis(axis: Array) -> Array:
    """Nodes twice as far apart over the same interval or a little more, every second one of the axis among them."""
    dx = 2.0 * (axis[-1] - axis[0]) / (axis.size - 1)
    first = math.floor(axis[0] / dx + 1e-9)
    last = math.ceil(axis[-1] / dx - 1e-9)
    offset = axis[0] / dx - np.rint(2.0 * axis[0] / dx) / 2.0  # zero where a node lies on a multiple of the spacing
    return np.asarray(dx * (np.arange(first, max(last, first + 2) + 1) + offset))


def margin_cells(nodes: NDArray[np.int64]) -> Array:
    """Cells of the automatic domain beyond the reachable states: a tenth of the nodes, at least 3 and at most 24.

    At the edge V is that of a stopped flow; the error decays by orders of magnitude within a few cells.
    """
    return np.clip(0.1 * nodes, 3.0, 24.0)


def bytes_needed(shape: tuple[int, ...], levels: int, arrays: int) -> int:
    """8 bytes for each of ``arrays`` working arrays and ``levels`` stored depths at every node."""
    return 8 * math.prod(shape) * (arrays + levels)


def readable_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.3g} {unit}"
