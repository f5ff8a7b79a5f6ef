"""Projected Newton on all controls: few iterations to the extremal of needle steps, for any problem."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmp_problems import family, linear_quadratic, network, selection, start

import ocdl
from ocdl.pmp import NeedleSteps, ProjectedNewton
from ocdl.pmp.iterate import Ground
from ocdl.pmp.methods.projected_newton import ScaledChart
from ocdl.pmp.moves.quasi_newton import AllControls
from ocdl.referee.outcome import Status


@pytest.mark.parametrize("name", ["far", "mixed"])
def test_a_gap_of_1e_9_in_few_iterations(name):
    grid = ocdl.Grid(width=ocdl.Midpoint(6), depth=ocdl.ExplicitEuler(30))
    solution = ocdl.solve(family(name), grid, ProjectedNewton())
    assert solution.status is Status.CONVERGED
    assert solution.gap <= 1e-9
    assert solution.history["cost"].size <= 40
    assert solution.cost == pytest.approx(ocdl.solve(family(name), grid, NeedleSteps()).cost, abs=1e-9)


def test_a_quadratic_cost_takes_as_many_steps_as_its_truncated_equations():
    """The residual is cut to its own square root each time, from about 1: 1e-11 after five."""
    problem, depth = linear_quadratic(), ocdl.ExplicitEuler(10)
    outcome = ProjectedNewton(tolerance=1e-11).solve(problem, depth, start(problem, depth, 0), progress=False)
    cost = np.array(outcome.history["cost"])
    assert cost[0] - cost[-1] > 0.1
    assert cost.size <= 6
    assert outcome.status in (Status.CONVERGED, Status.ACCEPTABLE)


def test_its_direction_solves_newtons_equations():
    problem, depth = linear_quadratic(), ocdl.ExplicitEuler(6)
    begin = start(problem, depth, 0)
    iterate = Ground(problem, depth).at(begin.u, begin.p)
    space = ScaledChart(iterate, AllControls(iterate))
    hessian = np.array([space._product(v) for v in np.eye(6)])
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-6)
    found = space.newton_direction(6)
    enough = 0.5 * np.linalg.norm(space.gradient)  # the forcing term at the first iterate
    assert np.linalg.norm(hessian @ found + space.gradient) <= enough


@given(seed=st.integers(0, 99), samples=st.sampled_from([1, 3]))
@settings(max_examples=6)
def test_it_descends_inside_the_box(seed, samples):
    initial, target = np.random.default_rng(seed).normal(size=(2, samples, 3))
    problem, depth = selection(initial, 1.5 * target).discretise(ocdl.Midpoint(3)), ocdl.ExplicitEuler(8)
    outcome = ProjectedNewton(max_iterations=30).solve(problem, depth, start(problem, depth, seed), progress=False)
    cost, moved = np.array(outcome.history["cost"]), np.array(outcome.history["accepted"]) == 1.0
    assert np.all(np.diff(cost[moved]) < 0.0)
    low, high = problem.control_box
    assert np.all((outcome.u >= low) & (outcome.u <= high))


def test_it_trains_a_readout_too():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(8))
    solution = ocdl.solve(network(), grid, ProjectedNewton())
    assert solution.status is Status.CONVERGED
    assert max(float(np.abs(part).max()) for part in (solution.gradient["W"], solution.gradient["mu"])) < 1e-4
    assert np.any(solution.W.values != 0.0)
