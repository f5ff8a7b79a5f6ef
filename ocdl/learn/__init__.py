"""Estimators for scikit-learn: a classifier and a regressor for every architecture, trained through ``solve``.

They stand beside the doors and know networks, methods and solving; scikit-learn (the extra ``learn``) is needed here.
"""

try:
    import sklearn  # noqa: F401
except ImportError:
    raise ImportError("ocdl.learn needs scikit-learn; install it with pip install 'ocdl[learn]'.") from None

from ocdl.learn.estimators import (
    AntisymmetricClassifier,
    AntisymmetricRegressor,
    ContractiveClassifier,
    ContractiveRegressor,
    HamiltonianClassifier,
    HamiltonianRegressor,
    ODENetClassifier,
    ODENetRegressor,
    PlainNetClassifier,
    PlainNetRegressor,
    ResNetClassifier,
    ResNetRegressor,
)

__all__ = [
    "AntisymmetricClassifier",
    "AntisymmetricRegressor",
    "ContractiveClassifier",
    "ContractiveRegressor",
    "HamiltonianClassifier",
    "HamiltonianRegressor",
    "ODENetClassifier",
    "ODENetRegressor",
    "PlainNetClassifier",
    "PlainNetRegressor",
    "ResNetClassifier",
    "ResNetRegressor",
]
