"""The methods of the papers: what each guarantees, and that they agree where the optimum is unique."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmp_problems import eight_neurons, linear_quadratic, network, selection, start

import ocdl
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp import (
    LBFGSB,
    ConditionalGradient,
    ExtendedSuccessiveApproximations,
    GradientDescent,
    IndirectShooting,
    NeedleSteps,
    ProjectedNewton,
    ProximalAlternatingMinimisation,
    SequentialQuadraticHamiltonian,
    StochasticGradient,
)
from ocdl.pmp.iterate import Ground
from ocdl.pmp.methods.proximal import Alternate
from ocdl.pmp.methods.sqh import HeldControls
from ocdl.pmp.updates.augmented import AnyLayer, Columns, DenseLayer, LayerProblems
from ocdl.pmp.updates.gradient_arcs import GradientArc
from ocdl.referee.dense import dense
from ocdl.referee.outcome import Status
from ocdl.solving.method import Start


def random_problem(seed, samples, regularised):
    generator = np.random.default_rng(seed)
    width = int(generator.integers(1, 4))
    initial, target = generator.normal(size=(2, samples, width))
    low = generator.uniform(-1.5, -0.1, 2)
    return ocdl.SelectionProblem(
        activation=(ocdl.Tanh(), ocdl.Arctan(), ocdl.Sigmoid())[seed % 3],
        horizon=1.0,
        initial=initial,
        target=1.5 * target,
        regulariser=ocdl.Tikhonov(1e-2) if regularised else None,
        bounds=ocdl.Box(a=(low[0], low[0] + 1.5), b=(low[1], low[1] + 1.5)),
    ).discretise(ocdl.Midpoint(width))


cases = st.tuples(st.integers(0, 999), st.sampled_from([1, 3]), st.booleans())


def history(method, problem, depth, seed=None):
    outcome = method.solve(problem, depth, start(problem, depth, seed), progress=False)
    return outcome, {name: np.array(column) for name, column in outcome.history.items()}


@given(case=cases, step=st.sampled_from([0.1, 10.0]))
@settings(max_examples=8)
def test_alternating_minimisation_descends_by_at_least_the_proximal_term(case, step):
    problem, depth = random_problem(*case), ocdl.ExplicitEuler(6)
    method = ProximalAlternatingMinimisation(step=step, max_iterations=4, inner_iterations=8)
    outcome, curve = history(method, problem, depth, case[0])
    assert curve["cost"].size >= 2
    assert np.all(curve["cost"][:-1] - curve["cost"][1:] >= curve["predicted"][1:] - 1e-14)
    assert np.all(curve["predicted"] >= 0.0)
    low, high = problem.control_box
    assert np.all((outcome.u >= low) & (outcome.u <= high))


def test_the_proximal_term_is_that_of_function_space():
    problem, depth = random_problem(1, 3, True), ocdl.ExplicitEuler(6)
    begin = start(problem, depth, 1)
    iterate = Ground(problem, depth).at(begin.u, begin.p)
    moved = Alternate(0.5, 8)(iterate, GradientArc(iterate))
    weights = np.full((6, 1), 1 / 6) * np.asarray(problem.control_metric)
    change = float(np.sum(weights * (moved.iterate.u - begin.u) ** 2))
    assert moved.predicted == pytest.approx(change / (2 * 0.5), rel=1e-12)
    assert iterate.cost - moved.iterate.cost >= moved.predicted


@given(case=cases)
@settings(max_examples=8)
def test_the_sequential_quadratic_hamiltonian_method_is_monotone(case):
    problem, depth = random_problem(*case), ocdl.ExplicitEuler(6)
    method = SequentialQuadraticHamiltonian(max_iterations=12, sufficient=1e-3)
    _, curve = history(method, problem, depth, case[0])
    moved = curve["accepted"] == 1.0
    assert np.all(np.diff(curve["cost"][moved]) < 0.0)
    assert np.all(curve["predicted"] >= 0.0)


def test_its_answer_is_an_extremal():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(20))
    solution = ocdl.solve(eight_neurons(), grid, SequentialQuadraticHamiltonian())
    assert solution.status is Status.CONVERGED
    assert solution.gap <= 1e-9
    assert solution.cost == pytest.approx(ocdl.solve(eight_neurons(), grid, NeedleSteps()).cost, abs=1e-8)


def test_its_step_minimises_the_held_hamiltonian():
    """ẋ = u, L = x²/2 + u²/2: argmin p w + w²/2 + ε (w − u)² = (2εu − p)/(1 + 2ε)."""
    problem, depth = linear_quadratic(), ocdl.ExplicitEuler(5)
    ground = Ground(problem, depth)
    iterate = ground.at(0.3 * np.ones((5, 1)), np.zeros(0))
    trial = HeldControls(iterate).trial(1 / 0.7)
    expected = (1.4 * 0.3 - iterate.adjoint.stages[:, 0, 0]) / 2.4
    np.testing.assert_allclose(trial.u, expected, atol=1e-8)


@given(case=cases)
@settings(max_examples=6)
def test_adaptive_extended_successive_approximations_descend(case):
    problem, depth = random_problem(*case), ocdl.ExplicitEuler(5)
    method = ExtendedSuccessiveApproximations(adaptive=True, penalty=0.1, max_iterations=5)
    _, curve = history(method, problem, depth, case[0])
    assert np.all(np.diff(curve["cost"][curve["accepted"] == 1.0]) < 0.0)


@pytest.mark.parametrize("kind", ["any", "dense"])
def test_the_augmented_hamiltonian_is_the_printed_one(kind):
    """At the iterate K = H and ∇K = ∇H; away from it K − H is ρ/2 the mean of both feasibility errors."""
    problem, depth = random_problem(0, 3, True), ocdl.Kutta4(4)
    ground = Ground(problem, depth)
    begin = start(problem, depth, 3)
    iterate = ground.at(begin.u, begin.p)
    k, rho = 2, 0.7
    made = (AnyLayer, Columns(problem)) if kind == "any" else (DenseLayer, dense(problem))
    layer = made[0](made[1], iterate, k, rho)
    value, gradient = layer(begin.u[k])
    assert value == pytest.approx(layer.hamiltonian(begin.u[k]), rel=1e-14)
    metric = ground.sweeper.h[k] * np.ones(problem.m)
    np.testing.assert_allclose(gradient * metric, iterate.adjoint.gradient_u[k], rtol=1e-10, atol=1e-14)
    w, errors = np.random.default_rng(0).uniform(*problem.control_box), 0.0
    jacobian = problem.rate.factory("j", problem.rate.name_in(), ["jac:rate:x"])
    m, b = np.asarray(problem.state_metric), depth.tableau.b
    for i in range(4):
        for s in range(3):
            x, costate = iterate.trajectory.stages[k, i, s], iterate.adjoint.stages[k, i, s]
            at = [(0.0, x, v, begin.p, np.asarray(problem.data)[s]) for v in (w, begin.u[k])]
            rate = [problem.rate(*a).full().ravel() for a in at]
            pull = [jacobian(*a).full().T @ costate * 3 for a in at]  # per sample: ω_s = 1/3
            errors += b[i] / 3 * (m @ (rate[0] - rate[1]) ** 2 + np.sum((pull[0] - pull[1]) ** 2 / m))
    assert layer(w)[0] - layer.hamiltonian(w) == pytest.approx(0.5 * rho * errors, rel=1e-10)


@pytest.mark.parametrize("minimiser", ["lbfgs", "newton"])
@pytest.mark.parametrize("columnwise", [True, False])
def test_layers_in_parallel_give_the_same_bits(minimiser, columnwise):
    problem = network().replace(readout=None, target=np.ones((6, 4))).discretise(ocdl.Midpoint(4))
    problem, depth = replace(problem, columnwise=columnwise), ocdl.Kutta3(7)
    assert (dense(problem) is not None) == columnwise
    begin = start(problem, depth, 0)
    iterate = Ground(problem, depth).at(begin.u, begin.p)
    alone, gains = LayerProblems(problem, 6, 1, minimiser).argmin(iterate, 0.5)
    assert np.all(gains != 0.0)
    for workers in (2, 5):
        together, same = LayerProblems(problem, 6, workers, minimiser).argmin(iterate, 0.5)
        np.testing.assert_array_equal(together, alone)
        np.testing.assert_array_equal(same, gains)


def test_a_mini_batch_is_drawn_by_its_seed():
    problem, depth = random_problem(4, 3, False), ocdl.ExplicitEuler(4)

    def run(**options):
        return history(ExtendedSuccessiveApproximations(max_iterations=3, **options), problem, depth)[0].u

    np.testing.assert_array_equal(run(batch=2, seed=1), run(batch=2, seed=1))
    assert not np.array_equal(run(batch=2, seed=1), run(batch=2, seed=5))
    np.testing.assert_array_equal(run(batch=3), run())


def test_a_sweep_of_some_samples_is_that_of_their_own_problem():
    problem, depth = random_problem(4, 3, True), ocdl.ExplicitEuler(4)
    begin = start(problem, depth, 2)
    whole = Ground(problem, depth)
    parts = [whole.on_samples(np.array([s])).at(begin.u, begin.p) for s in range(3)]
    iterate = whole.at(begin.u, begin.p)
    assert np.mean([part.cost for part in parts]) == pytest.approx(iterate.cost, rel=1e-14)
    mean = np.mean([part.adjoint.gradient_u for part in parts], axis=0)
    np.testing.assert_allclose(mean, iterate.adjoint.gradient_u, atol=1e-15)


@pytest.mark.parametrize("regularised", [True, False])
def test_the_hessian_of_the_layer_problem(regularised):
    """Dense layers against automatic differentiation of the general formula, and differences of the gradient."""
    problem, depth = random_problem(7, 3, regularised), ocdl.Kutta4(4)
    begin = start(problem, depth, 3)
    iterate = Ground(problem, depth).at(begin.u, begin.p)
    general, fast = AnyLayer(Columns(problem), iterate, 2, 0.7), DenseLayer(dense(problem), iterate, 2, 0.7)
    w = np.random.default_rng(0).uniform(*problem.control_box)
    for a, b in zip(general.curved(w), fast.curved(w), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)
    differences = [(fast(w + step)[1] - fast(w - step)[1]) / 2e-5 for step in 1e-5 * np.eye(problem.m)]
    np.testing.assert_allclose(fast.curved(w)[2], differences, atol=1e-9)


def test_newton_solves_a_quadratic_layer_problem_in_one_step():
    """Linear layers and Tikhonov's term: K is a quadratic function of the layer's controls."""
    generator = np.random.default_rng(0)
    problem = ocdl.SelectionProblem(
        activation=ocdl.Identity(),
        horizon=1.0,
        initial=generator.normal(size=(3, 2)),
        target=generator.normal(size=(3, 2)),
        regulariser=ocdl.Tikhonov(0.1),
    ).discretise(ocdl.Midpoint(2))
    depth = ocdl.ExplicitEuler(3)
    iterate = Ground(problem, depth).at(generator.normal(size=(3, problem.m)), np.zeros(0))
    once, gains = LayerProblems(problem, 1, 1, "newton").argmin(iterate, 0.5)
    assert np.all(gains > 0.0)
    for k in range(3):
        layer = DenseLayer(dense(problem), iterate, k, 0.5)
        assert np.max(np.abs(layer(iterate.u[k])[1])) > 1e-2
        np.testing.assert_allclose(layer(once[k])[1], 0.0, atol=1e-13)


METHODS = [
    GradientDescent(tolerance=1e-5),
    GradientDescent(backtracking=False, step=2.0, tolerance=1e-5),
    ConditionalGradient(tolerance=1e-7),
    LBFGSB(),
    SequentialQuadraticHamiltonian(),
    ProximalAlternatingMinimisation(step=100.0, tolerance=1e-5),
    ExtendedSuccessiveApproximations(penalty=0.1, adaptive=True, tolerance=1e-7),
    ExtendedSuccessiveApproximations(penalty=0.1, adaptive=True, minimiser="newton", tolerance=1e-7),
    ProjectedNewton(),
    LBFGSB(gap="gradient"),
    IndirectShooting(),
    IndirectShooting(polish=False),
    StochasticGradient(rule="adam", step=0.1, tolerance=1e-5),
    StochasticGradient(rule="adagrad", step=1.0, tolerance=1e-5),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_all_methods_agree_where_the_optimum_is_unique(method):
    far = selection(lambda y: 0.2 + 0.1 * y, lambda y: 3.0 + y)
    grid = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.ExplicitEuler(8))
    solution = ocdl.solve(far, grid, method)
    assert solution.status is Status.CONVERGED
    assert solution.cost == pytest.approx(ocdl.solve(far, grid, NeedleSteps()).cost, abs=1e-7)


def test_gradient_descent_as_printed():
    """Two steps by hand: u − τ ∇J in function space, then the backtracking rule's own inequality."""
    problem, depth = linear_quadratic(), ocdl.ImprovedEuler(6)
    ground, u = Ground(problem, depth), np.zeros((6, 1))
    for _ in range(2):
        iterate = ground.at(u, np.zeros(0))
        u = u - 0.3 * iterate.adjoint.gradient_u * 6
    outcome = GradientDescent(backtracking=False, step=0.3, max_iterations=2).solve(
        problem, depth, Start(np.zeros((6, 1)), np.zeros(0)), progress=False
    )
    np.testing.assert_allclose(outcome.u, u, atol=1e-15)
    _, curve = history(GradientDescent(max_iterations=20, step=50.0), problem, depth)
    assert np.all(curve["cost"][1:] <= curve["cost"][:-1] - 0.5 * curve["predicted"][1:] + 1e-15)


@given(seed=st.integers(0, 99))
@settings(max_examples=6)
def test_conditional_gradient_stays_in_the_box_and_descends(seed):
    problem, depth = random_problem(seed, 3, False), ocdl.ExplicitEuler(6)
    outcome, curve = history(ConditionalGradient(max_iterations=30), problem, depth, seed)
    moved = curve["accepted"] == 1.0
    gained = curve["cost"][moved][:-1] - curve["cost"][moved][1:]
    assert np.all(gained >= 0.1 * curve["predicted"][moved][1:] - 1e-15)
    low, high = problem.control_box
    assert np.all((outcome.u >= low) & (outcome.u <= high))


@pytest.mark.parametrize("gap", ["principle", "gradient"])
def test_the_history_has_every_iteration_of_the_polish(gap):
    problem, depth = random_problem(2, 3, False), ocdl.ExplicitEuler(6)
    method = LBFGSB(gap=gap, max_iterations=1, round_iterations=4)
    outcome, curve = history(method, problem, depth, 0)
    assert curve["cost"].size == 1 + 4 + 1  # the start, the iterations, and the end with its gap
    assert np.all(np.diff(curve["cost"]) <= 0.0)
    assert curve["cost"][-1] == outcome.claim["cost"]
    assert np.all(np.diff(curve["cpu_seconds"]) >= 0.0)
    assert np.isfinite(curve["gap"][[0, -1]]).all() and np.isnan(curve["gap"][1:5]).all()


def test_what_they_cannot_solve_is_said():
    wide, euler = selection(np.ones((2, 17)), np.ones((2, 17))).discretise(ocdl.Midpoint(17)), ocdl.ExplicitEuler(2)
    with pytest.raises(NotSupported, match="306 controls a layer"):
        ExtendedSuccessiveApproximations(minimiser="newton").solve(wide, euler, start(wide, euler))
    with pytest.raises(NotSupported, match="finite box"):
        ConditionalGradient().solve(linear_quadratic(), euler, start(linear_quadratic(), euler))


@pytest.mark.parametrize(
    "method, options",
    [
        (GradientDescent, {"increase": 1.0}),
        (GradientDescent, {"backtracking": 1}),
        (ConditionalGradient, {"shrink": 0.0}),
        (LBFGSB, {"memory": 0}),
        (ProximalAlternatingMinimisation, {"step": 0.0}),
        (SequentialQuadraticHamiltonian, {"relax": 1.0}),
        (SequentialQuadraticHamiltonian, {"penalty": -1.0}),
        (ExtendedSuccessiveApproximations, {"workers": 0}),
        (ExtendedSuccessiveApproximations, {"minimiser": "gauss"}),
        (LBFGSB, {"gap": "none"}),
        (ProjectedNewton, {"inner_iterations": 0}),
        (StochasticGradient, {"rule": "momentum"}),
        (StochasticGradient, {"batch": 0}),
        (IndirectShooting, {"smallest": 2.0}),
        (ExtendedSuccessiveApproximations, {"seed": -1}),
        (ExtendedSuccessiveApproximations, {"batch": 2, "adaptive": True}),
    ],
)
def test_options_are_checked(method, options):
    with pytest.raises(InvalidInput, match=method.__name__):
        method(**options)
