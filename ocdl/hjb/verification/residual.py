"""The residual of the Hamilton–Jacobi–Bellman equation as a field: R = ∂_tV + min_u H(t, x, ∇V, u).

It vanishes where V is smooth and exact. Along the feedback of any W that is continuously differentiable,
dW/dt + L = R: so R is what one unit of depth makes the feedback's cost differ from W. R < 0 says that W rises too
little towards T, R > 0 that it falls too little.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", Theorem 4.2 and Remark 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array
from ocdl.hjb.feedback.value_function import ValueFunction
from ocdl.hjb.verification.differences import Differences
from ocdl.hjb.verification.kinks import GAP, kinks
from ocdl.hjb.verification.least import LeastHamiltonian

NEAR = 2 * GAP + 2  # cells from a kink within which differences may cross it


@dataclass(frozen=True, eq=False)
class ResidualField:
    """``field``: R, dimensions (t, f0, f1, ...) or (point); NaN where V is infinite. ``regular``: where no kink of V is
    near, of the same dimensions. ``proven``: every minimum over the controls was proven.
    """

    field: xr.DataArray
    regular: xr.DataArray
    proven: bool

    @property
    def largest(self) -> float:
        """max |R| away from kinks."""
        return float(abs(self.field).where(self.regular).max())

    @property
    def mean(self) -> float:
        """The mean of |R| everywhere, kinks included: of the order of the grid, as they fill a share of it alone."""
        return float(abs(self.field).mean())

    def __repr__(self) -> str:
        near = int((~self.regular).sum())
        return (
            f"<ResidualField of {self.field.size} places, {near} of them near kinks: max |R| {self.largest:.3g} "
            f"elsewhere, mean {self.mean:.3g} everywhere>"
        )


def residual(value: ValueFunction, x: Any = None, t: Any = 0.0) -> ResidualField:
    """R at the nodes of the table by differences: centred, and from the smoother side where that is smoother by much;
    or, of states x (..., D) and depths t, that of V as it is interpolated, in order as dimension point.

    Raises InvalidInput for fewer than three depths or nodes, and for states and depths outside the table.
    """
    return _of_nodes(value) if x is None else _of_points(value, x, t)


def _of_nodes(value: ValueFunction) -> ResidualField:
    differences, law = Differences(value), LeastHamiltonian(value)
    D, shape = value.grid.dimension, value.values.shape
    x = np.tile(value.grid.states().reshape(-1, D), (shape[0], 1))
    t = np.repeat(value.t, value.grid.nodes)
    R = differences.rate.ravel() + law(x, t, differences.gradient.reshape(-1, D))
    R[~value.viable(x, t)] = np.nan
    like = xr.DataArray(R.reshape(shape), dims=_names(value), coords=_axes(value), name="residual")
    return ResidualField(like, like.copy(data=_regular(value, differences)).rename("regular"), law.proven)


def _of_points(value: ValueFunction, x: Any, t: Any) -> ResidualField:
    points, depths, _ = value.points(x, t)
    R, proven = interpolated(value, points, depths)
    given = dict(zip(_names(value), (depths, *points.T), strict=True))
    coords = {name: ("point", along) for name, along in given.items()}
    like = xr.DataArray(R, dims="point", coords=coords, name="residual")
    nearest = [np.abs(axis[:, None] - given[name]).argmin(axis=0) for name, axis in _axes(value).items()]
    regular = _regular(value, Differences(value))[tuple(nearest)]
    return ResidualField(like, like.copy(data=regular).rename("regular"), proven)


def interpolated(value: ValueFunction, x: Array, t: Array) -> tuple[Array, bool]:
    """R (q,) of V as it is interpolated, at states x (q, D) and depths t (q,); and whether the minima are proven."""
    law = LeastHamiltonian(value)
    R = value.rate(x, t) + law(x, t, value.slope(x, t))
    return np.where(value.viable(x, t), R, np.nan), law.proven


def _regular(value: ValueFunction, differences: Differences) -> Any:
    """Nodes (K, n_1, ..., n_D) that are more than ``NEAR`` cells or a step from every kink, along the axes."""
    import scipy

    at = np.zeros(value.values.shape, dtype=bool)
    at[kinks(value, differences).index] = True
    if not np.any(at):
        return ~at
    size = (3, *(2 * NEAR + 1,) * value.grid.dimension)
    return ~scipy.ndimage.maximum_filter(at, size=size, mode="constant", cval=False)


def _names(value: ValueFunction) -> tuple[str, ...]:
    return "t", *(f"f{i}" for i in range(value.grid.dimension))


def _axes(value: ValueFunction) -> dict[str, Array]:
    return dict(zip(_names(value), (value.t, *value.grid.axes), strict=True))
