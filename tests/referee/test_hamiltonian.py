"""The Hamiltonian: value, gradient and minimum, in closed form and by search."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from families import activations, rich, scalar, selection
from hypothesis import given, settings
from hypothesis import strategies as st

import ocdl
from ocdl.referee.hamiltonian import Hamiltonian

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


# -- the least Hamiltonian over all that is admissible ---------------------------------------------------


def one_stage(problem, slope, u):
    """t, x, Λ, ω, u, p of one stage of one sample with ⟨Λ, φ⟩ = slope·u."""
    n = problem.n
    return (
        np.zeros(1),
        np.zeros((1, 1, n)),
        np.reshape(slope, (1, 1, n)),
        np.ones(1),
        np.reshape(u, (1, -1)),
        np.zeros(0),
    )


def simple(effort, m=1, box=(-1.0, 0.7), **changes):
    """ẋ = u ∈ R^m: H = ⟨Λ, u⟩ + E(u)."""
    return ocdl.ControlProblem(
        dynamics=lambda u: u,
        controls=m,
        effort=effort,
        initial=np.zeros(m),
        horizon=1.0,
        bounds=ocdl.Box(u=box),
        **changes,
    )


WELLS = {
    "indicator": lambda u: 0.2 * ca.if_else(ca.fabs(u[0]) > 1e-3, 1.0, 0.0),
    "narrow": lambda u: 0.2 * (1 - ca.exp(-((u[0] / 0.1) ** 2))),
    "root": lambda u: 0.2 * ca.sqrt(ca.fabs(u[0])),
    "cosine": lambda u: 0.2 * (1 - ca.cos(12 * u[0])),
    "double": lambda u: (u[0] ** 2 - 0.25) ** 2,
    "cubic": lambda u: u[0] ** 2 + 3 * u[0] ** 3,
}


@pytest.mark.parametrize("name", WELLS)
@pytest.mark.parametrize("slope", [0.04, -0.3])
def test_one_control_is_searched_in_the_whole_box(name, slope):
    problem = simple(WELLS[name])
    law = Hamiltonian(problem)
    u = np.append(np.linspace(-1, 0.7, 170_001), 0.0)
    symbol = ca.SX.sym("u")
    E = ca.Function("E", [symbol], [WELLS[name](symbol)])
    best = np.min(slope * u + E(u[None]).full()[0])
    for begin in (-1.0, -0.3, 0.0, 0.7):
        found = law.least(*one_stage(problem, slope, begin))
        assert best - 1e-6 <= found.value[0] <= best + 1e-7 and not found.proven  # the scan itself is 1e-5 fine


@pytest.mark.parametrize(
    ("effort", "slope", "least", "proven"),
    [
        (None, 0.5, -np.inf, True),
        (None, 0.0, 0.0, True),
        (None, 1e-9, -2e-9 + 1e-9, False),  # rounding leads nowhere for sure
        (lambda u: u[0] ** 2, 0.5, -0.0625, True),
        (lambda u: -(u[0] ** 2), 0.5, -np.inf, True),
        (lambda u: ca.exp(-u[0]), 0.5, 0.5 * np.log(2) + 0.5, False),
        (lambda u: -ca.log(1 + u[0] ** 2), 0.0, -np.inf, True),
        (lambda u: ca.sqrt(1 + u[0] ** 2), 0.6, 0.8, False),
        (lambda u: ca.fmax(u[0], 0.0), -2.0, -np.inf, True),
    ],
)
def test_without_bounds_a_minimum_is_found_or_known_not_to_be_there(effort, slope, least, proven):
    found = Hamiltonian(problem := simple(effort, box=(None, None))).least(*one_stage(problem, slope, 1.0))
    assert found.value[0] == pytest.approx(least, abs=1e-9) and found.proven is proven


def test_a_convex_quadratic_is_minimised_exactly_and_a_flat_direction_without_end_is_seen():
    problem = simple(lambda u: 0.5 * (u[0] + u[1]) ** 2, m=2, box=(None, None))
    law = Hamiltonian(problem)
    level = law.least(*one_stage(problem, [1.0, 1.0], [0.3, 0.4]))
    assert level.value[0] == pytest.approx(-0.5, abs=1e-12)
    assert law.least(*one_stage(problem, [1.0, 0.9], [0.3, 0.4])).value[0] == -np.inf
    boxed = Hamiltonian(problem := simple(lambda u: 0.5 * (u[0] + u[1]) ** 2, m=2, box=(-1, 1)))
    found = boxed.least(*one_stage(problem, [1.0, 0.9], [0.3, 0.4]))  # u = (−1, 1/10)
    assert found.value[0] == pytest.approx(-1 + 0.09 + 0.405, abs=1e-12) and found.proven


def random_problem(seed, S, m, sigma, path=None):
    g = np.random.default_rng(seed)
    W, V, b, out = g.normal(size=(4, 2)), 1.5 * g.normal(size=(4, m)), g.normal(size=4), g.normal(size=(2, 4))
    return ocdl.ControlProblem(
        dynamics=lambda x, u, d: ca.mtimes(out, sigma(ca.mtimes(W, x) + ca.mtimes(V, u) + b + d)),
        controls=m,
        effort=(lambda u: 0.1 * ca.sumsqr(u)) if seed % 2 else None,
        path=path,
        initial=g.normal(size=(S, 2)),
        data=g.normal(size=(S, 1)),
        horizon=1.0,
        bounds=ocdl.Box(u=(-1.5, 1)),
    )


SIGMAS = {"tanh": ca.tanh, "relu": lambda z: ca.fmax(z, 0.0)}
PATHS = {
    "none": None,
    "disc": lambda u: ca.sumsqr(u) - 1.0,
    "ring": lambda u: 0.3 - ca.sumsqr(u),
    "plane": lambda x, u: ca.sum1(u) - 0.2 + 0.1 * x[0],
}


RANDOM = [(m, "tanh", path) for m in (1, 2, 3) for path in PATHS]
RANDOM += [(1, "relu", "none"), (2, "relu", "none"), (3, "relu", "none"), (2, "relu", "disc")]


@pytest.mark.parametrize(("m", "sigma", "path"), RANDOM)
def test_random_admissible_controls_beat_no_least_hamiltonian(m, sigma, path):
    K, S = 8, 1 + m % 3
    problem = random_problem(m, S, m, SIGMAS[sigma], PATHS[path])
    law, given = Hamiltonian(problem), drawn(problem, m, K=K)
    given["u"] *= 0.4 if path in ("disc", "plane") else 1.0
    given["u"][:, 0] = -1.0 if path in ("ring", "plane") else given["u"][:, 0]
    found = law.least(**given)
    g, t, x, costate = np.random.default_rng(7), *(given[name] for name in ("t", "x", "costate"))
    many = g.uniform(-1.5, 1.0, (2000, K, m))
    admitted = np.ones((2000, K), dtype=bool)
    if path in ("disc", "ring"):
        admitted = (np.sum(many**2, axis=2) <= 1.0) if path == "disc" else (np.sum(many**2, axis=2) >= 0.3)
    if path == "plane":
        slack = np.maximum(given["u"].sum(axis=1)[:, None], 0.2 - 0.1 * x[:, :, 0]).min(axis=1)
        admitted = np.sum(many, axis=2) <= slack
    repeated = (np.tile(t, 2000), np.tile(x, (2000, 1, 1)), np.tile(costate, (2000, 1, 1)), given["omega"])
    random = law.values(*repeated, many.reshape(-1, m), given["p"])[0].reshape(2000, K)
    beaten = np.where(admitted, random, np.inf).min(axis=0) < found.value - 1e-9 * (1.0 + np.abs(found.value))
    assert np.count_nonzero(beaten) <= (1 if sigma == "relu" else 0), (found.value, random.min(axis=0))
    assert np.all(found.value <= law.values(**given)[0] + 1e-12)


# -- path constraints -------------------------------------------------------------------------------------


def test_what_violates_a_path_by_rounding_is_allowed_to_all_and_no_excess_is_negative():
    problem = simple(None, m=2, box=(0, None), path=lambda u: u[0] + u[1] - 1)
    law = Hamiltonian(problem)
    found = law.least(*one_stage(problem, [-1.0, -2.0], [0.0, 1.0 + 1e-8]))
    assert found.value[0] == pytest.approx(-2.0 - 2e-8, abs=1e-12) and found.proven
    inside = law.least(*one_stage(problem, [-1.0, -2.0], [0.5, 0.2]))
    assert inside.value[0] == pytest.approx(-2.0, abs=1e-9) and inside.proven  # not −∞: the path bounds u
    assert law.least(*one_stage(problem, [1.0, 2.0], [0.5, 0.2])).value[0] == pytest.approx(0.0, abs=1e-9)
    open_ = Hamiltonian(other := simple(None, m=2, box=(0, None), path=lambda u: u[0] - u[1]))
    assert open_.least(*one_stage(other, [-1.0, -2.0], [0.5, 0.6])).value[0] == -np.inf


def test_on_a_circle_every_minimum_is_found():
    """min ⟨Λ, u⟩ on |u| = 1 is −|Λ|, and beyond it where |u| ≥ 1 the corners of the box."""
    slopes = np.random.default_rng(3).normal(size=(6, 2))
    circle = simple(None, m=2, box=(-2, 2), path=lambda u: ca.sumsqr(u) - 1)
    circle = replace(circle, bounds=ocdl.Box(u=(-2, 2), path=(0, 0)))
    law = Hamiltonian(circle)
    for slope in slopes:
        found = law.least(*one_stage(circle, slope, [0.6, 0.8]))
        assert found.value[0] == pytest.approx(-np.linalg.norm(slope), abs=1e-8) and not found.proven
    outside = simple(lambda u: ca.sumsqr(u), m=2, box=(-2, 2), path=lambda u: 1 - ca.sumsqr(u))
    best = Hamiltonian(outside).least(*one_stage(outside, [0.3, 0.4], [1.5, 0.0]))
    assert best.value[0] == pytest.approx(1.0 - 0.5, abs=1e-8)  # at u = −(0.6, 0.8)


def test_a_path_that_does_not_depend_on_the_controls_restricts_nothing():
    bare, told = (simple(None, m=2, box=(-1, 1), path=path) for path in (None, lambda x: x))
    given = one_stage(bare, [0.3, -0.4], [0.1, 0.2])
    for law in (Hamiltonian(told), Hamiltonian(bare)):
        found = law.least(*given)
        assert found.value[0] == pytest.approx(-0.7, rel=1e-14) and found.proven


@pytest.mark.parametrize("curvature", [3.0, -3.0])
def test_controls_that_meet_no_other_are_at_the_vertex_of_their_parabola_or_at_a_bound(curvature):
    ends = (-1.0, -np.inf), (0.5, np.inf)
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [u[0] + x[1], u[1] * x[0]],
        effort=lambda t, u: (1 + t) * u[0] ** 2 + curvature * u[1] ** 2,
        initial=[0.0, 0.0],
        controls=2,
        horizon=1.0,
        bounds=ocdl.Box(u=ends if curvature > 0 else ((-1.0, -2.0), (0.5, 1.0))),
    )
    points = drawn(replace(problem, bounds=ocdl.Box(u=(-1.0, 0.5))), 3, K=50)
    t, x, costate = points["t"], points["x"][:, 0], points["costate"][:, 0]
    best = np.clip(-costate[:, 0] / (2 * (1 + t)), -1.0, 0.5)
    slope = costate[:, 1] * x[:, 0]
    second = -slope / 6 if curvature > 0 else np.where(1.0 * slope - 3.0 < -2.0 * slope - 12.0, 1.0, -2.0)
    least = Hamiltonian(problem).least(**points)
    written = costate[:, 0] * (best + x[:, 1]) + slope * second + (1 + t) * best**2 + curvature * second**2
    np.testing.assert_allclose(least.value, written, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(least.at, np.stack([best, second], axis=1), atol=1e-9)
    assert least.proven == (curvature > 0)
