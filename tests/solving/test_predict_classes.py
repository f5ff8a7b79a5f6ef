"""Prediction of trained networks: links of one and of many outputs, and the share that is right."""

import numpy as np
import pytest
from families import selection

import ocdl

GRID = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.ExplicitEuler(4))


def trained(**changes):
    bounds, initial = ocdl.Box(a=(-1, 1), b=(-1, 1)), np.random.default_rng(0).standard_normal((6, 3))
    problem = selection(initial=initial, bounds=bounds, **changes)
    return problem, ocdl.solve(problem, GRID, ocdl.LBFGSB(max_iterations=3))


def test_softmax_predicts_probabilities_of_classes():
    classes = np.array([0, 1, 2, 0, 1, 2])
    problem, solution = trained(
        readout=ocdl.Readout(link=ocdl.Softmax(), outputs=3, weight=(-1, 1), bias=(-1, 1)),
        target=classes,
        loss=ocdl.SoftmaxCrossEntropy(),
        weights=ocdl.class_weights(classes),
    )
    prediction = ocdl.predict(problem, GRID, solution)
    assert prediction.dims == ("sample", "output") and prediction.shape == (6, 3)
    np.testing.assert_allclose(prediction.sum("output"), 1.0)
    loss = -np.mean(np.log(prediction.to_numpy()[np.arange(6), classes]))
    assert solution.cost == pytest.approx(loss, rel=1e-10)
    new = ocdl.predict(problem, GRID, solution, np.zeros((2, 3)))
    assert new.shape == (2, 3)


def test_independent_outputs_are_predicted_one_by_one():
    problem, solution = trained(
        readout=ocdl.Readout(outputs=2, weight=(-1, 1), bias=(-1, 1)),
        target=np.eye(2)[[0, 1, 0, 1, 0, 1]],
        loss=ocdl.CrossEntropy(),
    )
    prediction = ocdl.predict(problem, GRID, solution, np.zeros((4, 3)))
    assert prediction.shape == (4, 2) and np.all((prediction > 0) & (prediction < 1))


def test_accuracy_is_the_share_that_is_right():
    assert ocdl.accuracy(np.array([[0.2], [0.7], [0.6]]), [0, 1, 0]) == pytest.approx(2 / 3)
    shares = np.array([[0.4, 0.3, 0.3], [0.1, 0.2, 0.7]])
    assert ocdl.accuracy(shares, [0, 1]) == 0.5
    assert ocdl.accuracy(shares, [0, 2]) == 1.0
    assert ocdl.accuracy(shares, np.eye(3)[[0, 2]]) == pytest.approx(5 / 6)  # of six questions, at one half
    with pytest.raises(ocdl.InvalidInput, match="6 predictions need as many labels; got 3"):
        ocdl.accuracy(shares, [0, 1, 2])
