"""Flows are the equation of given kernels and of trained networks, and evolve as simulate and the networks do."""

import numpy as np
import pytest
from families import activations, name_of

import ocdl
from ocdl.analysis import Flow, KernelOperator
from ocdl.sweeps.fused.form import LayerArrays


def test_constant_velocities_are_exact():
    zero = KernelOperator.of(0.0, ocdl.Midpoint(4))
    evolution = Flow.selection(ocdl.Tanh(), 0.5, zero, 2.0).evolve(1.0)
    assert np.abs(evolution.x[:, 0] - (1.0 + np.tanh(0.5) * evolution.t)[:, None]).max() < 1e-13


def test_a_kernel_flows_as_the_problem_it_is_taken_from():
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=2.0, initial=lambda y: np.sin(3 * y), target=0.0, bounds=ocdl.Box()
    )
    width = ocdl.GaussLegendre(5)
    B = KernelOperator.of(lambda y, z: np.cos(y - 2 * z), width)
    flown = ocdl.simulate(problem, {"a": 0.3, "b": B.kernel}, grid=width, tolerance=1e-12)
    evolution = Flow.selection(ocdl.Tanh(), 0.3, B, 2.0).evolve(lambda y: np.sin(3 * y), times=[0.0, 1.0, 2.0])
    assert np.abs(evolution.x[-1] - flown.state.values[-1]).max() < 1e-11


def test_depths_are_told_of_whichever_layers_they_are_in():
    layers = LayerArrays(np.zeros((3, 1, 1)), np.array([[0.0], [0.5], [-0.5]]))
    flow = Flow(ocdl.Tanh(), layers, np.arange(4.0), np.ones(1))
    at = flow.evolve([0.0], times=[1.5, 2.0]).x[:, 0, 0]
    assert at == pytest.approx([0.5 * np.tanh(0.5), np.tanh(0.5)], abs=1e-13)


@pytest.mark.parametrize("architecture", [ocdl.Residual(ocdl.Tanh()), ocdl.Contractive(ocdl.Tanh())])
def test_a_trained_network_is_its_steps(architecture):
    data = np.random.default_rng(0).standard_normal((6, 2))
    problem = ocdl.network(architecture, data, (data[:, 0] > 0).astype(float), regulariser=ocdl.Tikhonov(1e-2))
    grid = ocdl.ExplicitEuler(layers=4)
    trained = ocdl.solve(problem, grid, ocdl.Train(max_iterations=20), certificate="first order", on_failure="return")
    flow = Flow.of(problem, grid, trained, steps=True)
    assert np.abs(flow.evolve_samples(trained).x - trained.state.values).max() < 1e-13


def test_layers_without_a_reported_depth_are_crossed():
    layers = LayerArrays(W=np.zeros((3, 2, 2)), v=np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]))
    flow = Flow(ocdl.Identity(), layers, np.arange(4.0), np.ones(2))
    assert np.abs(flow.evolve([0.0, 1.0], times=[0.5, 3.0]).x[:, 0] - [[0.05, 1.1], [0.9, 2.2]]).max() < 1e-13


@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_jacobians_are_those_of_the_layer(activation):
    rng = np.random.default_rng(1)
    B = KernelOperator(rng.standard_normal((4, 4)), ocdl.Midpoint(4).on((0, 1)))
    flow, f, d = Flow.selection(activation, rng.standard_normal(4), B, 1.0), rng.standard_normal(4), 1e-6 * np.eye(4)
    differences = (flow.layer(0)(f + d) - flow.layer(0)(f - d)).T / 2e-6
    assert np.abs(flow.layer(0).jacobian(f) - differences).max() < 1e-7


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda flow: flow.evolve(np.zeros(3)), "shape"),
        (lambda flow: flow.evolve(0.0, times=[0.0, 3.0]), "from 0 to 1"),
        (lambda flow: flow.evolve(0.0, tolerance=0), "tolerance=0"),
        (lambda flow: Flow.selection(np.tanh, 0.0, flow.kernel_operator(), 1.0), "ocdl.Tanh"),
        (lambda flow: Flow.selection(ocdl.Tanh(), 0.0, flow.kernel_operator(), -1.0), "horizon"),
    ],
)
def test_wrong_flows_are_told_off(wrong, said):
    flow = Flow.selection(ocdl.Tanh(), 0.0, KernelOperator.of(1.0, ocdl.Midpoint(2)), 1.0)
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong(flow)
