"""How an expression depends on symbols: exact answers for one of each kind."""

import casadi as ca
import pytest

from ocdl.statement.structure import affine_in, kinked_in, quadratic_in

x, u = ca.SX.sym("x"), ca.SX.sym("u", 2)


@pytest.mark.parametrize(
    ("expression", "affine", "quadratic", "kinked"),
    [
        (x**2 * u[0] + u[1], True, True, False),
        (ca.fabs(x) * u[0], True, True, False),
        (ca.SX(3.0), True, True, False),
        (u[0] * u[1] + ca.sin(x) * u[0] ** 2, False, True, False),
        (u[0] ** 3, False, False, False),
        (ca.fmax(u[0], x), False, False, True),
        (ca.fabs(u[1]), False, False, True),
        (ca.if_else(u[0] > 1e-3, 1.0, 0.0), False, False, True),
        (ca.if_else(x > 0, u[0], 0.0), True, True, False),
        (ca.floor(u[0]) * x, False, False, True),
        (ca.vertcat(u[0], x, 0.2 * ca.if_else(ca.fabs(u[0]) > 1e-3, 1.0, 0.0)), False, None, True),
    ],
)
def test_kinds(expression, affine, quadratic, kinked):
    assert (affine_in(expression, u), kinked_in(expression, u)) == (affine, kinked)
    assert expression.numel() > 1 or quadratic_in(expression, u) == quadratic
