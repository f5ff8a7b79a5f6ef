"""The Hamiltonian by groups of controls: which controls meet, exact derivatives, and minima that are sums."""

import casadi as ca
import numpy as np
import pytest
from families import rich, scalar, selection
from hypothesis import given, settings
from hypothesis import strategies as st

import ocdl
from ocdl.referee.hamiltonian import Hamiltonian
from ocdl.referee.lockstep import projected_newton


def network(regulariser=None):
    initial = np.random.default_rng(0).normal(size=(3, 3))
    return selection(initial=initial, target=0.0, regulariser=regulariser).discretise(ocdl.Midpoint(3))


def drawn(problem, seed, K=5, C=None):
    g = np.random.default_rng(seed)
    C = problem.samples if C is None else C
    low, high = problem.control_box
    t = np.repeat(g.uniform(0, problem.horizon, (K, 1)), C, axis=1)
    x, costate = g.normal(size=(2, K, C, problem.n))
    return t, x, costate, np.asarray(problem.weights), g.uniform(low, high, (K, problem.m)), g.normal(size=problem.P)


def test_a_neuron_is_a_group_and_a_penalty_on_each_control_keeps_them_apart():
    for problem in (network(), network(ocdl.Tikhonov(0.1))):
        groups = Hamiltonian(problem).separated.groups
        np.testing.assert_array_equal(groups, [[0, 3, 4, 5], [1, 6, 7, 8], [2, 9, 10, 11]])


def test_controls_that_meet_in_the_rate_the_effort_or_a_running_cost_are_one_group():
    two = {"controls": 2, "dynamics": lambda x, u: [u[0] - x[0], u[1] - x[1]], "initial": [0.0, 0.0]}
    assert len(Hamiltonian(scalar(**two)).separated.groups) == 2
    assert len(Hamiltonian(scalar(**two, effort=lambda u: ca.sumsqr(u))).separated.groups) == 2
    assert len(Hamiltonian(scalar(**two, effort=lambda u: u[0] * u[1])).separated.groups) == 1
    assert len(Hamiltonian(scalar(**two, running=lambda x, u: x[0] * u[1])).separated.groups) == 1
    assert len(Hamiltonian(rich(2)).separated.groups) == 1


@given(seed=st.integers(0, 99))
@settings(max_examples=6)
@pytest.mark.parametrize(
    "problem", [network(), network(ocdl.Tikhonov(0.1)), rich(3)], ids=["plain", "Tikhonov", "rich"]
)
def test_its_derivatives_are_those_of_the_hamiltonian(problem, seed):
    law, given_ = Hamiltonian(problem), drawn(problem, seed)
    value, gradient, hessian = law.separated.derivatives(*given_)
    np.testing.assert_allclose(law.separated.values(*given_), value, atol=1e-13)
    t, x, costate, omega, u, p = given_
    groups = law.separated.groups
    whole = law.values(*given_)[1]
    np.testing.assert_allclose(gradient, whole[:, groups], atol=1e-13)
    for g, members in enumerate(groups):
        moved = u.copy()
        moved[:, members] *= 0.5
        other = law.separated.derivatives(t, x, costate, omega, moved, p)[0]
        change = law.values(t, x, costate, omega, moved, p)[0] - law.values(*given_)[0]
        np.testing.assert_allclose((other - value)[:, g], change, atol=1e-12)
        shift = np.zeros(problem.m)
        shift[members[0]] = 1e-6
        ahead, behind = (law.values(t, x, costate, omega, u + s * shift, p)[1] for s in (1, -1))
        np.testing.assert_allclose((ahead - behind)[:, members] / 2e-6, hessian[:, g, 0], atol=1e-7)


def test_an_effort_that_depends_on_depth_is_taken_at_every_stage():
    problem = scalar(effort=lambda t, u: (1 + t) * u[0] ** 2)
    law = Hamiltonian(problem)
    t, b = np.array([[0.25, 0.75]]), np.array([0.3, 0.7])
    given_ = (t, np.zeros((1, 2, 1)), np.zeros((1, 2, 1)), b, np.array([[0.5]]), np.zeros(0))
    exact = (0.3 * 1.25 + 0.7 * 1.75) * 0.25
    assert law.values(*given_)[0][0] == pytest.approx(exact, rel=1e-14)
    value, gradient, hessian = law.separated.derivatives(*given_)
    assert (value[0, 0], gradient[0, 0, 0], hessian[0, 0, 0, 0]) == pytest.approx((exact, 4 * exact, 8 * exact))


@given(seed=st.integers(0, 99))
@settings(max_examples=8)
def test_its_minimum_gains_what_it_says_and_more_starts_never_lose(seed):
    problem = network(ocdl.Tikhonov(0.1) if seed % 2 else None)
    law, given_ = Hamiltonian(problem), drawn(problem, seed)
    t, x, costate, omega, _, p = given_
    gains, at = law.separated.minimum(*given_)
    np.testing.assert_allclose(
        law.values(*given_)[0] - law.values(t, x, costate, omega, at, p)[0], gains.sum(axis=1), atol=1e-12
    )
    assert np.all(law.separated.minimum(*given_, starts=4)[0] >= gains)
    low, high = problem.control_box
    assert np.all((at >= low) & (at <= high))


@given(seed=st.integers(0, 99))
@settings(max_examples=10)
def test_newton_on_a_convex_quadratic_meets_the_conditions_of_the_box(seed):
    g = np.random.default_rng(seed)
    K, m = 200, 3
    root, slope = g.normal(size=(K, m, m)), g.normal(size=(K, m))
    second = np.einsum("kij,klj->kil", root, root) + 0.1 * np.eye(m)

    def derivatives(which, z):
        gradient = np.einsum("kij,kj->ki", second[which], z) + slope[which]
        return 0.5 * np.sum((gradient + slope[which]) * z, axis=1), gradient, second[which]

    low, high = np.full((K, m), -0.5), np.full((K, m), 0.5)
    _, z = projected_newton(derivatives, g.uniform(-0.5, 0.5, (K, m)), low, high, 50)
    gradient = np.einsum("kij,kj->ki", second, z) + slope
    np.testing.assert_allclose(z - np.clip(z - gradient, low, high), 0.0, atol=1e-7)
