"""Derivatives by structure: an NLP put together from the derivatives of small elements.

Each kind of element (a layer of one sample, a terminal loss, ...) is one SX function of a few local variables.
Its gradient, Jacobian and Hessian are formed once, mapped over all elements of the kind and scattered into the
known sparsity pattern of the whole, so that CasADi never differentiates or colours the whole problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Direct

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Elements:
    """K elements of one kind: cost and residual as expressions in ``local`` variables and ``constants``.

    ``variables`` (local, K): where the local variables lie in w; ``rows`` (residual, K): where the residuals lie in g;
    ``values`` (constants, K).
    """

    local: ca.SX
    constants: ca.SX
    cost: ca.SX
    residual: ca.SX
    variables: Indices
    rows: Indices
    values: Array

    @property
    def count(self) -> int:
        return int(self.variables.shape[1])

    def scaled(self, columns: Array, rows: Array) -> Elements:
        """The same elements in the variables w / columns and with residuals times ``rows``: further constants, so that
        other units need no other program.
        """
        local = ca.SX.sym("local", self.local.numel())
        unit, factor = ca.SX.sym("unit", len(self.variables)), ca.SX.sym("factor", len(self.rows))
        constants = ca.vertcat(self.constants, unit, factor)
        cost, residual = ca.substitute([self.cost, self.residual], [self.local], [local * unit])
        values = self.scaled_values(columns, rows)
        return replace(self, local=local, constants=constants, values=values, cost=cost, residual=residual * factor)

    def scaled_values(self, columns: Array, rows: Array) -> Array:
        """The values of the scaled elements: the units are among them."""
        return np.concatenate([self.values, columns[self.variables], rows[self.rows]])

    def with_values(self, values: Array) -> Elements:
        """The same elements, and what was compiled of them, with other values of the constants."""
        _, other = self.lagrangian_gradient, copy(self)
        object.__setattr__(other, "values", values)
        return other

    @cached_property
    def lagrangian_gradient(self) -> Direct:
        """(local, constants, λ) → ∂(cost + λ·residual)/∂local of all K elements."""
        multiplier = ca.SX.sym("multiplier", self.residual.numel())
        lagrangian = self.cost + ca.dot(multiplier, self.residual)
        return Direct(self.mapped("lagrangian", [multiplier], [ca.gradient(lagrangian, self.local)]))

    def steepness(self, w: Array, columns: Array) -> tuple[Array, Array]:
        """The largest |∂/∂(w / columns)| of every residual (rows, K), and of every cost (K,)."""
        found = []
        for value in (self.residual, self.cost):
            jacobian = ca.jacobian(value, self.local)
            i, j = (np.array(part, dtype=np.int64) for part in jacobian.sparsity().get_triplet())
            entries = Direct(self.mapped("steepness", [], [ca.vertcat(*jacobian.nonzeros())]))
            largest = np.zeros((value.numel(), self.count))
            if i.size:
                units = columns[self.variables[j]]
                np.maximum.at(largest, i, np.abs(entries(w[self.variables], self.values)[0] * units))
            found.append(largest)
        return found[0], found[1][0]

    def gather(self, w: ca.MX) -> ca.MX:
        """The local variables of all elements as columns."""
        return ca.reshape(w[self.variables.ravel(order="F").tolist()], *self.variables.shape)

    def mapped(self, name: str, extra: Sequence[ca.SX], outputs: Sequence[ca.SX]) -> ca.Function:
        """(local, constants, *extra) → outputs, mapped over the K elements."""
        function = ca.Function(name, [self.local, self.constants, *extra], [ca.densify(out) for out in outputs])
        return function.map(self.count)


@dataclass(frozen=True, eq=False)
class NonlinearProgram:
    """min f(w) subject to bounds on g(w), with the functions that ``nlpsol`` takes: all derivatives assembled.

    Their second argument are so many ``parameters``, the values of all elements (``parameters_of``).
    """

    variables: int
    constraints: int
    parameters: int
    objective: ca.Function
    grad_f: ca.Function
    jac_g: ca.Function
    hess_lag: ca.Function


def assemble(kinds: Sequence[Elements], variables: int, constraints: int) -> NonlinearProgram:
    """The whole program from its kinds of elements."""
    ends = np.cumsum([0, *(kind.values.size for kind in kinds)]).tolist()
    w, values = ca.MX.sym("w", variables), ca.MX.sym("values", ends[-1])
    lam_f, lam_g = ca.MX.sym("lam_f"), ca.MX.sym("lam_g", constraints)
    given = [
        _Mapped(kind, kind.gather(w), ca.reshape(values[begin:end], *kind.values.shape))
        for kind, begin, end in zip(kinds, ends[:-1], ends[1:], strict=True)
    ]
    f, g = _values(given, constraints)
    gradient = _gradient(given, variables)
    jacobian = _jacobian(given, constraints, variables)
    hessian = _hessian(given, lam_f, lam_g, variables)
    return NonlinearProgram(
        variables,
        constraints,
        ends[-1],
        ca.Function("nlp", [w, values], [f, g], ["x", "p"], ["f", "g"]),
        ca.Function("grad_f", [w, values], [f, gradient], ["x", "p"], ["f", "grad_f_x"]),
        ca.Function("jac_g", [w, values], [g, jacobian], ["x", "p"], ["g", "jac_g_x"]),
        ca.Function(
            "hess_lag", [w, values, lam_f, lam_g], [hessian], ["x", "p", "lam_f", "lam_g"], ["triu_hess_gamma_x_x"]
        ),
    )


def parameters_of(values: Sequence[Array]) -> Array:
    """The parameters of a program from the values of its kinds of elements."""
    return np.concatenate([np.zeros(0), *(part.ravel(order="F") for part in values)])


@dataclass(frozen=True, eq=False)
class _Mapped:
    """One kind of elements with its local variables and its constants as columns of expressions."""

    kind: Elements
    local: ca.MX
    constants: ca.MX

    def __call__(self, name: str, outputs: Sequence[ca.SX], **extra: tuple[ca.SX, ca.MX]) -> Any:
        """The outputs of all elements; ``extra``: further symbols of one, and their columns."""
        function = self.kind.mapped(name, [symbol for symbol, _ in extra.values()], outputs)
        return function(self.local, self.constants, *(columns for _, columns in extra.values()))


def _values(given: Sequence[_Mapped], constraints: int) -> tuple[ca.MX, ca.MX]:
    total, rows, residuals = ca.MX(0), [np.zeros(0, np.int64)], [ca.MX(0, 1)]
    for mapped in given:
        cost, residual = mapped("values", [mapped.kind.cost, mapped.kind.residual])
        total = total + ca.sum2(cost)
        rows.append(mapped.kind.rows.ravel(order="F"))
        residuals.append(ca.vec(residual))
    order = np.argsort(np.concatenate(rows))  # every row of g belongs to exactly one element
    return total, ca.vertcat(*residuals)[order.tolist()] if constraints else ca.MX(0, 1)


def _gradient(given: Sequence[_Mapped], variables: int) -> ca.MX:
    places, values = [np.zeros(0, np.int64)], [ca.MX(0, 1)]
    for mapped in given:
        kind = mapped.kind
        gradient = ca.gradient(kind.cost, kind.local)
        used = np.array(gradient.sparsity().row(), dtype=np.int64)
        if used.size:
            places.append(kind.variables[used].ravel(order="F"))
            values.append(ca.vec(mapped("gradient", [gradient[used.tolist()]])))
    at = np.concatenate(places)
    return ca.densify(_added(at, variables) @ ca.vertcat(*values)) if at.size else ca.MX.zeros(variables)


def _jacobian(given: Sequence[_Mapped], constraints: int, variables: int) -> ca.MX:
    triplets = _Triplets(constraints, variables)
    for mapped in given:
        kind = mapped.kind
        jacobian = ca.jacobian(kind.residual, kind.local)
        i, j = (np.array(part, dtype=np.int64) for part in jacobian.sparsity().get_triplet())
        if i.size:
            entries = mapped("jacobian", [ca.vertcat(*jacobian.nonzeros())])
            triplets.add(kind.rows[i], kind.variables[j], entries)
    return triplets.matrix()


def _hessian(given: Sequence[_Mapped], lam_f: ca.MX, lam_g: ca.MX, variables: int) -> ca.MX:
    """Upper triangle of the Hessian of λ_f f + λ_gᵀ g."""
    triplets = _Triplets(variables, variables)
    for mapped in given:
        kind = mapped.kind
        weight, multiplier = ca.SX.sym("weight"), ca.SX.sym("multiplier", kind.residual.numel())
        lagrangian = weight * kind.cost + ca.dot(multiplier, kind.residual)
        hessian = ca.triu(ca.hessian(lagrangian, kind.local)[0])
        i, j = (np.array(part, dtype=np.int64) for part in hessian.sparsity().get_triplet())
        if i.size:
            multipliers = ca.reshape(lam_g[kind.rows.ravel(order="F").tolist()], *kind.rows.shape)
            entries = mapped(
                "hessian",
                [ca.vertcat(*hessian.nonzeros())],
                weight=(weight, ca.repmat(lam_f, 1, kind.count)),
                multiplier=(multiplier, multipliers),
            )
            first, second = kind.variables[i], kind.variables[j]
            triplets.add(np.minimum(first, second), np.maximum(first, second), entries)
    return triplets.matrix()


class _Triplets:
    """Entries (row, column, value) of a sparse matrix, equal places added up."""

    def __init__(self, rows: int, columns: int) -> None:
        self.shape = rows, columns
        self.places: list[Indices] = []
        self.values: list[ca.MX] = []

    def add(self, rows: Indices, columns: Indices, entries: ca.MX) -> None:
        self.places.append((columns * self.shape[0] + rows).ravel(order="F"))
        self.values.append(ca.vec(entries))

    def matrix(self) -> ca.MX:
        if not self.places:
            return ca.MX(*self.shape)
        place, slot = np.unique(np.concatenate(self.places), return_inverse=True)  # column-major order
        columns, rows = np.divmod(place, self.shape[0])
        pattern = ca.Sparsity.triplet(*self.shape, rows.tolist(), columns.tolist())
        values = ca.vertcat(*self.values)
        if place.size == slot.size:
            return ca.MX(pattern, values[np.argsort(slot).tolist()])
        return ca.MX(pattern, ca.densify(_added(slot, place.size) @ values))


def _added(at: Indices, rows: int) -> ca.DM:
    """The matrix that adds entry j of a column to row at[j]."""
    return ca.DM(ca.Sparsity(rows, at.size, list(range(at.size + 1)), at.tolist()), 1.0)
