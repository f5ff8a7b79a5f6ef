"""How far an answer is from a stationary one: a unit step along its projected gradient, in function space.

With g the gradient of J over the metric, w = (u, p) and Π the projection onto boxes and budgets,

    d = w − Π(w − g),   norm ‖d‖,   gain ⟨g, d⟩ ≥ ‖d‖²,

both zero exactly where the first-order conditions hold. The gain is what the step would lower J by if J were affine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import Layers
from ocdl.statement.problem import ControlProblem
from ocdl.statement.spending import measure, within

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stationarity:
    """``norm`` ‖d‖ and ``gain`` ⟨g, d⟩, in units of J for a step of one; NaN where the controls' set is no box.

    ``multipliers`` ν (B,) of the budgets, of which the step of a control j is u_j − clip(u_j − g_j − ν): in H + ν u_j
    that control is stationary where d vanishes.
    """

    norm: float
    gain: float
    multipliers: Array


def stationarity(
    problem: ControlProblem, depth: Layers, u: Array, p: Array, gradient_u: Array, gradient_p: Array
) -> Stationarity:
    """That of controls u (Q, m) and parameters p (P,) with the Euclidean gradients of the same shapes."""
    weights = np.maximum(measure(problem, depth), 0.0)[:, None] * np.asarray(problem.control_metric)
    slopes = _over(gradient_u, weights), _over(gradient_p, np.asarray(problem.parameter_metric))
    ahead, shifts = within(problem, depth, u - slopes[0])
    multipliers = shifts * np.asarray(problem.control_metric)[list(problem.budgeted)]
    if problem.control_set is not None:
        return Stationarity(np.nan, np.nan, multipliers)
    in_u, in_p = u - ahead, p - np.clip(p - slopes[1], *problem.parameter_box)
    squares = np.sum(weights * in_u**2) + np.sum(np.asarray(problem.parameter_metric) * in_p**2)
    gain = np.sum(gradient_u * in_u) + np.sum(gradient_p * in_p)
    return Stationarity(float(np.sqrt(squares)), float(gain), multipliers)


def _over(gradient: Array, metric: Array) -> Array:
    """The gradient in function space; 0 for a coefficient that no stage sees."""
    return np.divide(gradient, metric, out=np.zeros_like(gradient), where=metric > 0.0)
