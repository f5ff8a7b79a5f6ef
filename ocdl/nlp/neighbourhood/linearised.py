"""An answer's conditions of optimality, linearised: how the discrete solution moves with the numbers of its problem.

With the active constraints held, w solves  ∇f + Gᵀλ = 0 on the free variables F,  g = 0 on the active rows A, and

    [ H_FF  G_AFᵀ ] [ dw_F ]       [ (H D + L_wθ)_F ]
    [ G_AF    0   ] [ dλ_A ]  =  − [ (G D + g_θ)_A  ] dθ,

H the Hessian of L = f + λᵀg, D what θ moves held variables by (initial and final states, held parameters), L_wθ and g_θ
by the data. Then J(θ + dθ) = J + (∇L·D + L_θ) dθ + ½ dθᵀ M dθ + …,

    M = Dᵀ(H dw + Gᵀdλ + L_wθ) + L_wθᵀdw + g_θᵀdλ + L_θθ.

Source: Fiacco, "Introduction to sensitivity and stability analysis in nonlinear programming" (1983), chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.batch import evaluated
from ocdl.errors import NotSupported
from ocdl.nlp.assembly import Elements
from ocdl.nlp.transcription import Transcription

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CLOSE = 1e-6  # to a bound, times 1 + |bound|
WEAK = 1e-7  # a multiplier that does not press, as a share of the largest
NOTHING = 1e-9
ROUNDS = 20
SHARED = 1e-12  # in units of the matrix
SOLVED = 1e-6  # what may be missed, as a share


@dataclass(frozen=True, eq=False)
class Active:
    """What holds at the answer: ``held`` variables at a bound that presses or does not move, ``rows`` of g at theirs;
    ``weak``: variables and rows at a bound that does not press.
    """

    held: Mask
    rows: Mask
    weak: int


@dataclass(frozen=True, eq=False)
class Pieces:
    """The derivatives of K elements of one kind in their local variables: cost's gradient (K, L), residual (K, R),
    its Jacobian (K, R, L).
    """

    kind: Elements
    gradient: Array
    residual: Array
    jacobian: Array

    @classmethod
    def at(cls, kind: Elements, w: Array) -> Pieces:
        parts = [ca.gradient(kind.cost, kind.local), kind.residual, ca.jacobian(kind.residual, kind.local)]
        gradient, residual, jacobian = evaluated(kind.mapped("first", [], parts), w[kind.variables], kind.values)
        return cls(kind, gradient.T, residual.T, by_element(jacobian, kind.count))

    def hessian(self, w: Array, multipliers: Array) -> Array:
        """∂²(cost + λ·residual)/∂local², (K, L, L)."""
        kind = self.kind
        multiplier, lagrangian = _lagrangian(kind)
        function = kind.mapped("second", [multiplier], [ca.hessian(lagrangian, kind.local)[0]])
        (found,) = evaluated(function, w[kind.variables], kind.values, multipliers[kind.rows])
        return by_element(found, kind.count)

    def by_constants(self, w: Array, multipliers: Array, which: slice) -> list[Array]:
        """Derivatives of the Lagrangian L in ``which`` constants d: L_wd (K, L, d), g_d (K, R, d), L_d (K, d, 1),
        L_dd (K, d, d).
        """
        kind = self.kind
        multiplier, lagrangian = _lagrangian(kind)
        d = kind.constants[which]
        in_d = ca.gradient(lagrangian, d)
        parts = [ca.jacobian(in_d, kind.local).T, ca.jacobian(kind.residual, d), in_d, ca.jacobian(in_d, d)]
        function = kind.mapped("by_data", [multiplier], parts)
        found = evaluated(function, w[kind.variables], kind.values, multipliers[kind.rows])
        return [by_element(part, kind.count) for part in found]


def _lagrangian(kind: Elements) -> tuple[ca.SX, ca.SX]:
    multiplier = ca.SX.sym("multiplier", kind.residual.numel())
    return multiplier, kind.cost + ca.dot(multiplier, kind.residual)


def by_element(columns: Array, count: int) -> Array:
    """(rows, K·c), element after element, as (K, rows, c)."""
    return columns.reshape(columns.shape[0], count, columns.shape[1] // count).swapaxes(0, 1)


@dataclass(frozen=True, eq=False)
class Direction:
    """What θ (q,) moves: held variables by D (W, q), and the Lagrangian's derivatives by L_wθ (W, q), g_θ (R, q),
    L_θ (q,), L_θθ (q, q).
    """

    moved: Array
    mixed: Array
    rows: Array
    slope: Array
    curved: Array


@dataclass(frozen=True, eq=False)
class Response:
    """dw/dθ (W, q), dλ/dθ (R, q), dJ/dθ (q,) and d²J/dθ² (q, q)."""

    variables: Array
    multipliers: Array
    slope: Array
    curved: Array


class Linearised:
    """The KKT system of ``transcription``, in the problem's own units, at its point w."""

    def __init__(self, transcription: Transcription, w: Array) -> None:
        self.transcription, self.w = transcription, w
        self.pieces = [Pieces.at(kind, w) for kind in transcription.elements]
        self.row_bounds = transcription.row_bounds()
        self.gradient, self.values = np.zeros(w.size), np.zeros(self.row_bounds[0].size)
        for piece in self.pieces:
            np.add.at(self.gradient, piece.kind.variables, piece.gradient.T)
            self.values[piece.kind.rows] = piece.residual.T
        shape = self.values.size, w.size
        self.jacobian = _scattered([(p.jacobian, p.kind.rows, p.kind.variables) for p in self.pieces], shape)
        self.active, self.multipliers = self._settled()

    @property
    def stationarity(self) -> Array:
        """∇f + Gᵀλ, (W,)."""
        return np.asarray(self.gradient + self.jacobian.T @ self.multipliers)

    @property
    def missed(self) -> float:
        """The largest violation of bounds and rows, in units of max(1, |value|)."""
        found = 0.0
        for values, (low, high) in ((self.w, self.transcription.bounds()), (self.values, self.row_bounds)):
            beyond = np.maximum(low - values, values - high) / np.maximum(1.0, np.abs(values))
            found = max(found, float(np.max(beyond, initial=0.0)))
        return found

    def residual(self, cost: float) -> float:
        """What is left of ∇f + Gᵀλ on the free variables, as a share of its largest term, in units of the cost; where
        all terms vanish, of what is next to nothing beside ``cost``.
        """
        left = np.where(self.active.held, 0.0, np.abs(self.stationarity)) * self._units
        return float(np.max(left, initial=0.0) / max(self._largest(self.multipliers), NOTHING * (1.0 + abs(cost))))

    def _largest(self, multipliers: Array) -> float:
        """The largest |∇f| + |G|ᵀ|λ|, each in units of the cost."""
        size = np.abs(self.gradient) + abs(self.jacobian).T @ np.abs(multipliers)
        return float(np.max(size * self._units, initial=0.0))

    @cached_property
    def hessians(self) -> list[Array]:
        """Of every kind of elements, (K, L, L)."""
        return [piece.hessian(self.w, self.multipliers) for piece in self.pieces]

    @cached_property
    def hessian(self) -> Any:
        """H, sparse (W, W)."""
        parts = [(h, p.kind.variables, p.kind.variables) for h, p in zip(self.hessians, self.pieces, strict=True)]
        return _scattered(parts, (self.w.size, self.w.size))

    # -- what is active, and its multipliers --------------------------------------------------------------

    def _settled(self) -> tuple[Active, Array]:
        """The bounds that press: those near the answer, without those whose multipliers turn out to pull."""
        (low, high), (below, above) = self.transcription.bounds(), self.row_bounds
        sides, row_sides = _side(self.w, low, high), _side(self.values, below, above)
        fixed, equal = low >= high, below >= above
        held, rows = fixed | (sides != 0), equal | (row_sides != 0)
        at_bounds = int(np.sum(held) + np.sum(rows))
        worth = (abs(self.jacobian) @ scipy.sparse.diags(self._units)).max(axis=1).toarray().ravel()
        multipliers, left = self._least(~held, rows)
        for _ in range(ROUNDS):
            weak = WEAK * self._largest(multipliers)
            pressing = -(self.gradient + self.jacobian.T @ multipliers) * self._units
            slack = held & ~fixed & (sides * pressing <= weak)
            idle = rows & ~equal & (row_sides * multipliers * worth <= weak)
            if not np.any(slack) and not np.any(idle):
                break
            others, remaining = self._least(~held | slack, rows & ~idle)
            if remaining > max(10.0 * left, weak):  # the multipliers are not the only ones, and others press
                break
            held, rows, multipliers, left = held & ~slack, rows & ~idle, others, remaining
        return Active(held, rows, at_bounds - int(np.sum(held) + np.sum(rows))), multipliers

    @cached_property
    def _units(self) -> Array:
        """How large each state, control and parameter is along the answer, (W,)."""
        places, units = self.transcription.places, np.ones(self.w.size)
        x = np.max(np.abs(self.w[places.x]), axis=(0, 1))
        for block, size in (
            (places.x, x),
            (places.stages, x),
            (places.u, np.max(np.abs(self.w[places.u]), axis=0, initial=0.0)),
            (places.p, np.abs(self.w[places.p])),
        ):
            units[block] = np.where(size > 0.0, size, 1.0)
        return units

    def _least(self, free: Mask, rows: Mask) -> tuple[Array, float]:
        """λ (R,) on ``rows`` that leaves least of ∇f + Gᵀλ on the ``free`` variables, and the largest that is left."""
        unit = scipy.sparse.diags(self._units[free])
        G = self.jacobian[rows][:, free] @ unit
        count = G.shape[0]
        eye = scipy.sparse.identity
        system = scipy.sparse.bmat([[eye(G.shape[1]), G.T], [G, -1e-14 * eye(count)]], format="csc")
        right = np.concatenate([-self._units[free] * self.gradient[free], np.zeros(count)])
        multipliers = np.zeros(self.values.size)
        found = scipy.sparse.linalg.splu(system).solve(right)
        multipliers[rows] = found[G.shape[1] :]
        return multipliers, float(np.max(np.abs(found[: G.shape[1]]), initial=0.0))

    # -- how the answer moves -----------------------------------------------------------------------------

    @cached_property
    def _systems(self) -> list[Any]:
        """The KKT matrix of what is free and active, factorised: itself, and with −ε in place of 0, by which active
        constraints that repeat each other share one multiplier.
        """
        free, rows = ~self.active.held, self.active.rows
        H, G = self.hessian[free][:, free], self.jacobian[rows][:, free]
        size = float(np.max(np.abs(G.data), initial=1.0)) ** 2 / max(float(np.max(np.abs(H.data), initial=0.0)), 1e-300)
        below = -SHARED * size * scipy.sparse.identity(G.shape[0])
        return [scipy.sparse.bmat([[H, G.T], [G, corner]], format="csc") for corner in (None, below)]

    def _solved(self, right: Array) -> Array:
        """KKT⁻¹ right. Raises NotSupported where there is none."""
        matrix = self._systems[0]
        for system in self._systems:
            try:
                found = scipy.sparse.linalg.splu(system).solve(right)
            except RuntimeError:  # exactly singular
                continue
            found += scipy.sparse.linalg.splu(system).solve(right - matrix @ found)
            if np.all(np.isfinite(found)) and np.max(np.abs(right - matrix @ found)) <= SOLVED * np.max(np.abs(right)):
                return np.asarray(found)
        raise NotSupported(
            "neighbouring: the conditions of optimality are singular at this answer, so that it has no derivative: "
            "answers near it are as good, or more is prescribed than what is free can follow."
        )

    def response(self, direction: Direction) -> Response:
        """The solution's derivative along ``direction``. Raises NotSupported where there is none."""
        free, rows, D = ~self.active.held, self.active.rows, direction.moved
        in_w, in_rows = self.hessian @ D + direction.mixed, self.jacobian @ D + direction.rows
        found = self._solved(-np.concatenate([in_w[free], in_rows[rows]]))
        variables, multipliers = D.copy(), np.zeros_like(direction.rows)
        variables[free], multipliers[rows] = found[: np.sum(free)], found[np.sum(free) :]
        slope = D.T @ self.stationarity + direction.slope
        curved = D.T @ (self.hessian @ variables + self.jacobian.T @ multipliers + direction.mixed) + direction.curved
        curved += direction.mixed.T @ variables + direction.rows.T @ multipliers
        return Response(variables, multipliers, slope, 0.5 * (curved + curved.T))

    def moving(self, places: NDArray[np.int64]) -> Direction:
        """θ: the values of held variables, by their ``places`` (q,) in w."""
        moved = np.zeros((self.w.size, places.size))
        moved[places, np.arange(places.size)] = 1.0
        return Direction(moved, np.zeros_like(moved), *self._nothing(places.size))

    def _nothing(self, q: int) -> tuple[Array, Array, Array]:
        return np.zeros((self.values.size, q)), np.zeros(q), np.zeros((q, q))

    def by_data(self) -> Direction:
        """θ: the data d (S, k) of the samples, row by row."""
        S, k = np.shape(self.transcription.problem.data)
        mixed = np.zeros((self.w.size, S * k))
        rows, slope, curved = self._nothing(S * k)
        places = {id(kind): at for kind, at in self.transcription.elements_with_data}
        for piece in self.pieces:
            if id(piece.kind) not in places:
                continue
            at = places[id(piece.kind)]
            found = piece.by_constants(self.w, self.multipliers, slice(at, at + k))
            for s in range(S):  # the samples come fastest
                own, kind = slice(s * k, (s + 1) * k), piece.kind
                in_w, in_rows, in_d, in_dd = (part[s::S] for part in found)
                np.add.at(mixed[:, own], kind.variables[:, s::S].T, in_w)
                np.add.at(rows[:, own], kind.rows[:, s::S].T, in_rows)
                slope[own] += in_d.sum(axis=0)[:, 0]
                curved[own, own] += in_dd.sum(axis=0)
        return Direction(np.zeros_like(mixed), mixed, rows, slope, curved)


def _scattered(parts: list[tuple[Array, Any, Any]], shape: tuple[int, int]) -> Any:
    """A sparse matrix from blocks (K, r, c) at rows (r, K) and columns (c, K), equal places added up."""
    total = scipy.sparse.csr_matrix(shape)
    for blocks, rows, columns in parts:
        i, j = np.broadcast_arrays(rows.T[:, :, None], columns.T[:, None, :])
        there = blocks != 0.0
        total += scipy.sparse.csr_matrix((blocks[there], (i[there], j[there])), shape=shape)
    return total


def _side(values: Array, low: Array, high: Array) -> NDArray[np.int8]:
    """−1 at the lower bound, 1 at the upper one, 0 between."""
    with np.errstate(invalid="ignore"):
        above = values >= high - CLOSE * (1.0 + np.abs(high))
        below = values <= low + CLOSE * (1.0 + np.abs(low))
    above, below = above & np.isfinite(high), below & np.isfinite(low)
    return above.astype(np.int8) - (below & ~above).astype(np.int8)
