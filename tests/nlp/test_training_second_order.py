"""Newton–CG, Levenberg–Marquardt and the default that picks: known minimisers, negative curvature, bounds, budgets."""

from types import SimpleNamespace

import numpy as np
import pytest
from families import concrete
from interrupts import PressesCtrlC
from scipy.optimize import rosen_hess
from training_costs import Analytic, learning, quadratic, rosenbrock

import ocdl
from ocdl.nlp.training.levenberg import Damped, LevenbergMarquardt, Squares, acceleration
from ocdl.nlp.training.newton import NewtonCG, steihaug
from ocdl.nlp.training.train import Train
from ocdl.nlp.training.walk import Training, Walk
from ocdl.referee.outcome import Status
from ocdl.statement.budget import Budget
from ocdl.sweeps.reduced import ReducedCost

METHODS = concrete(Training, "descend")


def squares(size=6, residuals=9, seed=0, alpha=0.0, miss=0.0, coupled=False, **changes):
    """ρ = tanh(A w) − tanh(A w*) + miss, and E = ½ α wᵀM w with M = 1 or tridiagonal; attained at w* without both."""
    generator = np.random.default_rng(seed)
    A, best = generator.normal(size=(2 * residuals, size))[::2] / 2, generator.normal(size=size)
    M = alpha * (np.eye(size) + (0.3 * np.eye(size, k=1) + 0.3 * np.eye(size, k=-1) if coupled else 0.0))
    goal = np.tanh(A @ best) - miss * generator.normal(size=residuals)

    def rows(w):
        reached = np.tanh(A @ w)
        return reached - goal, (1.0 - reached**2)[:, None] * A

    def cost(w):
        rho, jacobian = rows(w)
        return 0.5 * rho @ rho + 0.5 * w @ M @ w, rho @ jacobian + M @ w

    def hessian(w):
        rho, jacobian = rows(w)
        reached = rho + goal
        return jacobian.T @ jacobian + M - 2.0 * A.T @ ((rho * reached * (1.0 - reached**2))[:, None] * A)

    made = Analytic(cost, size, rows=rows, hessian=hessian, **changes)
    made.products = lambda w: SimpleNamespace(
        hessian=lambda v: hessian(w) @ v, gauss_newton=lambda v: rows(w)[1].T @ (rows(w)[1] @ v) + M @ v
    )
    return made, best


def minimum(cost, start=None):
    return ocdl.LBFGS(tolerance=1e-11).minimise(cost, np.zeros(cost.size) if start is None else start)


# -- what holds for every method ---------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_regularised_minimiser(method):
    cost, _ = squares(alpha=0.1, miss=0.1, metric=np.geomspace(0.1, 1.0, 6))
    outcome = method(tolerance=1e-11).minimise(cost, np.zeros(6))
    assert outcome.status is Status.CONVERGED
    assert np.linalg.norm(cost.value_and_gradient(outcome.u[:, 0])[1] / np.sqrt(cost.metric)) <= 1.01e-11
    np.testing.assert_allclose(outcome.u, minimum(cost).u, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_meets_the_conditions_in_a_box(method):
    cost, _ = squares(alpha=0.1, miss=0.3, low=-0.2, high=0.25)
    outcome = method(tolerance=1e-10).minimise(cost, np.zeros(6))
    w = outcome.u[:, 0]
    assert outcome.status is Status.CONVERGED
    assert 0 < np.sum((w == -0.2) | (w == 0.25)) < 6
    np.testing.assert_allclose(np.clip(w - cost.cost(w)[1], -0.2, 0.25), w, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_a_budget(method):
    changes = {"low": 0.0, "metric": 1 / 6, "budgets": [Budget("u", 0.7)]}
    cost, _ = squares(alpha=0.1, miss=0.3, **changes)
    outcome = method(tolerance=1e-10).minimise(cost, np.zeros(6))
    w = outcome.u[:, 0]
    assert outcome.status is Status.CONVERGED
    assert max(abs(np.mean(asked) - 0.7) for asked in cost.asked) < 1e-14
    slope = cost.cost(w)[1]
    assert np.ptp(slope[w > 0.0]) < 1e-8
    assert np.all(slope[w == 0.0] > slope[w > 0.0].max())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_the_best_iterate_of_an_interrupted_run(method, monkeypatch):
    monkeypatch.setattr("ocdl.nlp.training.walk.progress_bar", PressesCtrlC)
    cost, _ = squares(alpha=1e-3, miss=0.1)
    outcome = method(tolerance=1e-12).minimise(cost, np.full(6, -1.0))
    assert outcome.status is Status.INTERRUPTED
    assert {len(column) for column in outcome.history.values()} == {4}
    assert cost.value(outcome.u[:, 0]) == outcome.claim["cost"] == min(outcome.history["cost"])


@pytest.mark.parametrize("method", METHODS)
def test_the_same_start_gives_the_same_bits(method):
    runs = [method().minimise(squares(miss=0.1, seed=2)[0], np.zeros(6)) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].u, runs[1].u)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_backs_off_from_nan(method):
    """½ (log w)² − 2 log w has its minimiser at e²; full steps from 20 leave w > 0."""

    def rows(w):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(w) - 2.0, (1.0 / w)[:, None]

    def cost(w):
        rho, jacobian = rows(w)
        return float(0.5 * rho @ rho), rho @ jacobian

    analytic = Analytic(cost, 1, rows=rows, hessian=lambda w: np.diag((3.0 - np.log(w)) / w**2))
    outcome = method(tolerance=1e-11).minimise(analytic, np.array([40.0]))
    assert outcome.status is Status.CONVERGED
    assert outcome.u[0, 0] == pytest.approx(np.exp(2.0), rel=1e-9)
    assert min(w[0] for w in analytic.asked) < 0.0 or method is not LevenbergMarquardt


# -- Newton ------------------------------------------------------------------------------------------


def test_steihaugs_step_is_newtons_inside_and_on_the_edge_outside():
    generator = np.random.default_rng(0)
    root = generator.normal(size=(8, 8))
    H, g = root @ root.T + np.eye(8), generator.normal(size=8)
    newton = -np.linalg.solve(H, g)
    np.testing.assert_allclose(steihaug(lambda d: H @ d, g, 1e3, 1e-13), newton, atol=1e-11)
    for matrix, radius in ((H, 0.3 * np.linalg.norm(newton)), (H - 5.0 * np.eye(8), 2.0)):
        step = steihaug(lambda d, matrix=matrix: matrix @ d, g, radius, 1e-13)
        assert np.linalg.norm(step) == pytest.approx(radius, rel=1e-12)
        cauchy = -g * min(radius / np.linalg.norm(g), abs((g @ g) / (g @ matrix @ g)))
        assert g @ step + 0.5 * step @ matrix @ step <= g @ cauchy + 0.5 * cauchy @ matrix @ cauchy + 1e-12


def test_negative_curvature_is_followed_away_from_a_saddle():
    """w₀⁴/4 − w₀²/2 + w₁²/2 near its saddle 0."""
    cost = Analytic(
        lambda w: (w[0] ** 4 / 4 - w[0] ** 2 / 2 + w[1] ** 2 / 2, np.array([w[0] ** 3 - w[0], w[1]])),
        2,
        hessian=lambda w: np.diag([3 * w[0] ** 2 - 1, 1.0]),
    )
    outcome = NewtonCG().minimise(cost, np.array([1e-3, 0.5]))
    np.testing.assert_allclose(outcome.u[:, 0], [1.0, 0.0], atol=1e-11)


def test_newton_goes_through_rosenbrocks_valley_and_polishes_superlinearly():
    outcome = NewtonCG().minimise(rosenbrock(20), np.zeros(20))
    assert outcome.status is Status.CONVERGED
    np.testing.assert_allclose(outcome.u[:, 0], 1.0, atol=1e-10)
    cost, A, b = quadratic(30, spread=1e4)
    polished = NewtonCG().minimise(cost, np.linalg.solve(A, b) + 1e-3)
    assert polished.status is Status.CONVERGED
    norms = np.array(polished.history["gradient"])
    assert np.all(norms[1:] <= np.maximum(1.01 * np.minimum(0.1, norms[:-1] ** 0.5) * norms[:-1], 1e-12))


def test_unbounded_below_is_no_success():
    cost = Analytic(lambda w: (-np.sum(w**3), -3 * w**2), 2, hessian=lambda w: np.diag(-6 * w))
    outcome = NewtonCG().minimise(cost, np.ones(2))
    assert outcome.status is Status.FAILED
    assert "unbounded below" in outcome.detail


# -- Levenberg and Marquardt -------------------------------------------------------------------------


@pytest.mark.parametrize("residuals", [4, 6, 20], ids=["fewer residuals", "square", "fewer unknowns"])
def test_vanishing_residuals_are_reached_to_rounding(residuals):
    cost, best = squares(residuals=residuals, seed=1)
    outcome = LevenbergMarquardt(tolerance=1e-14).minimise(cost, best + 0.5)
    assert outcome.status is Status.CONVERGED
    assert outcome.claim["cost"] < 1e-26
    if residuals > 6:
        np.testing.assert_allclose(outcome.u[:, 0], best, atol=1e-11)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("residuals", [4, 20])
def test_the_regular_part_is_found_exactly(residuals, coupled):
    """JᵀJ + E'' from products alone, diagonal or not; the same step on both sides."""
    cost, _ = squares(residuals=residuals, alpha=1e-3, coupled=coupled, metric=np.geomspace(0.1, 1.0, 6))
    walk = Walk(cost, np.full(6, 0.3))
    found = Squares.at(walk, "LevenbergMarquardt")
    expected = cost.products(walk.point.v / walk.scale)
    matrix = np.array([expected.gauss_newton(e / walk.scale) / walk.scale for e in np.eye(6)])
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-13)
    np.testing.assert_allclose(found.product(np.arange(6.0)), matrix @ np.arange(6.0), atol=1e-13)
    assert found.wide == (residuals < 6 and not coupled)


@pytest.mark.parametrize("free", [np.ones(6, bool), np.arange(6) % 2 == 0], ids=["all", "some"])
@pytest.mark.parametrize("residuals", [3, 20])
def test_either_side_solves_the_damped_equations(residuals, free):
    generator = np.random.default_rng(0)
    J, E, right = generator.normal(size=(residuals, 6)), generator.uniform(0, 1, 6), generator.normal(size=(6, 2))
    right[~free] = 0.0
    solved, image = Damped(Squares(np.zeros(len(J)), J, E), 0.01).solve(np.flatnonzero(~free), right)
    assert not solved[~free].any()
    np.testing.assert_allclose(image, (J.T @ J + np.diag(E) + 0.01 * np.eye(6)) @ solved, atol=1e-12)
    np.testing.assert_allclose(image[free], right[free], atol=1e-11)


def test_the_acceleration_is_the_second_derivative_of_the_path():
    """a = −B⁻¹Jᵀρ'' of ρ_r = A_r w + ½ wᵀQ_r w, whose differences are exact; none where the step ends on a bound."""
    generator = np.random.default_rng(1)
    A, Q = generator.normal(size=(7, 4)), generator.normal(size=(7, 4, 4))
    Q, w, step = Q + Q.swapaxes(1, 2), generator.normal(size=4), generator.normal(size=4)

    def rows(w):
        return A @ w + 0.5 * np.einsum("i,rij,j->r", w, Q, w), A + Q @ w

    def cost(w):
        rho, jacobian = rows(w)
        return 0.5 * rho @ rho, rho @ jacobian

    walk = Walk(Analytic(cost, 4, rows=rows, high=w + np.append(step[:1], [9.0] * 3), low=w - 9.0), w)
    found = Squares.at(walk, "LevenbergMarquardt")
    a = acceleration(walk, found, Damped(found, 0.3), step)
    jacobian = rows(w)[1][:, 1:]
    B = jacobian.T @ jacobian + 0.3 * np.eye(3)
    expected = -np.linalg.solve(B, jacobian.T @ np.einsum("i,rij,j->r", step, Q, step))
    np.testing.assert_allclose(a, np.append(0.0, expected), atol=1e-11)


# -- the default -------------------------------------------------------------------------------------


def test_small_squares_go_to_levenberg_and_marquardt():
    outcome = Train(tolerance=1e-13).minimise(squares(size=10, residuals=30)[0], np.zeros(10))
    assert outcome.status is Status.CONVERGED
    assert "LBFGS (10 unknowns)" in outcome.detail
    assert "LevenbergMarquardt (the squares fell to 0.001 of their start)" in outcome.detail


def test_a_long_valley_is_polished_by_newton(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.training.train.PATIENCE", 1)
    outcome = Train(tolerance=1e-11).minimise(rosenbrock(30), np.full(30, 0.9))
    assert outcome.status is Status.CONVERGED
    assert "NewtonCG (first order has cost as much as a polish)" in outcome.detail


def test_where_the_minimiser_is_far_first_order_goes_on(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.training.train.PATIENCE", 1)
    monkeypatch.setattr("ocdl.nlp.training.train.POLISH", 1)
    outcome = Train().minimise(rosenbrock(10), np.full(10, -1.0))
    assert outcome.status is Status.CONVERGED
    assert "LBFGS (the minimiser is still far)" in outcome.detail
    assert outcome.detail.count("; then ") <= 4


def test_without_second_derivatives_it_is_lbfgs_and_says_so():
    cost = Analytic(rosenbrock(8).cost, 8)
    outcome = Train().minimise(cost, np.zeros(8))
    assert outcome.status is Status.CONVERGED
    assert "LBFGS (8 unknowns, no second derivatives)" in outcome.detail


def test_its_iteration_limit_is_that_of_all_stages(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.training.train.PATIENCE", 1)
    outcome = Train(max_iterations=11).minimise(rosenbrock(10, hessian=rosen_hess), np.full(10, -1.0))
    assert outcome.status is Status.ITERATION_LIMIT
    assert len(outcome.history["cost"]) == 12


def test_what_gives_no_second_derivatives_is_refused_in_words():
    plain = Analytic(rosenbrock(4).cost, 4)
    for method, said in ((NewtonCG(), "no products with its Hessian"), (LevenbergMarquardt(), "least squares")):
        with pytest.raises(ocdl.NotSupported, match=said):
            method.minimise(plain, np.zeros(4))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_reaches_the_rounding_of_a_small_learning_problem(method):
    reduced = ReducedCost(learning(regulariser=ocdl.Tikhonov(0.1)), ocdl.ExplicitEuler(3))
    outcome = method(tolerance=1e-11).minimise(reduced, np.zeros(reduced.size))
    assert outcome.status is Status.CONVERGED
    assert outcome.claim["cost"] == pytest.approx(minimum(reduced).claim["cost"], abs=1e-14)


def test_training_agrees_with_lbfgsb():
    problem, depth = learning(), ocdl.ExplicitEuler(4)
    ours = ocdl.solve(problem, depth, Train(tolerance=1e-10))
    theirs = ocdl.solve(problem, depth, ocdl.LBFGSB(gap="gradient"))
    assert ours.status is Status.CONVERGED
    assert ours.cost == pytest.approx(theirs.cost, abs=1e-9)
