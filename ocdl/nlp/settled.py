"""Controls that a start carried over from another grid has settled: held at their bounds while the others are found.

A bang-bang solution is right about nearly every control on any other grid, too; only those near a switch are open.
Held controls are no unknowns of the barrier method, and its iterations are cheaper. Each is asked afterwards: where
the Lagrangian's gradient ∇f + ∇gᵀλ points out of a held bound, all are released and the problem is solved again from
there. Where none objects the answer satisfies the optimality conditions of the whole problem.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ocdl.nlp.transcription import Transcription
from ocdl.referee.hamiltonian import Hamiltonian
from ocdl.solving.method import Start

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CLOSE = 1e-4  # to a bound, as a share of the interval
FIRM = 0.02  # a share of the largest |∂H/∂u|
NEIGHBOURS = 2  # layers on each side


def settled(transcription: Transcription, start: Start) -> Mask:
    """Which of the controls (Q, m) are at a bound together with their neighbours in depth, and firmly.

    Firmly: ∂H/∂u along the carried states and costates holds them there with more than the share ``FIRM`` of its
    largest value. None where the start brings no states and costates.
    """
    problem = transcription.problem
    if start.x is None or start.costate is None:
        return np.zeros(start.u.shape, dtype=bool)
    side = _side(start.u, *problem.coefficient_box(transcription.depth))
    padded = np.pad(side, ((NEIGHBOURS, NEIGHBOURS), (0, 0)), mode="edge")
    same = np.all(sliding_window_view(padded, 2 * NEIGHBOURS + 1, axis=0) == side[..., None], axis=-1)
    switching = _switching(transcription, start.u, start.p, start.x, start.costate)
    return np.asarray(same & (-side * switching > FIRM * np.abs(switching).max()))


def _switching(transcription: Transcription, u: Array, p: Array, x: Array, costate: Array) -> Array:
    """∂H/∂u (Q, m) along states and costates at nodes (N+1, S, n), linear between."""
    t, problem = transcription.control_depths, transcription.problem
    between = scipy.interpolate.make_interp_spline(transcription.t, np.stack([x, costate], axis=1), k=1)(t)
    return Hamiltonian(problem).values(t, between[:, 0], between[:, 1], problem.weights, u, p)[1]


def objects(held: Mask, w: Array, low: Array, high: Array, gradient: Array, tolerance: float) -> bool:
    """Whether the cost would fall by moving a variable that is ``held`` off its bound: the Lagrangian's ``gradient``
    ∇f + ∇gᵀλ points there by more than ``tolerance``. All of the shape of w, in the problem's own units.
    """
    return bool(np.any(held & (_side(w, low, high) * gradient > tolerance)))


def _side(u: Array, low: Array, high: Array) -> NDArray[np.int8]:
    """−1 at the lower bound, 1 at the upper one, 0 between."""
    with np.errstate(invalid="ignore"):
        close = CLOSE * np.where(np.isfinite(high - low), high - low, 1.0)
    return (u >= high - close).astype(np.int8) - (u <= low + close).astype(np.int8)
