"""The rollout of a value function leads local methods to the branch that they miss from a start of their own."""

import numpy as np
import pytest
from hjb_exact import selection

import ocdl

DEPTH = ocdl.Radau(layers=50, degree=3)
BEST, WORSE = 0.18427608, 0.1856  # of the start (0.02, -0.5): benchmarks/hjb/two_neurons.py


@pytest.fixture(scope="module")
def problem():
    return selection((0.02, -0.5), (0.0, 1.2))


@pytest.fixture(scope="module")
def feedback(problem):
    return ocdl.solve(problem, DEPTH, ocdl.ValueIteration())


def test_value_and_rollout_are_close_to_the_best_known_cost(feedback):
    assert abs(feedback.claim["cost"] - BEST) < 5e-4
    assert -1e-8 < feedback.cost - BEST < 5e-5


@pytest.mark.parametrize(("method", "above"), [(ocdl.Ipopt(), 1e-6), (ocdl.NeedleSteps(), 1e-4)], ids=["nlp", "pmp"])
def test_warm_starts_reach_the_right_branch_and_their_costates_are_the_gradient_of_v(problem, feedback, method, above):
    alone = ocdl.solve(problem, DEPTH, method, start={"a": -0.5, "b": 0.5}, on_failure="return")
    warm = ocdl.solve(problem, DEPTH, method, start=feedback, on_failure="return")
    assert alone.cost == pytest.approx(WORSE, abs=2e-4)
    assert -1e-8 < warm.cost - BEST < above
    gradient = feedback.claim["costate"].values
    assert np.abs(warm.costate.values - gradient).max() < 1e-2 * np.abs(gradient).max()
