"""Growth never exceeds what the theory allows, over random kernels in layers; and attains it where it is sharp."""

from dataclasses import replace

import numpy as np
import pytest
from families import activations, name_of

import ocdl
from ocdl.analysis import (
    Flow,
    KernelOperator,
    bounded_growth,
    gronwall,
    growth_constants,
    linear_growth,
    separation,
    stability_constants,
)

NODES = ocdl.GaussLegendre(5).on((0.0, 1.5))


def flow(activation, kernels, biases, width=0.8):
    """Layers of these kernels and biases (N, ...), on nodes of their own."""
    one = Flow.selection(activation, biases[0], KernelOperator(kernels[0], NODES), 1.0)
    layers = one.layers._replace(W=-np.asarray(kernels) * NODES.weights, v=np.asarray(biases))
    return replace(one, layers=layers, times=width * np.arange(len(kernels) + 1.0))


def random(rng, N, scale=1.0):
    return scale * rng.standard_normal((N, 5, 5)), rng.standard_normal((N, 5))


@pytest.mark.parametrize("N", [1, 3])
@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_no_solution_grows_or_parts_faster_than_its_bound(activation, N):
    rng = np.random.default_rng(N)
    evolution = flow(activation, *random(rng, N)).evolve(rng.standard_normal((3, 5)))
    asked = [gronwall(evolution), bounded_growth(evolution), separation(evolution)]
    assert [one.finding.applies for one in asked] == [
        not isinstance(activation, ocdl.Sigmoid),
        bool(np.isfinite(activation.limits).all()),
        True,
    ]
    for growth in asked:
        assert growth.holds() or not growth.finding.applies, growth.finding
        assert growth.measured.shape == growth.bound.shape == (evolution.t.size, 3)


@pytest.mark.parametrize("N", [1, 3])
@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_growth_is_linear_where_symmetric_parts_are_non_negative(activation, N):
    rng = np.random.default_rng(N)
    kernels, biases = random(rng, N)
    kernels = kernels @ np.swapaxes(kernels, 1, 2) * 0.2 + 3.0 * (kernels - np.swapaxes(kernels, 1, 2))
    growth = linear_growth(flow(activation, kernels, biases, width=2.0).evolve(rng.standard_normal((2, 5))))
    assert growth.finding.applies == (not isinstance(activation, ocdl.Sigmoid))
    assert growth.holds() or not growth.finding.applies


def test_gronwalls_bound_is_sharp():
    """ReLU, a = 0, b = −1, f_I = 1: ∫|f| = eᵗ. On a longer Y it is |Y|e^{|Y|t}, above what is printed, without |Y|."""
    for length in (1.0, 2.0):
        B = KernelOperator.of(-1.0, ocdl.GaussLegendre(24), (0.0, length))
        growth = gronwall(Flow.selection(ocdl.ReLU(), 0.0, B, 3.0).evolve(1.0, tolerance=1e-14))
        assert np.abs(growth.measured[:, 0] / (length * np.exp(length * growth.t)) - 1.0).max() < 1e-12
        assert np.abs(growth.sharpness - 1.0).max() < 1e-12 and growth.finding.applies
    assert growth.measured[-1, 0] > 10.0 * length * np.exp(growth.t[-1])


def test_an_activation_that_does_not_vanish_at_zero_breaks_gronwalls_bound():
    growth = gronwall(Flow.selection(ocdl.Sigmoid(), 0.0, KernelOperator.of(1.0, ocdl.Midpoint(3)), 1.0).evolve(0.0))
    assert [one.statement for one in growth.finding.failing] == ["σ(0) = 0"]
    assert not growth.holds() and growth.bound.max() == 0.0


def test_relu_of_a_kernel_that_is_not_non_negative_grows_exponentially():
    B = KernelOperator.of(-1.0, ocdl.GaussLegendre(8))
    growth = linear_growth(Flow.selection(ocdl.ReLU(), 0.0, B, 6.0).evolve(1.0))
    assert [one.statement for one in growth.finding.failing] == ["B_s ≥ 0"]
    assert not growth.holds() and growth.sharpness[-1, 0] > 50.0


def test_linear_growth_is_attained():
    """B = 0, a = 1: f = f_I + t; the constant is ‖u⁺‖ = 1."""
    evolution = Flow.selection(ocdl.ReLU(), 1.0, KernelOperator.of(0.0, ocdl.Midpoint(3)), 5.0).evolve(2.0)
    assert growth_constants(evolution) == pytest.approx(np.ones((1, 1)), rel=1e-14)
    assert np.abs(linear_growth(evolution).sharpness - 1.0).max() < 1e-13


def test_bounded_activations_attain_their_bound_far_out():
    evolution = Flow.selection(ocdl.Tanh(), 50.0, KernelOperator.of(0.0, ocdl.Midpoint(3)), 5.0).evolve(2.0)
    assert np.abs(bounded_growth(evolution).sharpness - 1.0).max() < 1e-13
    unbounded = Flow.selection(ocdl.ReLU(), 50.0, KernelOperator.of(0.0, ocdl.Midpoint(3)), 5.0).evolve(2.0)
    assert not bounded_growth(unbounded).finding.applies and np.isinf(bounded_growth(unbounded).bound[-1, 0])


def test_solutions_part_as_fast_as_they_may():
    """σ(s) = s, B = −2 on (0, 1): L = 2, and constants part like e^{2t}."""
    equation = Flow.selection(ocdl.Identity(), 0.3, KernelOperator.of(-2.0, ocdl.Midpoint(3)), 2.0)
    assert stability_constants(equation) == pytest.approx([2.0], rel=1e-14)
    assert np.abs(separation(equation.evolve([[1.0] * 3, [1.5] * 3])).sharpness - 1.0).max() < 1e-10
    with pytest.raises(ocdl.InvalidInput, match="two samples or more"):
        separation(equation.evolve(1.0))


def test_an_activation_without_lipschitz_constant_is_said_to_have_none():
    cube = ocdl.CustomActivation(lambda s: s**3, increasing=True)
    B = KernelOperator.of(1.0, ocdl.Midpoint(2))
    evolution = Flow.selection(cube, 0.0, B, 0.1).evolve([[1.0, 1.0], [2.0, 2.0]])
    for growth in (gronwall(evolution), linear_growth(evolution), separation(evolution)):
        assert [one.statement for one in growth.finding.failing] == ["σ is globally Lipschitz"]


def test_networks_of_steps_are_no_equations():
    equation = Flow.selection(ocdl.Tanh(), 0.0, KernelOperator.of(1.0, ocdl.Midpoint(2)), 1.0)
    steps = replace(equation, scheme=ocdl.ExplicitEuler(1).tableau)
    for bound in (gronwall, linear_growth, bounded_growth):
        with pytest.raises(ocdl.NotSupported, match="steps of a scheme"):
            bound(steps.evolve(1.0))
