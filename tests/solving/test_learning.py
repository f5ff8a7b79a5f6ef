"""Learning curves: what a method has reached after so many iterations, on training and on test samples."""

import numpy as np
import pytest

import ocdl

DEPTH = ocdl.ExplicitEuler(4)
TRAIN, TEST = ocdl.donut2d(count=30)
PROBLEM = ocdl.network(ocdl.Residual(), TRAIN.inputs, TRAIN.labels, regulariser=ocdl.Tikhonov(1e-3))
METHODS = [
    ocdl.LBFGS(max_iterations=8),
    ocdl.Train(max_iterations=8),
    ocdl.GradientDescent(max_iterations=8),
    ocdl.StochasticGradient(max_iterations=8),
]


def solved(method):
    return ocdl.solve(PROBLEM, DEPTH, method, seed=1, certificate="first order", on_failure="return")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_curve_is_the_methods_own(method):
    curve = ocdl.learning_curve(PROBLEM, DEPTH, method, TEST, seed=1)
    assert curve["iteration"].values.tolist() == [1, 2, 3, 4, 6, 8]
    assert np.all(np.diff(curve["seconds"]) >= 0.0)
    last = solved(method)
    assert float(curve["cost"][-1]) == pytest.approx(last.cost, rel=1e-12)
    for samples, name in ((TRAIN, "training"), (TEST, "test")):
        predicted = ocdl.predict(PROBLEM, DEPTH, last, samples.inputs)
        end = curve.isel(iteration=-1).sel(set=name)
        assert float(end["accuracy"]) == ocdl.accuracy(predicted, samples.labels)
        half_square = 0.5 * np.mean((predicted.values[:, 0] - samples.labels) ** 2)
        assert float(end["loss"]) == pytest.approx(half_square, rel=1e-12)  # without the regulariser


def test_a_method_that_ends_early_ends_the_curve():
    curve = ocdl.learning_curve(PROBLEM, DEPTH, ocdl.LBFGS(tolerance=1e-3), iterations=[3, 1000, 2000], seed=1)
    steps = solved(ocdl.LBFGS(tolerance=1e-3)).history["cost"].size - 1
    assert curve["iteration"].values.tolist() == [3, steps] and steps < 1000
    assert curve["set"].values.tolist() == ["training"]


def test_classes_are_counted_by_the_largest_output():
    labels = np.arange(30) % 3
    stated = ocdl.network(
        ocdl.Residual(), TRAIN.inputs, labels, loss=ocdl.SoftmaxCrossEntropy(),
        readout=ocdl.Readout(ocdl.Softmax(), outputs=3),
    )  # fmt: skip
    test, method = ocdl.Samples(TEST.inputs, labels), ocdl.LBFGS(max_iterations=3)
    curve = ocdl.learning_curve(stated, DEPTH, method, test, iterations=[3], seed=1)
    found = ocdl.solve(stated, DEPTH, method, seed=1, certificate="first order", on_failure="return")
    wanted = ocdl.accuracy(ocdl.predict(stated, DEPTH, found, TEST.inputs), labels)
    assert float(curve["accuracy"].sel(set="test")[-1]) == wanted


def test_features_end_where_predictions_begin():
    found = solved(ocdl.LBFGS(max_iterations=3))
    states = ocdl.features(PROBLEM, DEPTH, found, TEST.inputs)
    assert states.dims == ("t", "sample", "y") and np.array_equal(states[0], TEST.inputs)
    output = states.values[-1] @ found["W"].values.T + found["mu"].values
    np.testing.assert_allclose(ocdl.predict(PROBLEM, DEPTH, found, TEST.inputs), ocdl.Logistic()(output), rtol=1e-14)


@pytest.mark.parametrize("iterations", [[], [0], [1.5]])
def test_numbers_of_iterations_are_whole(iterations):
    with pytest.raises(ocdl.InvalidInput, match="whole numbers"):
        ocdl.learning_curve(PROBLEM, DEPTH, ocdl.LBFGS(), iterations=iterations)


def test_a_method_that_counts_no_iterations_has_no_curve():
    with pytest.raises(ocdl.InvalidInput, match="max_iterations is needed"):
        ocdl.learning_curve(PROBLEM, DEPTH, ocdl.ValueIteration())
