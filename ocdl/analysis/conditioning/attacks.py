"""The nearest input that a network tells otherwise: bounds on robustness from above, each with its example.

    min |δ|  over  m_j(x + δ) ≤ 0,   m_j = O_c − O_j the margin of the class c that is told over another one, j,

by the nearest point of the linearised boundary, again and again, δ ← (∇m·δ − m) ∇m / |∇m|², from x and from random
places about it.
Sources: Hasofer and Lind (1974), Rackwitz and Fiessler (1978) for the iteration; Moosavi-Dezfooli, Fawzi and Frossard,
"DeepFool" (2016), which takes its first steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.steps import steps_of
from ocdl.arrays import Array
from ocdl.solving.layered import LayeredNetwork

ITERATIONS = 24
UNDAMPED = 10  # iterations, after which moves are halved: they may cycle about a kink
BEYOND = (1.0, 1.02, 1.5)  # the boundary is looked for along δ, and somewhat beyond
FAR = (0.5, 1.0, 1.0, 2.0, 2.0, 4.0)  # of random starts, in linearised radii
BISECTIONS = 45
ROUNDED = 1e-14  # of the terms of a margin


@dataclass(frozen=True, eq=False)
class Margins:
    """m_j(x) = g_j·x_N(x) + c_j of rows of a batch: ``rows`` g (R, n), ``offsets`` c (R,); inputs ``x`` (R, d)."""

    network: LayeredNetwork
    x: Array
    rows: Array
    offsets: Array

    def beyond(self, change: Array) -> Any:
        """m < 0 (R,) of inputs x + change, by more than rounding."""
        *_, end = self.network.flow(self.network.entrance(self.x + change))
        terms = np.concatenate([self.rows * end, self.offsets[:, None]], axis=1)
        return np.sum(terms, axis=1) < -ROUNDED * np.sum(np.abs(terms), axis=1)

    def gradient(self, change: Array) -> tuple[Array, Array]:
        """m (R,) and ∂m/∂x (R, d), by the adjoint of the network's own steps."""
        net = self.network
        states = list(net.flow(net.entrance(self.x + change)))
        p = self.rows
        steps = list(steps_of(net.activation, net.layers, net.tableau, net.widths))
        for step, x in zip(reversed(steps), states[-2::-1], strict=True):
            p = step.pulled_back(x, p)
        return np.sum(self.rows * states[-1], axis=1) + self.offsets, np.asarray(p @ net.entrance.weight)


def nearest_other(margins: Margins) -> Array:
    """δ (R, d) with m(x + δ) < 0, as short as is found; NaN where none is."""
    value, gradient = margins.gradient(np.zeros_like(margins.x))
    size = np.linalg.norm(gradient, axis=1)
    scale = np.divide(np.abs(value), size, out=np.ones_like(value), where=size > 0.0)
    best, generator = _followed(np.zeros_like(margins.x), margins), np.random.default_rng(0)
    for far in FAR:
        start = generator.standard_normal(margins.x.shape)
        start *= (far * scale / np.linalg.norm(start, axis=1))[:, None]
        best = _shorter(best, _followed(start, margins), margins)
    return best


def _followed(delta: Array, margins: Margins) -> Array:
    """The shortest of what is found on the way from a start δ."""
    best = np.full_like(delta, np.nan)
    for iteration in range(ITERATIONS):
        for share in BEYOND:
            best = _shorter(best, share * delta, margins)
        value, gradient = margins.gradient(delta)
        square = np.sum(gradient**2, axis=1)
        along = (np.sum(gradient * delta, axis=1) - value) / np.where(square > 0.0, square, np.inf)
        delta = delta + (1.0 if iteration < UNDAMPED else 0.5) * (along[:, None] * gradient - delta)
    return _onto_the_boundary(best, margins)


def _shorter(best: Array, other: Array, margins: Margins) -> Array:
    """In each row the other, where it is shorter and beyond the boundary."""
    gains = ~(np.linalg.norm(other, axis=1) >= np.linalg.norm(best, axis=1)) & margins.beyond(other)
    return np.where(gains[:, None], other, best)


def _onto_the_boundary(delta: Array, margins: Margins) -> Array:
    """As far back along δ as the answer stays another."""
    low, high = np.zeros(len(delta)), np.ones(len(delta))
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        beyond = margins.beyond(middle[:, None] * delta)
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return high[:, None] * delta
