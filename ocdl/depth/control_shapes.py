"""How controls vary in a layer: constant, linear between the nodes, or free at every stage.

A shape is a basis: in layer k, at the relative depth c ∈ [0, 1],  u(t_k + c h_k) = Σ_q weights(c)_q · u[columns(k)_q],
with rows u (Q, m) of coefficients. To add one, give ``weights``, ``columns``, ``rows`` and the ``group`` of a
solution in which the coefficients are labelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.errors import InvalidInput

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

WITHIN = np.linspace(0.0, 1.0, 17)  # where in a layer a constant must keep to bounds that depend on depth


@dataclass(frozen=True, eq=False)
class Basis:
    """Φ (N·s, Q): its row of stage i of layer k holds weights[i] (K,) at the coefficients columns[k] (K,)."""

    columns: Indices
    weights: Array
    rows: int  # Q

    def __matmul__(self, u: Array) -> Array:
        """Φ u: controls at the stages (N·s, m) from coefficients (Q, m)."""
        return (self.weights @ u[self.columns]).reshape(len(self.columns) * len(self.weights), u.shape[1])

    def gathered(self, acting: Array) -> Array:
        """Φᵀ v: what acts at the stages (N·s, m), gathered on the coefficients (Q, m)."""
        m = acting.shape[1]
        layers = self.weights.T @ acting.reshape(len(self.columns), len(self.weights), m)  # (N, K, m)
        gathered = np.zeros((self.rows, m))
        for column, part in zip(self.columns.T, layers.swapaxes(0, 1), strict=True):
            gathered[column] += part  # of different layers: no coefficient twice
        return gathered

    def matrix(self) -> ca.DM:
        """Φ itself."""
        (N, K), s = self.columns.shape, len(self.weights)
        rows, places = np.repeat(np.arange(N * s), K), np.repeat(self.columns, s, axis=0).ravel()
        return ca.DM.triplet(rows.tolist(), places.tolist(), np.tile(self.weights, (N, 1)).ravel(), N * s, self.rows)


@dataclass(frozen=True)
class ControlShape:
    """Base of the shapes; ``s`` is the number of stages, ``nodes`` (s,) their relative depths c_i."""

    group: ClassVar[str]  # of a solution: one coefficient a layer, a stage, or a node

    def rows(self, N: int, s: int) -> int:
        """Number Q of coefficients of N layers."""
        raise NotImplementedError

    def columns(self, N: int, s: int) -> Indices:
        """The coefficients of each layer, (N, K)."""
        raise NotImplementedError

    def weights(self, c: Array, nodes: Array) -> Array:
        """The basis at relative depths c (q,), shape (q, K)."""
        raise NotImplementedError

    def depths(self, mesh: Array, nodes: Array) -> Array:
        """Where the coefficients live, (Q,)."""
        raise NotImplementedError

    def bounds(self, box_at: Callable[[Array], tuple[Array, Array]], mesh: Array, nodes: Array) -> tuple[Array, Array]:
        """Bounds of the coefficients, each (Q, m), where u(t) has the bounds ``box_at(t)`` (K, m) at depths t (K,)."""
        return box_at(self.depths(mesh, nodes))

    def suits(self, nodes: Array) -> bool:
        """Whether stages at these depths can have such controls."""
        return True

    def determined(self, N: int, nodes: Array) -> NDArray[np.bool_]:
        """The stages (N, s) at which one equation a control can hold: as many as the controls have coefficients."""
        raise NotImplementedError

    def basis(self, N: int, nodes: Array) -> Basis:
        """Controls at the stages from coefficients."""
        return Basis(self.columns(N, nodes.size), self.weights(nodes, nodes), self.rows(N, nodes.size))

    def measure(self, h: Array, b: Array, nodes: Array) -> Array:
        """∫ of the basis function of every coefficient, (Q,), over layers of widths h (N,) by the weights b (s,): then
        ∫ u_j dt = measure · u_j.
        """
        return self.basis(h.size, nodes).gathered(np.outer(h, b).reshape(-1, 1))[:, 0]


@dataclass(frozen=True)
class PiecewiseConstant(ControlShape):
    """One value a layer."""

    group: ClassVar[str] = "layers"

    def rows(self, N: int, s: int) -> int:
        return N

    def determined(self, N: int, nodes: Array) -> NDArray[np.bool_]:
        """The stage nearest the middle of every layer, where one value stands best for all of it."""
        return np.tile(_nearest(nodes, 0.5), (N, 1))

    def columns(self, N: int, s: int) -> Indices:
        return np.arange(N)[:, None]

    def weights(self, c: Array, nodes: Array) -> Array:
        return np.ones((c.size, 1))

    def depths(self, mesh: Array, nodes: Array) -> Array:
        return mesh[:-1]

    def bounds(self, box_at: Callable[[Array], tuple[Array, Array]], mesh: Array, nodes: Array) -> tuple[Array, Array]:
        """The tightest of the interval over each layer. Raises InvalidInput where that is empty."""
        within = np.union1d(WITHIN, nodes)
        t = mesh[:-1, None] + np.diff(mesh)[:, None] * within
        low, high = (end.reshape(*t.shape, -1) for end in box_at(t.ravel()))
        low, high = low.max(axis=1), high.min(axis=1)
        if np.any(low > high):
            k, i = np.argwhere(low > high)[0]
            raise InvalidInput(
                f"{self!r}: no constant keeps to the bounds of control {i} all through layer {k}, from t = {mesh[k]:g} "
                f"to {mesh[k + 1]:g}: the lower one rises to {low[k, i]:g}, the upper one falls to {high[k, i]:g}. "
                "Take finer layers or PiecewiseLinear()."
            )
        return low, high


@dataclass(frozen=True)
class PiecewiseLinear(ControlShape):
    """Values at the N + 1 nodes, linear in between: continuous in depth."""

    group: ClassVar[str] = "nodes"

    def rows(self, N: int, s: int) -> int:
        return N + 1

    def determined(self, N: int, nodes: Array) -> NDArray[np.bool_]:
        """The stage nearest the end of every layer, and in the first that nearest its start.

        From an end at c ≥ ½ errors go on by the factor −(1 − c)/c from node to node, and do not grow.
        """
        stages = np.tile(_nearest(nodes, 1.0), (N, 1))
        stages[0] |= _nearest(nodes, 0.0)
        return stages

    def columns(self, N: int, s: int) -> Indices:
        return np.arange(N)[:, None] + np.arange(2)

    def weights(self, c: Array, nodes: Array) -> Array:
        return np.stack([1.0 - c, c], axis=1)

    def depths(self, mesh: Array, nodes: Array) -> Array:
        return mesh


@dataclass(frozen=True)
class PerStage(ControlShape):
    """One value a stage; between the stages of a layer their interpolating polynomial.

    The box holds at the stages only, and where a switch lies inside a layer such controls exploit the quadrature error:
    a cost below the optimum is possible, and flagged by the certificate.
    """

    group: ClassVar[str] = "stages"

    def rows(self, N: int, s: int) -> int:
        return N * s

    def determined(self, N: int, nodes: Array) -> NDArray[np.bool_]:
        return np.ones((N, nodes.size), dtype=bool)

    def columns(self, N: int, s: int) -> Indices:
        return np.arange(N)[:, None] * s + np.arange(s)

    def suits(self, nodes: Array) -> bool:
        return np.unique(nodes).size == nodes.size

    def weights(self, c: Array, nodes: Array) -> Array:
        return lagrange(nodes, c)

    def depths(self, mesh: Array, nodes: Array) -> Array:
        return np.asarray(mesh[:-1, None] + np.diff(mesh)[:, None] * nodes).ravel()


def _nearest(nodes: Array, c: float) -> NDArray[np.bool_]:
    """The one stage (s,) nearest the relative depth c; of several the last, which explicit schemes know best."""
    distance = np.round(np.abs(nodes - c), 12)
    return np.arange(nodes.size) == np.flatnonzero(distance == distance.min())[-1]


def lagrange(nodes: Array, at: Array) -> Array:
    """The Lagrange polynomials ℓ_j(at) of distinct nodes, shape at.shape + (s,)."""
    values = np.ones((*at.shape, nodes.size))
    for j, node in enumerate(nodes):
        for other in np.delete(nodes, j):
            values[..., j] *= (at - other) / (node - other)
    return values
