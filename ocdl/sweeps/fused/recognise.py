"""The recogniser: whether the layers of a problem are dense, proven from its formulas.

    φ = V σ(z) + S x + r,   z = W x + v,   W, v, V, S, r of (u, p) alone.

From the roots of φ down, every node σ(e) becomes a symbol s_i and e a row of z, so that

    M(ξ, w) = (z, φ),   ξ = (x, s),   w = (u, p),

has to be affine in ξ. This is read from derivatives, which tell all of smooth operations; where others are left,
nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import casadi as ca

from ocdl.statement.activations import Activation, Identity
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused.coefficients import coefficients_of
from ocdl.sweeps.fused.form import DenseForm
from ocdl.sweeps.fused.pattern import (
    CURVED,
    SMOOTH,
    Degrees,
    Expression,
    Family,
    TooLarge,
    family_of,
    member,
    operations,
    rebuilt,
    same,
)

MERGED = 200_000  # nodes up to which equal subexpressions are sought


class Cut(NamedTuple):
    """φ with s (k,) in the place of σ(z), and z."""

    activation: Activation
    rate: ca.SX
    s: ca.SX
    z: ca.SX


def dense_form(problem: ControlProblem) -> DenseForm | None:
    """The form of the dense layers of ``problem``, or None where the formulas do not prove, within seconds, one."""
    form: DenseForm | None = problem.built.of("dense form", lambda: _form(problem))
    return form


def _form(problem: ControlProblem) -> DenseForm | None:
    try:
        return _sought(problem)
    except TooLarge:
        return None


def _sought(problem: ControlProblem) -> DenseForm | None:
    if problem.equations is not None:
        return None
    symbols = problem.symbols()
    x, w = symbols["x"], ca.vertcat(symbols["u"], symbols["p"])
    lift = {} if problem.lift is None else {"z": problem.evaluate("lift", **symbols)}
    rate = ca.densify(problem.evaluate("dynamics", **symbols, **lift))
    if ca.depends_on(rate, ca.vertcat(symbols["t"], symbols["d"])):
        return None
    known = operations(ca.Function("rate", list(symbols.values()), [rate]))
    for cut in _cuts(rate, x, lift.get("z", ca.SX(0, 1)), family_of(known)):
        layer, xi, k = ca.vertcat(cut.z, cut.rate), ca.vertcat(x, cut.s), cut.s.numel()
        if known <= SMOOTH or operations(ca.Function("layer", [xi, w], [layer])) <= SMOOTH:
            coefficients = coefficients_of(layer, xi, symbols["u"], symbols["p"], problem.n, k)
            if coefficients is not None:
                return DenseForm(problem.n, k, cut.activation, coefficients)
    return None


def _cuts(rate: ca.SX, x: ca.SX, lift: ca.SX, family: Family) -> Iterator[Cut]:
    """The ways to see σ in φ: as one of the family, and as whatever function of one scalar there is."""
    yield from _by_family(rate, family)
    if ca.n_nodes(rate) <= MERGED:  # an argument that is written twice is one
        merged = ca.cse(ca.vertcat(rate, lift))
        fewer = ca.n_nodes(merged) < ca.n_nodes(ca.vertcat(rate, lift))
        rate, lift = merged[: rate.numel()], merged[rate.numel() :]
        if fewer:
            yield from _by_family(rate, family)
    yield from _by_degree(rate, x, lift, family)


def _by_family(rate: ca.SX, family: Family) -> Iterator[Cut]:
    if not family:
        return
    rows, found = _Rows(), list[Activation]()

    def replacement(node: ca.SX) -> ca.SX | None:
        matched = member(node, family)
        if matched is None:
            return None
        if matched[0] not in found:
            found.append(matched[0])
        return rows.symbol(matched[1])

    cut = rows.cut(rate, replacement)
    if len(found) == 1:
        yield Cut(found[0], *cut)


def _by_degree(rate: ca.SX, x: ca.SX, lift: ca.SX, family: Family) -> Iterator[Cut]:
    degrees = Degrees(ca.vertsplit(rate), ca.vertsplit(x), ca.vertsplit(lift) if lift.numel() else [])
    rows, s = _Rows(), ca.SX.sym("s")
    formulas: list[ca.SX] = []

    def replacement(node: ca.SX) -> ca.SX | None:
        if degrees[node] != CURVED:
            return node
        e = degrees.argument(node)
        if e is None:
            return None
        key = e.element_hash()
        formulas.extend(rebuilt([node], lambda part: s if part.element_hash() == key else None))
        return rows.symbol(e)

    cut = rows.cut(rate, replacement)
    formulas = ca.vertsplit(ca.cse(ca.vertcat(*formulas))) if formulas else []
    if not formulas:  # φ = z
        s = ca.SX.sym("s", rate.numel())
        yield Cut(Identity(), s, s, rate)
    elif len({formula.element_hash() for formula in formulas}) == 1:
        matched = member(formulas[0], family)
        named = matched is not None and same(matched[1], s)
        yield Cut(matched[0] if matched and named else Expression.of(formulas[0], s), *cut)


class _Rows:
    """The rows of z, each with a symbol for σ of it."""

    def __init__(self) -> None:
        self.symbols: dict[int, ca.SX] = {}
        self.z: list[ca.SX] = []

    def symbol(self, e: ca.SX) -> ca.SX:
        key = e.element_hash()
        if key not in self.symbols:
            self.symbols[key] = ca.SX.sym(f"s{len(self.z)}")
            self.z.append(e)
        return self.symbols[key]

    def cut(self, rate: ca.SX, replacement: Callable[[ca.SX], ca.SX | None]) -> tuple[ca.SX, ca.SX, ca.SX]:
        """φ with the symbols in it, the symbols and z."""
        roots = rebuilt(ca.vertsplit(rate), replacement)
        return ca.vertcat(*roots), ca.vertcat(*self.symbols.values()), ca.vertcat(*self.z)
