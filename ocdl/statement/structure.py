"""How an expression depends on some of its symbols: smoothly, affinely, quadratically; SX or MX."""

from __future__ import annotations

from typing import Any

import casadi as ca

from ocdl.arrays import Array

KINKS = (
    *(ca.OP_FABS, ca.OP_FMIN, ca.OP_FMAX, ca.OP_SIGN, ca.OP_LT, ca.OP_LE, ca.OP_EQ, ca.OP_NE),
    *(ca.OP_FLOOR, ca.OP_CEIL, ca.OP_FMOD, ca.OP_COPYSIGN, ca.OP_SQRT),
    *(ca.OP_NORM1, ca.OP_NORM2, ca.OP_NORMF, ca.OP_NORMINF, ca.OP_MMIN, ca.OP_MMAX),  # of vectors
    *(ca.OP_FIND, ca.OP_LOW, ca.OP_CALL),  # of vectors, too; what a function calls may do anything
)


def affine_in(expression: Any, symbols: Any) -> bool:
    """Affine in the symbols. A derivative alone does not tell: that of a step or a condition is zero."""
    return not any(ca.which_depends(expression, symbols, 2, False)) and not kinked_in(expression, symbols)


def quadratic_in(expression: Any, symbols: Any) -> bool:
    """A scalar whose Hessian in the symbols does not depend on them."""
    return not kinked_in(expression, symbols) and not ca.depends_on(second(expression, symbols), symbols)


def second(expression: Any, symbols: Any) -> Any:
    """The Hessian of a scalar, row by row: of thousands of symbols faster than as a symmetric matrix."""
    return ca.jacobian(ca.gradient(expression, symbols), symbols)


def numeric_quadratic(expression: Any, symbols: Any) -> tuple[Any, Array, float] | None:
    """Q sparse (m, m), q (m,) and c of ½ uᵀQu + q·u + c, the expression in its symbols u; None where it is none, or
    holds other symbols.
    """
    if not quadratic_in(expression, symbols):
        return None
    at_zero = ca.vertcat(expression, ca.gradient(expression, symbols))
    parts = second(expression, symbols), ca.substitute(at_zero, symbols, ca.DM.zeros(symbols.shape))
    if any(ca.symvar(part) for part in parts):
        return None
    Q, values = (ca.evalf(part) for part in parts)
    return Q.sparse(), values.full()[1:, 0], float(values[0])


def kinked_in(expression: Any, symbols: Any) -> bool:
    """Whether an operation that is not smooth acts on something that depends on the symbols."""
    function = ca.Function("kinked", [symbols], [expression], {"allow_free": True})
    depends = bytearray(function.sz_w())  # of the entries of the work vector
    for k in range(function.n_instructions()):
        operation, given = function.instruction_id(k), function.instruction_input(k)
        if operation == ca.OP_OUTPUT:
            continue
        if operation == ca.OP_INPUT:
            found = True
        else:
            found = operation not in (ca.OP_CONST, ca.OP_PARAMETER) and any(depends[i] for i in given)
        # of a choice only the condition jumps
        jumps = depends[given[0]] if operation == ca.OP_IF_ELSE_ZERO else found and operation in KINKS
        if jumps:
            return True
        for i in function.instruction_output(k):
            depends[i] = found
    return False
