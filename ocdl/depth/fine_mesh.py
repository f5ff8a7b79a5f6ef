"""The same controls, as functions of depth, on layers that are cut finer or integrated by another scheme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.depth.control_shapes import ControlShape, PerStage
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


@dataclass(frozen=True)
class StageValues(PerStage):
    """One value a stage, where nothing is asked between them: stages may lie at the same depth."""

    def suits(self, nodes: Array) -> bool:
        return True

    def weights(self, c: Array, nodes: Array) -> Array:
        return np.eye(nodes.size)


def control_at(depth: DepthScheme, mesh: Array, u: Array, layer: NDArray[np.int64], t: Array) -> Array:
    """The controls (K, m) at depths t (K,) in the layers ``layer`` (K,) of ``mesh``, unclipped."""
    shape, nodes = depth.controls, depth.tableau.c
    columns = shape.columns(mesh.size - 1, nodes.size)
    c = (t - mesh[layer]) / np.diff(mesh)[layer]
    return np.einsum("kq,kqm->km", shape.weights(c, nodes), u[columns[layer]])
