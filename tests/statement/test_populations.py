"""Populations: quadratures are exact, draws and Sobol points have the right moments, and errors fall as they should."""

import numpy as np
import pytest
from families import concrete

import ocdl

COVARIANCE = np.array([[2.0, 0.6], [0.6, 0.5]])
FAMILY = [
    ocdl.Normal(0.3, 2.0),
    ocdl.Normal([1.0, -2.0], COVARIANCE),
    ocdl.Uniform([-1.0, 0.0], [2.0, 0.5]),
    ocdl.Mixture([ocdl.Normal(-1.0, 0.1), ocdl.Uniform(0.0, 3.0)], [1.0, 3.0]),
    ocdl.Empirical([[0.0, 1.0], [2.0, -1.0], [3.0, 0.0]], [1.0, 2.0, 1.0]),
]


def exact(population):
    """Mean (d,) and covariance (d, d) in closed form."""
    if isinstance(population, ocdl.Normal):
        return population.mean, population.covariance
    if isinstance(population, ocdl.Uniform):
        return 0.5 * (population.lower + population.upper), np.diag((population.upper - population.lower) ** 2 / 12)
    if isinstance(population, ocdl.Mixture):
        moments = [exact(part) for part in population.parts]
        mean = sum(w * m for w, (m, _) in zip(population.weights, moments, strict=True))
        second = sum(w * (C + np.outer(m, m)) for w, (m, C) in zip(population.weights, moments, strict=True))
        return mean, second - np.outer(mean, mean)
    mean = population.weights @ population.points
    return mean, (population.weights * (population.points - mean).T) @ (population.points - mean)


def moments(points):
    x, w = points
    mean = w @ x
    return mean, (w * (x - mean).T) @ (x - mean)


def test_the_family_is_whole():
    assert {type(member) for member in FAMILY} == set(concrete(ocdl.Population, "dimension"))


@pytest.mark.parametrize("population", FAMILY, ids=lambda member: type(member).__name__)
def test_points_have_the_moments_of_the_population(population):
    mean, covariance = exact(population)
    found = {"sample": population.sample(20_000, seed=1), "quasi": population.quasi(4096, seed=1)}
    if not isinstance(population, ocdl.Empirical):
        found["quadrature"] = population.quadrature(6)
    for name, points in found.items():
        assert points.weights.sum() == pytest.approx(1.0) and points.points.shape[1] == population.dimension
        slack = {"sample": 0.05, "quasi": 0.01, "quadrature": 1e-12}[name]
        for ours, theirs in zip(moments(points), (mean, covariance), strict=True):
            assert np.abs(ours - theirs).max() < slack


def test_quadratures_are_gauss():
    points = ocdl.Normal(1.0, 4.0).quadrature(4)
    assert points.weights @ points.points[:, 0] ** 7 == pytest.approx(1 + 21 * 4 + 35 * 3 * 16 + 7 * 15 * 64, rel=1e-12)


def test_sobol_points_beat_draws():
    population = ocdl.Normal(np.zeros(3), 1.0)
    value = np.exp(-0.3 / 2)

    def error(points):
        return abs(points.weights @ np.cos(points.points @ np.full(3, np.sqrt(0.1))) - value)

    drawn, sobol = (
        np.mean([error(getattr(population, name)(1024, seed=seed)) for seed in range(8)])
        for name in ("sample", "quasi")
    )
    assert sobol < 0.2 * drawn


def test_draws_are_reproducible():
    first, again, other = (FAMILY[3].sample(9, seed=seed).points for seed in (4, 4, 5))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: ocdl.Normal(0.0, -1.0), "negative"),
        (lambda: ocdl.Normal([0.0, 1.0, 2.0], COVARIANCE), r"\(d, d\)"),
        (lambda: ocdl.Uniform(1.0, 0.0), "lower < upper"),
        (lambda: ocdl.Mixture([]), "list of populations"),
        (lambda: ocdl.Mixture([ocdl.Normal(), ocdl.Normal([0.0, 1.0])]), "one dimension"),
        (lambda: ocdl.Empirical(np.zeros((0, 2))), "points"),
        (lambda: ocdl.Empirical([1.0, 2.0], [1.0, -1.0]), "positive"),
        (lambda: ocdl.Normal(np.zeros(12)).quadrature(40), "memory|GB"),
        (lambda: ocdl.Normal().sample(0, seed=0), "count=0"),
    ],
)
def test_wrong_populations_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()


def test_empirical_populations_have_no_gauss():
    with pytest.raises(ocdl.NotSupported, match="quadrature"):
        FAMILY[4].quadrature(3)
