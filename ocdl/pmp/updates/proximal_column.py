"""One column: the Hamiltonian with a quadratic hold, minimised along one line a neuron.

    min over the box of  Λ φ(z⁰ + F·u) + Σ_l c_l (u_l − u⁰_l)².

Of all u with the same z = z⁰ + F·u the hold is least at u(τ) = Π(u⁰ + τ F/c), and z(τ) is monotone: what is left is a
function of τ alone, whose stationary points are 2τ + Λ φ'(z(τ)) = 0. The best of a grid on the side on which H falls is
refined by bisection between its neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocdl.referee.dense import DenseHamiltonian

Array = NDArray[np.float64]

POINTS = 32
BISECTIONS = 28  # of τ to 1e-10 of a cell, of the minimum to rounding


def one_column(law: DenseHamiltonian, x: Array) -> bool:
    """One sample, one stage, a finite box and no effort."""
    finite = all(bool(np.all(np.isfinite(end))) for end in law.problem.control_box)
    return x.shape[1] == 1 and finite and law.problem.effort is None


def held_minimum(
    law: DenseHamiltonian, x: Array, costate: Array, u: Array, p: Array, hold: Array
) -> tuple[Array, Array]:
    """H(u) − H(u*) − hold (K, G) ≥ 0 and u* (K, m), at x and Λ (K, 1, n) and controls u (K, m), c = ``hold`` (m,)."""
    groups = law.groups
    low, high = (end[groups] for end in law.problem.control_box)
    here, c, pull = u[:, groups], hold[groups], costate[:, 0]  # (K, G, size), (G, size), (K, G)
    towards = law.features(x)[:, 0, None, :] / c  # du/dτ inside the box
    still = law.affine.e + x[:, 0] @ law.affine.E.T

    def controls(tau: Array) -> Array:
        """u(τ) (..., K, G, size) for τ (..., K, G)."""
        return np.clip(here + tau[..., None] * towards, low, high)

    def values(tau: Array) -> tuple[Array, Array]:
        """The function of τ, (..., K, G), and 2τ + Λ φ'."""
        at = controls(tau)
        z = still + np.sum(at * (towards * c), axis=-1)
        rate, slope = law.responses(np.broadcast_to(x[:, 0], z.shape).reshape(-1, 1, z.shape[-1]), p, _flat(z), 1)
        held = pull * rate.reshape(z.shape) + np.sum(c * (at - here) ** 2, axis=-1)
        return held, 2.0 * tau + pull * slope.reshape(z.shape)

    begin, first = values(np.zeros(pull.shape))
    side = -np.sign(first)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(side[..., None] * towards > 0.0, high - here, here - low) / np.abs(towards)
    furthest = np.max(np.where(towards == 0.0, 0.0, room), axis=-1)  # all controls are at their bounds there
    grid = side * furthest * np.linspace(0.0, 1.0, POINTS)[:, None, None] ** 2
    found, _ = values(grid)
    best = np.argmin(found, axis=0)[None]
    left, right = (np.take_along_axis(grid, np.clip(best + d, 0, POINTS - 1), axis=0)[0] for d in (-1, 1))
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        onwards = side * values(middle)[1] < 0.0
        left, right = np.where(onwards, middle, left), np.where(onwards, right, middle)
    ends = np.stack([np.zeros(pull.shape), np.take_along_axis(grid, best, axis=0)[0], right])
    last = values(ends)[0]
    chosen = np.argmin(last, axis=0)[None]
    gains = begin - np.take_along_axis(last, chosen, axis=0)[0]
    result = u.copy()
    result[:, groups] = controls(np.take_along_axis(ends, chosen, axis=0)[0])
    return gains, result


def _flat(z: Array) -> Array:
    return z.reshape(-1, 1, z.shape[-1])
