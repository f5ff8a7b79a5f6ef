"""NeedleSteps: exact answers, descent, observed orders, and what it says when the principle says nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmp_problems import (
    HIGHEST,
    LOWEST,
    ZERO_CROSSING,
    eight_neurons,
    family,
    linear_quadratic,
    network,
    selection,
    start,
)

import ocdl
from ocdl.errors import InvalidInput
from ocdl.pmp import NeedleSteps
from ocdl.pmp.iterate import Ground
from ocdl.pmp.updates.needles import needles
from ocdl.referee.outcome import Status
from ocdl.sweeps.sweeper import Sweeper, SweepFailed

ONE = ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.Radau(layers=50, degree=3))


@pytest.mark.parametrize("target", [-0.2, 0.7, 1.4])
def test_a_reachable_target_is_reached_and_named(target):
    solution = ocdl.solve(selection(0.5, target), ONE, NeedleSteps())
    assert solution.status is Status.REACHABLE
    assert solution.cost <= 1e-12


@pytest.mark.parametrize("target", [1.5, 2.0, 3.0])
def test_a_target_above_costs_half_its_squared_distance(target):
    solution = ocdl.solve(selection(0.5, target), ONE, NeedleSteps())
    assert solution.status is Status.CONVERGED
    assert solution.cost == pytest.approx(0.5 * (target - HIGHEST) ** 2, abs=1e-10)
    assert solution.gap <= 1e-9


def test_the_published_value_of_one_neuron():
    assert ocdl.solve(selection(0.5, 3.0), ONE, NeedleSteps()).cost == pytest.approx(1.1914876058, abs=1e-10)


def crossing_mesh():
    """b must switch where f = 0: with a node there, piecewise constant controls hold the exact optimum."""
    return ocdl.Radau(layers=[ZERO_CROSSING / 30] * 30 + [(1.0 - ZERO_CROSSING) / 20] * 20, degree=3)


@pytest.mark.parametrize("target", [-0.5, -1.0, -2.0])
def test_a_target_below_costs_half_its_squared_distance(target):
    grid = ocdl.Grid(width=ocdl.Midpoint(1), depth=crossing_mesh())
    solution = ocdl.solve(selection(0.5, target), grid, NeedleSteps())
    assert solution.cost == pytest.approx(0.5 * (target - LOWEST) ** 2, abs=1e-8)
    b = solution.b.values.ravel()
    np.testing.assert_allclose(b, np.where(solution.b.t < ZERO_CROSSING - 1e-9, 1.0, -1.0))


@pytest.mark.parametrize("layers", [10, 23, 50, 100])
def test_a_switch_within_a_layer_costs_at_most_the_square_of_its_width(layers):
    """b flips where f = 0; a constant b loses ∫|f| over a part of that layer, O(h²), never gains."""
    grid = ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.Radau(layers=layers, degree=3))
    error = ocdl.solve(selection(0.5, -1.0), grid, NeedleSteps()).cost - 0.5 * (1.0 + LOWEST) ** 2
    assert 0.0 < error < 0.06 / layers**2


def test_a_switching_neuron_with_a_node_at_its_switch():
    grid = ocdl.Grid(width=ocdl.Midpoint(1), depth=crossing_mesh())
    assert ocdl.solve(selection(-0.5, 3.0), grid, NeedleSteps()).cost == pytest.approx(3.5580513517, abs=1e-8)


def test_eight_neurons_converge_to_the_continuous_optimum_at_second_order():
    layers = np.array([13, 25, 50])
    errors = []
    for n in layers:
        grid = ocdl.Grid(width=ocdl.Midpoint(8), depth=ocdl.Radau(layers=int(n), degree=3))
        solution = ocdl.solve(eight_neurons(), grid, NeedleSteps())
        assert solution.status in (Status.CONVERGED, Status.ACCEPTABLE)
        errors.append(solution.cost - 0.968069497335)
    order = -np.polyfit(np.log(layers), np.log(errors), 1)[0]
    assert 1.7 < order < 2.6
    assert errors[-1] < 4e-6


def test_eight_neurons_by_euler_at_first_order():
    layers = np.array([25, 50, 100, 200])
    costs = [
        ocdl.solve(
            eight_neurons(), ocdl.Grid(width=ocdl.Midpoint(8), depth=ocdl.ExplicitEuler(int(n))), NeedleSteps()
        ).cost
        for n in layers
    ]
    errors = np.array(costs) - 0.968069497335
    assert -np.polyfit(np.log(layers), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name, status", [("far", "CONVERGED"), ("mixed", "CONVERGED"), ("reachable", "REACHABLE")])
def test_sixteen_neurons_reach_a_gap_of_1e_9(name, status):
    grid = ocdl.Grid(width=ocdl.Midpoint(16), depth=ocdl.ExplicitEuler(200))
    solution = ocdl.solve(family(name), grid, NeedleSteps())
    assert solution.status is Status[status]
    assert solution.gap <= 1e-9
    assert solution.gap == pytest.approx(float(solution.history["gap"][-1]), abs=1e-12)


activation = st.sampled_from([ocdl.Tanh(), ocdl.Arctan(), ocdl.Sigmoid(), ocdl.ReLU(), ocdl.LeakyReLU()])
interval = st.tuples(st.floats(-1.5, 0.5), st.floats(0.0, 2.0)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(activation=activation, a=interval, b=interval, width=st.integers(1, 3), seed=st.integers(0, 999))
@settings(max_examples=15)
def test_every_needle_step_lowers_the_cost_by_its_share_of_the_prediction(activation, a, b, width, seed):
    initial, target = np.random.default_rng(seed).normal(size=(2, width))
    problem = selection(initial, target, box=ocdl.Box(a=a, b=b), activation=activation).discretise(ocdl.Midpoint(width))
    depth = ocdl.Kutta4(6) if seed % 2 else ocdl.ExplicitEuler(10)
    method = NeedleSteps(polish=False, sufficient=0.3)
    outcome = method.solve(problem, depth, start(problem, depth, seed), progress=False)
    cost, predicted, gap = (np.array(outcome.history[name]) for name in ("cost", "predicted", "gap"))
    assert np.all(cost[:-1] - cost[1:] >= 0.3 * predicted[1:] - 1e-14)
    assert np.all(gap >= 0)
    assert outcome.claim["cost"] == cost.min()
    low, high = problem.control_box
    assert np.all(outcome.u >= low) and np.all(outcome.u <= high)


@given(width=st.integers(1, 4), seed=st.integers(0, 999))
@settings(max_examples=10)
def test_the_polished_answer_is_an_extremal_no_worse_than_the_needles(width, seed):
    initial, target = np.random.default_rng(seed).normal(size=(2, width))
    problem = selection(initial, 2 * target)
    grid = ocdl.Grid(width=ocdl.Midpoint(width), depth=ocdl.ExplicitEuler(20))
    solution = ocdl.solve(problem, grid, NeedleSteps(), seed=seed)
    cost = solution.history["cost"].values
    assert np.all(np.diff(cost) <= 0)
    assert solution.status in (Status.CONVERGED, Status.REACHABLE)
    assert solution.gap <= 1e-9


@pytest.mark.parametrize("depth", [ocdl.ExplicitEuler, ocdl.Kutta4, lambda n: ocdl.Radau(layers=n, degree=2)])
def test_a_needle_gains_what_the_hamiltonian_predicts_to_second_order_in_its_width(depth):
    errors = []
    for layers in (20, 40, 80):
        problem = eight_neurons().discretise(ocdl.Midpoint(4))
        scheme = depth(layers)
        ground = Ground(problem, scheme)
        begin = start(problem, scheme)
        iterate = ground.at(begin.u, begin.p)
        proposal = needles(iterate)
        u = iterate.u.copy()
        k, neuron = layers // 2, 1
        u[k, proposal.group == neuron] = proposal.best[k, proposal.group == neuron]
        gained = iterate.cost - ground.at(u, begin.p).cost
        errors.append(abs(gained - proposal.gains[k, neuron]))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(orders > 1.8)


def test_a_linear_quadratic_problem_at_second_order():
    errors = []
    for layers in (10, 20, 40):
        solution = ocdl.solve(linear_quadratic(), ocdl.Radau(layers=layers, degree=3), NeedleSteps())
        assert solution.status is Status.CONVERGED
        errors.append(solution.cost - 0.5 * np.tanh(1.0))
    assert np.all(np.array(errors) > 0)
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 2.0, atol=0.02)


def test_a_bang_bang_control_problem_with_one_switch():
    """Double integrator to the greatest x₁(1) with x₂(1) near 0: min −x₁(1) + 10 x₂(1)²/2, |u| ≤ 1."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u[0]],
        terminal=lambda x: -x[0] + 5.0 * x[1] ** 2,
        initial=[0.0, 0.0],
        horizon=1.0,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    # u = 1 until τ, then −1: x₂(1) = 2τ − 1, x₁(1) = 2τ − τ² − 1/2, so τ = 11/21
    tau = 11 / 21
    exact = -(2 * tau - tau**2 - 0.5) + 5.0 * (2 * tau - 1) ** 2
    depth = ocdl.Radau(layers=[tau / 11] * 11 + [(1 - tau) / 10] * 10, degree=3)
    solution = ocdl.solve(problem, depth, NeedleSteps())
    assert solution.cost == pytest.approx(exact, abs=1e-9)
    np.testing.assert_allclose(solution.u.values.ravel(), [1.0] * 11 + [-1.0] * 10, atol=1e-3)


def test_a_trained_readout_is_moved_by_the_polish():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(4))
    solution = ocdl.solve(network(), grid, NeedleSteps(tolerance=1e-7), seed=0, on_failure="return")
    assert solution.status in (Status.CONVERGED, Status.ACCEPTABLE)
    assert float(np.abs(solution.gradient["W"]).max()) < 1e-6
    assert solution.cost < float(solution.history["cost"][0]) / 2


def test_claim_and_history_are_the_methods_own_figures():
    grid = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.Kutta4(10))
    solution = ocdl.solve(eight_neurons(), grid, NeedleSteps())
    assert solution.claim["cost"] == pytest.approx(solution.cost, rel=1e-14)
    np.testing.assert_allclose(solution.claim["costate"], solution.costate, rtol=1e-12)
    assert {"cost", "gap", "accepted", "sweeps", "seconds"} <= set(solution.history)
    assert len({curve.size for curve in solution.history.values()}) == 1
    assert np.all(np.diff(solution.history["sweeps"]) >= 0)


def test_an_interrupt_keeps_the_best_iterate(monkeypatch):
    problem = family("mixed").discretise(ocdl.Midpoint(8))
    depth = ocdl.ExplicitEuler(20)
    sweep, calls = Sweeper.costate, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return sweep(self, *arguments)

    monkeypatch.setattr(Sweeper, "costate", interrupted)
    outcome = NeedleSteps().solve(problem, depth, start(problem, depth), progress=False)
    assert outcome.status is Status.INTERRUPTED
    assert outcome.claim["cost"] <= min(outcome.history["cost"])


def test_a_failing_sweep_in_a_line_search_is_a_rejected_step(monkeypatch):
    problem = family("mixed").discretise(ocdl.Midpoint(8))
    depth = ocdl.ExplicitEuler(20)
    sweep, calls = Sweeper.state, []

    def failing(self, *arguments):
        calls.append(1)
        if len(calls) in (2, 3, 9, 12):
            raise SweepFailed("no state")
        return sweep(self, *arguments)

    monkeypatch.setattr(Sweeper, "state", failing)
    outcome = NeedleSteps().solve(problem, depth, start(problem, depth), progress=False)
    assert outcome.status is Status.CONVERGED
    assert len(calls) > 12


def test_a_start_without_a_state_is_named():
    problem = ocdl.ControlProblem(dynamics=lambda x, u: [1e3 * x[0] ** 3 + u[0]], initial=[5.0], horizon=5.0)
    depth = ocdl.Kutta4(9)
    outcome = NeedleSteps().solve(problem, depth, start(problem, depth), progress=False)
    assert outcome.status is Status.NOT_A_NUMBER
    assert "layer 1" in outcome.detail


def test_needles_alone_stall_and_say_so():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(20))
    solution = ocdl.solve(family("mixed"), grid, NeedleSteps(polish=False))
    assert solution.status is Status.STALLED
    assert solution.history["accepted"][-1] == 0.0


@pytest.mark.parametrize(
    "options, said",
    [
        ({"max_iterations": 0}, r"NeedleSteps\(max_iterations=0\)"),
        ({"max_iterations": 2.5}, "whole number"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"sufficient": 1.0}, "between 0 and 1"),
        ({"shrink": True}, "between 0 and 1"),
        ({"memory": -1}, "memory=-1"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(InvalidInput, match=said):
        NeedleSteps(**options)
