"""Coefficients of dense layers, Θ: (u, p) ↦ W, v, V, S, r, read from M(ξ, w) = (z, φ), affine in ξ = (x, s).

Where M is affine in w, too, it is M₀(ξ) + Σ_c w_c g_c(ξ) with numbers only, and Θ takes entries, or is a sparse
product; elsewhere Θ is a CasADi function of the controls of one layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.sweeps.fused.form import Coefficients, LayerArrays
from ocdl.sweeps.fused.maps import AffineMap, affine_map
from ocdl.sweeps.fused.pattern import TooLarge

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

WRITTEN = 20_000  # entries of Θ up to which it is a formula, where it is not affine
NODES = 500_000  # of M up to which it is one
COLOURED = 100_000_000  # nodes of M times its arguments, up to which a control may be in several entries of Θ
ONE = -1  # in the place of a column or of a control: no factor


def coefficients_of(layer: Any, xi: Any, u: Any, p: Any, n: int, k: int) -> Coefficients | None:
    """Θ of M (k + n,), or None where it is not affine in ξ = (x (n,), s (k,)).

    Raises TooLarge.
    """
    if ca.depends_on(ca.jtimes(layer, xi, ca.SX.sym("delta", n + k)), xi):
        return None
    w, eta = ca.vertcat(u, p), ca.SX.sym("eta", k + n)
    by_w = ca.densify(ca.gradient(ca.dot(eta, layer), w))
    if ca.depends_on(by_w, w):
        return _written(layer, xi, u, p, n, k)
    if ca.n_nodes(layer) * xi.numel() > COLOURED and _meet(ca.jacobian_sparsity(by_w, xi)):
        raise TooLarge
    return AffineCoefficients(*_maps(_entries(layer, by_w, xi, w, eta), n, k, u.numel(), p.numel()))


def _meet(sparsity: Any) -> bool:
    """Whether a row has several entries, whose columns one sweep cannot tell apart."""
    return bool(sparsity.nnz() and np.bincount(sparsity.row()).max() > 1)


# -- affine in the controls ------------------------------------------------------------------------------------------


class Entries(NamedTuple):
    """M_row = Σ value ξ_column w_control over the entries, with ``ONE`` for no ξ and for no w."""

    row: Indices
    column: Indices
    control: Indices
    value: Array

    def within(self, rows: range, columns: range) -> Entries:
        """Those of a block, counted from its corner."""
        kept = (self.row >= rows.start) & (self.row < rows.stop)
        kept &= (self.column >= columns.start) & (self.column < columns.stop)
        return Entries(
            self.row[kept] - rows.start, self.column[kept] - columns.start, self.control[kept], self.value[kept]
        )


def _entries(layer: Any, by_w: Any, xi: Any, w: Any, eta: Any) -> Entries:
    """Those of M affine in ξ and in w, with ``by_w`` = ∇_w ηᵀM."""
    slopes = ca.jacobian(by_w, xi)
    alone = ca.Function("alone", [xi, w], [layer])(xi, ca.DM.zeros(w.numel()))
    fixed = ca.jacobian(alone, xi)
    nowhere = ca.DM.zeros(xi.numel())
    shifts = ca.Function("shifts", [xi, eta], [by_w])(nowhere, eta)
    control, column = (np.array(places, np.intp) for places in slopes.sparsity().get_triplet())
    slope, row, value = _numbers(ca.jacobian(slopes.nz[:], eta))
    parts = [(row, column[slope], control[slope], value)]
    control, row, value = _numbers(ca.jacobian(shifts, eta))
    parts.append((row, np.full(row.size, ONE), control, value))
    row, column, value = _numbers(fixed)
    parts.append((row, column, np.full(row.size, ONE), value))
    row, _, value = _numbers(ca.Function("shift", [xi], [alone])(nowhere))
    parts.append((row, np.full(row.size, ONE), np.full(row.size, ONE), value))
    return Entries(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _numbers(constant: Any) -> tuple[Indices, Indices, Array]:
    """Rows, columns and values of a matrix of numbers, those that are not zero."""
    sparse = ca.evalf(constant).sparse().tocoo()
    kept = sparse.data != 0.0
    return sparse.row[kept].astype(np.intp), sparse.col[kept].astype(np.intp), sparse.data[kept]


def _maps(entries: Entries, n: int, k: int, m: int, P: int) -> Iterator[AffineMap | None]:
    """W, v, V, S, r as maps of (u, p), None where they are nothing, or the 1 of V."""
    z, rate, x, s, one = range(k), range(k, k + n), range(n), range(n, n + k), range(ONE, ONE + 1)
    for rows, columns, name in ((z, x, "W"), (z, one, "v"), (rate, s, "V"), (rate, x, "S"), (rate, one, "r")):
        part = entries.within(rows, columns)
        shape: tuple[int, ...] = (len(rows),) if columns is one else (len(rows), len(columns))
        if part.row.size == 0 and name in ("S", "r"):
            yield None
            continue
        whole = _in_one(part, shape, m + P)
        if name in ("V", "S") and (factor := _diagonal(whole, shape)) is not None:
            shape, whole = (), factor
        one_alone = name == "V" and shape == () and whole.nnz == 1 and whole[0, m + P] == 1.0
        yield None if one_alone else affine_map(shape, whole[:, :m], whole[:, m : m + P], whole[:, [m + P]])


def _in_one(part: Entries, shape: tuple[int, ...], size: int) -> Any:
    """The entries of a block row by row as a sparse matrix times (u, p, 1)."""
    place = part.row * shape[1] + part.column if len(shape) == 2 else part.row
    control = np.where(part.control == ONE, size, part.control)
    return scipy.sparse.csr_array((part.value, (place, control)), shape=(int(np.prod(shape)), size + 1))


def _diagonal(whole: Any, shape: tuple[int, ...]) -> Any:
    """The one row of a block that is a factor times the identity, or None."""
    n = shape[0]
    if shape != (n, n):
        return None
    places = np.arange(n) * (n + 1)
    on, first = whole[places], whole[[0]]
    if on.nnz != whole.nnz or abs(on - scipy.sparse.vstack([first] * n)).max() > 0.0:
        return None
    return first


class AffineCoefficients:
    """Θ affine in (u, p): a map for each of its parts. Arrays may be views of u and p."""

    linear = True

    def __init__(self, *maps: AffineMap | None) -> None:
        self.maps = maps

    def arrays(self, u: Array, p: Array) -> LayerArrays:
        return LayerArrays(*(None if part is None else part.value(u, p) for part in self.maps))  # type: ignore[arg-type]

    def tangent(self, u: Array, p: Array, du: Array, dp: Array) -> LayerArrays:
        return LayerArrays(*(None if part is None else part.linear(du, dp) for part in self.maps))  # type: ignore[arg-type]

    def pulled_back(self, u: Array, p: Array, slopes: LayerArrays) -> tuple[Array, Array]:
        by_u, by_p = np.zeros(u.shape), np.zeros(p.shape)
        for part, slope in zip(self.maps, slopes, strict=True):
            if part is not None and slope is not None:
                part.add_transposed(slope, by_u, by_p)
        return by_u, by_p

    def rows_pulled_back(self, u: Array, p: Array, slopes: LayerArrays) -> tuple[Array, Array]:
        rows = slopes.v.shape[-1]
        by_u, by_p = np.zeros((*u.shape, rows)).transpose(2, 0, 1), np.zeros((rows, p.size))  # as the slopes lie
        for part, slope in zip(self.maps, slopes, strict=True):
            if part is not None and slope is not None:
                part.add_rows_transposed(slope, by_u, by_p)
        return by_u, by_p

    def curved(self, u: Array, p: Array, slopes: LayerArrays, du: Array, dp: Array) -> tuple[Array, Array]:
        return np.zeros(u.shape), np.zeros(p.shape)


# -- by formulas -----------------------------------------------------------------------------------------------------


def _written(layer: Any, xi: Any, u: Any, p: Any, n: int, k: int) -> WrittenCoefficients:
    """Θ whatever it is of w."""
    if n * k > WRITTEN or ca.n_nodes(layer) > NODES:
        raise TooLarge
    slopes = ca.jacobian(layer, xi)
    shift = ca.densify(ca.Function("shift", [xi, u, p], [layer])(ca.DM.zeros(xi.numel()), u, p))
    V, S, r = _factored(slopes[k:, n:]), _factored(slopes[k:, :n]), shift[k:]
    parts = {
        "W": ca.densify(slopes[:k, :n]),
        "v": shift[:k],
        "V": None if V.numel() == 1 and _is(V, 1.0) else V,
        "S": None if _is(S, 0.0) else S,
        "r": None if _is(r, 0.0) else r,
    }
    return WrittenCoefficients(u, p, parts)


def _factored(block: Any) -> Any:
    """Its factor where a block is one times the identity."""
    if block.size1() == block.size2() == block.nnz() and block.sparsity().is_diag():
        diagonal = ca.vertsplit(ca.cse(block.nz[:]))
        if len({entry.element_hash() for entry in diagonal}) == 1:
            return diagonal[0]
    return ca.densify(block)


def _is(block: Any, number: float) -> bool:
    return bool(block.is_constant()) and bool(np.all(ca.evalf(block).full() == number))


class WrittenCoefficients:
    """Θ as CasADi formulas of u (m,) and p (P,), and its derivatives, evaluated on the controls of many layers."""

    linear = False

    def __init__(self, u: Any, p: Any, parts: dict[str, Any]) -> None:
        self.shapes = {
            name: () if part.numel() == 1 and name in "VS" else part.shape[: 1 + (name in "WVS")]
            for name, part in parts.items()
            if part is not None
        }
        theta = [ca.vec(part.T) for part in parts.values() if part is not None]  # row by row
        self.ends = np.cumsum([part.numel() for part in theta])
        self.formulas = _Formulas(u, p, ca.vertcat(*theta))

    def arrays(self, u: Array, p: Array) -> LayerArrays:
        return self._split(self.formulas.value(u.T, p)[0])

    def tangent(self, u: Array, p: Array, du: Array, dp: Array) -> LayerArrays:
        return self._split(self.formulas.tangent(u.T, p, du.T, dp)[0])

    def pulled_back(self, u: Array, p: Array, slopes: LayerArrays) -> tuple[Array, Array]:
        by_u, by_p = self.formulas.pulled(u.T, p, self._joined(slopes))
        return by_u.T, by_p

    def rows_pulled_back(self, u: Array, p: Array, slopes: LayerArrays) -> tuple[Array, Array]:
        rows = slopes.v.shape[-1]
        by_u, by_p = np.empty((rows, *u.shape)), np.empty((rows, p.size))
        for r in range(rows):
            one = LayerArrays(*(None if entry is None else entry[..., r] for entry in slopes))  # type: ignore[arg-type]
            by_u[r], by_p[r] = self.pulled_back(u, p, one)
        return by_u, by_p

    def curved(self, u: Array, p: Array, slopes: LayerArrays, du: Array, dp: Array) -> tuple[Array, Array]:
        by_u, by_p = self.formulas.curved(u.T, p, self._joined(slopes), du.T, dp)
        return by_u.T, by_p

    def _split(self, theta: Array) -> LayerArrays:
        Q = theta.shape[1]
        parts = np.split(theta.T, self.ends[:-1], axis=1)
        shaped = zip(self.shapes.items(), parts, strict=True)
        return LayerArrays(**{name: part.reshape(Q, *shape) for (name, shape), part in shaped})

    def _joined(self, slopes: LayerArrays) -> Array:
        parts = [getattr(slopes, name) for name in self.shapes]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).T


class _Formulas:
    """θ(u, p), θ'(du, dp), ∇ λᵀθ and ∇² λᵀθ (du, dp), each compiled when it is asked for."""

    def __init__(self, u: Any, p: Any, theta: Any) -> None:
        self.u, self.p, self.theta = u, p, theta
        self.du, self.dp = ca.SX.sym("du", u.numel()), ca.SX.sym("dp", p.numel())
        self.slopes = ca.SX.sym("slopes", theta.numel())

    @cached_property
    def value(self) -> Batch:
        return Batch(ca.Function("theta", [self.u, self.p], [self.theta]), shared=(1,))

    @cached_property
    def tangent(self) -> Batch:
        given = [self.u, self.p, self.du, self.dp]
        return Batch(ca.Function("tangent", given, [self._along(self.theta)]), shared=(1, 3))

    @cached_property
    def pulled(self) -> Batch:
        given = [self.u, self.p, self.slopes]
        return Batch(ca.Function("pulled", given, self._gradients), shared=(1,), summed=(1,))

    @cached_property
    def curved(self) -> Batch:
        given = [self.u, self.p, self.slopes, self.du, self.dp]
        products = [self._along(gradient) for gradient in self._gradients]
        return Batch(ca.Function("curved", given, products), shared=(1, 4), summed=(1,))

    @cached_property
    def _gradients(self) -> list[Any]:
        value = ca.dot(self.slopes, self.theta)
        return [ca.densify(ca.gradient(value, symbols)) for symbols in (self.u, self.p)]

    def _along(self, expression: Any) -> Any:
        parts = ((self.u, self.du), (self.p, self.dp))
        return ca.densify(sum(ca.jtimes(expression, s, d) for s, d in parts if s.numel()))
