"""Proven worst costs and classes of networks: never below what attacks and fine grids find, and close to it."""

from functools import cache

import numpy as np
import pytest

import ocdl
from ocdl.analysis import AdversarialCertificate, Robustness, keeps_class
from ocdl.xr import DataArray

DEPTH = ocdl.ExplicitEuler(4)


@cache
def trained():
    train, _ = ocdl.squares(count=30, seed=1)
    problem = ocdl.network(ocdl.Residual(), train.inputs, train.labels, regulariser=ocdl.Tikhonov(1e-3))
    draw = np.random.default_rng(0)
    start = {"K": draw.standard_normal((4, 2, 2)), "W": draw.standard_normal((1, 2))}
    method = ocdl.LBFGS(max_iterations=40)
    solution = ocdl.solve(
        problem, DEPTH, method, start=start, on_failure="return", certificate="first order", progress=False
    )
    return train, problem, solution


def looked(network, train, ball, count=41):
    """The worst of ½ (h(O) − c)² on a grid of each ball, (S,), and whether all of it is told rightly."""
    side = np.linspace(-ball.radius, ball.radius, count)
    grid = np.stack([part.ravel() for part in np.meshgrid(side, side)], axis=1)
    grid = grid[ball.size(grid) <= ball.radius]
    told = network((train.inputs[:, None] + grid).reshape(-1, 2)).reshape(len(train.inputs), -1)
    labels = np.asarray(train.labels, dtype=float).reshape(-1, 1)
    return (0.5 * (told - labels) ** 2).max(axis=1), np.all((told > 0.5) == (labels > 0.5), axis=1)


@pytest.mark.parametrize("norm", [2, np.inf])
def test_bounds_hold_and_are_close(norm):
    (train, problem, solution), ball = trained(), ocdl.Ball(0.1, norm)
    found = AdversarialCertificate.of(problem, DEPTH, solution, ball)
    network = ocdl.LayeredNetwork.of(problem, DEPTH, solution, inputs=2)
    seen, _ = looked(network, train, ball)
    assert np.all(found.bounds >= seen) and np.all(found.costs >= seen - 1e-4)
    assert found.nominal < found.attacked <= found.certified <= found.attacked + 2.1e-3
    assert np.all(ball.size(found.changes) <= ball.radius * (1 + 1e-12))
    assert found.nominal == pytest.approx(solution.cost, rel=1e-12) and found.lower == found.nominal


@pytest.mark.parametrize("norm", [2, np.inf])
def test_classes_that_are_proven_are_kept(norm):
    (train, problem, solution), ball = trained(), ocdl.Ball(0.08, norm)
    network = ocdl.LayeredNetwork.of(problem, DEPTH, solution, inputs=2)
    proven, (_, seen) = keeps_class(network, train.inputs, train.labels, ball), looked(network, train, ball)
    assert not np.any(proven & ~seen) and 0 < np.count_nonzero(proven) < len(seen)
    assert np.count_nonzero(seen & ~proven) <= 1
    if norm == 2:
        by_radius = Robustness.of(network, train.inputs, train.labels)
        assert np.all(proven >= (by_radius.right & (by_radius.certified >= ball.radius)))
        assert not np.any(proven & (by_radius.attacked < ball.radius))


def test_no_proof_is_said():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: u[0] * x**3, initial=[0.5], horizon=1.0, terminal=lambda x: x[0] ** 4
    )
    solution = ocdl.solve(problem, DEPTH, ocdl.LBFGS(max_iterations=0), on_failure="return")
    found = AdversarialCertificate.of(problem, DEPTH, solution, ocdl.Ball(0.1))
    assert found.certified == np.inf and found.gap == found.attacked - found.lower
    assert not found.findings[0].applies and "proven from above" in found.findings[0].says
    assert found.attacked == pytest.approx(0.6**4)


def test_scenarios_of_another_ball_are_refused():
    _, problem, _ = trained()
    options = {"method": ocdl.LBFGS(max_iterations=5), "adversary": ocdl.Ascent(2, 2), "rounds": 2}
    solution = ocdl.solve(
        problem, DEPTH, ocdl.AdversarialTraining(ocdl.Ball(0.1), **options), on_failure="return", progress=False
    )
    with pytest.raises(ocdl.InvalidInput, match=r"by up to 0.1, outside Ball\(radius=0.05"):
        AdversarialCertificate.of(problem, DEPTH, solution, ocdl.Ball(0.05))
    tree = solution.group("extras")
    assert isinstance(tree["weight"], DataArray)
    tree["weight"] = 2.0 * tree["weight"]
    with pytest.raises(ocdl.InvalidInput, match="have not the weights"):
        AdversarialCertificate.of(problem, DEPTH, solution, ocdl.Ball(0.1))


def test_bad_labels_are_named():
    train, problem, solution = trained()
    network = ocdl.LayeredNetwork.of(problem, DEPTH, solution, inputs=2)
    with pytest.raises(ocdl.InvalidInput, match="30 labels, 0 or 1"):
        keeps_class(network, train.inputs, 2.0 * np.asarray(train.labels), ocdl.Ball(0.1))
