"""scikit-learn's own checks of its conventions, of every estimator there is."""

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

from ocdl import learn

ESTIMATORS = [cls for name, cls in vars(learn).items() if name.endswith(("Classifier", "Regressor"))]


@parametrize_with_checks([cls(layers=2, max_iterations=40) for cls in ESTIMATORS])
def test_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)
