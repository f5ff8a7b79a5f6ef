"""Classes that weigh alike although some have fewer samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ocdl.arrays import Array, is_real, shown
from ocdl.errors import InvalidInput


def class_weights(labels: Any, weights: str | Mapping[Any, float] = "balanced") -> Array:
    """Weights ω (S,) of samples from those of their classes, as ``weights`` of a problem, which normalises them.

    labels: the class of every sample, (S,). weights: by class, or "balanced": S/(K · count of the class), so that the
    samples of each of the K classes weigh S/K together.

    Raises InvalidInput for labels of another shape and for a class without a positive weight.
    """
    given = np.asarray(labels)
    if given.ndim != 1 or not given.size:
        raise InvalidInput(f"class_weights: the class of every sample is needed, shape (S,); got {given.shape}.")
    classes, members, counts = np.unique(given, return_inverse=True, return_counts=True)
    if isinstance(weights, Mapping):
        return np.array([_weight(weights, label) for label in classes.tolist()])[members]
    if weights != "balanced":
        raise InvalidInput(f"class_weights: weights={shown(weights)}: a mapping by class is needed, or 'balanced'.")
    return (given.size / (classes.size * counts))[members]


def _weight(weights: Mapping[Any, float], label: Any) -> float:
    weight = weights.get(label)
    if not is_real(weight) or not 0.0 < float(weight) < np.inf:  # type: ignore[arg-type]
        raise InvalidInput(
            f"class_weights: weights={shown(weights)}: a positive number is needed for every class; class {label} has "
            f"{weight}."
        )
    return float(weight)  # type: ignore[arg-type]
