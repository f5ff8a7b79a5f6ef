"""scikit-learn's own checks of its conventions; the estimators take turns at them, and take all with OCDL_ALL_CHECKS=1.

What differs from estimator to estimator is one formula of a layer: in turns every check meets a classifier and a
regressor, and every estimator ten checks.
"""

import os

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import estimator_checks_generator

from ocdl import learn

FAMILIES = [
    [getattr(learn, name) for name in learn.__all__ if name.endswith(end)] for end in ("Classifier", "Regressor")
]
ALL = bool(os.environ.get("OCDL_ALL_CHECKS"))


def turns():
    for family in FAMILIES:
        for i, cls in enumerate(family):
            for j, (estimator, check) in enumerate(estimator_checks_generator(cls(layers=1, max_iterations=15))):
                if ALL or j % len(family) == i:
                    yield pytest.param(estimator, check, id=f"{cls.__name__}-{getattr(check, 'func', check).__name__}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "check"), [*turns()])
def test_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)
