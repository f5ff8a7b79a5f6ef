"""Yaida's relation of measured SGD: a quadratic with its variance in closed form, and a small network."""

import numpy as np
import pytest

import ocdl
from ocdl.analysis import Balance, measured_balance

TARGETS = np.array([-1.2, -0.4, 0.1, 0.6, 0.9])


def quadratic():
    """J = mean ½ (p − c_s)²."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: 0 * x,
        initial=np.zeros((5, 1)),
        horizon=1.0,
        parameters=1,
        data=TARGETS[:, None],
        terminal=lambda p, d: 0.5 * (p - d[0]) ** 2,
    )


def measured(problem, depth, start, **options):
    return measured_balance(
        problem, depth, start, **{"step": 0.3, "batch": 1, "iterations": 1500, "discard": 50} | options
    )


def test_a_quadratic_has_its_closed_form_and_balance():
    """Var p = η Var c/(2 − η) for batches of one, so that E[p·∇Φ] = Var p, at mean c = 0."""
    found = measured(quadratic(), ocdl.ExplicitEuler(1), (np.zeros((1, 1)), np.zeros(1)))
    variance = 0.3 * TARGETS.var() / (2 - 0.3)
    assert found.at_rest().applies
    assert found.dissipation.mean() == pytest.approx(variance, rel=0.2)
    assert found.fluctuation.mean() == pytest.approx(variance, rel=0.1)


def test_before_rest_there_is_no_balance():
    found = measured(
        quadratic(), ocdl.ExplicitEuler(1), (np.zeros((1, 1)), np.full(1, 50.0)), step=0.01, discard=0, iterations=60
    )
    assert not found.at_rest().applies
    assert "nothing" in found.at_rest().says


def test_a_small_network_is_in_balance():
    data = np.random.default_rng(3).standard_normal((8, 2))
    problem = ocdl.network(
        ocdl.Residual(ocdl.Tanh()), data, (data[:, 0] > 0).astype(float), regulariser=ocdl.Tikhonov(0.1)
    )
    depth = ocdl.ExplicitEuler(2)
    rng = np.random.default_rng(0)
    start = 0.3 * rng.standard_normal((2, problem.m)), 0.3 * rng.standard_normal(problem.P)
    found = measured(problem, depth, start, step=0.5, batch=1, iterations=2000, discard=100)
    assert found.at_rest().applies
    assert found.error() < 0.2 * found.fluctuation.mean()


def test_errors_are_those_of_independent_means():
    noise = np.random.default_rng(0).standard_normal(20_000)
    assert Balance(noise, np.zeros(20_000)).error(50) == pytest.approx(20_000**-0.5, rel=0.3)
    with pytest.raises(ocdl.InvalidInput, match="blocks=1"):
        Balance(noise, noise).error(1)
    with pytest.raises(ocdl.InvalidInput, match="batch=9"):
        measured(quadratic(), ocdl.ExplicitEuler(1), (np.zeros((1, 1)), np.zeros(1)), batch=9)
