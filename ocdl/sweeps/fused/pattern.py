"""σ in the expressions of a rate: where a node of the graph is σ(e), for one scalar e, by the graph alone.

A member of the family of activations is found by its formula, parameters included: fmax(e, κ e) is LeakyReLU(κ). Any
other function of one scalar is its own activation, an ``Expression``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import casadi as ca
import numpy as np

from ocdl.callables import numpy_on_casadi
from ocdl.errors import InvalidInput
from ocdl.statement import activations
from ocdl.statement.activations import Activation
from ocdl.vectorised import Vectorised

ARITHMETIC = {ca.OP_ADD, ca.OP_SUB, ca.OP_MUL, ca.OP_DIV, ca.OP_NEG, ca.OP_TWICE, ca.OP_SQ, ca.OP_INV, ca.OP_ASSIGN}
SMOOTH = {  # whose derivatives tell all of what they depend on
    *ARITHMETIC,
    *(ca.OP_CONST, ca.OP_INPUT, ca.OP_OUTPUT, ca.OP_PARAMETER),
    *(ca.OP_EXP, ca.OP_LOG, ca.OP_POW, ca.OP_CONSTPOW, ca.OP_SQRT, ca.OP_EXPM1, ca.OP_LOG1P, ca.OP_ERF),
    *(ca.OP_SIN, ca.OP_COS, ca.OP_TAN, ca.OP_ASIN, ca.OP_ACOS, ca.OP_ATAN),
    *(ca.OP_SINH, ca.OP_COSH, ca.OP_TANH, ca.OP_ASINH, ca.OP_ACOSH, ca.OP_ATANH),
}
COMMUTE = {ca.OP_ADD, ca.OP_MUL, ca.OP_FMAX, ca.OP_FMIN}
VISITED = 200_000  # nodes after which a search is given up
NUMBER, COEFFICIENT, AFFINE, CURVED = -1, 0, 1, 2  # what a node is in x

Tree = Any  # "s", the name of a parameter, a number, or (operation, trees of the operands)
Family = dict[int, list[tuple[Callable[..., Activation], Tree]]]  # by the operation at the root


class TooLarge(Exception):
    """No proof within seconds."""


@dataclass(frozen=True, repr=False)
class Expression(Activation):
    """σ as the formula of a problem has it, a CasADi function of one scalar; nothing is claimed beyond the formula."""

    function: ca.Function
    increasing = False
    smooth: bool = False

    @classmethod
    def of(cls, g: ca.SX, s: ca.SX) -> Expression:
        function = ca.Function("sigma", [s], [g])
        return cls(function, operations(function) <= SMOOTH)

    def __repr__(self) -> str:
        return f"Expression({self.function(ca.SX.sym('s'))})"

    def formula(self, s: Any) -> Any:
        if isinstance(s, (ca.SX, ca.MX, ca.DM)):
            return self.function(s)
        array = np.asarray(s, dtype=float)
        return Vectorised(self.function)([array.reshape(1, -1)], array.size)[0].reshape(array.shape)


def operations(function: ca.Function) -> set[int]:
    """Those of all its instructions."""
    return set(map(function.instruction_id, range(function.n_instructions())))


def rebuilt(roots: list[ca.SX], replacement: Callable[[ca.SX], ca.SX | None]) -> list[ca.SX]:
    """The same expressions with another node wherever ``replacement`` has one, from the roots down.

    Raises TooLarge.
    """
    done: dict[int, ca.SX] = {}
    changed: set[int] = set()
    opened: dict[int, list[int]] = {}
    stack = [(root.element_hash(), root) for root in reversed(roots)]
    while stack:
        key, node = stack[-1]
        if key in done:
            stack.pop()
        elif key in opened:
            done[key] = node
            if not changed.isdisjoint(opened[key]):
                changed.add(key)
                done[key] = _again(node, [done[child] for child in opened[key]])
        elif (new := replacement(node)) is not None:
            done[key] = new
            changed.add(key)
        elif not node.n_dep():
            done[key] = node
        elif len(opened) > VISITED:
            raise TooLarge
        else:
            operands = [(child.element_hash(), child) for child in children(node)]
            opened[key] = [child for child, _ in operands]
            stack += reversed(operands)
    return [done[root.element_hash()] for root in roots]


def children(node: ca.SX) -> list[ca.SX]:
    return [node.dep(i) for i in range(node.n_dep())]


def _again(node: ca.SX, operands: list[ca.SX]) -> ca.SX:
    """The operation of ``node`` on these operands."""
    return ca.SX.unary(node.op(), *operands) if len(operands) == 1 else ca.SX.binary(node.op(), *operands)


# -- the family ------------------------------------------------------------------------------------------------------


def member(node: ca.SX, family: Family) -> tuple[Activation, ca.SX] | None:
    """(σ, e) where ``node`` is σ(e) of an activation of the family."""
    for kind, tree in family.get(node.op(), ()) if node.n_dep() else ():
        bound: dict[str, ca.SX] = {}
        if _binds(tree, node, bound):
            e = bound.pop("s")
            try:
                return kind(**{name: float(value) for name, value in bound.items()}), e
            except InvalidInput:  # a parameter out of its range
                continue
    return None


def family_of(known: set[int]) -> Family:
    """The formulas that have no other operations."""
    kept = {root: [(kind, tree) for kind, tree in _family()[root] if _operations(tree) <= known] for root in _family()}
    return {root: members for root, members in kept.items() if members}


def _operations(tree: Tree) -> set[int]:
    return {tree[0]}.union(*(_operations(part) for part in tree[1:])) if isinstance(tree, tuple) else set()


@lru_cache(maxsize=1)
def _family() -> Family:
    """The formulas of all activations, with their parameters as symbols and as usual.

    No expression is kept, as these belong to one thread.
    """
    found: Family = {}
    for kind in vars(activations).values():
        if isinstance(kind, type) and issubclass(kind, Activation) and kind is not Activation:
            for tree in _formulas(kind):
                if isinstance(tree, tuple):  # that of the identity is s
                    found.setdefault(tree[0], []).append((kind, tree))
    return found


def _formulas(kind: type[Activation]) -> Iterator[Tree]:
    s, open_ = ca.SX.sym("s"), object.__new__(kind)
    symbols = {field.name: ca.SX.sym(field.name) for field in fields(kind) if isinstance(field.default, float)}
    if len(symbols) < len(fields(kind)):  # a function is no parameter
        return
    vars(open_).update(symbols)
    with numpy_on_casadi():
        formulas = [kind().formula(s), *([open_.formula(s)] if symbols else [])]
    yield from map(_tree, formulas)


def _tree(node: ca.SX) -> Tree:
    if node.is_symbolic():
        return node.name()
    return float(node) if node.is_constant() else (node.op(), *(_tree(child) for child in children(node)))


def _binds(tree: Tree, node: ca.SX, bound: dict[str, ca.SX]) -> bool:
    """Whether ``node`` is the formula for some s and some numbers as parameters, which go into ``bound``."""
    if isinstance(tree, str):
        if tree in bound:
            return same(bound[tree], node)
        bound[tree] = node
        return tree == "s" or bool(node.is_constant())
    if isinstance(tree, float):
        return bool(node.is_constant()) and float(node) == tree
    if node.n_dep() != len(tree) - 1 or node.op() != tree[0]:
        return False
    operands = children(node)
    for order in (operands, operands[::-1]) if tree[0] in COMMUTE else (operands,):
        trial = dict(bound)
        if all(_binds(part, operand, trial) for part, operand in zip(tree[1:], order, strict=True)):
            bound.update(trial)
            return True
    return False


def same(one: ca.SX, other: ca.SX) -> bool:
    """One node, or one number."""
    if one.element_hash() == other.element_hash():
        return True
    return bool(one.is_constant() and other.is_constant()) and float(one) == float(other)


# -- any function of one scalar --------------------------------------------------------------------------------------


class Degrees:
    """What every node below ``roots`` is in x: a number, a coefficient, affine or curved; ``lift`` counts as affine."""

    def __init__(self, roots: list[ca.SX], x: list[ca.SX], lift: list[ca.SX]) -> None:
        self.of: dict[int, int] = {node.element_hash(): AFFINE for node in (*x, *lift)}
        opened: dict[int, list[int]] = {}
        stack = [(root.element_hash(), root) for root in roots]
        while stack:
            key, node = stack[-1]
            if key in self.of:
                stack.pop()
            elif key in opened:
                self.of[key] = self._degree(node, [self.of[child] for child in opened[key]])
            elif len(opened) > VISITED:
                raise TooLarge
            else:
                operands = [(child.element_hash(), child) for child in children(node)]
                opened[key] = [child for child, _ in operands]
                stack += operands

    def __getitem__(self, node: ca.SX) -> int:
        return self.of[node.element_hash()]

    @staticmethod
    def _degree(node: ca.SX, given: list[int]) -> int:
        if not given:
            return NUMBER if node.is_constant() else COEFFICIENT
        most, operation = max(given), node.op()
        if most <= COEFFICIENT or operation in (ca.OP_ADD, ca.OP_SUB, ca.OP_NEG, ca.OP_TWICE):
            return most
        linear = operation == ca.OP_MUL and min(given) <= COEFFICIENT
        return most if linear or (operation == ca.OP_DIV and given[1] <= COEFFICIENT) else CURVED

    def argument(self, node: ca.SX) -> ca.SX | None:
        """e where a curved ``node`` is a function of e, affine in x, and of numbers alone."""
        affine: dict[int, ca.SX] = {}
        peeled: dict[int, ca.SX] = {}
        stack, seen = [node], {node.element_hash()}
        while stack:
            for child in children(stack.pop()):
                degree, key = self[child], child.element_hash()
                if degree == COEFFICIENT:
                    return None
                if degree == AFFINE:
                    core = self._peeled(child)
                    affine[key], peeled[core.element_hash()] = child, core
                    if len(peeled) > 1:
                        return None
                elif degree == CURVED and key not in seen:
                    seen.add(key)
                    stack.append(child)
        return next(iter((affine if len(affine) == 1 else peeled).values()))

    def _peeled(self, node: ca.SX) -> ca.SX:
        """What an affine node is a multiple of, up to numbers: e of 1 + 2 e."""
        while True:
            operands = children(node)
            degrees = [self.of.get(child.element_hash(), CURVED) for child in operands]  # unknown below the lift
            if sorted(degrees) not in ([AFFINE], [NUMBER, AFFINE]):
                return node
            node = operands[degrees.index(AFFINE)]
