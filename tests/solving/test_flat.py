"""Degenerate cases are named: a target that is reached, and flat regions of the activation."""

import casadi as ca
import numpy as np
import pytest
from families import selection as one_sample

import ocdl
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
from ocdl.referee.outcome import Status

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


DIRECT = [ocdl.Ipopt(space="full"), ocdl.Ipopt(space="reduced"), ocdl.InteriorPoint()]


def selection(initial, target, **changes):
    return one_sample(initial=initial, target=target, **changes)


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


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("method", [ProjectedGradient(), *DIRECT], ids=lambda m: m.name)
def test_every_route_says_flat_at_a_dead_point(method, samples):
    solution = ocdl.solve(relu(samples), GRID, method, start=DEAD)
    assert solution.status is Status.FLAT
    assert "20 needle(s)" in solution.detail


@pytest.mark.parametrize("method", [LBFGSB(), *DIRECT], ids=lambda m: m.name)
def test_a_stationary_start_of_a_contractive_net_is_flat(method):
    """ẋ = Bᵀ tanh(a − B x) at a = 0, B = 0: J is stationary in all controls, whatever the target."""

    def dynamics(x, u):
        B = ca.reshape(u[2:], 2, 2)
        return B.T @ ca.tanh(u[:2] - B @ x)

    net = ocdl.ControlProblem(
        dynamics=dynamics,
        initial=[0.3, 0.8],
        horizon=1.0,
        controls=6,
        terminal=lambda x: 0.5 * ca.sumsqr(x - ca.DM([1.0, -1.0])),
        bounds=ocdl.Box(u=(-2, 2)),
    )
    solution = ocdl.solve(net, ocdl.ExplicitEuler(5), method)
    assert solution.status is Status.FLAT
    assert solution.gap > 0.1


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
