"""Degenerate cases are named: a target that is reached, and flat regions of the activation."""

import numpy as np
import pytest
from pmp_problems import selection

import ocdl
from ocdl.method import Status
from ocdl.pmp import (
    LBFGSB,
    ConditionalGradient,
    ExtendedSuccessiveApproximations,
    GradientDescent,
    NeedleSteps,
    ProjectedGradient,
    ProjectedNewton,
    ProximalAlternatingMinimisation,
    SequentialQuadraticHamiltonian,
    StochasticGradient,
)

GRADIENT_METHODS = [
    GradientDescent(),
    GradientDescent(backtracking=False),
    ProjectedGradient(),
    ProximalAlternatingMinimisation(),
    ConditionalGradient(),
    LBFGSB(),
    SequentialQuadraticHamiltonian(),
    ExtendedSuccessiveApproximations(),
    ExtendedSuccessiveApproximations(minimiser="newton"),
    ProjectedNewton(),
    StochasticGradient(),
]
names = pytest.mark.parametrize("method", GRADIENT_METHODS, ids=lambda m: m.name)
DEAD = {"a": -1.0, "b": 0.0}
GRID = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.ExplicitEuler(10))


def relu(samples=1):
    initial, target = np.full((samples, 2), 0.5), np.full((samples, 2), 2.0)
    return selection(initial, target, activation=ocdl.ReLU())


@names
@pytest.mark.parametrize("samples", [1, 3])
def test_a_dead_relu_network_is_no_success(method, samples):
    """a = −1: every neuron is off, the gradient is exactly 0, and the cost stays that of the input."""
    solution = ocdl.solve(relu(samples), GRID, method, start=DEAD, on_failure="return")
    assert np.all(solution.gradient["a"] == 0.0) or solution.cost < 0.5 * 1.5**2 - 1e-3
    if solution.cost > 0.5 * 1.5**2 - 1e-3:
        assert solution.status in (Status.FLAT, Status.STALLED)


@pytest.mark.parametrize("samples", [1, 3])
def test_needles_need_no_gradient(samples):
    method = NeedleSteps(tolerance=1e-6)
    solution = ocdl.solve(relu(samples), GRID, method, start=DEAD, on_failure="return")
    assert solution.cost < 0.1 * 0.5 * 1.5**2


def test_projected_gradient_says_flat():
    solution = ocdl.solve(relu(), GRID, ProjectedGradient(), start=DEAD)
    assert solution.status is Status.FLAT
    assert "20 needle(s)" in solution.detail


def test_a_neuron_that_is_off_because_it_should_be_is_a_success():
    """The target lies below and ReLU only rises: off is optimal, although the gradient vanishes there too."""
    problem = selection(np.array([0.5]), np.array([-1.0]), activation=ocdl.ReLU())
    grid = ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.ExplicitEuler(10))
    solution = ocdl.solve(problem, grid, ProjectedGradient(), start=DEAD)
    assert solution.status is Status.CONVERGED
    assert solution.gap == 0.0


@names
def test_a_reached_target_is_named(method):
    problem = selection(np.array([0.5, 0.2]), np.array([0.5, 0.2]))
    solution = ocdl.solve(problem, GRID, method, start={"a": 0.0, "b": 0.0}, on_failure="return")
    assert solution.status is Status.REACHABLE
    assert solution.cost <= 1e-12
