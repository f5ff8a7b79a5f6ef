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

    def solve(self, held: NDArray[np.intp], right: Array) -> tuple[Array, Array]:
        """B_FF⁻¹ right_F on the entries F that are not ``held``, zero there, and its image under B on all entries;
        ``right`` (size, c) is zero where held.
        """
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
    slope = g + model.product(step) if step.any() else g
    if not len(rows):
        solved, image = model.solve(np.flatnonzero(~free), np.where(free, slope, 0.0)[:, None])
        step -= solved[:, 0]
        return slope - image[:, 0]
    inside = np.where(free, rows, 0.0)
    taken = inside.any(axis=1)  # sums all of whose entries are held have no say
    right = np.column_stack([np.where(free, slope, 0.0), *inside[taken]])
    solved, image = model.solve(np.flatnonzero(~free), right)
    missed = rows[taken] @ step - inside[taken] @ solved[:, 0]  # what the sums would change by
    weights = np.append(1.0, np.linalg.solve(inside[taken] @ solved[:, 1:], missed))
    step -= solved @ weights
    return slope + weights[1:] @ rows[taken] - image @ weights


def descends(step: Array, g: Array) -> bool:
    """Whether J falls along the step, beyond rounding."""
    return float(step @ g) < -DESCENDING * float((step @ step) * (g @ g)) ** 0.5
