"""Dense output: states, costates and controls at any depth, by the polynomials of the answer's own scheme.

In layer k, at the relative depth c,  x(t_k + c h_k) = Σ_j ℓ_j(c) X_j  through the node, the stages and the next node:
for collocation of s stages that is the collocation polynomial, of order s + 1 everywhere, if the scheme has it. Other
schemes have the cubic of Hermite through x_k, x_{k+1} and the slopes there: the order of the scheme, and 4 at most.
Costates likewise, but of order s for collocation whose last stage is the end of the layer (Radau).
Source: Hairer, Nørsett and Wanner, "Solving ordinary differential equations I", sections II.6 and II.7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import Array, finite_array
from ocdl.depth.control_shapes import ControlShape, PiecewiseConstant, lagrange
from ocdl.depth.schemes import DepthScheme, ImprovedEuler
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.anew import controls_on, layers_of
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, Trajectory

ROUNDING = 1e-9  # of the horizon, by which a depth may lie outside it


def slopes(
    problem: ControlProblem,
    depth: DepthScheme,
    u: Array,
    p: Array,
    trajectory: Trajectory,
    costate: Array,
    ahead: Array,
) -> xr.Dataset:
    """ẋ and ṗ, Euclidean, at both ends of every layer, (N, 2, S, n), where the scheme is no collocation; else nothing.

    trajectory: on true depths; costate (N+1, S, n) behind the jumps of the nodes, ``ahead`` (N, S, n): before that of
    the layer's end. Where path constraints act on the costate, a multiplier a stage, ṗ is the secant.
    """
    if depth.tableau.collocates:
        return xr.Dataset()
    fine = layers_of(problem, depth, ImprovedEuler.tableau)  # its stages are the ends of the layer
    sweeper, v = Sweeper(problem, fine), controls_on(problem, depth, fine, u)
    x, unit = trajectory.x, problem.times.scale(p)
    ends = Trajectory(sweeper.t, sweeper.h, sweeper.stage_t, x, np.stack([x[:-1], x[1:]], axis=1))
    costates = np.stack([costate[:-1], ahead], axis=1)
    secant = np.diff(costates, axis=1) / trajectory.h[:, None, None, None]
    rates = (
        sweeper.costate_rates(ends, v, p, costates) / unit if problem.path is None else np.tile(secant, (1, 2, 1, 1))
    )
    metric = np.asarray(problem.state_metric)
    found = {"state_slope": sweeper.rates(ends, v, p) / unit, "costate_slope": rates / metric}
    return xr.Dataset({name: (("layer", "end", "sample", "entry"), values) for name, values in found.items()})


def shape_named(scheme: str) -> ControlShape:
    """The control shape in the words of a saved scheme. Raises NotSupported where no such shape is defined here."""
    found = re.search(r"controls=(\w+)\(", scheme)
    if found is None:
        return PiecewiseConstant()
    known = {cls.__name__: cls for cls in ControlShape.__subclasses__()}
    if found[1] not in known:
        raise NotSupported(f"sample: this solution has the controls of {scheme}, and no {found[1]} is defined here.")
    return known[found[1]]()


@dataclass(frozen=True, eq=False)
class Dense:
    """An answer on layers: nodes t (N+1,), relative depths c (s,) of its stages, the shape of its controls."""

    t: Array
    c: Array
    shape: ControlShape

    @classmethod
    def of(cls, t: Array, stage_t: Array, shape: ControlShape) -> Dense:
        widest = int(np.argmax(np.diff(t)))
        return cls(t, (stage_t[widest] - t[widest]) / (t[widest + 1] - t[widest]), shape)

    def places(self, t: Any) -> tuple[Array, NDArray[np.int64], Array]:
        """Depths t (K,), their layers, and where in these they lie; a node belongs to the layer behind it.

        Raises InvalidInput where they are no finite numbers, or leave the horizon.
        """
        at, T = np.atleast_1d(finite_array("sample(t=...)", t)), self.t[-1]
        if at.ndim != 1:
            raise InvalidInput(f"sample(t=...): depths of shape (K,) are needed; got {at.shape}.")
        outside = (at < -ROUNDING * T) | (at > T * (1.0 + ROUNDING))
        if np.any(outside):
            raise InvalidInput(
                f"sample(t=...): this solution lives on [0, {T:.10g}]; got {at[np.argmax(outside)]:.10g}."
            )
        at = np.clip(at, 0.0, T)
        layer = np.clip(np.searchsorted(self.t, at, side="right") - 1, 0, self.t.size - 2)
        return at, layer, (at - self.t[layer]) / np.diff(self.t)[layer]

    def collocated(self, layer: NDArray[np.int64], c: Array, nodes: Array, ahead: Array, stages: Array) -> Array:
        """The polynomials through x_k (N, ...), the stages inside (N, s, ...) and the end of the layer (N, ...)."""
        inside = (self.c > ROUNDING) & (self.c < 1.0 - ROUNDING)
        known = np.concatenate([nodes[:, None], stages[:, inside], ahead[:, None]], axis=1)
        weights = lagrange(np.concatenate([[0.0], self.c[inside], [1.0]]), c)
        return np.einsum("kq,kq...->k...", weights, known[layer])

    def cubic(self, layer: NDArray[np.int64], c: Array, nodes: Array, ahead: Array, slope: Array) -> Array:
        """Hermite's cubics through x_k and x_{k+1}, (N, ...), with slopes (N, 2, ...)."""
        h = np.diff(self.t)[layer]
        weights = np.stack(
            [(1.0 + 2.0 * c) * (1.0 - c) ** 2, c**2 * (3.0 - 2.0 * c), h * c * (1.0 - c) ** 2, -h * c**2 * (1.0 - c)]
        )
        known = np.concatenate([nodes[:, None], ahead[:, None], slope], axis=1)
        return np.einsum("qk,kq...->k...", weights, known[layer])

    def controls(self, layer: NDArray[np.int64], c: Array, u: Array) -> Array:
        """The controls from their coefficients (Q, ...)."""
        columns = self.shape.columns(self.t.size - 1, self.c.size)
        return np.einsum("kq,kq...->k...", self.shape.weights(c, self.c), u[columns[layer]])


def sampled(
    dense: Dense, t: Any, nodes: xr.Dataset, stages: xr.Dataset, slope: xr.Dataset, controls: Mapping[str, xr.DataArray]
) -> xr.Dataset:
    """``states``, ``costate`` and the controls at depths t (K,), labelled; from the groups of a solution."""
    at, layer, c = dense.places(t)
    data = {}
    for name, stage, rate in (
        ("states", "stage_state", "state_slope"),
        ("costate", "stage_costate", "costate_slope"),
    ):
        values = nodes[name].values
        ahead = values[1:].copy()
        if name == "costate" and "multiplier" in nodes:
            ahead[:-1] += nodes["multiplier"].values[1:-1]
        if rate in slope:
            found = dense.cubic(layer, c, values[:-1], ahead, slope[rate].values.reshape(-1, 2, *values.shape[1:]))
        else:
            found = dense.collocated(layer, c, values[:-1], ahead, stages[stage].values)
        data[name] = _labelled(nodes[name], at, found)
    for name, array in controls.items():
        rows = array.values.reshape(-1, *array.shape[2:]) if "stage" in array.dims else array.values
        data[name] = _labelled(array, at, dense.controls(layer, c, rows))
    return xr.Dataset(data)


def _labelled(array: xr.DataArray, t: Array, values: Array) -> xr.DataArray:
    """Values (K, ...) with the labels of an array beyond its depths."""
    dims = ("t", *[dim for dim in array.dims if dim not in ("t", "stage")])
    coords = {name: coord for name, coord in array.coords.items() if set(coord.dims).isdisjoint({"t", "stage"})}
    return xr.DataArray(values, dims=dims, coords={"t": t, **coords}, attrs=array.attrs)
