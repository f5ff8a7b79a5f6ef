"""The Hamiltonian: value, gradient and minimum, in closed form and by search."""

from dataclasses import replace

import numpy as np
import pytest
from families import activations, rich, scalar, selection
from hypothesis import given, settings
from hypothesis import strategies as st

import ocdl
from ocdl.hamiltonian import Hamiltonian

smooth = pytest.mark.parametrize("sigma", [s for s in activations() if s.increasing and s.smooth], ids=repr)


def drawn(problem, seed, K=4):
    g = np.random.default_rng(seed)
    low, high = problem.control_box
    return {
        "t": g.uniform(0, problem.horizon, K),
        "x": g.normal(size=(K, problem.samples, problem.n)),
        "costate": g.normal(size=(K, problem.samples, problem.n)),
        "omega": np.asarray(problem.weights),
        "u": g.uniform(low, high, (K, problem.m)),
        "p": g.normal(size=problem.P),
    }


@given(seed=st.integers(0, 99))
def test_value_is_the_printed_formula_and_the_gradient_its_slope(seed):
    problem = rich(3)
    law = Hamiltonian(problem)
    point = {k: (v if k in ("omega", "p") else v[0]) for k, v in drawn(problem, seed).items()}
    value, gradient = law.value(**point)
    t, x, costate, u, p = (point[k] for k in ("t", "x", "costate", "u", "p"))
    written = (1 + t) * (u @ u) + p[0] * u[1]
    for s, d in enumerate(problem.data):
        z0, z1 = u[0] * x[s, 0] + 0.5 * x[s, 1] + d[0], u[1] - x[s, 0] * np.cos(t)
        rate = np.tanh(z0) + p[0] * x[s, 1], np.sin(z1) - 0.3 * x[s, 1] + p[1] * t
        running = 0.3 * x[s, 0] ** 2 + u[0] * x[s, 1] + 0.1 * p[1] * z0 * d[1] + 0.2 * t * x[s, 1]
        written += costate[s] @ rate + problem.weights[s] * running
    assert value == pytest.approx(written, rel=1e-13, abs=1e-13)
    for i, e in enumerate(1e-5 * np.eye(2)):
        slope = (law.value(**point | {"u": u + e})[0] - law.value(**point | {"u": u - e})[0]) / 2e-5
        assert slope == pytest.approx(gradient[i], rel=1e-8, abs=1e-8)


@smooth
@settings(max_examples=10)
@given(seed=st.integers(0, 99))
def test_the_search_finds_the_closed_form(sigma, seed):
    problem = selection(activation=sigma, bounds=ocdl.Box(a=(-0.5, 1), b=(-1, 0.7))).discretise(ocdl.Midpoint(3))
    points = drawn(problem, seed)
    law, blind = Hamiltonian(problem), Hamiltonian(replace(problem, velocity_box=None))
    assert law.closed_form and not blind.closed_form
    least, _ = law.minimum(**points)
    found, at = blind.minimum(**points)
    np.testing.assert_allclose(found, least, rtol=1e-12, atol=1e-12)
    low, high = problem.control_box
    assert np.all((at >= low) & (at <= high))


@given(seed=st.integers(0, 99))
def test_a_quadratic_effort_is_minimised_inside_and_at_the_bound(seed):
    """min_u p u + u², |u| ≤ 1/4: u = −p/2, clipped."""
    problem = scalar(effort=lambda u: u[0] ** 2, bounds=ocdl.Box(u=(-0.25, 0.25)), terminal=None)
    points = drawn(problem, seed)
    found, at = Hamiltonian(problem).minimum(**points)
    costate, x = points["costate"][:, 0, 0], points["x"][:, 0, 0]
    u = np.clip(-costate / 2, -0.25, 0.25)
    np.testing.assert_allclose(found, costate * (u - x) + u**2, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(at[:, 0], u, atol=1e-5)


@pytest.mark.parametrize("changes", [{"regulariser": ocdl.Tikhonov(0.1)}, {"initial": np.zeros((2, 3))}])
def test_the_closed_form_is_not_claimed_without_its_conditions(changes):
    assert not Hamiltonian(selection(**changes).discretise(ocdl.Midpoint(3))).closed_form


def test_the_search_never_returns_more_than_where_it_starts():
    problem = rich(3)
    points = drawn(problem, 5, K=6)
    law = Hamiltonian(problem)
    assert np.all(law.minimum(**points)[0] <= law.values(**points)[0] + 1e-12)


def test_a_layer_counts_its_stages_with_their_weights():
    """H over all stages of a layer, weights in ω and Λ: the effort is counted with the sum of the weights."""
    problem = scalar(effort=lambda u: u[0] ** 2, running=lambda x: x[0])
    law = Hamiltonian(problem)
    x, b = np.array([[0.2], [0.6]]), np.array([0.05, 0.15])  # h b_i of a layer of width 0.2
    costate = b[:, None] * np.array([[1.0], [2.0]])
    value, _ = law.value(0.0, x, costate, b, np.array([0.5]), np.zeros(0))
    one, u, p = np.ones(1), np.array([0.5]), np.zeros(0)
    stages = [law.value(0.0, x[[i]], np.array([[1.0 + i]]), one, u, p)[0] for i in (0, 1)]
    assert value == pytest.approx(b @ stages, rel=1e-14)
