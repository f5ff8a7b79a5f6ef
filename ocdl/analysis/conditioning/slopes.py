"""Intervals of the slopes of activations: what (σ(z) − σ(z̄)) / (z − z̄) can be, proven from where σ' turns.

Of all activations here σ' is monotone on either side of 0, with limits on both at a kink. On an interval from z̄ to b
the secants from z̄ then lie in the hull of σ'(z̄), the secant to b, and σ' on both sides of 0 where 0 is between:
d/dz of a secant has the sign of σ'(z) less the secant, so that, where σ' is monotone, it is extremal at an end or
below an end of σ'. Secants vary less than σ' itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.errors import NotSupported
from ocdl.statement.activations import ELU, Activation, Arctan, Identity, LeakyReLU, ReLU, Sigmoid, Tanh

TURN_AT_ZERO = (Tanh, Arctan, Sigmoid, ReLU, LeakyReLU, ELU, Identity)
TINY, HUGE = np.finfo(float).tiny, 1e150
ROUNDED = 16 * np.finfo(float).eps


def slope_range(activation: Activation) -> tuple[float, float]:
    """inf σ' and sup σ' over the real line. Raises NotSupported for an activation of a user's own."""
    _check(activation)
    ends = _slope(activation, np.array([-HUGE, -TINY, TINY, HUGE]))
    return float(ends.min()), float(ends.max())


def secant_range(activation: Activation, centre: Array, radius: Array) -> tuple[Array, Array]:
    """The least and the largest secant of σ from ``centre`` to a point at most ``radius`` away, of equal shapes.

    They are widened by what rounding can do to a difference of two values.
    """
    least, largest = slope_range(activation)
    middle = _slope(activation, centre)
    found = [middle, middle, *_sides(activation, np.abs(centre) <= radius, middle)]
    value = np.asarray(activation(centre))
    slack = np.zeros_like(middle)
    for end in (centre - radius, centre + radius):
        there, apart = np.asarray(activation(end)), end - centre
        far = np.abs(apart) > 1e-9 * (1.0 + np.abs(centre))  # nearer, σ' at both ends will do
        found.append(np.where(far, (there - value) / np.where(far, apart, 1.0), _slope(activation, end)))
        size = np.maximum(np.abs(there), np.abs(value)) / np.where(far, np.abs(apart), np.inf)
        slack = np.maximum(slack, ROUNDED * (size + 1.0))
    return np.maximum(np.min(found, axis=0) - slack, least), np.minimum(np.max(found, axis=0) + slack, largest)


def _sides(activation: Activation, within: Any, otherwise: Array) -> list[Array]:
    """σ' on both sides of 0 where 0 is ``within``."""
    return [np.where(within, side, otherwise) for side in _slope(activation, np.array([-TINY, TINY]))]


def _slope(activation: Activation, z: Array) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(activation.derivative(z, np.asarray(activation(z))))


def _check(activation: Activation) -> None:
    if type(activation) not in TURN_AT_ZERO:
        raise NotSupported(
            f"slopes of {activation!r}: bounds are proven where σ' is known to turn only at 0, as of ocdl.Tanh() or "
            "ocdl.ReLU()."
        )
