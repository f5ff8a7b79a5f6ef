"""What the passes through dense layers work on: the layers of one mesh, and the tape a pass forward leaves.

Samples are columns: arrays inside are (..., rows, S), those handed out (..., S, rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import Tableau
from ocdl.errors import InvalidInput
from ocdl.statement.activations import Activation
from ocdl.sweeps.fused.form import LayerArrays

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DenseLayers:
    """N layers of widths h (N,): x⁺ = x + h Σ b_i φ_i, X_i = x + h Σ_j a_ij φ_j, φ = V σ(z) + S x + r, z = W x + v.

    ``arrays`` have Q = N rows, or Q = N·s: one a stage. Raises InvalidInput for implicit tableaux.
    """

    arrays: LayerArrays
    tableau: Tableau
    h: Array
    activation: Activation

    def __post_init__(self) -> None:
        if not self.tableau.explicit:
            raise InvalidInput("DenseLayers(tableau=...): the fused passes take explicit tableaux only.")
        rows, N = len(self.arrays.W), self.h.size
        if rows not in (N, N * self.tableau.stages):
            raise InvalidInput(
                f"DenseLayers(arrays=...): {N} layers of {self.tableau.stages} stages need {N} rows, or one a stage; "
                f"got {rows}."
            )
        self.check(self.arrays)

    def check(self, arrays: LayerArrays) -> None:
        """Raise InvalidInput where entries do not fit W (Q, k, n) or are not those of these layers."""
        Q, k, n = self.arrays.W.shape
        shapes: list[list[tuple[int, ...]]] = [[(Q, k, n)], [(Q, k)], [(Q,), (Q, n, k)], [(Q,), (Q, n, n)], [(Q, n)]]
        for name, entry, own, allowed in zip(LayerArrays._fields, arrays, self.arrays, shapes, strict=True):
            shape, right = _shape(entry), _shape(own)
            if shape != right or (right is not None and right not in allowed):
                raise InvalidInput(
                    f"LayerArrays({name}=...): beside W {self.arrays.W.shape} the layers need "
                    f"{' or '.join(map(str, allowed))}, their derivatives the same; got {shape}."
                )
        if (self.arrays.V is None or self.arrays.V.ndim == 1) and k != n:
            raise InvalidInput(f"LayerArrays(V=...): {k} neurons on {n} states need matrices V (Q, {n}, {k}).")

    @property
    def k(self) -> int:
        return int(self.arrays.W.shape[1])

    @property
    def n(self) -> int:
        return int(self.arrays.W.shape[2])

    @property
    def row(self) -> NDArray[np.int64]:
        """The row of ``arrays`` that each stage takes, (N, s)."""
        return _rows(self.h.size, self.tableau.stages, len(self.arrays.W))

    @cached_property
    def earlier(self) -> list[list[tuple[int, float]]]:
        """For every stage i the earlier j with a_ij ≠ 0, and a_ij."""
        return [[(j, a) for j, a in enumerate(row) if a] for row in self.tableau.A.tolist()]

    @cached_property
    def later(self) -> list[list[tuple[int, float]]]:
        """For every stage i the later j with a_ji ≠ 0, and a_ji."""
        return [[(j, a) for j, a in enumerate(column) if a] for column in self.tableau.A.T.tolist()]

    @cached_property
    def weights(self) -> list[tuple[int, float]]:
        """The stages with b_i ≠ 0, and b_i."""
        return [(i, b) for i, b in enumerate(self.tableau.b.tolist()) if b]


@lru_cache(maxsize=64)
def _rows(N: int, s: int, rows: int) -> NDArray[np.int64]:
    return (np.arange(N * s) if rows == N * s else np.repeat(np.arange(N), s)).reshape(N, s)


@dataclass(frozen=True, eq=False)
class Tape:
    """A pass forward: stage states (N, s, n, S), σ and σ' there (N, s, k, S), and x_N, ``end`` (n, S)."""

    layers: DenseLayers
    stage_states: Array
    sigma: Array
    slope: Array
    end: Array

    @property
    def x_N(self) -> Array:
        """x_N (S, n)."""
        return self.end.T

    @property
    def nodes(self) -> Array:
        """x at the nodes, (N+1, S, n): the first stage of an explicit layer is its start."""
        return np.concatenate([self.stage_states[:, 0], self.end[None]]).swapaxes(1, 2)

    @property
    def stages(self) -> Array:
        """X at the stages, (N, s, S, n)."""
        return self.stage_states.swapaxes(2, 3)

    @cached_property
    def curvature(self) -> Array:
        """σ'' at the stages, (N, s, k, S)."""
        arrays, row = self.layers.arrays, self.layers.row
        z = arrays.W[row] @ self.stage_states
        z += arrays.v[row][..., None]
        return np.asarray(self.layers.activation.curvature(z, self.sigma))


def blank(layers: DenseLayers, samples: int, reuse: Tape | None = None) -> Tape:
    """A tape to be written, in the memory of ``reuse`` where it fits."""
    (N, s), n, k = layers.row.shape, layers.n, layers.k
    states, hidden = (N, s, n, samples), (N, s, k, samples)
    if reuse is not None and (reuse.stage_states.shape, reuse.sigma.shape) == (states, hidden):
        return replace(reuse, layers=layers)
    return Tape(layers, np.empty(states), np.empty(hidden), np.empty(hidden), np.empty((n, samples)))


@dataclass(frozen=True, eq=False)
class Tangent:
    """How the stage states (N, s, n, S), z (N, s, k, S) and x_N (n, S) move with the coefficients and x_0."""

    arrays: LayerArrays
    stage_states: Array
    z: Array
    end: Array

    @property
    def dx_N(self) -> Array:
        """(S, n)."""
        return self.end.T


@dataclass(frozen=True, eq=False)
class Pullback:
    """A pass back: the derivatives by the coefficients, summed over samples, and by x_0, p_0 (S, n).

    Where they were asked for, also p at the nodes (N+1, S, n), K (N, s, S, n) and δ = σ' ∘ VᵀK (N, s, S, k).
    """

    arrays: LayerArrays
    p_0: Array
    costate: Array | None = None
    K: Array | None = None
    delta: Array | None = None


def _shape(entry: Array | None) -> tuple[int, ...] | None:
    return None if entry is None else entry.shape


def zeros(arrays: LayerArrays, more: tuple[int, ...] = ()) -> LayerArrays:
    """The same entries, all zero, with ``more`` axes at their end."""
    W, v, *others = arrays
    made = (None if entry is None else np.zeros((*entry.shape, *more)) for entry in others)
    return LayerArrays(np.zeros((*W.shape, *more)), np.zeros((*v.shape, *more)), *made)
