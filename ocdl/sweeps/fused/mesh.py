"""Dense layers on the layers of a depth scheme: from the controls' coefficients to the arrays of layers, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import Basis
from ocdl.depth.schemes import Layers
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused import passes
from ocdl.sweeps.fused.form import DenseForm
from ocdl.sweeps.fused.recognise import dense_form
from ocdl.sweeps.fused.tape import DenseLayers

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DenseMesh:
    """Dense layers on the layers of a depth scheme: widths h (N,), stage depths t (N, s), weights h_k b_i (N·s,)."""

    form: DenseForm
    depth: Layers
    t: Array
    h: Array
    basis: Basis | None  # None: controls are constant in a layer

    @cached_property
    def weights(self) -> Array:
        return (self.h[:, None] * self.depth.tableau.b).ravel()

    @property
    def block_size(self) -> int:
        """Samples of a block that is swept quickly in bounded memory."""
        return passes.block_size(self.h.size * self.depth.tableau.stages, self.form.n, self.form.k)

    def rows(self, u: Array) -> Array:
        """The controls of the layers, or of the stages where they vary in a layer."""
        return u if self.basis is None else self.basis @ u

    def stages(self, u: Array) -> Array:
        """The controls at the stages, (N·s, m)."""
        return np.repeat(u, self.depth.tableau.stages, axis=0) if self.basis is None else self.basis @ u

    def gathered(self, slopes: Array) -> Array:
        """A gradient in ``rows``, pulled back to the coefficients u."""
        return slopes if self.basis is None else self.basis.gathered(slopes)

    def gathered_stages(self, slopes: Array) -> Array:
        """A gradient in ``stages``, likewise."""
        if self.basis is not None:
            return self.basis.gathered(slopes)
        return slopes.reshape(self.h.size, -1, slopes.shape[1]).sum(axis=1)

    def layers(self, u: Array, p: Array) -> DenseLayers:
        return DenseLayers(
            self.form.coefficients.arrays(self.rows(u), p), self.depth.tableau, self.h, self.form.activation
        )


def dense_mesh(problem: ControlProblem, depth: Layers, t: Array, h: Array, basis: Basis | None) -> DenseMesh | None:
    """The dense layers of a problem on a mesh, or None where its formulas or its scheme have none."""
    if not depth.tableau.explicit or problem.m + problem.P == 0:
        return None
    form = dense_form(problem)
    return None if form is None else DenseMesh(form, depth, t, h, basis)
