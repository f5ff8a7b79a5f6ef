"""The minimiser of a quadratic model within bounds and sums, by a primal–dual active set.

    min gᵀd + ½ dᵀB d,   l ≤ v + d ≤ h,   a·d = 0 for each sum.

With the entries on a bound held, d and the sums' multipliers λ solve a linear system on the others; who leaves the box
is held next, who would leave its bound into the box, by the sign of g + B d + aᵀλ, is let go.
Source: Hintermüller, Ito and Kunisch, SIAM J. Optim. 13 (2003), section 2.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.nlp.training.feasible import Feasible

Array = NDArray[np.float64]

ROUNDS = 10
DESCENDING = 1e-10  # gᵀd must be below −this · |g| |d|


class Model(Protocol):
    """A positive definite B."""

    def product(self, d: Array) -> Array:
        """B d."""
        ...

    def solve(self, free: NDArray[np.bool_], right: Array) -> Array:
        """B_FF⁻¹ ``right`` (F, k) on the entries ``free``."""
        ...


def minimiser(model: Model, feasible: Feasible, v: Array, g: Array) -> Array:
    """The step to the model's minimiser, or where it is not found in ``ROUNDS`` rounds to a feasible point near it."""
    low, high = feasible.low - v, feasible.high - v
    held, step = feasible.held(v, g), np.zeros(v.size)
    for _ in range(ROUNDS):
        free = ~held
        slack = _solved(model, feasible.rows, g, step, free)
        below, above = free & (step < low), free & (step > high)
        loose = held & (low < high) & (((step <= low) & (slack < 0.0)) | ((step >= high) & (slack > 0.0)))
        if not (below.any() or above.any() or loose.any()):
            break
        step[below], step[above] = low[below], high[above]
        held = (held | below | above) & ~loose
    return feasible.project(v + step) - v


def _solved(model: Model, rows: Array, g: Array, step: Array, free: NDArray[np.bool_]) -> Array:
    """Fill the ``free`` entries of the step, the others given; g + B d + aᵀλ, zero there."""
    step[free] = 0.0
    moved = step.any()
    right = (g + model.product(step) if moved else g)[free]
    taken = (
        rows[(rows[:, free] != 0.0).any(axis=1)] if len(rows) else rows
    )  # sums all of whose entries are held have no say
    solved = model.solve(free, np.column_stack([right, *taken[:, free]]))
    along, across = solved[:, 0], solved[:, 1:]
    multipliers = np.zeros(len(taken))
    if taken.size:
        missed = taken @ step - taken[:, free] @ along  # what the sums would change by
        multipliers = np.linalg.solve(taken[:, free] @ across, missed)
    step[free] = -along - across @ multipliers
    return g + model.product(step) + multipliers @ taken


def descends(step: Array, g: Array) -> bool:
    """Whether J falls along the step, beyond rounding."""
    return float(step @ g) < -DESCENDING * float((step @ step) * (g @ g)) ** 0.5
