"""The effort by groups: what each division of the controls compiles is its own."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.referee.effort import GroupedEffort

EFFORTS = {"quadratic": lambda u: ca.dot(np.arange(1.0, 7.0), (u - 0.5) ** 2), "smooth": lambda u: ca.sum1(ca.cosh(u))}


@pytest.mark.parametrize("effort", EFFORTS.values(), ids=EFFORTS)
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [4, 0, 2, 1, 5, 3]])
def test_two_divisions_of_one_problem_do_not_meet(effort, order):
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: -x + u[0],
        terminal=lambda x: ca.sumsqr(x),
        effort=effort,
        initial=[1.0],
        controls=6,
        horizon=1.0,
    )
    u, t, omega, p = np.random.default_rng(0).normal(size=(4, 6)), np.zeros((4, 1)), np.ones(1), np.zeros(0)
    whole = GroupedEffort(problem, np.arange(6)[None], "whole")
    pairs = GroupedEffort(problem, np.array(order).reshape(3, 2), "pairs")
    for of in (whole, pairs):
        value, slope, hessian = of.derivatives(t, omega, u, p)
        exact = [
            ca.Function("E", [v := ca.SX.sym("u", 6)], [effort(v), *ca.hessian(effort(v), v)[::-1]])(row) for row in u
        ]
        for k, (E, gradient, second) in enumerate(exact):
            for g, members in enumerate(of.groups):
                np.testing.assert_allclose(slope[k, g], gradient.full()[members, 0], rtol=1e-12)
                np.testing.assert_allclose(hessian[k, g], second.full()[np.ix_(members, members)], rtol=1e-12, atol=0)
            np.testing.assert_allclose(np.sum(value[k] - value[0]), float(E - exact[0][0]), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(of.values(t, omega, u, p), value, rtol=1e-12, atol=1e-12)
