"""The data sets of the papers: shares of labels, ranges, independent test draws."""

import numpy as np
import pytest

import ocdl

SETS = {"donut1d": 500, "donut2d": 1000, "squares": 1000, "spiral": 1000}
planar = pytest.mark.parametrize("name", SETS)


def nearest(train, test):
    """Share of test points whose nearest training point has their label."""
    distances = np.linalg.norm(test.inputs[:, None] - train.inputs[None], axis=2)
    return np.mean(train.labels[distances.argmin(axis=1)] == test.labels)


@planar
def test_sizes_labels_and_an_independent_test_draw_of_the_same_law(name):
    train, test = getattr(ocdl, name)()
    for samples in (train, test):
        assert samples.inputs.shape == (SETS[name], 2) and set(samples.labels) == {0.0, 1.0}
    assert not np.any(np.isin(train.inputs[:, 0], test.inputs[:, 0]))
    share = {"donut1d": 1 / 3}.get(name, 0.5)
    assert np.mean(train.labels) == pytest.approx(share, abs=0.05 if name == "squares" else 1.5 / SETS[name])
    assert nearest(train, test) > {"donut1d": 0.9, "donut2d": 0.8, "squares": 0.8, "spiral": 0.95}[name]


@planar
def test_the_seed_draws(name):
    draw = getattr(ocdl, name)
    np.testing.assert_array_equal(draw(seed=4)[0].inputs, draw(seed=4)[0].inputs)
    assert not np.array_equal(draw(seed=4)[0].inputs, draw(seed=5)[0].inputs)
    assert len(draw(count=90)[1].labels) == 90


def test_donut1d_has_three_clusters_on_a_line():
    train, _ = ocdl.donut1d(count=6000)
    x, ones = train.inputs, train.labels == 1.0
    assert np.std(x[:, 1]) == pytest.approx(0.1, rel=0.05)
    assert np.std(x[ones, 0]) == pytest.approx(np.hypot(0.1, 0.1), rel=0.05)
    assert np.mean(np.abs(x[~ones, 0])) == pytest.approx(0.5, rel=0.02)


def test_donut2d_has_a_ring_around_a_disc():
    train, _ = ocdl.donut2d(count=6000)
    radius, ones = np.linalg.norm(train.inputs, axis=1), train.labels == 1.0
    r = np.linspace(0.0, 1.4, 2001)
    for label, m in ((1.0, 0.0), (0.0, 0.5)):
        density = r * np.exp(-((r - m) ** 2) / 0.02)
        square = np.sum(r**2 * density) / np.sum(density) + 2 * 0.1**2
        assert np.mean(radius[train.labels == label] ** 2) == pytest.approx(square, rel=0.05)
    assert abs(np.mean(train.inputs[~ones])) < 0.02


def test_squares_are_labelled_before_the_noise():
    train, _ = ocdl.squares(count=6000)
    wrong = np.mean((train.inputs[:, 0] * train.inputs[:, 1] > 0) != (train.labels == 1.0))
    side = 0.1 / np.sqrt(2 * np.pi) / 0.7  # share of one coordinate that the noise carries over its axis
    assert wrong == pytest.approx(2 * side * (1 - side), rel=0.15)
    assert np.var(train.inputs) == pytest.approx(0.7**2 / 3 + 0.1**2, rel=0.03)


def test_the_arms_of_the_spiral_are_turned_by_half_a_turn():
    train, _ = ocdl.spiral(count=2000)
    arms = [train.inputs[train.labels == label] for label in (0.0, 1.0)]
    assert np.std(arms[0] + arms[1]) == pytest.approx(0.05 * np.sqrt(2), rel=0.05)
    assert np.linalg.norm(arms[0][-1]) == pytest.approx(1.0, abs=0.2)


def test_the_sine_has_equal_components():
    train, test = ocdl.sine(count=400)
    assert train.inputs.shape == test.inputs.shape == (400, 5)
    np.testing.assert_array_equal(train.inputs, np.repeat(train.inputs[:, :1], 5, axis=1))
    np.testing.assert_array_equal(train.labels, np.sin(train.inputs[:, 2]))
    assert -np.pi <= train.inputs.min() < -3.0 and 3.0 < train.inputs.max() <= np.pi


@pytest.mark.parametrize(
    ("name", "options"), [("spiral", {"count": 2}), ("sine", {"copies": 0}), ("squares", {"seed": -1})]
)
def test_what_cannot_be_drawn_is_said(name, options):
    with pytest.raises(ocdl.InvalidInput, match=rf"{name}\({next(iter(options))}="):
        getattr(ocdl, name)(**options)
