"""Theorem 3.2: where its hypotheses hold functionals fall and bounds hold, and where one fails they do not."""

from dataclasses import replace

import numpy as np
import pytest
from families import activations, name_of

import ocdl
from ocdl.analysis import Flow, KernelOperator, lyapunov

NODES = ocdl.GaussLegendre(6).on((0.0, 2.0))
SEEDS = range(2)


def operator(rng, rank=6, skew=1.0):
    """B_s ≥ 0 of a rank, and a part that is skew."""
    root, turned = rng.standard_normal((6, rank)), rng.standard_normal((6, 6))
    return KernelOperator(0.3 * root @ root.T + 0.5 * skew * (turned - turned.T), NODES)


def followed(activation, bias, B, initial, horizon=4.0):
    return lyapunov(Flow.selection(activation, bias, B, horizon).evolve(initial))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_the_potential_falls_by_its_identity_where_the_symmetric_part_is_non_negative(activation, seed):
    rng = np.random.default_rng(seed)
    found = followed(activation, rng.standard_normal(6), operator(rng, rank=3), rng.standard_normal((2, 6)))
    assert found.potential.finding.applies and found.potential.falls
    assert found.potential.residual.max() < 1e-9
    assert np.all(found.potential.values[-1] < found.potential.values[0])
    assert found.velocity.holds or not found.velocity.finding.applies
    assert found.velocity.finding.applies == (not isinstance(activation, ocdl.Sigmoid))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_of_symmetric_kernels_the_energy_falls_and_the_estimates_hold(activation, seed):
    rng = np.random.default_rng(seed)
    B = operator(rng, rank=4, skew=0.0)
    found = followed(activation, B(rng.standard_normal(6)), B, rng.standard_normal((2, 6)))
    assert found.energy.residual.max() < 1e-9
    if isinstance(activation, ocdl.Sigmoid):
        assert "sσ(s) ≥ 0" in found.size.finding.says and not found.size.finding.applies
        return
    for part in (found.energy, found.size, found.work):
        assert part.finding.applies, part.finding
    assert found.energy.falls and found.size.holds and found.work.holds
    assert np.all(np.diff(found.work.values, axis=0) >= -1e-12)


def test_a_kernel_that_is_not_non_negative_makes_the_potential_grow():
    rng = np.random.default_rng(0)
    B = KernelOperator(-operator(rng).kernel, NODES)
    found = followed(ocdl.Tanh(), 0.0, B, rng.standard_normal(6))
    assert [one.statement for one in found.potential.finding.failing] == ["B_s ≥ 0"]
    assert not found.potential.falls and found.potential.values[-1, 0] > 2.0 * found.potential.values[0, 0]
    assert found.potential.residual[0] < 1e-9  # the identity asks for nothing


def test_a_kernel_that_is_not_symmetric_makes_the_energy_grow():
    rng = np.random.default_rng(1)
    found = followed(ocdl.Tanh(), 0.0, operator(rng, rank=1, skew=4.0), rng.standard_normal((8, 6)))
    assert [one.statement for one in found.energy.finding.failing] == ["Bᵀ = B"]
    assert not found.energy.falls and found.potential.falls


def test_an_activation_of_the_wrong_sign_makes_the_energy_grow():
    B = KernelOperator.of(1.0, ocdl.Midpoint(3))
    found = followed(ocdl.Sigmoid(), 0.0, B, 1.0)
    assert [one.statement for one in found.energy.finding.failing] == ["sσ(s) ≥ 0"]
    assert not found.energy.falls


def test_an_activation_of_the_wrong_sign_spends_more_than_the_potential_had():
    found = followed(ocdl.Sigmoid(), 0.0, KernelOperator.of(1.0, ocdl.Midpoint(3)), 1.0)
    assert [one.statement for one in found.velocity.finding.failing] == ["sσ(s) ≥ 0"]
    assert not found.velocity.holds and found.potential.falls


def test_a_bias_outside_the_range_is_not_bounded():
    B = KernelOperator.of(1.0, ocdl.Midpoint(4))
    a = np.array([1.0, -1.0, 1.0, -1.0])
    found = followed(ocdl.Tanh(), a, B, 0.0, horizon=10.0)
    assert [one.statement for one in found.size.finding.failing] == ["a ∈ R(B^½)"]
    assert not found.size.holds and not found.work.holds
    assert found.energy.finding.applies and found.energy.falls


def test_the_rate_is_twice_the_least_eigenvalue():
    B = KernelOperator(np.diag([3.0, 1.0, 0.5]) * 3.0, ocdl.Midpoint(3).on((0.0, 1.0)))
    found = followed(ocdl.Tanh(), 0.0, B, np.ones(3), horizon=25.0)
    assert found.potential.rate[-1, 0] == pytest.approx(1.0, rel=1e-7)


def test_a_rise_beyond_rounding_is_seen():
    rng = np.random.default_rng(3)
    fallen = followed(ocdl.Tanh(), 0.0, operator(rng), rng.standard_normal(6)).potential
    values = fallen.values.copy()
    values[30] = values[29] + 1e-10
    assert fallen.falls and not replace(fallen, values=values).falls


def test_the_size_is_what_it_says():
    """‖B^{½}f‖ by the root of B itself, and K of B = 1, a = 1: (1 + α)(α + √(α² + 2E)), α = 1."""
    B = KernelOperator.of(1.0, ocdl.Midpoint(4))
    found = followed(ocdl.Tanh(), 1.0, B, 3.0)
    assert found.size.values[0, 0] == pytest.approx(3.0 + 3.0, rel=1e-14)
    assert found.size.bound[0] == pytest.approx(2.0 * (1.0 + np.sqrt(1.0 + 2.0 * 1.5)), rel=1e-13)
    assert found.work.bound[0] == pytest.approx(2.0, rel=1e-13)


def layered():
    flow = Flow.selection(ocdl.Tanh(), 0.0, KernelOperator.of(1.0, ocdl.Midpoint(2)), 1.0)
    parts = [np.concatenate([part, part]) for part in flow.layers[:2]]
    return replace(flow, layers=flow.layers._replace(W=parts[0], v=parts[1]), times=np.array([0.0, 1.0, 2.0]))


def test_layers_and_late_beginnings_are_told_off():
    with pytest.raises(ocdl.InvalidInput, match="one layer; got 2"):
        lyapunov(layered().evolve(0.5))
    flow = Flow.selection(ocdl.Tanh(), 0.0, KernelOperator.of(1.0, ocdl.Midpoint(2)), 1.0)
    with pytest.raises(ocdl.InvalidInput, match=r"begin at t = 0; its first depth is 0.5"):
        lyapunov(flow.evolve(0.5, times=[0.5, 1.0]))
