"""By how much the outputs of a network can change in a ball of its inputs: proven, not linearised.

With secant slopes s between a nominal trajectory and any other, σ(z) − σ(z̄) = s (z − z̄) holds exactly, so that in each
stage, with ε = (s − s_c)(z − z̄),

    φ(X) − φ(X̄) = (V diag(s_c) W + S)(X − X̄) + V ε,   |ε_i| ≤ R_i |z_i − z̄_i|,   s ∈ [s_c − R, s_c + R].

X − X̄ is linear in the change δ of the inputs and in all the ε of the stages before: a zonotope with one ball. What it
says of z − z̄ in |δ| ≤ r gives the slopes that the ball can see, and these the next ε. Beside it the product of bounds
on the norms of the steps is carried along, which alone sees that a contractive network contracts; the better counts.
Sources: Weng et al., "Towards fast computation of certified robustness for ReLU networks" (2018), for slopes from
intervals in a ball; Singh et al., "Fast and effective robustness certification" (2018), for zonotopes of layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ocdl.analysis.conditioning.lipschitz import Growth, spectral_norm
from ocdl.analysis.conditioning.slopes import secant_range
from ocdl.analysis.steps import Factors, Step, steps_of
from ocdl.arrays import Array
from ocdl.solving.layered import LayeredNetwork


@dataclass(eq=False)
class Deviation:
    """What can become of S inputs x (S, d) that change by up to r (S,), step after step.

    generators (S, n, d + k·Q): X − X̄ by δ and by the ε of all Q stages; ``spread`` (S, Q, k): bounds on |ε|; of each
    stage that is passed √R (S, k) and a bound (S,) on ‖√R (z − z̄)‖; ``ball`` (S,): a bound on ‖x − x̄‖.
    """

    r: Array
    d: int
    x: Array
    generators: Array
    spread: Array
    ball: Array
    passed: list[tuple[Array, Array]] = field(default_factory=list)

    @classmethod
    def of(cls, network: LayeredNetwork, inputs: Array, radius: Array) -> Deviation:
        """x_N(inputs + δ) − x_N(inputs) of all |δ| ≤ radius (S,)."""
        E, k, S = network.entrance.weight, network.layers.W.shape[1], len(inputs)
        Q = len(network.widths) * network.tableau.stages
        generators = np.zeros((S, len(E), E.shape[1] + k * Q))
        generators[:, :, : E.shape[1]] = E
        found = cls(
            *(radius, E.shape[1], network.entrance(inputs), generators, np.zeros((S, Q, k))),
            ball=radius * np.linalg.norm(E, 2),
        )
        for step in steps_of(network.activation, network.layers, network.tableau, network.widths):
            found.advance(step)
        return found

    def bound(self, rows: Array) -> Array:
        """Bounds (S, m) on |g·(x − x̄)|, of each row g of rows (S, m, n) or (m, n)."""
        seen = rows @ self.generators
        return self._range(seen, self._rest(seen), rows, self.ball)

    def advance(self, step: Step) -> None:
        """One step further."""
        Z, h, tableau, growth = self.generators, step.h, step.tableau, Growth(step)
        inner, self.x = step.stages(self.x)
        slopes: list[Array] = []
        for a, layer, X in zip(tableau.A, step.layers, inner, strict=True):
            F, at = Factors.of(layer), Z + sum(h * c * s for c, s in zip(a, slopes, strict=False))
            seen = F.W @ at[:, :, : self.used]
            rest = self._rest(seen)
            ranges = self._range(seen, rest, F.W, self.ball * growth.of(a))
            low, high = secant_range(layer.activation, layer.preactivation(X), ranges)
            growth.add(F, low, high)
            self._pass(seen, rest, ranges, 0.5 * (high - low))
            slopes.append(self._moved(F, at, seen, 0.5 * (low + high)))
        self.generators = Z + sum(h * c * s for c, s in zip(tableau.b, slopes, strict=True))
        self.ball = self.ball * growth.of(tableau.b)

    @property
    def used(self) -> int:
        """How many generators are there by now: those of δ, and of the stages that are passed."""
        return self.d + len(self.passed) * self.spread.shape[2]

    def _pass(self, seen: Array, rest: Array, ranges: Array, R: Array) -> None:
        """What this stage's ε can be, where W Z is ``seen``: each alone, and all together."""
        root, linear = np.sqrt(R), seen[:, :, : self.d]
        together = self.r * spectral_norm(root[:, :, None] * linear) + np.linalg.norm(root * rest, axis=1)
        self.spread[:, len(self.passed)] = R * ranges
        self.passed.append((root, np.minimum(together, np.linalg.norm(root * ranges, axis=1))))

    def _moved(self, factors: Factors, Z: Array, seen: Array, centre: Array) -> Array:
        """The generators of φ(X) − φ(X̄): those of X − X̄, which W sees, and the ε of the stage that is just passed."""
        found = factors.S @ Z if np.any(factors.S) else np.zeros_like(Z)
        before = seen.shape[2]
        found[:, :, :before] += factors.V @ (centre[:, :, None] * seen)
        found[:, :, before : self.used] += factors.V
        return np.asarray(found)

    def _rest(self, seen: Array) -> Array:
        """Bounds (S, m) on what all the ε make of rows that see the generators so, (S, m, used)."""
        k, total = self.spread.shape[2], np.zeros(seen.shape[:2])
        for q, (root, norm) in enumerate(self.passed):
            by = seen[:, :, self.d + q * k : self.d + (q + 1) * k]
            alone = (np.abs(by) @ self.spread[:, q, :, None])[:, :, 0]
            total += np.minimum(alone, np.linalg.norm(by * root[:, None], axis=2) * norm[:, None])
        return total

    def _range(self, seen: Array, rest: Array, rows: Array, ball: Array) -> Array:
        """Bounds (S, m) on what rows make of X − X̄, where ‖X − X̄‖ ≤ ball."""
        linear = self.r[:, None] * np.linalg.norm(seen[:, :, : self.d], axis=2)
        return np.minimum(linear + rest, np.linalg.norm(rows, axis=-1) * ball[:, None])
