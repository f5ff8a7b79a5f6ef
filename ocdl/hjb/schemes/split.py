"""The split exact-flow semi-Lagrangian scheme: every neuron in turn moves as it can while the others stand still."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.flows import feet
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.grids.sweeps import sweep
from ocdl.statement.velocity_box import VelocityBox

Array = NDArray[np.float64]


class Scheme(Protocol):
    """One step of V backwards in depth; ``kept`` is what it carries from step to step besides V."""

    @property
    def kept(self) -> Array: ...

    def restore(self, kept: Array) -> None: ...

    def advance(self, value: Array, done: int) -> Array:
        """V one step earlier, after ``done`` steps; ``value`` may be overwritten."""


class Memoryless:
    """A scheme that carries nothing but V."""

    @property
    def kept(self) -> Array:
        return np.zeros(0)

    def restore(self, kept: Array) -> None:
        pass


class SplitFlow(Memoryless):
    """Sweeps along the axes, in reversed order every second step; keeps 2M + 1 arrays of the grid's size."""

    def __init__(self, box: VelocityBox, grid: StateGrid, step: float, interpolation: str, kernels: str) -> None:
        self._interpolation, self._kernels = interpolation, kernels
        self._feet = [feet(box, grid, axis, step) for axis in range(box.width)]
        self._spare = np.empty(grid.shape)

    def advance(self, value: Array, done: int) -> Array:
        spare, axes = self._spare, range(len(self._feet))
        for axis in axes if done % 2 == 0 else reversed(axes):
            sweep(value, self._feet[axis], axis, spare, interpolation=self._interpolation, kernels=self._kernels)
            value, spare = spare, value
        self._spare = spare
        return value
