"""How a Hamiltonian depends on the controls, read off its formula: which of them meet, and if it is affine or convex.

A sum or a multiple of terms does not join the controls of its terms; any other operation joins those it acts on. So
what is said holds for kinks and jumps as well, of which a Hessian knows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

LINEAR = (ca.OP_ASSIGN, ca.OP_NEG, ca.OP_TWICE, ca.OP_ADD, ca.OP_SUB)
KINKED = (
    ca.OP_FABS, ca.OP_SIGN, ca.OP_COPYSIGN, ca.OP_FMIN, ca.OP_FMAX, ca.OP_FLOOR, ca.OP_CEIL, ca.OP_FMOD,
    ca.OP_REMAINDER, ca.OP_IF_ELSE_ZERO, ca.OP_LT, ca.OP_LE, ca.OP_EQ, ca.OP_NE, ca.OP_NOT, ca.OP_AND, ca.OP_OR,
)  # fmt: skip


@dataclass(frozen=True)
class ControlStructure:
    """``blocks``: the controls by groups over which H is a sum; ``affine``, ``convex``: H is known to be so in u;
    ``smooth``: it has no kinks and jumps in u.
    """

    blocks: list[list[int]]
    affine: bool
    convex: bool
    smooth: bool


def control_structure(value: Any, symbols: list[Any]) -> ControlStructure:
    """The structure of an expression in the last of its ``symbols``, the controls (m,)."""
    u = symbols[-1]
    label, affine, smooth = _walked(
        ca.Function("hamiltonian", symbols, [ca.densify(value)]), len(symbols) - 1, u.numel()
    )
    blocks = [np.flatnonzero(label == k).tolist() for k in np.unique(label)]
    return ControlStructure(blocks, affine, affine or (smooth and _convex(value, symbols)), affine or smooth)


def _walked(function: ca.Function, argument: int, m: int) -> tuple[Any, bool, bool]:
    """A label for each control, alike where they meet, and whether the function is affine and without kinks in them."""
    label, affine, smooth = np.arange(m), True, True
    met: dict[int, frozenset[int]] = {}
    for k in range(function.n_instructions()):
        kind, given, to = (
            f(k) for f in (function.instruction_id, function.instruction_input, function.instruction_output)
        )
        if kind == ca.OP_INPUT:
            met[to[0]] = frozenset(given[1:] if given[0] == argument else ())
        elif kind == ca.OP_CONST:
            met[to[0]] = frozenset()
        elif kind != ca.OP_OUTPUT:
            parts = [met[i] for i in given]
            own = frozenset().union(*parts)
            if own and not _is_linear(kind, parts):
                affine, smooth = False, smooth and kind not in KINKED
                for i in own:
                    label[label == label[i]] = label[min(own)]
            met[to[0]] = own
    return label, affine, smooth


def _is_linear(kind: int, parts: list[frozenset[int]]) -> bool:
    """Whether an operation is linear in those of its arguments that depend on the controls."""
    if kind in (ca.OP_IF_ELSE_ZERO, ca.OP_DIV):
        return not parts[0 if kind == ca.OP_IF_ELSE_ZERO else 1]
    return kind in LINEAR or (kind == ca.OP_MUL and not (parts[0] and parts[-1]))


def _convex(value: Any, symbols: list[Any]) -> bool:
    """The Hessian in the controls is constant and positive semidefinite."""
    hessian = ca.hessian(value, symbols[-1])[0]
    if ca.depends_on(hessian, ca.veccat(*symbols)):
        return False
    curvature = np.linalg.eigvalsh(np.asarray(ca.DM(ca.evalf(hessian))))
    return bool(curvature.min() >= -1e-12 * np.abs(curvature).max())
