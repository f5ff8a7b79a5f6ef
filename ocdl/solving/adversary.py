"""What an adversary can do to trained controls: the worst changes of the samples' initial states.

    max_{‖δ_s‖ ≤ Δ} J_s(u, x_s^0 + δ_s),   ∂J_s/∂x(0) = p_s(0),

for all samples at once, J_s = ℓ + ∫ L dt. ``Ascent`` finds changes, whose costs are at most the maximum; where
J_s is quadratic in δ ``TrustRegion`` finds the maximum itself, with a bound from above by duality.
Sources: Liu and Theodorou (2019), "Deep learning theory review", section 5.3; Madry et al. (2018), "Towards deep
learning models resistant to adversarial attacks"; Conn, Gould and Toint (2000), "Trust-region methods", chapter 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array, is_whole
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.ball import Ball
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper

Rows = NDArray[np.intp]

GROWTH, SHRINKAGE = 1.5, 0.5  # of steps that raise the cost, and of those that do not
QUADRATIC = 1e-8  # by which a quadratic may miss the cost at a random change, relative to it
BISECTIONS = 200


def check_perturbed(said: str, problem: ControlProblem, ball: Any) -> None:
    """Raise InvalidInput for what is no ball of this problem, NotSupported where its initial states cannot be moved."""
    if not isinstance(ball, Ball):
        raise InvalidInput(f"{said}: ball={ball!r}: give an instance such as ocdl.Ball(0.1).")
    ball.moved(problem.n)
    if problem.terminal is None and problem.running is None:
        raise InvalidInput(
            f"{said}: neither terminal nor running is given, so that no change of a state costs anything."
        )
    if problem.free_initial:
        raise NotSupported(f"{said}: initial states that are free cannot be moved by an adversary as well.")
    if problem.measurements is not None:
        raise NotSupported(f"{said}: measurements are no cost of single samples.")
    if problem.constraints:
        raise NotSupported(
            f"{said}: {', '.join(problem.constraints)} would have to hold for every change; state it as a cost."
        )


@dataclass(frozen=True, eq=False)
class Perturbed:
    """J_s(u, x_s^0 + δ) of a problem's samples for changes in a ball; ``sweeper``: any of its sweeps."""

    sweeper: Sweeper
    u: Array
    p: Array
    ball: Ball

    @property
    def problem(self) -> ControlProblem:
        return self.sweeper.problem

    @cached_property
    def samples(self) -> Rows:
        return np.arange(self.problem.samples)

    def costs(self, rows: Rows, change: Array) -> Array:
        """J (R,) of samples ``rows`` (R,) with changes (R, n)."""
        sweeper = self._of(rows)
        return sweeper.costs(sweeper.state(self.u, self.p, self.problem.x0[rows] + change), self.u, self.p)

    def slopes(self, rows: Rows, change: Array) -> tuple[Array, Array]:
        """J (R,) and ∂J/∂δ (R, n), the costates at 0."""
        sweeper = self._of(rows)
        trajectory = sweeper.state(self.u, self.p, self.problem.x0[rows] + change)
        costate = sweeper.costate(trajectory, self.u, self.p).costate[0]
        return sweeper.costs(trajectory, self.u, self.p), costate * rows.size

    def _of(self, rows: Rows) -> Sweeper:
        return self.sweeper.for_samples(self.problem.on_samples(rows, np.ones(rows.size)))


@dataclass(frozen=True, eq=False)
class Worst:
    """What was found of S samples: ``changes`` (S, n), their ``costs`` (S,), and ``bounds`` (S,) that are proven from
    above, infinite where nothing is.
    """

    changes: Array
    costs: Array
    bounds: Array


@dataclass(frozen=True)
class Adversary:
    """Base of what maximises J_s over changes: one verb, ``worst``."""

    def worst(self, target: Perturbed) -> Worst:
        raise NotImplementedError(f"{type(self).__name__} has no worst")


@dataclass(frozen=True)
class Ascent(Adversary):
    """Projected gradient steps δ ← Π(δ + η d), d the steepest change in the ball, for all samples and starts at once.

    η begins at 1, a step of length Δ, and is halved where J_s does not rise. starts: the first from δ = 0, the second
    from the steepest change there, the others from random ones on the boundary. iterations: steps.
    """

    iterations: int = 20
    starts: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("iterations", 0), ("starts", 1), ("seed", 0)):
            value = getattr(self, name)
            if not is_whole(value) or value < least:
                raise InvalidInput(f"Ascent({name}={value!r}): a whole number, at least {least}, is needed.")

    def worst(self, target: Perturbed) -> Worst:
        S, n = target.problem.samples, target.problem.n
        rows = np.tile(target.samples, self.starts)
        change, costs = self._climbed(target, rows, self._starts(target, S, n))
        best = np.argmax(costs.reshape(self.starts, S), axis=0) * S + target.samples
        return Worst(change[best], costs[best], np.full(S, np.inf))

    def _starts(self, target: Perturbed, S: int, n: int) -> Array:
        start, ball = np.zeros((self.starts, S, n)), target.ball
        if self.starts > 1:
            start[1] = ball.steepest(target.slopes(target.samples, start[0])[1])
        drawn = ball.drawn(np.random.default_rng(self.seed), max(0, self.starts - 2) * S, n)
        start[2:] = drawn.reshape(-1, S, n)
        return start.reshape(-1, n)

    def _climbed(self, target: Perturbed, rows: Rows, change: Array) -> tuple[Array, Array]:
        """From changes (R, n) to better ones, and their costs."""
        ball, step = target.ball, np.ones((rows.size, 1))
        costs, gradient = target.slopes(rows, change)
        for _ in range(self.iterations):
            tried = ball.projected(change + step * ball.steepest(gradient))
            found, slope = target.slopes(rows, tried)
            rises = (found > costs)[:, None]
            change, gradient = np.where(rises, tried, change), np.where(rises, slope, gradient)
            costs, step = np.maximum(costs, found), step * np.where(rises, GROWTH, SHRINKAGE)
        return change, costs


@dataclass(frozen=True)
class TrustRegion(Adversary):
    """The maximum itself where J_s is quadratic in δ and the norm is the 2-norm, by eigenvalues.

    J = J_0 + gᵀδ + ½ δᵀHδ:  δ = (ν − H)⁻¹ g with ν ≥ max(0, λ_max(H)), |δ| = Δ where ν > 0; and for every such ν
    J_0 + ½ gᵀ(ν − H)⁻¹ g + ½ ν Δ² bounds the maximum from above. Linear dynamics with quadratic costs are of this
    kind. Raises NotSupported where a quadratic misses J_s, and for the other norm.
    """

    def worst(self, target: Perturbed) -> Worst:
        if target.ball.norm != 2.0:
            raise NotSupported(f"TrustRegion: {target.ball!r} has another norm than 2; use Ascent.")
        J, g, H = _quadratic(target)
        found = [_in_ball(gradient, hessian, target.ball.radius) for gradient, hessian in zip(g, H, strict=True)]
        changes = np.zeros((J.size, target.problem.n))
        changes[:, : g.shape[1]] = [change for change, _ in found]
        return Worst(changes, target.costs(target.samples, changes), J + np.array([gain for _, gain in found]))


def _quadratic(target: Perturbed) -> tuple[Array, Array, Array]:
    """J (S,), g (S, d) and H (S, d, d) at δ = 0, from differences of costates, which are exact. Raises NotSupported."""
    S, n, d = target.problem.samples, target.problem.n, target.ball.moved(target.problem.n)
    J, g = target.slopes(target.samples, np.zeros((S, n)))
    size = target.ball.radius or 1.0
    moved = np.repeat(size * np.eye(d, n), S, axis=0)
    at = target.slopes(np.tile(target.samples, d), moved)[1].reshape(d, S, n)
    H = ((at - g) / size)[:, :, :d].swapaxes(0, 1)
    H, g = 0.5 * (H + H.swapaxes(1, 2)), g[:, :d]
    change = target.ball.drawn(np.random.default_rng(0), S, n)
    delta = change[:, :d]
    told = J + np.sum(g * delta, axis=1) + 0.5 * np.einsum("si,sij,sj->s", delta, H, delta)
    missed = np.max(np.abs(target.costs(target.samples, change) - told) / (1.0 + np.abs(told)))
    if missed > QUADRATIC:
        raise NotSupported(
            f"TrustRegion: the cost of a sample is not quadratic in its initial state, a quadratic misses it by "
            f"{missed:.1e}; use Ascent."
        )
    return J, g, H


def _in_ball(g: Array, H: Array, radius: float) -> tuple[Array, float]:
    """The δ that maximises gᵀδ + ½ δᵀHδ in |δ| ≤ radius, and a bound from above on that."""
    values, vectors = np.linalg.eigh(H)
    along = vectors.T @ g
    least = max(0.0, float(values[-1]))
    high = least + np.linalg.norm(g) / radius if radius > 0.0 else least
    nu = _multiplier(along, values, radius, least, float(high))
    shift = nu - values
    delta = np.divide(along, shift, out=np.zeros_like(along), where=shift > 0.0)
    gain = 0.5 * float(along @ delta) + 0.5 * nu * radius**2
    missing = radius**2 - float(delta @ delta)
    if nu > 0.0 and missing > 0.0:  # the hard case: on to the boundary along the top eigenvector
        delta[-1] += np.sign(delta[-1] or 1.0) * (np.sqrt(delta[-1] ** 2 + missing) - abs(delta[-1]))
    length = float(np.linalg.norm(delta))
    return vectors @ (delta * min(1.0, radius / length) if length > 0.0 else delta), gain


def _multiplier(along: Array, values: Array, radius: float, low: float, high: float) -> float:
    """ν in [low, high] with |(ν − H)⁻¹ g| = radius, from above: the least there where all are shorter."""

    def longer(nu: float) -> bool:
        shift = nu - values
        reached = np.divide(along, shift, out=np.where(along == 0.0, 0.0, np.inf), where=shift > 0.0)
        return float(np.linalg.norm(reached)) > radius

    if not longer(low):
        return low
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if longer(middle) else (low, middle)
    return high
