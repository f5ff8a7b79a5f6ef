"""The same controls, as functions of depth, on layers that are cut finer or integrated by another scheme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.depth.control_shapes import ControlShape
from ocdl.depth.schemes import DepthScheme, Tableau


@dataclass(frozen=True, eq=False)
class FineMesh:
    """Layers (``Layers`` in the sense of ``depth``) of a finer mesh, with the layer of the scheme that each lies in."""

    tableau: Tableau
    nodes: Array
    layer: NDArray[np.int64]
    controls: ControlShape
    condensed: ClassVar[bool] = False

    def mesh(self, horizon: float) -> Array:
        return self.nodes

    @property
    def count(self) -> int:
        return int(self.layer.size)

    @property
    def stage_t(self) -> Array:
        return self.nodes[:-1, None] + np.diff(self.nodes)[:, None] * self.tableau.c


def control_at(depth: DepthScheme, mesh: Array, u: Array, layer: NDArray[np.int64], t: Array) -> Array:
    """The controls (K, m) at depths t (K,) in the layers ``layer`` (K,) of ``mesh``, unclipped."""
    shape, nodes = depth.controls, depth.tableau.c
    columns = shape.columns(mesh.size - 1, nodes.size)
    c = (t - mesh[layer]) / np.diff(mesh)[layer]
    return np.einsum("kq,kqm->km", shape.weights(c, nodes), u[columns[layer]])


def halved_controls(depth: DepthScheme, mesh: Array, u: Array) -> Array:
    """The coefficients of the same controls where every layer of ``mesh`` is halved, in the same shape."""
    layer = np.repeat(np.arange(mesh.size - 1), 2)
    halves = np.append(np.stack([mesh[:-1], mesh[:-1] + 0.5 * np.diff(mesh)], axis=1).ravel(), mesh[-1])
    places = depth.controls.depths(halves, depth.tableau.c)
    owner = (
        np.append(layer, layer[-1:])[: places.size]
        if depth.controls.group != "stages"
        else layer.repeat(depth.tableau.stages)
    )
    return control_at(depth, mesh, u, owner, places)
