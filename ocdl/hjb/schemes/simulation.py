"""Where the states of any small problem may go: controls that lead far, simulated with error control.

Constant and switching controls drawn at random, and extremal ones: with ṗ = −∂⟨p, φ⟩/∂x from random directions p(0) the
minimisers of ⟨p, φ⟩ lead to the boundary of the reachable set (of a linear plant exactly), which finds resonances that
random switching misses. Source: Pontryagin et al., "The mathematical theory of optimal processes" (1962).
"""

from __future__ import annotations

from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.errors import InvalidInput
from ocdl.hjb.schemes.lookahead import Lookahead

Array = NDArray[np.float64]

STEPS = 64  # at least, over the horizon
MOST_STEPS = 20000
TRIED, EXTREMAL = 256, 256
SWITCHES = 4.0  # of a random control, on average
ACCURACY = 1e-3  # of a step, in the size of what has been reached
WIDENED = 0.1


def simulated(lookahead: Lookahead) -> tuple[Array, Array]:
    """Bounds lo, hi (S·n,) of the states reached at any depth, widened by a tenth: an estimate, for problems without an
    enclosure.

    Raises InvalidInput where the controls are unbounded or the states escape to infinity.
    """
    problem = lookahead.problem
    if lookahead.finite is None and not np.all(np.isfinite(problem.control_box)):
        raise InvalidInput(
            "ValueIteration(domain=None): with unbounded controls the reachable states cannot be estimated; "
            "give domain=(lower, upper)."
        )
    flight = _Flight(lookahead, np.random.default_rng(0))
    span, t, h = problem.span, 0.0, problem.span / STEPS
    for _ in range(MOST_STEPS):
        h = min(h, span - t)
        t, h = flight.advanced(t, h)
        if t >= span * (1.0 - 1e-12):
            break
    else:
        raise flight.lost(t)
    size = flight.largest - flight.least
    return flight.least - WIDENED * size, flight.largest + WIDENED * size


class _Flight:
    """States and costates (2, q, S·n) under way, and the box of what they have reached."""

    def __init__(self, lookahead: Lookahead, generator: np.random.Generator) -> None:
        self._law, self._generator = lookahead, generator
        D = lookahead.dimension
        x = np.tile(lookahead.problem.x0.reshape(-1), (TRIED + EXTREMAL, 1))
        p = np.zeros(x.shape)
        p[TRIED:] = np.concatenate([np.eye(D), -np.eye(D), generator.standard_normal((EXTREMAL - 2 * D, D))])
        self._at, self._u = np.stack([x, p]), self._drawn(len(x))
        self.least, self.largest = x[0].copy(), x[0].copy()

    def advanced(self, t: float, h: float) -> tuple[float, float]:
        """The depth reached and the next step, after a step of h, or of less where its error asks for less."""
        span, x = self._law.problem.span, self._at[0]
        self._steer(t, h)
        while True:
            with np.errstate(all="ignore"):
                whole = self._moved(self._at, t, h)
                half = self._moved(self._moved(self._at, t, 0.5 * h), t + 0.5 * h, 0.5 * h)
                size = np.maximum(self.largest - self.least, 1e-6 * (1.0 + np.abs(x).max(axis=0)))
                error = np.max(np.abs(whole - half)[0] / np.maximum(size, np.abs(half[0] - x)))
            if error <= ACCURACY:
                break
            h *= 0.5
            if not h > span / MOST_STEPS:
                raise self.lost(t)
        self._at = half
        length = np.linalg.norm(half[1], axis=1, keepdims=True)
        half[1] /= np.where(length > 0.0, length, 1.0)
        self.least, self.largest = (
            np.minimum(self.least, half[0].min(axis=0)),
            np.maximum(self.largest, half[0].max(axis=0)),
        )
        return t + h, min(span / STEPS, 2.0 * h if error < ACCURACY / 64.0 else h)

    def lost(self, t: float) -> InvalidInput:
        return InvalidInput(
            f"ValueIteration(domain=None): under some controls states leave every bound at depth "
            f"{t:.3g} or change too fast to follow, so that no domain can be estimated; give domain=(lower, upper)."
        )

    def _drawn(self, count: int) -> Array:
        """Random controls, mostly vertices of their box."""
        generator, law = self._generator, self._law
        if law.finite is not None:
            return law.finite[generator.integers(len(law.finite), size=count)]
        low, high = law.problem.control_box
        share = generator.random((count, law.problem.m))
        share = np.where(generator.random((count, 1)) < 0.75, np.rint(share), share)
        return np.asarray(low + share * (high - low))

    def _steer(self, t: float, h: float) -> None:
        """Switch some of the random controls, but a quarter of them never, and make the others extremal."""
        chance = SWITCHES * h / self._law.problem.span
        change = np.flatnonzero(self._generator.random(TRIED) < chance)
        change = change[change >= TRIED // 4]
        self._u[change] = self._drawn(change.size)
        x, p = self._at[:, TRIED:]
        self._u[TRIED:] = self._law.costless.extremal(t, x, p, self._u[TRIED:])

    def _moved(self, at: Array, t: float, h: float) -> Array:
        """One step of Kutta's method of order 4, the controls held."""
        k1 = self._rates(at, t)
        k2 = self._rates(at + 0.5 * h * k1, t + 0.5 * h)
        k3 = self._rates(at + 0.5 * h * k2, t + 0.5 * h)
        k4 = self._rates(at + h * k3, t + h)
        return np.asarray(at + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4))

    def _rates(self, at: Array, t: float) -> Array:
        x, p = at
        rate, slope = self._canonical(np.full((1, len(x)), t), x.T, p.T, self._u.T)
        return np.stack([rate.T, slope.T])

    @cached_property
    def _canonical(self) -> Batch:
        """(t, x, p, u) → φ and −∂⟨p, φ⟩/∂x."""
        symbols, value = self._law.costless.expression
        parts = [ca.densify(ca.gradient(value, symbols[2])), ca.densify(-ca.gradient(value, symbols[1]))]
        return Batch(ca.Function("canonical", symbols, parts))
