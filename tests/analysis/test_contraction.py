"""The contractive variant: the energy estimate holds to rounding, and what violates it is found out."""

from dataclasses import replace

import numpy as np
import pytest
from families import activations

import ocdl
from ocdl.analysis import Flow, KernelOperator, contractive_flow, energy_estimate

EULER = ocdl.ExplicitEuler(1).tableau
FALLING = ocdl.CustomActivation(lambda s: -np.tanh(s))
increasing = pytest.mark.parametrize("sigma", [s for s in activations() if s.increasing], ids=repr)


def drawn(sigma, seed, width=None):
    rng = np.random.default_rng(seed)
    nodes = (width or ocdl.GaussLegendre(5)).on((0.0, 1.0))
    B = KernelOperator(3.0 * rng.standard_normal((nodes.size, nodes.size)), nodes)
    return contractive_flow(sigma, rng.standard_normal(nodes.size), B, 1.0), rng.standard_normal((4, nodes.size))


def in_steps(flow, count, h):
    """The same layer, count explicit steps of width h."""
    layers = type(flow.layers)(*(None if part is None else np.repeat(part, count, axis=0) for part in flow.layers))
    return replace(flow, layers=layers, times=h * np.arange(count + 1), scheme=EULER)


@increasing
@pytest.mark.parametrize("seed", range(3))
def test_no_distance_grows_along_the_flow(sigma, seed):
    flow, f = drawn(sigma, seed)
    found = energy_estimate(flow.evolve(f, tolerance=1e-10))
    assert found.finding.applies, str(found.finding)
    assert found.residual <= 1.0 and found.dissipation.min() >= 0.0 and found.growth <= 1e-9
    slope = np.gradient(0.5 * found.distance**2, found.t, axis=0, edge_order=2)
    assert np.abs(slope + found.dissipation).max() < 0.05 * found.dissipation.max()


def test_a_decreasing_activation_expands():
    flow, f = drawn(FALLING, 0)
    found = energy_estimate(flow.evolve(f))
    assert [h.statement for h in found.finding.failing] == [
        "σ is non-decreasing, as declared",
        "σ' ≥ 0: the least slope met",
    ]
    assert found.residual <= 1.0 and found.growth > 0.0 and np.all(found.distance[-1] > found.distance[0])


def test_the_wrong_sign_expands():
    flow, f = drawn(ocdl.Tanh(), 0)
    wrong = replace(flow, layers=flow.layers._replace(V=-flow.layers.V))
    found = energy_estimate(wrong.evolve(f))
    assert not found.finding.applies and "B*σ(a − Bf)" in found.finding.says
    assert found.residual > 1e6 and np.all(found.distance[-1] > found.distance[0])


def test_selection_dynamics_are_not_contractive():
    flow, f = drawn(ocdl.Tanh(), 1)
    found = energy_estimate(replace(flow, layers=flow.layers._replace(V=None)).evolve(f))
    assert not found.finding.applies and found.residual > 1.0


@increasing
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_steps_up_to_the_bound_do_not_expand(sigma, share):
    flow, f = drawn(sigma, 2)
    norm = KernelOperator(-flow.layers.W[0] / flow.weights, flow.nodes).spectral_norm
    known = np.isfinite(sigma.lipschitz)
    found = energy_estimate(in_steps(flow, 20, share * 2.0 / (norm**2 * (sigma.lipschitz if known else 1.0))).evolve(f))
    assert found.finding.applies == known, str(found.finding)
    assert found.growth <= 1e-12


def test_the_bound_of_the_step_is_sharp():
    """σ = 1 and f along the largest singular vector: |f₁ − f₂| is multiplied by |1 − h‖B‖²|."""
    flow, _ = drawn(ocdl.Identity(), 3)
    system = KernelOperator(-flow.layers.W[0] / flow.weights, flow.nodes).singular_system()
    h = 2.02 / system.mu[0] ** 2
    found = energy_estimate(in_steps(flow, 3, h).evolve(np.stack([system.psi[:, 0], 2.0 * system.psi[:, 0]])))
    assert [h.measured for h in found.finding.failing] == pytest.approx([-0.02], rel=1e-6)
    assert found.growth == pytest.approx(0.02, rel=1e-6)


def test_a_trained_contractive_network_contracts():
    data, _ = ocdl.squares(count=12, seed=0)
    problem = ocdl.network(
        ocdl.Contractive(width=3), data.inputs, data.labels, channels=3, regulariser=ocdl.Tikhonov(1e-3)
    )
    grid = ocdl.ExplicitEuler(4)
    start, method = {"B": np.random.default_rng(0).standard_normal((4, 3, 3))}, ocdl.Train(max_iterations=20)
    trained = ocdl.solve(problem, grid, method, start=start, certificate="first order", on_failure="return")
    found = energy_estimate(Flow.of(problem, grid, trained).evolve_samples(trained))
    assert found.finding.applies and found.residual <= 1.0 and found.growth <= 1e-11


@pytest.mark.parametrize("f", [np.ones(5), np.ones((2, 5))])
def test_pairs_are_of_different_samples(f):
    flow, _ = drawn(ocdl.Tanh(), 0)
    with pytest.raises(ocdl.InvalidInput, match="at least two samples"):
        energy_estimate(flow.evolve(f))
