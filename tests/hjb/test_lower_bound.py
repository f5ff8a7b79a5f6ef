"""The enclosure holds every simulated state; the lower bound is below every cost and exact where it can be."""

import numpy as np
import pytest
from hjb_exact import TWO_NEURON_STARTS, one_neuron_value, reachable_interval, selection

from ocdl.activations import Arctan, ReLU, Sigmoid, Tanh
from ocdl.depth import Kutta4
from ocdl.errors import NotSupported
from ocdl.hjb import ValueIteration, lower_bound, reachable_box
from ocdl.problem import ControlProblem
from ocdl.regularisers import Tikhonov
from ocdl.sweeps import Sweeper


@pytest.mark.parametrize("activation", [Tanh(), Arctan(), Sigmoid(), ReLU()], ids=str)
def test_one_neuron_enclosure_is_the_reachable_interval(activation):
    problem = selection(0.5, 1.0, activation=activation, a=(-0.5, 1.5), b=(-0.3, 0.8))
    low, high = reachable_box(problem.velocity_box, problem.x0[0], 1.0)
    exact_low, exact_high = reachable_interval(np.array([0.5]), activation, (-0.5, 1.5), (-0.3, 0.8))
    assert low[0] <= exact_low[0] + 1e-10 and low[0] == pytest.approx(exact_low[0], abs=1e-5)
    assert high[0] >= exact_high[0] - 1e-10 and high[0] == pytest.approx(exact_high[0], abs=1e-5)


@pytest.mark.parametrize("neurons", [2, 5])
def test_no_control_leaves_the_enclosure(neurons):
    rng = np.random.default_rng(neurons)
    depth = Kutta4(40)
    problem = selection(rng.uniform(-1, 1, neurons), 1.0, a=(-0.5, 1.5), b=(-2, 1))
    low, high = reachable_box(problem.velocity_box, problem.x0[0], 1.0)
    sweeper, (lower, upper) = Sweeper(problem, depth), problem.control_box
    reached = []
    for _ in range(200):
        corner = np.where(rng.random(problem.m) < 0.5, lower, upper)
        u = np.tile(corner, (40, 1))
        u[rng.integers(40) :] = rng.uniform(lower, upper)
        reached.append(sweeper.state(u, np.zeros(0)).x[-1, 0])
    assert np.all(reached >= low - 1e-9) and np.all(reached <= high + 1e-9)


@pytest.mark.parametrize("target", [0.4, 2.0, -1.0])
def test_the_bound_is_exact_for_one_neuron(target):
    exact = one_neuron_value(np.array([0.5]), target, np.tanh, (-1, 1), (-1, 1))[0]
    bound = lower_bound(selection(0.5, target))
    assert bound <= exact + 1e-12
    assert bound == pytest.approx(exact, abs=1e-6)


def test_the_bound_is_exact_when_one_control_is_best_for_all():
    """Positive states, targets above reach: a = a⁺, b = b⁻ throughout is optimal, and both neurons move alike."""
    exact = one_neuron_value(np.array([0.5]), 3.0, np.tanh, (-1, 1), (-1, 1))[0]
    assert lower_bound(selection((0.5, 0.5), 3.0)) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("start", TWO_NEURON_STARTS)
def test_the_bound_is_below_the_value(start):
    problem = selection(start, (0.0, 1.2))
    value = ValueIteration(nodes=61).value_function(problem)(start)
    assert 0.0 <= lower_bound(problem) <= value + 1e-6


def test_what_has_no_proven_bound_is_named():
    base = selection((0.1, 0.2), 1.0)
    odd = ControlProblem(
        dynamics=base.dynamics, lift=base.lift, initial=base.initial, horizon=1.0, controls=base.m, bounds=base.bounds,
        terminal=lambda x: x[0] * x[1], velocity_box=base.velocity_box,
    )  # fmt: skip
    with pytest.raises(NotSupported, match="separable"):
        lower_bound(odd)
    with pytest.raises(NotSupported, match="running cost"):
        lower_bound(selection((0.1, 0.2), 1.0, regulariser=Tikhonov(0.1)))
