"""A few steps of L-BFGS-B on a small problem within a box, in the measure of function space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]


def descended(
    function: Callable[[Array], tuple[float, Array]],
    start: Array,
    box: tuple[Array, Array],
    metric: Array,
    **options: Any,
) -> Array:
    """Where L-BFGS-B in √metric · w ends; ``function`` gives value and Euclidean gradient, ``options`` are SciPy's."""
    low, high = box
    scale = np.sqrt(metric)

    def scaled(z: Array) -> tuple[float, Array]:
        value, slope = function(np.clip(z / scale, low, high))
        return value, slope / scale

    found = scipy.optimize.minimize(
        scaled,
        start * scale,
        jac=True,
        method="L-BFGS-B",
        bounds=np.stack([low * scale, high * scale], axis=1),
        options=options,
    )
    return np.asarray(np.clip(found.x / scale, low, high))
