"""The cost as a function of controls and parameters alone."""

import numpy as np
import pytest
from pmp_problems import network

import ocdl
from ocdl.sweeps.fused import passes
from ocdl.sweeps.reduced import ReducedCost


@pytest.fixture(scope="module")
def cost():
    return ReducedCost(network().discretise(ocdl.Midpoint(4)), ocdl.ImprovedEuler(4))


@pytest.fixture
def w(cost):
    return 0.3 * np.random.default_rng(0).standard_normal(cost.size)


def test_the_gradient_is_that_of_the_value(cost, w):
    value, gradient = cost.value_and_gradient(w)
    assert value == pytest.approx(cost.value(w), rel=1e-14)
    for direction in np.random.default_rng(1).standard_normal((3, w.size)):
        ends = [cost.value(w + e * direction) for e in (1e-5, -1e-5)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(gradient @ direction, rel=1e-7)


def test_batches_that_share_out_the_samples_have_the_mean_of_their_gradients(cost, w):
    rows = np.arange(6).reshape(2, 3)
    parts = [cost.on_samples(part).value_and_gradient(w) for part in rows]
    whole = cost.value_and_gradient(w)
    weights = [cost.problem.weights[part].sum() for part in rows]
    for i in range(2):
        np.testing.assert_allclose(sum(a * part[i] for a, part in zip(weights, parts, strict=True)), whole[i], 1e-12)


def test_its_vectors_are_controls_and_parameters(cost, w):
    u, p = cost.split(w)
    np.testing.assert_array_equal(cost.join(u, p), w)
    low, high = cost.split(np.array(cost.bounds[0])), cost.split(np.array(cost.bounds[1]))
    assert np.all(low[0] == cost.problem.control_box[0]) and np.all(high[1] == cost.problem.parameter_box[1])
    in_u = cost.sweeper.h[:, None] * cost.problem.control_metric
    np.testing.assert_allclose(cost.split(cost.metric)[0], in_u)


@pytest.mark.parametrize("block", [2, 6])
def test_residuals_and_their_jacobian_whatever_the_blocks(cost, w, block, monkeypatch):
    monkeypatch.setattr(passes, "block_size", lambda stages, n, k: block)
    rho, jacobian = cost.rows(w)
    np.testing.assert_array_equal(cost.residuals(w), rho)
    for direction in np.random.default_rng(1).standard_normal((3, w.size)):
        ends = [cost.residuals(w + e * direction) for e in (1e-5, -1e-5)]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, jacobian @ direction, atol=1e-9)


@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()], ids=repr)
def test_the_metric_integrates_whatever_the_controls_do_in_a_layer(shape):
    depth = ocdl.Radau([0.5, 0.2, 0.3], 2, controls=shape)
    cost = ReducedCost(network().discretise(ocdl.Midpoint(4)), depth)
    in_u, in_p = cost.split(cost.metric)
    np.testing.assert_allclose(in_u.sum(axis=0), cost.problem.control_metric, rtol=1e-13)  # ∫ 1 dt = 1
    np.testing.assert_array_equal(in_p, cost.problem.parameter_metric)
