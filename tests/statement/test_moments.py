"""Moment equations: closed forms, agreement with feedback values, and refusals where they do not close."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.statement.degree import degree

GRID = ocdl.Radau(layers=10, degree=3)


def stated(**fields):
    """An Ornstein–Uhlenbeck process, E X_T² as its cost."""
    usual = {
        "states": ["x"],
        "controls": ["u"],
        "dynamics": lambda x, u: u - 0.7 * x,
        "noise": 0.5,
        "terminal": lambda x: x**2,
        "initial": [1.5],
        "horizon": 1.0,
        "bounds": ocdl.Box(u=(0, 0)),
    }
    return ocdl.ControlProblem(**{**usual, **fields})


def flown(problem):
    return ocdl.simulate(problem, np.zeros((1, problem.m)), tolerance=1e-11)


def test_a_process_that_reverts():
    found = flown(ocdl.moments(stated()))
    mean, variance = 1.5 * np.exp(-0.7), 0.25 * (1.0 - np.exp(-1.4)) / 1.4
    assert found.state.values[-1, 0] == pytest.approx([mean, variance], rel=1e-9)
    assert found.cost == pytest.approx(mean**2 + variance, rel=1e-9)


def test_noise_that_grows_with_the_state_and_a_running_cost():
    a, s = 0.3, 0.6
    problem = stated(dynamics=lambda x: a * x, noise=lambda x: s * x, running=lambda x: 2 * x**2 + x, terminal=None)
    growth = 2 * a + s**2
    exact = 2 * 1.5**2 * (np.exp(growth) - 1.0) / growth + 1.5 * (np.exp(a) - 1.0) / a
    assert flown(ocdl.moments(problem)).cost == pytest.approx(exact, rel=1e-9)


def test_initial_covariances_samples_and_names():
    P = np.array([[0.4, 0.1], [0.1, 0.3]])
    problem = ocdl.ControlProblem(
        states=["s", "v"],
        dynamics=lambda v, d: [v, d[0]],
        noise=[0.0, 1.0],
        terminal=lambda s, v: s * v,
        initial=np.zeros((2, 2)),
        data=[[0.0], [2.0]],
        horizon=2.0,
    )
    found = ocdl.moments(problem, P)
    assert list(found.states) == ["s", "v", "var_s", "cov_s_v", "var_v"]
    end = flown(found).state.values[-1]
    A, noise = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[8.0 / 3.0, 2.0], [2.0, 2.0]])
    exact = A @ P @ A.T + noise
    assert end[1] == pytest.approx([4.0, 4.0, exact[0, 0], exact[0, 1], exact[1, 1]])
    assert flown(found).cost == pytest.approx(np.mean([0.0, 16.0]) + exact[0, 1])


def test_times_that_begin_later():
    late = stated(dynamics=lambda t: t, t0=2.0, terminal=lambda x, t: t * x)
    assert flown(ocdl.moments(late)).cost == pytest.approx(3.0 * (1.5 + 2.5))


def test_a_schedule_costs_no_less_than_a_feedback():
    problem = stated(dynamics=lambda u: u, noise=0.8, running=lambda x, u: x**2 + u**2, bounds=ocdl.Box(u=(-3, 3)))
    schedule = ocdl.solve(ocdl.moments(problem), GRID, ocdl.Ipopt()).cost
    feedback = ocdl.StochasticValueIteration(box=(-5, 5), nodes=81, steps=20).value_function(problem)
    assert float(feedback([1.5]) + feedback.error([1.5])) < schedule


REFUSED = {
    "dynamics: it is not shown to be affine": {"dynamics": lambda x: -ca.sin(x)},
    "dynamics: it is not shown to be affine ": {"dynamics": lambda x: -ca.sign(x)},  # whose derivative is 0
    "σσᵀ is not shown to be at most quadratic": {"noise": lambda x: x**2},
    "running: it is not": {"running": lambda x: x**4},
    "terminal: it is not": {"terminal": lambda x: ca.fabs(x)},
    "final": {"final": [0.0]},
    "horizon is free": {"horizon": ocdl.Free(1.0, 2.0)},
    "risk": {"risk": ocdl.Exponential(1.0)},
    "no noise": {"noise": None},
}


@pytest.mark.parametrize("named", REFUSED)
def test_what_does_not_close_is_refused(named):
    with pytest.raises((ocdl.NotSupported, ocdl.InvalidInput), match=named.strip()):
        ocdl.moments(stated(**REFUSED[named]))


@pytest.mark.parametrize("P", [np.ones((2, 2)), [[-1.0]], [1.0]])
def test_covariances_are_checked(P):
    with pytest.raises(ocdl.InvalidInput, match="covariance"):
        ocdl.moments(stated(), P)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (lambda x, u: 3.0 + ca.sin(u), 0),
        (lambda x, u: ca.sin(u) * x / u - x, 1),
        (lambda x, u: (x * u) ** 2 + x, 2),
        (lambda x, u: x * x * x, 3),
        (lambda x, u: ca.floor(x), np.inf),
        (lambda x, u: u / x, np.inf),
        (lambda x, u: ca.if_else(u > 0, x, 2 * x), np.inf),
    ],
)
def test_degrees_are_proven_from_the_graph(formula, expected):
    x, u = ca.SX.sym("x"), ca.SX.sym("u")
    assert degree(formula(x, u), x, [u]) == expected
