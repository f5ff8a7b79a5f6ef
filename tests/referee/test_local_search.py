"""min H of many samples: counted descents by default, the whole box on demand, and the solution says which."""

import tracemalloc
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ocdl
from ocdl.doors.report import solution_summary, solution_text
from ocdl.referee import groups, hamiltonian
from ocdl.referee.dense import DenseHamiltonian
from ocdl.referee.downhill import descended
from ocdl.referee.hamiltonian import Hamiltonian

SIGMAS = {"tanh": np.tanh, "relu": lambda z: ca.fmax(z, 0.0)}
activations = pytest.mark.parametrize("sigma", SIGMAS.values(), ids=SIGMAS)
GRID = ocdl.ExplicitEuler(3)


def network(S=6, M=4, sigma=np.tanh, **changes):
    """ẋ = σ(W x + b) with a box: a neuron has M + 1 controls."""
    generator = np.random.default_rng(M)
    given = dict(
        lift=lambda x, u: ca.reshape(u[: M * M], M, M) @ x + u[M * M :],
        dynamics=lambda z: sigma(z),
        terminal=lambda x, d: ca.sumsqr(x - d),
        effort=lambda u: 0.05 * ca.sumsqr(u) - 0.1 * u[0],
        initial=generator.normal(size=(S, M)),
        data=generator.normal(size=(S, M)),
        controls=M * M + M,
        horizon=1.0,
        columnwise=True,
        bounds=ocdl.Box(u=(-2, 2)),
    )
    return ocdl.ControlProblem(**{**given, **changes})


def drawn(problem, K=3, seed=0):
    """t, x, Λ, ω, u, p of K points."""
    g = np.random.default_rng(seed)
    x, costate = g.normal(size=(2, K, problem.samples, problem.n))
    return np.zeros(K), x, costate, np.asarray(problem.weights), g.uniform(-2, 2, (K, problem.m)), np.zeros(problem.P)


@pytest.fixture
def dear(monkeypatch):
    """A search of the whole box is not affordable, however small the problem."""
    monkeypatch.setattr(hamiltonian, "AFFORDABLE", 0.0)


EFFORTS = {
    "none": None,
    "steady": lambda u: 0.05 * ca.sumsqr(u) - 0.1 * u[0] + 0.3,
    "by depth": lambda t, u: 0.05 * (1 + t) * ca.sumsqr(u) + t * u[1],
    "quartic": lambda u: 0.05 * ca.sumsqr(u**2),
    "kinked": lambda u: 0.05 * ca.sum1(ca.fabs(u)),
}


@activations
@pytest.mark.parametrize("effort", EFFORTS.values(), ids=EFFORTS)
def test_matrix_products_give_the_hamiltonian_of_the_columns(sigma, effort):
    problem = network(sigma=sigma, effort=effort, running=lambda x: ca.sumsqr(x))
    law, columns = Hamiltonian(problem), Hamiltonian(replace(problem, columnwise=False))
    assert isinstance(law.separated, DenseHamiltonian) and not isinstance(columns.separated, DenseHamiltonian)
    t, *rest = drawn(problem)
    t = t + np.array([0.1, 0.4, 0.9])
    for fast, slow in zip(law.values(t, *rest), columns.values(t, *rest), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-12)
    times = np.repeat(t[:, None], problem.samples, axis=1)
    fast, slow = (h.separated.slopes(times, *rest) for h in (law, columns))
    np.testing.assert_allclose(fast[1], slow[1], rtol=1e-12, atol=1e-12)
    zero = (*rest[:3], np.zeros_like(rest[3]), rest[4])
    # H_g is right up to a constant: compare what it changes by
    for one in (h.separated for h in (law, columns)):
        np.testing.assert_allclose(one.values(times, *rest), one.slopes(times, *rest)[0], rtol=1e-12, atol=1e-12)
    gained = [h.separated.values(times, *rest) - h.separated.values(times, *zero) for h in (law, columns)]
    np.testing.assert_allclose(*gained, rtol=1e-12, atol=1e-12)
    for name in ("affine_in_u", "quadratic", "kinked"):
        assert getattr(law.separated, name) == getattr(columns.separated, name)


@given(seed=st.integers(0, 999), scale=st.sampled_from([1e-8, 1.0, 1e8]), evaluations=st.sampled_from([1, 3, 40]))
@settings(max_examples=20)
def test_a_descent_never_rises_and_falls_wherever_the_gradient_leads_into_the_box(seed, scale, evaluations):
    g = np.random.default_rng(seed)
    K, G, size = 3, 4, 5
    centre, bend = g.normal(size=(2, K, G, size))

    def slopes(rows, z):
        away = z - centre[rows]
        value = scale * np.sum(away**4 + np.abs(bend[rows]) * np.abs(away), axis=2)
        return value, scale * (4 * away**3 + np.abs(bend[rows]) * np.sign(away))

    low, high = np.full((K, G, size), -1.0), np.full((K, G, size), 2.0)
    start = g.uniform(-1, 2, (K, G, size))
    start[0, 0] = np.where(centre[0, 0] > start[0, 0], 2.0, -1.0)  # a corner that the gradient may push into
    value, z = descended(slopes, start, low, high, np.ones((G, size)), evaluations)
    begin, slope = slopes(np.arange(K), start)
    inward = np.where(slope > 0.0, start > low, start < high).any(axis=2)
    assert np.all(value <= begin) and np.all((z >= low) & (z <= high))
    np.testing.assert_array_equal(value < begin, inward)
    np.testing.assert_allclose(value, slopes(np.arange(K), z)[0])


@activations
@pytest.mark.parametrize(("S", "M"), [(20, 2), (15, 6)])
def test_the_default_gap_is_positive_the_same_again_and_no_more_than_the_thorough_one(sigma, S, M, dear):
    problem = network(S, M, sigma)
    u, p = np.random.default_rng(1).uniform(-1, 1, (3, problem.m)), np.zeros(0)
    once, again = (ocdl.certify(problem, GRID, u, p) for _ in range(2))
    assert once.search == "local" and not once.gap_is_exact
    assert once.gap == again.gap and np.array_equal(once.excess, again.excess)
    thorough = ocdl.certify(problem, GRID, u, p, thorough=True)
    assert thorough.search == "thorough" and np.all(once.excess <= thorough.excess)
    assert 0.7 * thorough.gap <= once.gap  # the descents find most of it
    assert np.all(once.excess > 0.0)


def test_a_gap_is_planted_at_one_control_and_found(monkeypatch, dear):
    """Where all other groups are at their minima, one control moved away by little is seen, whatever the counts."""
    problem = network(20, 2)
    at = drawn(problem)
    law = Hamiltonian(problem)
    best = law.least(*at, thorough=True).at
    planted = best.copy()
    planted[1, 3] += np.where(planted[1, 3] > 0.0, -1e-3, 1e-3)
    monkeypatch.setattr("ocdl.referee.local_search.OWN", 1)
    found = law.least(*at[:4], planted, at[5])
    gained = law.values(*at[:4], planted, at[5])[0] - found.value
    assert not found.thorough and gained[1] > 1e-9 * abs(found.value[1])


@activations
def test_what_is_found_is_reached_and_blocks_change_nothing_but_the_memory(sigma, monkeypatch, dear):
    problem = network(15, 6, sigma)
    at = drawn(problem, K=5)
    law = Hamiltonian(problem)
    whole = law.least(*at)
    reached = law.values(*at[:4], whole.at, at[5])[0]
    np.testing.assert_allclose(whole.value, reached, rtol=1e-12, atol=1e-12)
    assert np.all(np.abs(whole.at) <= 2.0) and not whole.proven and not whole.thorough
    monkeypatch.setattr(groups, "AT_ONCE", 1)
    np.testing.assert_allclose(law.least(*at).value, whole.value, rtol=1e-10)


def test_the_memory_is_that_of_a_few_layers():
    """Of twenty layers of 20 channels, in blocks of two."""
    problem = network(3, 20, effort=None)
    at = drawn(problem, K=20)
    law = Hamiltonian(problem)
    law.least(*at)  # compiled
    peaks = []
    for entries in (groups.AT_ONCE, 2 * problem.m):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(groups, "AT_ONCE", entries)
            tracemalloc.start()
            law.least(*at)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert 2 * peaks[1] < peaks[0]


def test_columns_that_are_not_dense_are_searched_alike(dear):
    """The same network written column by column has the same gap."""
    problem = network(15, 6)
    at = drawn(problem)
    dense, columns = (Hamiltonian(p).least(*at) for p in (problem, replace(problem, columnwise=False)))
    assert not columns.thorough
    np.testing.assert_allclose(dense.value, columns.value, rtol=1e-6)


def test_many_controls_that_meet_are_searched_by_more_descents_where_that_is_asked():
    """One group of 90 controls, larger than any whose Hessian is taken."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: ca.tanh(ca.sum1(ca.cos(x[0] + u) * np.linspace(-1, 1, 90))),
        controls=90,
        terminal=lambda x: x[0],
        initial=[[0.1], [0.7]],
        horizon=1.0,
        bounds=ocdl.Box(u=(-1, 2)),
    )
    u = np.random.default_rng(0).uniform(-1, 2, (3, 90))
    quick, thorough = (ocdl.certify(problem, GRID, u, np.zeros(0), thorough=more) for more in (False, True))
    assert (quick.search, thorough.search) == ("local", "thorough")
    assert np.all(quick.excess > 0.0) and np.all(quick.excess <= thorough.excess)


def test_a_hamiltonian_without_a_minimum_is_seen_downhill(dear):
    problem = network(20, 4, SIGMAS["relu"], effort=None, bounds=ocdl.Box())
    at = drawn(problem)
    negative = (at[0], at[1], -np.abs(at[2]), *at[3:])
    found = Hamiltonian(problem).least(*negative)
    assert not found.thorough and np.all(found.value == -np.inf)


def test_a_solution_says_how_it_was_searched_and_what_the_referee_took(tmp_path, monkeypatch, dear):
    problem = network(20, 3)
    method = ocdl.LBFGSB(max_iterations=1, round_iterations=3, gap="gradient")
    solution = ocdl.solve(problem, GRID, method, on_failure="return")
    assert solution.search == "local" and solution.referee_seconds > 0.0 and not solution.gap_is_exact
    assert "at least" in solution_text(solution) and "by descent" in solution_text(solution)
    assert "judged in" in solution_text(solution) and solution_summary(solution)["search"] == "local"
    solution.save(tmp_path / "quick.nc")
    loaded = ocdl.load(tmp_path / "quick.nc")
    assert loaded.search == "local" and loaded.referee_seconds == solution.referee_seconds
    monkeypatch.setattr(hamiltonian, "AFFORDABLE", np.inf)
    assert ocdl.solve(problem, GRID, method, on_failure="return").search == "thorough"
    linear = network(20, 3, sigma=lambda z: z)
    assert ocdl.solve(linear, GRID, method, on_failure="return").search == "proven"
