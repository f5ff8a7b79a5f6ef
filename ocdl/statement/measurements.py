"""Measurements: data of a trajectory at given depths, and what a trajectory misses of them.

    χ² = Σ_s Σ_k Σ_i ( (h_i(x_s(t_k), p, d_s) − y_ski) / σ_ski )²

is added to the cost of a problem as it stands: summed over the samples, which are experiments, not averaged. The t_k
must be nodes of the mesh (``ocdl.through``): there the costate jumps by the gradient of χ².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array, finite_array, real_array, shown
from ocdl.errors import InvalidInput

MEETS = 1e-9  # of the horizon: a node this near a given depth is at it


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurements:
    """What was measured of the states, at which depths, and how well.

    times: t_k, shape (K,), in [0, T], ascending.
    values: y, shape (K, r), or (K,) where r = 1; for S experiments, which are the samples of the problem, (S, K, r).
        NaN is a measurement that was not made.
    output: h, a function of those it needs of ``t, x, p, d`` that returns r expressions; by default all states.
    deviation: σ, the standard deviations, or numbers in their proportion: one, (r,), or of the shape of ``values``.

    Raises InvalidInput for other shapes, depths out of order, and deviations that are not positive.
    """

    times: Any
    values: Any
    output: Callable[..., Any] | None = None
    deviation: Any = 1.0

    def __post_init__(self) -> None:
        times = finite_array("Measurements(times=...)", self.times)
        if times.ndim != 1 or times.size == 0 or times[0] < 0.0 or np.any(np.diff(times) <= 0.0):
            raise InvalidInput(f"Measurements(times={shown(times)}): depths in ascending order, from 0 on, are needed.")
        object.__setattr__(self, "times", times)
        values = real_array("Measurements(values=...)", self.values)
        values = values[:, None] if values.ndim == 1 else values
        values = values[None] if values.ndim == 2 else values
        if values.ndim != 3 or values.shape[1] != times.size or np.any(np.isinf(values)):
            raise InvalidInput(
                f"Measurements(values=...): finite numbers, or NaN, of shape ({times.size}, r) or (S, {times.size}, r) "
                f"are needed; got shape {np.shape(self.values)}."
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "deviation", self._checked_deviation(values.shape))
        object.__setattr__(self, "output", _states if self.output is None else self.output)

    def _checked_deviation(self, shape: tuple[int, ...]) -> Array:
        given = finite_array("Measurements(deviation=...)", self.deviation)
        fits = given.shape in ((), shape[2:], shape[1:], shape)
        if not fits or np.any(given <= 0.0):
            raise InvalidInput(
                f"Measurements(deviation=...): positive standard deviations of shape (), {shape[2:]} or {shape[1:]} "
                f"are needed; got {shown(given)}."
            )
        return np.broadcast_to(given, shape)

    @property
    def made(self) -> int:
        """How many numbers were measured."""
        return int(np.sum(np.isfinite(self.values)))

    @property
    def rows(self) -> int:
        """Number r of quantities."""
        return int(self.values.shape[2])

    @property
    def columns(self) -> Array:
        """y and 1/σ of every depth and sample, (2r, K·S): 0 and 0 where nothing was measured."""
        known = np.isfinite(self.values)
        pairs = [np.where(known, self.values, 0.0), np.where(known, 1.0 / self.deviation, 0.0)]
        return np.concatenate([part.transpose(2, 1, 0).reshape(self.rows, -1) for part in pairs])

    def residuals(self, output: Any) -> tuple[Any, Any]:
        """(h − y)/σ as an expression of h (r,) and a fresh symbol of one of ``columns``."""
        given = ca.SX.sym("measured", 2 * self.rows)
        return (output - given[: self.rows]) * given[self.rows :], given

    def check(self, samples: int, rows: int, horizon: float) -> None:
        """Raise InvalidInput where these are none of so many samples and outputs on [0, horizon]."""
        if self.values.shape[0] != samples or rows != self.rows:
            raise InvalidInput(
                f"Measurements(values=...): the problem has {samples} sample(s) and {rows} output(s), so that "
                f"the shape {(samples, self.times.size, rows)} is needed; got {self.values.shape}."
            )
        if self.times[-1] > horizon * (1.0 + MEETS):
            raise InvalidInput(
                f"Measurements(times=...): the last is at t = {self.times[-1]:g}, behind the horizon {horizon:g}."
            )


def _states(x: Any) -> Any:
    return x


def nodes_at(depths: Array, t: Array) -> NDArray[np.int64]:
    """Which of the nodes t (N+1,) lie at ``depths``, (K,); InvalidInput names depths where there is none."""
    nearest = np.abs(t[:, None] - depths).argmin(axis=0)
    missing = depths[np.abs(t[nearest] - depths) > MEETS * t[-1]]
    if missing.size:
        raise InvalidInput(
            f"the mesh has no node at t = {', '.join(f'{depth:g}' for depth in missing[:5])}"
            f"{' and elsewhere' if missing.size > 5 else ''}, where this problem has measurements or conditions; "
            "ocdl.through(grid, problem) is the same scheme with nodes there."
        )
    return nearest.astype(np.int64)
