"""A lower bound on the global optimum that holds whatever the grid: the least terminal loss over an enclosure of all
reachable states."""

from __future__ import annotations

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.errors import NotSupported
from ocdl.hjb.reach import reachable_box
from ocdl.problem import ControlProblem

Array = NDArray[np.float64]


def lower_bound(problem: ControlProblem, *, steps: int = 256) -> float:
    """min { ℓ(x) : lo ≤ x ≤ hi } ≤ J for every control, with lo, hi of ``reachable_box``; exact for one neuron.

    For one sample with a velocity box, no running cost, and a separable convex quadratic ℓ such as
    ½ Σ w_i (x_i − c_i)², where the minimiser is the target clipped to the box; any number of neurons.
    Raises NotSupported otherwise.
    """
    box = problem.velocity_box
    if box is None or problem.samples > 1 or problem.has_running_cost or problem.P > 0:
        raise NotSupported(
            "lower_bound: one sample of a selection problem with finite bounds on a and b and no running cost needed."
        )
    low, high = reachable_box(box, problem.x0[0], problem.span, steps)
    return float(problem.terminal_loss(np.clip(_minimiser(problem), low, high)))


def _minimiser(problem: ControlProblem) -> Array:
    """The minimiser of a separable convex quadratic ℓ, coordinate by coordinate (any value where ℓ is flat)."""
    x = ca.SX.sym("x", problem.n)
    p, d = np.zeros(problem.P), np.asarray(problem.data)[0]
    loss = problem.terminal_function(x, p, d)[0]
    hessian, gradient = ca.hessian(loss, x)
    separable = hessian.is_constant() and hessian.sparsity().is_diag()
    curvature = np.diag(ca.DM(hessian).full()) if separable else np.array([-1.0])
    if not np.all(curvature > 0.0):
        raise NotSupported("lower_bound: the terminal loss must be a separable convex quadratic such as HalfSquare.")
    slope = np.asarray(ca.Function("slope", [x], [gradient])(np.zeros(problem.n))).ravel()
    return np.asarray(-slope / curvature)
