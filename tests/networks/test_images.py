"""Convolutions, pooling and chains on images, against SciPy and loops."""

import numpy as np
import pytest
from scipy.signal import correlate2d

import ocdl

RNG = np.random.default_rng(11)
IMAGE, SAMPLES = (4, 6), 4
LABELS = np.array([0, 1, 1, 0])


def slid(images, stencils, biases):
    """Σ_c w_dc ⋆ x_c + β_d of images (C, H, W) and stencils (D, C, k, k)."""
    return np.array(
        [
            sum(correlate2d(x, w, mode="same") for x, w in zip(images, row, strict=True)) + bias
            for row, bias in zip(stencils, biases, strict=True)
        ]
    )


def test_a_convolutional_layer_of_two_channels_is_scipys_correlation():
    architecture = ocdl.Convolutional(image=IMAGE, size=3)
    problem = ocdl.network(architecture, RNG.standard_normal((SAMPLES, 24)), LABELS, channels=48)
    x, u = RNG.standard_normal(48), RNG.standard_normal(problem.m)
    named = problem.layout.unpack(problem.layout.controls, u)
    expected = np.tanh(slid(x.reshape(2, *IMAGE), named["K"], named["beta"])).ravel()
    found = problem.rate(0.0, x, u, np.zeros(problem.P), 0.0).full().ravel()
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_the_readout_behind_pooling_sees_the_means_of_cells():
    architecture = ocdl.Convolutional(image=IMAGE, pool=2)
    readout = ocdl.Readout(ocdl.IdentityLink())
    problem = ocdl.network(architecture, RNG.standard_normal((SAMPLES, 24)), LABELS, readout=readout)
    x, p = RNG.standard_normal(24), RNG.standard_normal(problem.P)
    means = x.reshape(2, 2, 3, 2).mean(axis=(1, 3)).ravel()
    assert means.size == problem.P - 1
    loss = float(problem.terminal_function(x, p, [0.0])[0])
    assert loss == pytest.approx(0.5 * (p[:-1] @ means + p[-1]) ** 2, rel=1e-12)


def test_a_projection_takes_the_largest_value_of_each_cell():
    chain = ocdl.Chain((ocdl.Projection(IMAGE, filters=2), ocdl.FullyConnected(3)), inputs=24)
    assert chain.widths == (24, 12, 3)
    problem = ocdl.network(chain, RNG.standard_normal((SAMPLES, 24)), LABELS)
    x, u = RNG.standard_normal(24), RNG.standard_normal(problem.m)
    first = chain.controls_of([u, u])[0]
    values = np.tanh(slid(x.reshape(1, *IMAGE), first["K"], first["beta"]))
    largest = values.reshape(2, 2, 2, 3, 2).max(axis=(2, 4)).ravel()
    found = problem.rate(0.0, x, u, np.zeros(problem.P), 0.0).full().ravel() + x
    np.testing.assert_allclose(found, np.pad(largest, (0, 12)), atol=1e-13)


def test_a_chain_has_as_many_layers_as_steps_and_forgets_what_it_does_not_use():
    chain = ocdl.Chain([ocdl.FullyConnected(5), ocdl.FullyConnected(2)], inputs=24)
    problem = ocdl.network(chain, RNG.standard_normal((SAMPLES, 24)), LABELS)
    depth = ocdl.ExplicitEuler(2)
    method = ocdl.LBFGSB(gap="gradient", max_iterations=1, round_iterations=3)
    solution = ocdl.solve(problem, depth, method, seed=0, on_failure="return")
    assert problem.span == 2.0
    np.testing.assert_array_equal(solution.state[-1, :, 2:], 0.0)
    first, second = chain.controls_of(solution["u"])
    x = np.tanh(np.tanh(problem.x0 @ first["K"].T + first["beta"]) @ second["K"].T + second["beta"])
    np.testing.assert_allclose(solution.state[-1, :, :2], x, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ocdl.Convolutional(image=(8,)), r"Convolutional\(image=\(8,\)\)"),
        (lambda: ocdl.Convolutional(size=2), r"Convolutional\(size=2\): a stencil has an odd"),
        (lambda: ocdl.Convolutional(image=IMAGE, pool=4), r"Convolutional\(pool=4\): cells of pool × pool"),
        (lambda: ocdl.Projection(IMAGE, filters=0), r"Projection\(filters=0\)"),
        (lambda: ocdl.FullyConnected(0), r"FullyConnected\(size=0\)"),
        (lambda: ocdl.FullyConnected(2, "relu"), r"FullyConnected\(activation='relu'\)"),
        (lambda: ocdl.Skip(ocdl.Plain()), r"Skip\(Plain"),
        (lambda: ocdl.Skip(ocdl.Residual(), step=-1.0), r"Skip\(step=-1.0\)"),
        (lambda: ocdl.Chain((), inputs=3), r"Chain\(steps=\(\)\)"),
        (lambda: ocdl.Chain((ocdl.FullyConnected(2),), inputs=0), r"Chain\(inputs=0\)"),
        (lambda: ocdl.Chain((ocdl.Projection(IMAGE, 2),), inputs=25), "channels of 24 pixels do not make up 25 states"),
    ],
)
def test_sizes_that_do_not_fit_are_said(make, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        make()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": 30}, "this Chain has 24 inputs"),
        ({"horizon": 3}, "this Chain has 2 layers"),
        ({"tied": True}, "tied=True: the layers of a Chain differ"),
    ],
)
def test_a_chain_says_what_it_cannot_be(changes, said):
    chain = ocdl.Chain((ocdl.FullyConnected(5), ocdl.FullyConnected(2)), inputs=24)
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.network(chain, RNG.standard_normal((SAMPLES, 24)), LABELS, **changes)
