"""Estimators: what they learn, what they keep, what they refuse, and that they go through ``solve``."""

import pickle
import subprocess
import sys
import warnings
from dataclasses import fields

import numpy as np
import pytest
from families import concrete

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ocdl
from ocdl import learn
from ocdl.learn.base import NetworkEstimator

CLASSIFIERS = [cls for name, cls in vars(learn).items() if name.endswith("Classifier")]
REGRESSORS = [cls for name, cls in vars(learn).items() if name.endswith("Regressor")]
MOONS = make_moons(80, noise=0.1, random_state=1)
BLOBS = make_blobs(90, centers=3, random_state=2)
GENERATOR = np.random.default_rng(4)
X = GENERATOR.normal(size=(60, 2))
CURVE = np.column_stack([np.sin(2 * X[:, 0]), X[:, 0] * X[:, 1]])
QUICK = {"layers": 3, "random_state": 0, "max_iterations": 60}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_every_architecture_has_a_classifier_and_a_regressor():
    other = {ocdl.Leapfrog, ocdl.Convolutional}  # no dense layer; no rows of numbers in any order
    dense = {*concrete(ocdl.Architecture, "dynamics")} - other
    for family in (CLASSIFIERS, REGRESSORS):
        assert {cls.architecture for cls in family} == dense
    for cls in [*CLASSIFIERS, *REGRESSORS]:
        own = {f.name for f in fields(cls.architecture)} - {"kernel"}  # what K is made of is full here
        assert own <= set(cls().get_params()), cls


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_every_classifier_learns_two_moons_and_three_blobs(cls):
    two = cls(channels=4, weight=1e-3, **QUICK).fit(*MOONS)
    assert two.score(*MOONS) > 0.9 and two.predict_proba(MOONS[0]).shape == (80, 2)
    three = make_pipeline(StandardScaler(), cls(**QUICK)).fit(BLOBS[0], np.array(["a", "b", "c"])[BLOBS[1]])
    assert np.mean(three.predict(BLOBS[0]) == np.array(["a", "b", "c"])[BLOBS[1]]) > 0.9
    np.testing.assert_allclose(three.predict_proba(BLOBS[0]).sum(axis=1), 1.0, atol=1e-14)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_every_regressor_learns_one_output_and_two_whatever_their_scale(cls):
    one = cls(channels=5, **QUICK).fit(X, CURVE[:, 0])
    assert one.score(X, CURVE[:, 0]) > 0.9 and one.predict(X).shape == (60,)
    scaled = cls(channels=5, **QUICK).fit(X, 1e6 + 1e5 * CURVE[:, 0])
    np.testing.assert_allclose(scaled.predict(X), 1e6 + 1e5 * one.predict(X), rtol=1e-5)
    assert cls(channels=5, **QUICK).fit(X, CURVE).predict(X).shape == (60, 2)


def test_the_fit_is_the_solution_of_a_network_and_predicts_what_it_says():
    estimator = learn.ResNetClassifier(weight=1e-2, channels=3, **QUICK).fit(*BLOBS)
    shares = estimator.predict_proba(BLOBS[0])
    loss = -np.log(shares[np.arange(90), BLOBS[1]]).mean()
    u, p = estimator.solution_.answer.u, estimator.solution_.answer.p
    assert estimator.solution_.cost == pytest.approx(loss + 0.5e-2 * (np.sum(u**2) / 3 + np.sum(p**2)), abs=1e-13)
    assert estimator.loss_curve_[-1] == pytest.approx(estimator.solution_.cost, abs=1e-12)
    assert len(estimator.loss_curve_) == estimator.n_iter_ + 1 and estimator.validation_curve_ == []


def test_prediction_does_not_need_casadi(tmp_path):
    estimator = learn.ResNetRegressor(**QUICK).fit(X, CURVE)
    estimator.network_.save(tmp_path / "network.npz")
    np.testing.assert_array_equal(ocdl.LayeredNetwork.load(tmp_path / "network.npz")(X), estimator.predict(X))


@pytest.mark.parametrize("cls", [*CLASSIFIERS, *REGRESSORS])
def test_exports_of_every_estimator_predict_the_same(cls, tmp_path):
    onnxruntime, torch = pytest.importorskip("onnxruntime"), pytest.importorskip("torch")
    classifies = cls in CLASSIFIERS
    estimator = cls(layers=2, max_iterations=3, random_state=0, channels=3).fit(*(BLOBS if classifies else (X, CURVE)))
    inputs, expected = (BLOBS[0], estimator.predict_proba(BLOBS[0])) if classifies else (X, estimator.predict(X))
    estimator.to_onnx(tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    (prediction,) = session.run(["prediction"], {"inputs": inputs})
    np.testing.assert_allclose(prediction, expected, rtol=0, atol=1e-12)
    module = estimator.to_torch()
    np.testing.assert_allclose(module(torch.as_tensor(inputs)).detach().numpy(), expected, rtol=0, atol=1e-12)


def test_what_is_not_fitted_is_not_exported():
    with pytest.raises(NotFittedError):
        learn.ResNetClassifier().to_torch()


def test_a_custom_activation_is_kept_as_it_was_given():
    sigma = ocdl.CustomActivation(lambda s: s / np.sqrt(1.0 + s**2), increasing=True, bounds=(-1.0, 1.0))
    estimator = learn.ODENetClassifier(activation=sigma, **QUICK).fit(*MOONS)
    assert estimator.network_.activation is sigma and estimator.score(*MOONS) > 0.8


def test_a_runge_kutta_network_within_bounds():
    bounds = ocdl.Box(K=(-1, 1))
    estimator = learn.ResNetClassifier(scheme=ocdl.Kutta4, bounds=bounds, activation=ocdl.Arctan, **QUICK).fit(*MOONS)
    assert np.max(np.abs(estimator.solution_.controls["K"])) <= 1.0
    assert estimator.network_.tableau is ocdl.Kutta4.tableau


# -- weights -----------------------------------------------------------------------------------------------


def test_a_weight_of_two_is_the_sample_twice_and_of_zero_none_to_the_last_bit():
    weights = GENERATOR.integers(0, 3, size=90)
    once = learn.ResNetClassifier(**QUICK).fit(*BLOBS, sample_weight=weights)
    order = GENERATOR.permutation(np.repeat(np.arange(90), weights))
    often = learn.ResNetClassifier(**QUICK).fit(BLOBS[0][order], BLOBS[1][order])
    np.testing.assert_array_equal(once.decision_function(BLOBS[0]), often.decision_function(BLOBS[0]))


def test_class_weights_are_sample_weights():
    by_class = {0: 3.0, 1: 1.0}
    one = learn.ResNetClassifier(class_weight=by_class, **QUICK).fit(*MOONS)
    other = learn.ResNetClassifier(**QUICK).fit(*MOONS, sample_weight=np.where(MOONS[1] == 0, 3.0, 1.0))
    np.testing.assert_allclose(one.decision_function(MOONS[0]), other.decision_function(MOONS[0]), atol=1e-9)
    few = np.arange(80) % 4 == 0
    kept = few | (MOONS[1] == 0)
    balanced = learn.ResNetClassifier(class_weight="balanced", max_iterations=5, layers=2).fit(
        MOONS[0][kept], MOONS[1][kept]
    )
    assert np.mean(balanced.predict(MOONS[0][few])) > 0.0


# -- more iterations ---------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_of_what_it_watched():
    noisy = MOONS[0] + GENERATOR.normal(size=(80, 2))
    stopping = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 20}
    estimator = learn.ResNetClassifier(channels=6, weight=0.0, layers=4, random_state=0, max_iterations=300, **stopping)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # stopped early is not stopped at the limit
        estimator.fit(noisy, MOONS[1])
    curve = np.array(estimator.validation_curve_)
    assert curve.size >= 3 and np.argmin(curve) == curve.size - 3 and estimator.n_iter_ < 300
    assert np.all(curve[np.argmin(curve) :] >= curve.min())
    cost = estimator.loss_curve_[10 * (1 + int(np.argmin(curve)))]
    assert estimator.solution_.cost == pytest.approx(cost, abs=1e-12)  # the network of the least loss, not the last one


def test_a_warm_start_goes_on_and_partial_fit_too():
    cold = learn.ResNetClassifier(layers=3, random_state=0, max_iterations=15, warm_start=True).fit(*MOONS)
    before = cold.solution_.cost
    assert cold.fit(*MOONS).loss_curve_[0] == pytest.approx(before, abs=1e-13)
    assert cold.solution_.cost < before
    parts = learn.ResNetClassifier(layers=3, random_state=0, partial_iterations=5)
    parts.partial_fit(*MOONS, classes=[0, 1])
    before = parts.solution_.cost
    assert parts.n_iter_ == 5 and parts.partial_fit(*MOONS).solution_.cost < before
    only = MOONS[1] == 1
    assert parts.partial_fit(MOONS[0][only], MOONS[1][only]).classes_.tolist() == [0, 1]


def test_a_regressor_keeps_the_scale_of_its_first_part():
    parts = learn.ResNetRegressor(layers=3, random_state=0, channels=5, partial_iterations=30)
    for rows in (slice(0, 60, 2), slice(1, 60, 2), slice(0, 60)):
        parts.partial_fit(X[rows], 7.0 + 100.0 * CURVE[rows, 0])
    assert parts.score(X, 7.0 + 100.0 * CURVE[:, 0]) > 0.8
    with pytest.raises(ValueError, match="2 output"):
        parts.partial_fit(X, CURVE)


# -- within scikit-learn -----------------------------------------------------------------------------------


def test_grid_search_cross_validation_clones_and_pickles():
    pipeline = make_pipeline(StandardScaler(), learn.ResNetClassifier(layers=2, random_state=0, max_iterations=20))
    search = GridSearchCV(pipeline, {"resnetclassifier__activation": [ocdl.Tanh, ocdl.ReLU]}, cv=2).fit(*MOONS)
    assert search.best_score_ > 0.75
    assert np.all(cross_val_score(pipeline, *MOONS, cv=2) > 0.75)
    again = clone(search.best_estimator_).fit(*MOONS)
    kept = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(kept.predict_proba(MOONS[0]), again.predict_proba(MOONS[0]))
    kept[-1].set_params(warm_start=True)
    assert kept.fit(*MOONS)[-1].loss_curve_[0] == pytest.approx(again[-1].solution_.cost, abs=1e-12)


def test_any_method_of_ocdl_trains():
    method = ocdl.ProjectedGradient(max_iterations=1)
    estimator = learn.ResNetClassifier(method=method, **QUICK).fit(*MOONS)
    assert estimator.solution_.method == "ProjectedGradient" and estimator.n_iter_ > 1  # its count is the estimator's


# -- what is refused ---------------------------------------------------------------------------------------


def fitted(y=MOONS[1], inputs=MOONS[0], cls=learn.ResNetClassifier, **given):
    return cls(**(QUICK | given)).fit(inputs, y)


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("contains NaN", {"inputs": np.where(MOONS[0] > 1.5, np.nan, MOONS[0])}),
        ("one class", {"y": np.ones(80)}),
        ("Unknown label type", {"y": GENERATOR.normal(size=80)}),
        ("inconsistent numbers of samples", {"y": MOONS[1][:-1]}),
        ("channels=1", {"channels": 1}),
        ("scheme='euler'", {"scheme": "euler"}),
        ("implicit", {"scheme": ocdl.ImplicitMidpoint}),
        ("activation='tanh'", {"activation": "tanh"}),
        ("no control has|controls of Residual", {"bounds": ocdl.Box(a=(-1, 1))}),
        ("layers", {"layers": 0}),
    ],
)
def test_bad_data_and_fields_are_refused_in_words(said, given):
    with pytest.raises(ValueError, match=said):
        fitted(**given)


def test_constant_features_and_targets_are_learnt():
    constant = np.column_stack([MOONS[0], np.full(80, 3.0)])
    assert fitted(inputs=constant).score(constant, MOONS[1]) > 0.8
    flat = fitted(cls=learn.ResNetRegressor, y=np.full(80, 5.0))
    np.testing.assert_allclose(flat.predict(MOONS[0]), 5.0, atol=1e-3)


def test_classes_that_were_not_announced_are_refused():
    estimator = learn.ResNetClassifier(**QUICK)
    with pytest.raises(ValueError, match="first call needs all classes"):
        estimator.partial_fit(*MOONS)
    estimator.partial_fit(*MOONS, classes=[0, 1])
    with pytest.raises(ValueError, match="not among classes_"):
        estimator.partial_fit(MOONS[0], MOONS[1] + 1)
    with pytest.raises(ValueError, match="the first call had"):
        estimator.partial_fit(*MOONS, classes=[0, 1, 2])


def test_the_iteration_limit_is_a_warning_of_convergence():
    with pytest.warns(ConvergenceWarning, match="Raise max_iterations"):
        learn.ResNetClassifier(layers=2, max_iterations=2).fit(*MOONS)


def test_without_scikit_learn_it_is_named_and_ocdl_does_not_need_it():
    program = (
        "import sys; sys.modules['sklearn'] = None; import ocdl; ocdl.Tanh()\n"
        "try: import ocdl.learn\nexcept ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'ocdl[learn]'" in done.stdout


def test_fields_are_shared_by_all():
    assert issubclass(learn.ResNetClassifier, NetworkEstimator)
    common = {f.name for f in fields(NetworkEstimator)}
    assert all(common <= set(cls().get_params()) for cls in [*CLASSIFIERS, *REGRESSORS])
