"""The reduced-space oracle: its Hessian is CasADi's, for every scheme found, and the derivative of its gradient.

CasADi differentiates the discrete cost as test_sweeps.py writes it a second time.
"""

import casadi as ca
import numpy as np
import pytest
from families import name_of, rich, schemes
from nlp_problems import learning
from test_sweeps import ExplicitMidpoint, Ralston3, controls, written_again

import ocdl
from ocdl.nlp.oracle import Oracle

WIDTHS = [0.5, 0.8]
OWN = [Ralston3(WIDTHS), ExplicitMidpoint(WIDTHS)]
every_scheme = pytest.mark.parametrize("scheme", schemes(layers=WIDTHS, degrees=(1, 3)) + OWN, ids=name_of)


def casadis_hessian(problem, scheme, u, p):
    """∂²J/∂(p, u)² by CasADi."""
    N, m, P = scheme.count, problem.m, problem.P
    w = ca.MX.sym("w", P + N * m)
    cost = written_again(problem, scheme)(ca.reshape(w[P:], m, N).T, w[:P], problem.x0)[0]
    return ca.Function("H", [w], [ca.hessian(cost, w)[0]])(np.concatenate([p, u.ravel()])).full()


@every_scheme
def test_the_hessian_is_casadis(scheme):
    problem = rich(2)
    u, p = controls(problem, scheme)
    oracle = Oracle(problem, scheme)
    ours = oracle.point(oracle.join(u, p)).hessian
    exact = casadis_hessian(problem, scheme, u, p)
    assert np.max(np.abs(ours - exact)) <= 1e-11 * np.max(np.abs(exact))


@every_scheme
def test_the_hessian_is_the_derivative_of_the_gradient(scheme):
    """Richardson's extrapolation of central differences."""
    problem = learning(horizon=sum(WIDTHS))
    oracle = Oracle(problem, scheme)
    w = np.random.default_rng(2).uniform(-1, 1, oracle.size)
    hessian = oracle.point(w).hessian

    def slope(direction, step):
        ahead, behind = (oracle.point(w + sign * step * direction).gradient for sign in (1.0, -1.0))
        return (ahead - behind) / (2.0 * step)

    for direction in np.random.default_rng(3).normal(size=(3, oracle.size)):
        difference = (4.0 * slope(direction, 1e-3) - slope(direction, 2e-3)) / 3.0
        assert np.max(np.abs(hessian @ direction - difference)) <= 1e-9 * np.max(np.abs(hessian))


def test_nothing_is_computed_twice_at_a_point():
    oracle = Oracle(learning(), ocdl.ExplicitEuler(3))
    w = np.zeros(oracle.size)
    assert oracle.point(w) is oracle.point(w.copy())
    assert oracle.point(w + 1.0) is not oracle.point(w)
    assert oracle.point(w).trajectory is oracle.point(w).trajectory


def test_a_state_that_blows_up_is_not_a_number():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: u[0] * x[0] ** 3, initial=[10.0], horizon=1.0, terminal=lambda x: x[0], controls=1
    )
    oracle = Oracle(problem, ocdl.ExplicitEuler(30))
    point = oracle.point(np.full(oracle.size, 50.0))
    assert np.isnan(point.cost)
    assert np.all(np.isnan(point.gradient))
    assert np.all(np.isnan(point.hessian))
