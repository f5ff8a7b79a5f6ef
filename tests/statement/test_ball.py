"""Balls of changes: projection, dual norm and steepest change, by their defining properties."""

import numpy as np
import pytest

import ocdl

BALLS = [ocdl.Ball(0.7, norm, inputs) for norm in (2, np.inf) for inputs in (None, 2)]
ROWS = np.random.default_rng(3).standard_normal((50, 3))


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_the_steepest_change_attains_the_dual_norm(ball):
    steepest = ball.steepest(ROWS)
    np.testing.assert_allclose(np.sum(ROWS * steepest, axis=1), ball.radius * ball.dual(ROWS), rtol=1e-13)
    np.testing.assert_allclose(ball.size(steepest), ball.radius, rtol=1e-13)
    inside = ball.projected(np.random.default_rng(4).standard_normal(ROWS.shape))
    assert np.all(np.sum(ROWS * inside, axis=1) <= ball.radius * ball.dual(ROWS) + 1e-13)


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_the_projection_is_the_nearest_point(ball):
    nearest = ball.projected(ROWS)
    assert np.all(ball.size(nearest) <= ball.radius * (1 + 1e-14))
    others = ball.projected(np.random.default_rng(5).standard_normal(ROWS.shape))
    assert np.all(np.sum((ROWS - nearest) * (others - nearest), axis=1) <= 1e-13)  # obtuse, as the ball is convex
    np.testing.assert_allclose(ball.projected(nearest), nearest, rtol=1e-14, atol=0.0)
    assert np.all(nearest[:, ball.moved(3) :] == 0.0)


def test_no_gradient_and_no_radius_move_nothing():
    assert np.all(ocdl.Ball(0.5).steepest(np.zeros((2, 3))) == 0.0)
    assert np.all(ocdl.Ball(0.0).projected(ROWS) == 0.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"radius": -0.1}, r"Ball\(radius=-0.1\)"),
        ({"radius": np.nan}, r"Ball\(radius=nan\)"),
        ({"radius": 0.1, "norm": 1}, r"Ball\(norm=1\): 2 or numpy.inf"),
        ({"radius": 0.1, "inputs": 0}, r"Ball\(inputs=0\)"),
    ],
)
def test_bad_balls_are_named(given, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.Ball(**given)
