"""L-BFGS: known minimisers, boxes and budgets, the rounding of the cost, and honest endings."""

import numpy as np
import pytest
from interrupts import PressesCtrlC
from training_costs import Analytic, learning, quadratic, rosenbrock

import ocdl
from ocdl.nlp.training.feasible import Feasible
from ocdl.nlp.training.lbfgs import LBFGS
from ocdl.nlp.training.memory import Memory
from ocdl.referee.outcome import Status
from ocdl.statement.budget import Budget


def two_loops(pairs, g):
    """H g by the recursion of Nocedal and Wright, algorithm 7.4."""
    q, coefficients = g.copy(), []
    for s, y in reversed(pairs):
        coefficients.append((s @ q) / (s @ y))
        q -= coefficients[-1] * y
    s, y = pairs[-1]
    q *= (s @ y) / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(coefficients), strict=True):
        q += (alpha - (y @ q) / (s @ y)) * s
    return q


@pytest.mark.parametrize("count", [1, 4, 5, 13])
def test_the_memory_is_the_two_loop_recursion_and_its_inverse(count):
    generator = np.random.default_rng(count)
    A = np.diag(generator.uniform(0.5, 5.0, 12))
    steps = generator.normal(size=(count, 12))
    memory, pairs = Memory(12, 5), [(s, A @ s) for s in steps]
    for s, y in pairs:
        assert memory.add(s, y)
    assert not memory.add(steps[0], -steps[0])
    g = generator.normal(size=12)
    expected = two_loops(pairs[-5:], g)
    np.testing.assert_allclose(memory.times(g), expected, rtol=1e-11)
    np.testing.assert_allclose(memory.product(expected), g, rtol=1e-10, atol=1e-12)
    B = np.array([memory.product(e) for e in np.eye(12)])
    free = generator.random(12) < 0.6
    solved, image = memory.solve(np.flatnonzero(~free), np.where(free, g, 0.0)[:, None])
    assert not solved[~free].any()
    np.testing.assert_allclose(image, B @ solved, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(image[free, 0], g[free], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("size", [2, 20])
def test_rosenbrocks_valley(size):
    outcome = LBFGS(tolerance=1e-11).minimise(rosenbrock(size), np.linspace(-1.2, 1.0, size))
    assert outcome.status is Status.CONVERGED
    np.testing.assert_allclose(outcome.u[:, 0], 1.0, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_a_convex_box_problem_meets_its_optimality_conditions(seed):
    cost, A, b = quadratic(40, seed=seed, low=-0.5, high=1.0)
    outcome = LBFGS(tolerance=1e-11).minimise(cost, np.zeros(40))
    w = outcome.u[:, 0]
    active = (w == -0.5) | (w == 1.0)
    assert outcome.status is Status.CONVERGED
    assert 5 < np.sum(active) < 35
    np.testing.assert_allclose(w, np.clip(w - (A @ w - b), -0.5, 1.0), atol=1e-10)


def test_a_budget_on_the_simplex_is_kept_by_every_point_that_is_asked():
    """½|w − c|² on the simplex: the projection of c."""
    c = np.random.default_rng(0).normal(size=12)
    cost = Analytic(
        lambda w: (0.5 * np.sum((w - c) ** 4), 2.0 * (w - c) ** 3),
        12,
        low=0.0,
        metric=1 / 12,
        budgets=[Budget("u", 0.5)],
    )
    outcome = LBFGS(tolerance=1e-10).minimise(cost, np.zeros(12))
    assert outcome.status is Status.CONVERGED
    assert max(abs(np.mean(w) - 0.5) for w in cost.asked) < 1e-14
    w, scale = outcome.u[:, 0], np.sqrt(cost.metric)
    slope = 2.0 * (w - c) ** 3
    assert np.ptp(slope[w > 0.0]) < 1e-8
    assert slope[w == 0.0].min() > slope[w > 0.0].max()
    assert Feasible.of(cost, scale).project(w * scale) == pytest.approx(w * scale, abs=1e-15)


def test_a_degenerate_minimiser_on_a_bound():
    """∇J vanishes at the bound itself: no strict complementarity."""
    cost = Analytic(lambda w: (0.5 * np.sum(w**2), w.copy()), 5, low=[0.0, -1.0, 0.0, 0.0, -2.0], high=3.0)
    outcome = LBFGS().minimise(cost, np.full(5, 2.0))
    assert outcome.status is Status.CONVERGED
    np.testing.assert_allclose(outcome.u[:, 0], 0.0, atol=1e-9)


def test_equal_bounds_fix_a_variable():
    cost, _, _ = quadratic(4, low=[-np.inf, 0.3, -1.0, -1.0], high=[np.inf, 0.3, 1.0, 1.0])
    outcome = LBFGS().minimise(cost, np.zeros(4))
    assert outcome.status is Status.CONVERGED
    assert outcome.u[1, 0] == 0.3


def test_a_flat_start_is_stationary_at_once():
    outcome = LBFGS().minimise(Analytic(lambda w: (1.0, np.zeros(3)), 3), np.ones(3))
    assert outcome.status is Status.CONVERGED
    assert outcome.history["evaluations"] == [1.0]


def test_a_flat_valley_is_followed_to_the_tolerance():
    """Σ w⁴ has no curvature at its minimiser."""
    outcome = LBFGS().minimise(Analytic(lambda w: (np.sum(w**4), 4 * w**3), 5), np.arange(1.0, 6.0))
    assert outcome.status is Status.CONVERGED
    assert np.max(np.abs(outcome.u)) < 1e-3


def test_unbounded_below_says_so():
    outcome = LBFGS().minimise(Analytic(lambda w: (-np.sum(w**3), -3 * w**2), 2), np.ones(2))
    assert outcome.status is Status.FAILED
    assert "unbounded below" in outcome.detail


def test_a_step_into_nan_is_shortened():
    """4 w − log(w − 0.3): the first step leaves the domain."""

    def cost(w):
        with np.errstate(invalid="ignore"):
            return float(4 * w[0] - np.log(w[0] - 0.3)), 4.0 - 1.0 / (w - 0.3)

    analytic = Analytic(cost, 1)
    outcome = LBFGS(tolerance=1e-10).minimise(analytic, np.ones(1))
    assert outcome.status is Status.CONVERGED
    assert outcome.u[0, 0] == pytest.approx(0.55, abs=1e-10)
    assert min(w[0] for w in analytic.asked) < 0.3


def test_a_start_that_is_no_number_says_so():
    outcome = LBFGS().minimise(Analytic(lambda w: (np.nan, w), 2), np.ones(2))
    assert outcome.status is Status.NOT_A_NUMBER
    assert "start" in outcome.detail


def test_below_the_rounding_of_the_cost_it_stalls_and_says_so():
    """A gradient that is wrong by 1e-6 cannot be followed to 1e-9."""
    generator = np.random.default_rng(0)
    noisy = Analytic(lambda w: (1.0 + 0.5 * w @ w, w + 1e-6 * generator.normal(size=3)), 3)
    outcome = LBFGS(tolerance=1e-9).minimise(noisy, np.ones(3))
    assert outcome.status is Status.STALLED
    assert "rounding" in outcome.detail and "tolerance 1e-09" in outcome.detail


def test_the_iteration_limit_is_one():
    outcome = LBFGS(max_iterations=3).minimise(rosenbrock(4), np.zeros(4))
    assert outcome.status is Status.ITERATION_LIMIT
    assert {len(column) for column in outcome.history.values()} == {4}


def test_the_cost_never_rises_beyond_rounding_and_the_history_counts():
    cost = rosenbrock(10)
    history = LBFGS().minimise(cost, np.zeros(10)).history
    assert list(history) == ["cost", "gradient", "evaluations", "seconds", "cpu_seconds"]
    assert np.all(np.diff(history["cost"]) <= 1e-14 * np.array(history["cost"][:-1]))
    assert np.all(np.diff(history["seconds"]) >= 0.0) and np.all(np.diff(history["evaluations"]) >= 1.0)
    assert history["evaluations"][-1] == cost.evaluations


def test_no_more_evaluations_than_scipys():
    """The median over convex and curved costs, to the same norm of the gradient."""
    ratios = []
    for make, size in (
        (rosenbrock, 2),
        (rosenbrock, 30),
        *[(lambda n, s=s: quadratic(n, seed=s)[0], 60) for s in range(3)],
    ):
        ours, theirs = make(size), make(size)
        assert LBFGS(tolerance=1e-6).minimise(ours, np.zeros(size)).status is Status.CONVERGED
        ratios.append(ours.evaluations / scipys(theirs, np.zeros(size), 1e-6))
    assert np.median(ratios) <= 1.1


def scipys(cost, start, tolerance):
    """How many evaluations SciPy's L-BFGS-B needs to that gradient."""
    import scipy.optimize

    class Done(Exception):
        pass

    def evaluated(w):
        J, g = cost.value_and_gradient(w)
        if np.linalg.norm(g) <= tolerance:
            raise Done
        return J, g

    with pytest.raises(Done):
        scipy.optimize.minimize(
            evaluated, start, jac=True, method="L-BFGS-B", options={"maxcor": 20, "ftol": 1e-15, "gtol": 0.0}
        )
    return cost.evaluations


def test_learning_agrees_with_lbfgsb():
    problem, depth = learning(), ocdl.ExplicitEuler(5)
    ours = ocdl.solve(problem, depth, LBFGS(tolerance=1e-11))
    theirs = ocdl.solve(problem, depth, ocdl.LBFGSB(gap="gradient"))
    assert ours.status is Status.CONVERGED
    assert ours.history["gradient"][-1] <= 1e-11
    assert ours.cost == pytest.approx(theirs.cost, abs=1e-9)
    assert np.any(np.abs(ours.W) == 0.1)


def test_ctrl_c_keeps_the_best_iterate(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.training.walk.progress_bar", PressesCtrlC)
    cost = rosenbrock(6)
    outcome = LBFGS().minimise(cost, np.zeros(6))
    assert outcome.status is Status.INTERRUPTED
    assert {len(column) for column in outcome.history.values()} == {4}
    assert cost.value(outcome.u[:, 0]) == outcome.claim["cost"] == min(outcome.history["cost"])


@pytest.mark.parametrize("arguments", [{"tolerance": 0.0}, {"max_iterations": -1}, {"memory": 0}, {"memory": 2.5}])
def test_bad_options_name_themselves(arguments):
    with pytest.raises(ocdl.InvalidInput, match=next(iter(arguments))):
        LBFGS(**arguments)
