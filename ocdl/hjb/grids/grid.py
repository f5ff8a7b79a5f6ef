"""The grid of states: axes of nodes, some of them around a circle, and what it costs in memory."""

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
    """A tensor grid: ``axes[i]`` (n_i,) are the nodes of state i, rising; ``periods[i]`` is 0 where the axis ends, else
    how far apart states i are that are the same: the node after the last is the first.
    """

    axes: tuple[Array, ...]
    periods: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.periods:
            object.__setattr__(self, "periods", (0.0,) * len(self.axes))

    @property
    def periodic(self) -> NDArray[np.bool_]:
        return np.array([period > 0.0 for period in self.periods])

    @property
    def uniform(self) -> bool:
        return all(np.allclose(np.diff(x), x[1] - x[0], rtol=1e-6, atol=0.0) for x in self.axes)

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
        """The mean distance of neighbouring nodes, (D,)."""
        return np.array([(axis[-1] - axis[0]) / (axis.size - 1) for axis in self.axes])

    @property
    def lower(self) -> Array:
        return np.array([axis[0] for axis in self.axes])

    @property
    def upper(self) -> Array:
        ends = zip(self.axes, self.periods, strict=True)
        return np.array([axis[0] + period if period else axis[-1] for axis, period in ends])

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
        return np.all(self.periodic | ((x >= self.lower - slack) & (x <= self.upper + slack)), axis=-1)

    def inside(self, x: Array) -> Array:
        """States x (..., M) clamped to the domain, and turned into the first round of a periodic axis."""
        if not self.periodic.any():
            return np.clip(x, self.lower, self.upper)
        turned = self.lower + np.mod(x - self.lower, np.where(self.periodic, self.periods, 1.0))
        return np.where(self.periodic, turned, np.clip(x, self.lower, self.upper))

    def gaps(self, axis: int) -> Array:
        """Distances of neighbouring nodes, (n − 1,), or (n,) around a circle."""
        x, period = self.axes[axis], self.periods[axis]
        return np.diff(x, append=x[0] + period) if period else np.diff(x)


def covering_axis(lower: float, upper: float, nodes: int) -> Array:
    """``nodes`` uniform nodes over [lower, upper], shifted by less than a cell so that one lies on a multiple of dx.

    The dynamics has a kink at f = 0; with a node there the kink falls on a cell's edge.
    """
    if math.isclose(lower, -upper, rel_tol=1e-12) and nodes % 2 == 1:
        half = nodes // 2
        return np.asarray(upper * np.arange(-half, half + 1) / half)
    dx = (upper - lower) / (nodes - 2)
    return np.asarray(dx * np.arange(nodes) + dx * math.floor(lower / dx))


def circle_axis(lower: float, upper: float, nodes: int) -> Array:
    """``nodes`` uniform nodes from ``lower`` on, around a circle that closes at ``upper``."""
    return np.asarray(lower + (upper - lower) / nodes * np.arange(nodes))


def thinned_axis(axis: Array, period: float) -> Array:
    """Every second node; of an axis that ends the last one too, around a circle as evenly as they were."""
    if period and axis.size % 2:
        at = np.arange(axis.size // 2 + 1) * (axis.size / (axis.size // 2 + 1))
        return np.asarray(np.interp(at, np.arange(axis.size + 1), np.append(axis, axis[0] + period)))
    return axis[::2] if period or axis.size % 2 else np.append(axis[:-1:2], axis[-1])


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
