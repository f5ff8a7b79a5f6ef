"""ProjectedGradient: descent in function space, blind to the grid, for controls and trained parameters."""

import numpy as np
import pytest
from pmp_problems import HIGHEST, eight_neurons, linear_quadratic, network, selection, start

import ocdl
from ocdl.errors import InvalidInput
from ocdl.pmp import NeedleSteps, ProjectedGradient
from ocdl.pmp.iterate import Ground
from ocdl.referee.outcome import Status
from ocdl.solving.method import Start
from ocdl.statement.regularisers import PenalisedControls


@pytest.mark.parametrize("first", ["spectral", "grown"])
def test_a_linear_quadratic_problem(first):
    method = ProjectedGradient(first=first, tolerance=1e-7)
    solution = ocdl.solve(linear_quadratic(), ocdl.Radau(layers=100, degree=3), method)
    assert solution.status is Status.CONVERGED
    assert solution.cost == pytest.approx(0.5 * np.tanh(1.0), abs=1e-5)
    t = solution.u.t.values
    np.testing.assert_allclose(solution.u.values[:, 0], -np.sinh(1 - t - 0.005) / np.cosh(1.0), atol=1e-4)


def test_bounds_hold_at_every_iterate_and_the_bang_bang_optimum_is_found():
    grid = ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.Kutta4(20))
    solution = ocdl.solve(selection(0.5, 3.0), grid, ProjectedGradient())
    assert solution.feasibility == 0.0
    assert solution.cost == pytest.approx(0.5 * (3.0 - HIGHEST) ** 2, abs=1e-6)


@pytest.mark.parametrize("first", ["spectral", "grown"])
def test_a_network_with_a_trained_readout_descends(first):
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(10))
    method = ProjectedGradient(first=first, max_iterations=150)
    solution = ocdl.solve(network(), grid, method, seed=0, on_failure="return")
    cost, predicted = solution.history["cost"].values, solution.history["predicted"].values
    assert np.all(cost[:-1] - cost[1:] >= 0.1 * predicted[1:] - 1e-15)
    assert np.all(predicted[1:] > 0)
    assert cost[-1] < cost[0] / 2
    assert not np.array_equal(solution.W.values, np.zeros_like(solution.W.values))


def test_it_agrees_with_needle_steps_where_the_optimum_is_unique():
    far = selection(lambda y: 0.2 + 0.1 * y, lambda y: 3.0 + y)
    grid = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.ExplicitEuler(15))
    costs = [ocdl.solve(far, grid, method).cost for method in (ProjectedGradient(tolerance=1e-8), NeedleSteps())]
    assert costs[0] == pytest.approx(costs[1], abs=1e-9)


def test_steps_do_not_see_the_depth_grid():
    """ẋ = u, ½∫u² + ½(x(T) − 1)²: ∇J = u + x(T) − 1 is constant in depth, so u stays constant on any mesh."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: [u[0]],
        effort=lambda u: 0.5 * u[0] ** 2,
        terminal=lambda x: 0.5 * (x[0] - 1.0) ** 2,
        initial=[0.0],
        horizon=1.0,
    )
    curves = []
    for layers in (4, [0.5, 0.3, 0.15, 0.05], [0.01] * 100):
        depth = ocdl.ExplicitEuler(layers)
        begin = Start(np.full((depth.count, 1), -2.0), np.zeros(0))
        outcome = ProjectedGradient(step=0.1).solve(problem, depth, begin, progress=False)
        np.testing.assert_allclose(outcome.u, 0.5, atol=1e-6)
        np.testing.assert_allclose(outcome.u - outcome.u[0], 0.0, atol=1e-12)
        curves.append(outcome.history["cost"])
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-9)
    np.testing.assert_allclose(curves[2], curves[0], rtol=1e-9)


def test_steps_do_not_see_the_width_grid():
    """Two equal neurons on two cells are one neuron on one cell."""
    curves = []
    for width in (1, 2, 4):
        problem = selection(0.3, 3.0).discretise(ocdl.Midpoint(width))
        depth = ocdl.ExplicitEuler(10)
        method = ProjectedGradient(max_iterations=3, step=0.2)
        curves.append(method.solve(problem, depth, start(problem, depth), progress=False).history["cost"])
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-12)
    np.testing.assert_allclose(curves[2], curves[0], rtol=1e-12)


def test_as_printed_the_accepted_step_meets_the_quadratic_bound():
    """Benning et al., algorithm 2, line 8: φ⁺ ≤ φ + ⟨g, u⁺ − u⟩ + L/2 ‖u⁺ − u‖², which is sufficient = ½."""
    problem = eight_neurons().replace(bounds=ocdl.Box())
    method = ProjectedGradient(
        first="grown", sufficient=0.5, shrink=1 / 1.5, grow=1 / 0.99, step=10.0, max_iterations=30
    )
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(10))
    history = ocdl.solve(problem, grid, method, on_failure="return").history
    cost, predicted = history["cost"].values, history["predicted"].values
    assert np.all(cost[1:] <= cost[:-1] - 0.5 * predicted[1:] + 1e-15)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"first": "newton"}, "'spectral', 'grown'"),
        ({"step": -1.0}, "step=-1.0"),
        ({"grow": 0.5}, "at least 1"),
        ({"shrink": 1.0}, "between 0 and 1"),
        ({"max_iterations": True}, "whole number"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(InvalidInput, match=said):
        ProjectedGradient(**options)


def sparse(weight):
    """½(x(1) − 1)² + λ ∫ |u_0| + |u_1| with ẋ = u_0 + u_1/2: u_1 = 0, J = λ − λ²/2; all vanish at λ ≥ 1."""
    return ocdl.ControlProblem(
        dynamics=lambda u: u[0] + 0.5 * u[1],
        initial=[0.0],
        horizon=1.0,
        controls=2,
        terminal=lambda x: 0.5 * (x[0] - 1.0) ** 2,
        effort=PenalisedControls(ocdl.L1(weight), np.ones(2)),
        bounds=ocdl.Box(u=(-2, 2)),
    )


@pytest.mark.parametrize("first", ["spectral", "grown"])
def test_an_absolute_value_is_taken_by_its_proximal_map(first):
    solution = ocdl.solve(sparse(0.3), ocdl.ExplicitEuler(5), ProjectedGradient(first=first), seed=1)
    assert solution.status is Status.CONVERGED
    assert solution.cost == pytest.approx(0.3 - 0.045, rel=1e-10)
    np.testing.assert_array_equal(solution.u.values[:, 1], 0.0)
    assert solution.certificate.relative_gap < 1e-6
    vanishing = ocdl.solve(sparse(1.1), ocdl.ExplicitEuler(5), ProjectedGradient(first=first), seed=1)
    np.testing.assert_array_equal(vanishing.u.values, 0.0)


def test_a_network_with_an_absolute_value_is_stationary_where_a_slope_in_between_is_zero():
    problem, depth = network().replace(regulariser=ocdl.L1(0.02)).discretise(ocdl.Midpoint(4)), ocdl.ExplicitEuler(4)
    outcome = ProjectedGradient(tolerance=1e-7, max_iterations=3000).solve(problem, depth, start(problem, depth, 0))
    assert outcome.status is Status.CONVERGED
    iterate = Ground(problem, depth).at(outcome.u, outcome.p)
    for values, slope, metric, box in zip(
        (iterate.u, iterate.p),
        iterate.smooth_gradient,
        iterate.ground.metric,
        (problem.control_box, problem.parameter_box),
        strict=True,
    ):
        slope = slope / metric
        inside = (values != 0.0) & (values > box[0]) & (values < box[1])
        assert np.any(values == 0.0) and np.any(inside)
        np.testing.assert_allclose(slope[inside], -0.02 * np.sign(values[inside]), atol=1e-6)
        assert np.all(np.abs(slope[values == 0.0]) <= 0.02 + 1e-6)
