"""How far an answer is from a stationary one: a unit step along its projected gradient, in function space.

With g the gradient of J over the metric, w = (u, p) and Π the projection onto the boxes,

    d = w − Π(w − g),   norm ‖d‖,   gain ⟨g, d⟩ ≥ ‖d‖²,

both zero exactly where the first-order conditions hold. The gain is what the step would lower J by if J were affine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import Layers
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stationarity:
    """``norm`` ‖d‖ and ``gain`` ⟨g, d⟩, in units of J for a step of one; NaN where the controls' set is no box."""

    norm: float
    gain: float


def stationarity(
    problem: ControlProblem, depth: Layers, h: Array, u: Array, p: Array, gradient_u: Array, gradient_p: Array
) -> Stationarity:
    """That of controls u (Q, m) and parameters p (P,) with the Euclidean gradients of the same shapes."""
    if problem.control_set is not None:
        return Stationarity(np.nan, np.nan)
    weights = depth.controls.measure(h, depth.tableau.b, depth.tableau.c)[:, None] * np.asarray(problem.control_metric)
    parts = (
        (u, gradient_u, np.maximum(weights, 0.0), problem.coefficient_box(depth)),
        (p, gradient_p, np.asarray(problem.parameter_metric), problem.parameter_box),
    )
    squares, gain = 0.0, 0.0
    for w, gradient, metric, box in parts:
        slope = np.divide(gradient, metric, out=np.zeros_like(gradient), where=metric > 0.0)
        step = w - np.clip(w - slope, *box)
        squares, gain = squares + float(np.sum(metric * step**2)), gain + float(np.sum(gradient * step))
    return Stationarity(float(np.sqrt(squares)), gain)
