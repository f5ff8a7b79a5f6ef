"""Covers of a box, the best points of one far apart, and falls without end."""

import numpy as np
import pytest

from ocdl.referee.global_search import best_apart, covers, falls_for_ever, rays, zoomed
from ocdl.referee.lattice import cover, lattice


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("most", [np.inf, 30])
def test_a_lattice_has_the_corners_the_centre_and_zero(m, most):
    low, high = np.full(m, -1.0), np.full(m, 0.7)
    points = lattice(low, high, most)
    for wanted in (low, high, np.zeros(m), 0.5 * (low + high), np.where(np.arange(m) == 0, low, high)):
        assert np.min(np.max(np.abs(points - wanted), axis=1)) == 0.0
    assert len(points) <= min((41, 13**2, 7**3)[m - 1], most) + 2
    assert np.all((points >= low) & (points <= high))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, np.inf), (-3.0, np.inf), (2.0, 2.0)])
@pytest.mark.parametrize("m", [2, 5])
def test_covers_stay_inside_and_boxes_that_are_equal_share_one(low, high, m):
    lows, highs = np.full((4, m), low), np.full((4, m), high)
    lows[3] -= 1.0
    points, of = covers(lows, highs, 50, random=50)
    assert points.shape[0] == 2 and np.all(np.isfinite(points)) and of[0] == of[1] == of[2] != of[3]
    assert np.all((points[of] >= lows[:, None]) & (points[of] <= highs[:, None]))
    np.testing.assert_array_equal(cover(lows[0], highs[0], 50, random=50), cover(lows[0], highs[0], 50, random=50))


def test_the_best_points_lie_in_different_wells():
    points = np.linspace(-1, 1, 41)[None, :, None]
    values = np.minimum((points[..., 0] + 0.5) ** 2, (points[..., 0] - 0.6) ** 2 + 0.01)
    low, high = np.full((1, 1), -1.0), np.full((1, 1), 1.0)
    first, *others = best_apart(values, points, low, high, 20)
    assert first[0, 0] == pytest.approx(-0.5) and min(abs(z[0, 0] - 0.6) for z in others) < 0.1


def test_patterns_find_a_minimum_without_derivatives():
    centre = np.array([[0.123, -0.456], [0.9, 0.2]])
    low, high = np.full((2, 2), -1.0), np.full((2, 2), 1.0)
    value, z = zoomed(
        lambda at: np.abs(at - centre[:, None]).sum(axis=2), centre + np.array([0.2, -0.3]), low, high, 64
    )
    np.testing.assert_allclose(z, centre, atol=1e-3)
    np.testing.assert_allclose(value, np.abs(z - centre).sum(axis=1), atol=1e-15)


@pytest.mark.parametrize(
    ("law", "endless"),
    [
        (lambda z: z, True),
        (lambda z: -np.log1p(z**2), True),
        (lambda z: -np.sqrt(np.abs(z)), True),
        (lambda z: np.exp(-z), False),
        (lambda z: -z / (1 + np.abs(z)), False),
        (lambda z: z**2 - 1e3 * z, False),
        (lambda z: 1e-9 * z, False),
        (lambda z: 0.0 * z, False),
    ],
)
def test_what_falls_without_end_is_told_from_what_levels_off(law, endless):
    low, high = np.array([[-np.inf]]), np.array([[np.inf]])
    z = np.array([[0.5]])
    found = falls_for_ever(lambda at: law(at[:, 0]), z, law(z[:, 0]), rays(low, high, []))
    assert bool(found[0]) is endless
    assert not rays(-np.ones((1, 1)), np.ones((1, 1)), [np.ones((1, 1))])  # a finite box has no way out
