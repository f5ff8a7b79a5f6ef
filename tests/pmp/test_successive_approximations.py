"""The method of successive approximations as printed: it may converge, cycle, or find nothing to say."""

import numpy as np
import pytest
from pmp_problems import HIGHEST, eight_neurons, linear_quadratic, selection, start

import ocdl
from ocdl.errors import InvalidInput
from ocdl.pmp import NeedleSteps, SuccessiveApproximations
from ocdl.pmp.iterate import Ground
from ocdl.pmp.updates.needles import syntheses
from ocdl.referee.outcome import Status
from ocdl.solving.method import Start

ONE = ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.Radau(layers=50, degree=3))


def test_a_far_target_is_solved_by_one_synthesis():
    solution = ocdl.solve(selection(0.5, 3.0), ONE, SuccessiveApproximations())
    assert solution.status is Status.CONVERGED
    assert solution.cost == pytest.approx(0.5 * (3.0 - HIGHEST) ** 2, abs=1e-10)
    assert solution.history["cost"].size == 2


def test_a_reachable_target_makes_it_cycle_and_the_best_iterate_is_returned():
    solution = ocdl.solve(selection(0.5, 0.7), ONE, SuccessiveApproximations())
    assert solution.status is Status.CYCLE
    assert "length 2" in solution.detail
    assert solution.cost == pytest.approx(float(solution.history["cost"].min()), rel=1e-14)


def test_the_cycle_it_reports_is_one():
    problem, depth = eight_neurons().discretise(ocdl.Midpoint(8)), ocdl.ExplicitEuler(50)
    outcome = SuccessiveApproximations().solve(problem, depth, start(problem, depth), progress=False)
    assert outcome.status is Status.CYCLE
    length, entry = (int(word.strip(".,")) for word in outcome.detail.split() if word.strip(".,").isdigit())
    cost = outcome.history["cost"]
    assert cost[entry + length] == cost[entry]
    assert len(set(cost[entry : entry + length])) == length


def test_a_vanishing_costate_is_named():
    problem, depth = selection(0.5, 0.5 + np.tanh(0.0)).discretise(ocdl.Midpoint(1)), ocdl.ExplicitEuler(10)
    begin = Start(np.zeros((10, 2)), np.zeros(0))
    outcome = SuccessiveApproximations().solve(problem, depth, begin, progress=False)
    assert outcome.status is Status.REACHABLE
    np.testing.assert_array_equal(outcome.u, begin.u)


def test_where_r_is_zero_the_controls_stay():
    problem = selection(np.array([0.5, 0.2]), np.array([0.5, 2.0])).discretise(ocdl.Midpoint(2))
    u = np.zeros((10, problem.m))
    proposal = syntheses(Ground(problem, ocdl.ExplicitEuler(10)).at(u, np.zeros(0)))
    first = proposal.group == 0
    np.testing.assert_array_equal(proposal.best[:, first], u[:, first])  # neuron 0 stays at its target: r = 0
    assert np.all(np.abs(proposal.best[:, ~first]) == 1.0)


@pytest.mark.parametrize("scheme", [ocdl.ExplicitEuler(40), ocdl.ImplicitMidpoint(40)])
def test_one_step_is_the_synthesis_of_the_velocity_box(scheme):
    problem = eight_neurons().discretise(ocdl.Midpoint(4))
    iterate = Ground(problem, scheme).at(start(problem, scheme).u, np.zeros(0))
    f, r = iterate.trajectory.stages[:, 0, 0], -iterate.adjoint.stages[:, 0, 0]
    controls = problem.unpack(syntheses(iterate).best)
    np.testing.assert_array_equal(controls["a"], np.where(r > 0, 1.0, -1.0))
    np.testing.assert_array_equal(controls["b"], -np.sign(r)[:, :, None] * np.sign(f)[:, None, :])


def test_at_a_fixed_point_needles_and_successive_approximations_agree():
    far = selection(lambda y: 0.2 + 0.1 * y, lambda y: 3.0 + y)
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.Kutta4(20))
    costs = [ocdl.solve(far, grid, method).cost for method in (SuccessiveApproximations(), NeedleSteps())]
    assert costs[0] == pytest.approx(costs[1], rel=1e-14)


def test_the_iteration_limit_is_named():
    grid = ocdl.Grid(width=ocdl.Midpoint(8), depth=ocdl.ExplicitEuler(50))
    method = SuccessiveApproximations(max_iterations=1)
    assert ocdl.solve(eight_neurons(), grid, method, on_failure="return").status is Status.ITERATION_LIMIT


def test_a_general_problem_converges_where_the_sweeps_contract():
    solution = ocdl.solve(linear_quadratic(), ocdl.Radau(layers=20, degree=3), SuccessiveApproximations())
    assert solution.status is Status.CONVERGED
    assert solution.cost == pytest.approx(0.5 * np.tanh(1.0), abs=1e-4)


@pytest.mark.parametrize("options", [{"max_iterations": 0}, {"max_iterations": "ten"}, {"tolerance": -1.0}])
def test_options_are_checked(options):
    with pytest.raises(InvalidInput, match=r"SuccessiveApproximations\("):
        SuccessiveApproximations(**options)
