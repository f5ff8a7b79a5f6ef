"""The upwind scheme: V on a fixed grid, H at one-sided derivatives, steps as long as stability allows.

    V_τ = H(x, D⁻V, D⁺V) − λ V,   τ = T − t,

with one-sided derivatives of order 1, WENO3 or WENO5. Along an axis that one control moves, and nothing else, H is
Godunov's: the minimum over that control of v⁺ D⁺V + v⁻ D⁻V plus its cost, v its velocity (``flux``). Where controls
move several axes H is taken at ½ (D⁻V + D⁺V), plus the local Lax–Friedrichs viscosity ½ α_i (D⁺_i V − D⁻_i V), α_i the
largest |ẋ_i| under controls that are optimal for some p between D⁻V and D⁺V: no more than upwinding where the gradient
tells which control is best. Monotone in the first order, with Euler's method; the others take the strong stability
preserving Runge–Kutta method of four stages and third order, which is stable for twice the steps of Euler's.
After every stage V is held below a target's values and above an obstacle's (``Held``).
Sources: Osher and Shu, SIAM J. Numer. Anal. 28 (1991); Spiteri and Ruuth, SIAM J. Numer. Anal. 40 (2002);
Mitchell, "A toolbox of level set methods" (2007); Fisac, Chen, Tomlin and Sastry, "Reach-avoid problems with
time-varying dynamics, targets and constraints" (HSCC 2015).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.grids.flows import slabs
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.grids.weno import PADDING, Padded, weno3, weno5
from ocdl.hjb.schemes.flux import least_curved, least_straight, optimal
from ocdl.hjb.schemes.hamiltonian import Hamiltonian, Tables
from ocdl.hjb.schemes.held import Held
from ocdl.hjb.schemes.split import Memoryless
from ocdl.interrupts import uninterrupted

Array = NDArray[np.float64]

DERIVATIVES = {"upwind": 1, "upwind-weno3": 3, "upwind-weno5": 5}
EULER = np.array([[0.0, 1.0, 1.0]])  # rows (a, b, c): the next stage is a V + b (stage + c h rate)
FOUR_STAGES = np.array([[0.0, 1.0, 0.5], [0.0, 1.0, 0.5], [2.0 / 3.0, 1.0 / 3.0, 0.5], [0.0, 1.0, 0.5]])
STABLE = {1: 0.95, 3: 1.2, 5: 1.2}  # cells along all axes together that a step may cross
SAMPLED = 9  # depths at which the speeds of a dynamics with t are looked at


def crossing(tables: Tables, grid: StateGrid) -> float:
    """How many cells the fastest flow crosses in a unit of time, along all axes together."""
    total = np.zeros(grid.shape)
    for axis, speeds in enumerate(tables.speeds):
        rises = Padded(grid).rises(axis)[PADDING - 1 : PADDING + grid.shape[axis]]
        nearest = np.maximum(rises[:-1], rises[1:])
        total += speeds.reshape(grid.shape) * nearest.reshape(-1, *(1,) * (grid.dimension - 1 - axis))
    return float(total.max())


def fastest_crossing(hamiltonian: Hamiltonian, grid: StateGrid, span: float) -> float:
    """The largest ``crossing`` at any depth, seen at some where the dynamics has t."""
    depths = np.linspace(0.0, span, SAMPLED) if hamiltonian.time_dependent else [0.0]
    states = grid.states().reshape(-1, grid.dimension)
    return max(crossing(hamiltonian.at(t, states), grid) for t in depths)


class Upwind(Memoryless):
    """Holds the tables of the Hamiltonian, and three padded arrays of the grid's size for the stages."""

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        grid: StateGrid,
        step: float,
        steps: int,
        derivative: str,
        kernels: str,
        held: Held,
        discount: float,
    ) -> None:
        self._hamiltonian, self._grid, self._step, self._steps = hamiltonian, grid, step, steps
        self._order, self._kernels, self._held, self._discount = DERIVATIVES[derivative], kernels, held, discount
        self._stages = EULER if self._order == 1 else FOUR_STAGES
        self._padded = Padded(grid)
        self._rises = [self._padded.rises(axis) for axis in range(grid.dimension)]
        self._arrays = [np.zeros(self._padded.shape) for _ in range(2 if self._order == 1 else 3)]
        self._at(0.5 * step)

    def _at(self, t: float) -> None:
        """The tables of a depth."""
        self._tables = self._hamiltonian.at(t, self._grid.states().reshape(-1, self._grid.dimension))
        self._crossing = crossing(self._tables, self._grid)

    def advance(self, value: Array, done: int) -> Array:
        """The tables of a dynamics with t are those of the middle of the step."""
        if self._hamiltonian.time_dependent:
            self._at((self._steps - done - 0.5) * self._step)
        substeps = max(1, math.ceil(self._step * self._crossing / STABLE[self._order] - 1e-9))
        self._arrays[0][self._padded.inner] = value
        march = self._compiled if self._kernels == "numba" else self._interpreted
        value[...] = self._arrays[march(self._tables, substeps)][self._padded.inner]
        return value

    def _compiled(self, tables: Tables, substeps: int) -> int:
        """Which of the arrays holds V after so many substeps."""
        with uninterrupted():  # numba loaded or compiled by half is lost to the process
            from ocdl.hjb.schemes.compiled import march

            arrays, stages = self._fixed
            return int(
                march(
                    *arrays,
                    tables.drift,
                    tables.columns,
                    tables.axis,
                    tables.control,
                    tables.low,
                    tables.high,
                    np.abs(tables.weight),
                    tables.sign,
                    *tables.movers,
                    *stages,
                    self._step / substeps,
                    substeps,
                    self._order,
                    self._discount,
                )
            )

    @cached_property
    def _fixed(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """What the compiled march is given in every step."""
        flat = [array.reshape(-1) for array in self._arrays]
        first = np.cumsum([0, *(rises.size for rises in self._rises)])[:-1]
        sizes = np.array(self._grid.shape, dtype=np.int64), self._padded.strides, first
        around = *sizes, np.concatenate(self._rises), *self._padded.ghosts
        last = self._held.target.reshape(-1), self._held.obstacle.reshape(-1), self._stages
        return (*flat[:2], flat[-1], *around), last

    def _interpreted(self, tables: Tables, substeps: int) -> int:
        """The same by numpy."""
        arrays, h = self._arrays, self._step / substeps
        ghost, first, second, weight = self._padded.ghosts
        for _ in range(substeps):
            at = 0
            for k, (a, b, c) in enumerate(self._stages):
                to, flat = (k + 1) % len(arrays), arrays[at].reshape(-1)
                flat[ghost] = flat[first] + weight * (flat[first] - flat[second])
                for part in slabs(self._grid.shape):
                    inner = (slice(PADDING + part.start, PADDING + part.stop), *self._padded.inner[1:])
                    now = arrays[at][inner]
                    rate = self._rate(arrays[at], tables, part) - self._discount * now
                    arrays[to][inner] = a * arrays[0][inner] + b * (now + c * h * rate)
                self._held.hold(arrays[to][self._padded.inner])
                at = to
            if at:
                arrays[0], arrays[at] = arrays[at], arrays[0]
        return 0

    def _rate(self, padded: Array, tables: Tables, part: slice) -> Array:
        """H with its viscosity, in the rows ``part`` of the first axis."""
        grid, D = self._grid, self._grid.dimension
        shape = (part.stop - part.start, *grid.shape[1:])
        rows = slice(part.start * math.prod(shape[1:]), part.stop * math.prod(shape[1:]))
        drift, columns = (table[:, rows].reshape(-1, *shape) for table in (tables.drift, tables.columns))
        sides = [self._sides(padded, axis, part) for axis in range(D)]
        total, (entries, costs, left) = drift[D].copy(), tables.movers
        for f, (behind, ahead), e, cost in zip(drift, sides, entries, costs, strict=False):
            if e >= 0:
                j = tables.control[e]
                way, weight, box = tables.sign[j], abs(tables.weight[j]), (tables.low[j], tables.high[j])
                given = f, columns[e], way * columns[cost] if cost >= 0 else 0.0, *box
                slopes = way * behind, way * ahead
                total += way * (least_curved(*given, weight, *slopes) if weight else least_straight(*given, *slopes))
        if np.any(entries < 0):
            _together(total, drift, columns, sides, tables, entries < 0, np.flatnonzero(left))
        return total

    def _sides(self, padded: Array, axis: int, part: slice) -> tuple[Array, Array]:
        """D⁻ and D⁺ along an axis."""
        n = self._grid.shape[axis]
        first, last = (part.start, part.stop) if axis == 0 else (0, n)
        inner = [slice(PADDING + part.start, PADDING + part.stop), *self._padded.inner[1:]]
        inner[axis] = slice(first, last + 2 * PADDING)
        rises = self._rises[axis][first : last + 2 * PADDING - 1].reshape(-1, *(1,) * (padded.ndim - 1 - axis))
        slopes = np.moveaxis(np.diff(padded[tuple(inner)], axis=axis) * rises, axis, 0)
        a, b, c, d, e, f = (slopes[k : k + last - first] for k in range(2 * PADDING))
        sides = c, d
        if self._order == 3:
            sides = weno3(b, c, d), weno3(e, d, c)
        elif self._order == 5:
            sides = weno5(a, b, c, d, e), weno5(f, e, d, c, b)
        return np.moveaxis(sides[0], 0, axis), np.moveaxis(sides[1], 0, axis)


def _together(
    total: Array, drift: Array, columns: Array, sides: list[tuple[Array, Array]], tables: Tables, axes: Any, left: Any
) -> None:
    """Add to H (n_1, ..., n_D) what controls ``left`` do together along ``axes`` (D,), with the viscosity there."""
    D = len(sides)
    means, halves = [0.5 * (a + b) for a, b in sides], [0.5 * (b - a) for a, b in sides]
    low, high = drift[:D].copy(), drift[:D].copy()
    for j in left:
        mine, way = np.flatnonzero(tables.control == j), tables.sign[j]
        slope, spread = np.zeros(total.shape), np.zeros(total.shape)
        for e in mine:
            i = tables.axis[e]
            slope += way * columns[e] * (means[i] if i < D else 1.0)
            spread += np.abs(columns[e] * halves[i]) if i < D else 0.0
        box = tables.low[j], tables.high[j], abs(tables.weight[j])
        u, least, most = (optimal(s, *box) for s in (slope, slope + spread, slope - spread))
        total += way * (slope + 0.5 * box[2] * u) * u
        for e in mine[tables.axis[mine] < D]:
            ways = columns[e] * least, columns[e] * most
            low[tables.axis[e]] += np.minimum(*ways)
            high[tables.axis[e]] += np.maximum(*ways)
    for i in np.flatnonzero(axes):
        total += drift[i] * means[i] + np.maximum(np.abs(low[i]), np.abs(high[i])) * halves[i]
