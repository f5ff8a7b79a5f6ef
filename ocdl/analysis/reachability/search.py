"""Searching for controls that reach targets: damped Gauss–Newton on a few layers, many searches at once.

    ẋ_i = ½(1 − ϑ_i) σ(s⁻_i) + ½(1 + ϑ_i) σ(s⁺_i),   ϑ = tanh φ constant on each layer,
    minimise |x(T; φ) − target|² + λ|φ|²,  λ falling:

ϑ says where in its interval a velocity is, and has a say where σ' = 0 too; tanh keeps it in the box, and the least |φ|
away from the faces, where no room is left for a proof. Derivatives are those of the Runge–Kutta steps themselves; s^±
has kinks where a state is 0, on which the derivative is that of one side. What is found is no proof: ``curves`` is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.analysis.reachability.extremes import Extremes
from ocdl.arrays import Array

ITERATIONS = 25
FIRST, LAST, FALL = 1e-1, 1e-12, 0.3  # of λ
SHRINK, STALLED = 0.3, 1e-4  # of a step that raised the merit, and where to give up
STRONG = 1.5  # φ of a start that heads for a corner of the box


@dataclass(frozen=True, eq=False)
class Steps:
    """Classical Runge–Kutta, ``each`` steps for every layer, of equal layers over the horizon."""

    extremes: Extremes
    x0: Array
    horizon: float
    layers: int
    each: int

    @property
    def times(self) -> Array:
        return np.linspace(0.0, self.horizon, self.layers * self.each + 1)

    def states(self, theta: Array) -> Array:
        """At all steps (K+1, S, M), of ϑ (S, layers, M)."""
        x = np.broadcast_to(self.x0, theta[:, 0].shape)
        found = [x]
        for k in np.repeat(np.arange(self.layers), self.each):
            x = self._step(x, theta[:, k], None)[0]
            found.append(x)
        return np.stack(found)

    def end(self, theta: Array) -> tuple[Array, Array]:
        """x(T) (S, M) and its derivative by ϑ (S, M, layers·M)."""
        S, N, M = theta.shape
        x, slope = np.broadcast_to(self.x0, (S, M)), np.zeros((S, M, N * M))
        for k in np.repeat(np.arange(N), self.each):
            x, slope = self._step(x, theta[:, k], (slope, slice(k * M, (k + 1) * M)))
        return x, slope

    def _step(self, x: Array, theta: Array, tangent: tuple[Array, slice] | None) -> tuple[Array, Array]:
        h = self.horizon / (self.layers * self.each)
        slope, own = tangent if tangent is not None else (np.zeros((1, 1, 0)), slice(0, 0))
        rate, turn = np.zeros_like(x), np.zeros_like(slope)
        total, turns = np.zeros_like(x), np.zeros_like(slope)
        for share, weight in ((0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):
            at = x + share * h * rate
            rate, by_state, by_theta = self._rate(at, theta, tangent is not None)
            total = total + weight * rate
            if tangent is not None:
                turn = by_state @ (slope + share * h * turn)
                i = np.arange(x.shape[1])
                turn[:, i, own.start + i] += by_theta
                turns = turns + weight * turn
        return x + h / 6.0 * total, slope + h / 6.0 * turns

    def _rate(self, x: Array, theta: Array, derivatives: bool) -> tuple[Array, Array, Array]:
        """ẋ (S, M), and its derivatives by x (S, M, M) and ϑ_i (S, M)."""
        box, M = self.extremes.box, x.shape[1]
        ends = box.preactivations(x)
        slow, fast = (self.extremes.velocity(s) for s in ends)
        value = 0.5 * (1.0 - theta) * slow + 0.5 * (1.0 + theta) * fast
        if not derivatives:
            return value, value, value
        by_state = np.zeros((*x.shape, M))
        for s, v, sign in zip(ends, (slow, fast), (-1.0, 1.0), strict=True):
            kernel = box.controls(x, np.full(x.shape, sign))[1]
            steep = 0.5 * (1.0 + sign * theta) * box.activation.derivative(s, v)
            by_state -= steep[..., None] * kernel * box.weights
        return value, by_state, 0.5 * (fast - slow)


def starts(count: int, layers: int, neurons: int) -> Array:
    """φ (count, layers, M): none; all fast; excursions of one neuron, there and back; then random ones, held."""
    rng = np.random.default_rng(0)
    found = [np.zeros((layers, neurons)), np.full((layers, neurons), STRONG)]
    for sign in (1.0, -1.0):
        for i in range(neurons):
            out = np.zeros((layers, neurons))
            out[: (layers + 1) // 2, i], out[(layers + 1) // 2 :, i] = sign * STRONG, -sign * STRONG
            found.append(out)
    found += [STRONG * rng.standard_normal((1, neurons)) * np.ones((layers, 1)) for _ in range(count)]
    return np.stack(found)[:count]


def searched(steps: Steps, targets: Array, phi: Array, first: float = FIRST) -> tuple[Array, Array]:
    """φ (S, layers, M) and the distances |x(T) − target| (S,) that were found for targets (S, M), from another φ.

    A target may be NaN in components that are free.
    """
    share, damping, asked = np.ones(len(phi)), np.full(len(phi), first), np.isfinite(targets)
    targets = np.where(asked, targets, 0.0)
    x, by_phi = _end(steps, phi, asked)
    size = 1.0 + float(np.abs(targets).max())
    for _ in range(ITERATIONS):
        off, flat = x - targets, phi.reshape(len(phi), -1)
        gram = by_phi @ np.swapaxes(by_phi, 1, 2) + damping[:, None, None] * np.eye(off.shape[1])
        wanted = np.linalg.solve(gram, (by_phi @ flat[..., None]) - off[..., None])
        step = ((np.swapaxes(by_phi, 1, 2) @ wanted)[..., 0] - flat) * share[:, None]
        trial = (flat + step).reshape(phi.shape)
        there, slope = _end(steps, trial, asked)
        merits = [_merit(at - targets, p, damping) for at, p in ((x, phi), (there, trial))]
        better = merits[1] <= merits[0]
        phi, by_phi = (np.where(better[:, None, None], *pair) for pair in ((trial, phi), (slope, by_phi)))
        x = np.where(better[:, None], there, x)
        share = np.where(better, np.minimum(1.0, 2.0 * share), SHRINK * share)
        damping = np.where(better, np.maximum(LAST, FALL * damping), damping)
        if np.all((np.abs(x - targets).max(axis=1) <= 1e-9 * size) | (share < STALLED)):
            break
    return phi, np.linalg.norm(x - targets, axis=1)


def _merit(off: Array, phi: Array, damping: Array) -> Array:
    return np.asarray(np.sum(off * off, axis=1) + damping * np.sum(phi * phi, axis=(1, 2)))


def _end(steps: Steps, phi: Array, asked: Array) -> tuple[Array, Array]:
    """x(T) and its derivative by φ, 0 in components that are not asked about."""
    theta = np.tanh(phi)
    x, slope = steps.end(theta)
    slope = slope * (1.0 - theta * theta).reshape(len(phi), 1, -1)
    return np.where(asked, x, 0.0), np.where(asked[..., None], slope, 0.0)
