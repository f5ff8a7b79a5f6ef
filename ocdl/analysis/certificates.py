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

from ocdl.analysis.lipschitz import Growth, spectral_norm
from ocdl.analysis.slopes import secant_range
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
        return self._bound(rows @ self.generators, rows, self.ball)

    def advance(self, step: Step) -> None:
        """One step further."""
        Z, h, tableau, growth = self.generators, step.h, step.tableau, Growth(step)
        inner, self.x = step.stages(self.x)
        slopes: list[Array] = []
        for a, layer, X in zip(tableau.A, step.layers, inner, strict=True):
            F, at = Factors.of(layer), Z + sum(h * c * s for c, s in zip(a, slopes, strict=False))
            seen = F.W @ at[:, :, : self.used]
            ranges = self._bound(seen, F.W, self.ball * growth.of(a))
            low, high = secant_range(layer.activation, layer.preactivation(X), ranges)
            slopes.append(self._passed(F, at, seen, ranges, 0.5 * (low + high), 0.5 * (high - low)))
            growth.add(F, low, high)
        self.generators = Z + sum(h * c * s for c, s in zip(tableau.b, slopes, strict=True))
        self.ball = self.ball * growth.of(tableau.b)

    @property
    def used(self) -> int:
        """How many generators are there by now: those of δ, and of the stages that are passed."""
        return self.d + len(self.passed) * self.spread.shape[2]

    def _passed(self, factors: Factors, Z: Array, seen: Array, ranges: Array, centre: Array, R: Array) -> Array:
        """The generators of φ(X) − φ(X̄), where W Z is ``seen``; the ε of this stage are the next, still free."""
        q, root, linear, used = len(self.passed), np.sqrt(R), seen[:, :, : self.d], self.used
        beyond = np.maximum(ranges - self.r[:, None] * np.linalg.norm(linear, axis=2), 0.0)
        together = self.r * spectral_norm(root[:, :, None] * linear) + np.linalg.norm(root * beyond, axis=1)
        self.spread[:, q] = R * ranges
        self.passed.append((root, np.minimum(together, np.linalg.norm(root * ranges, axis=1))))
        found = factors.S @ Z if np.any(factors.S) else np.zeros_like(Z)
        found[:, :, :used] += factors.V @ (centre[:, :, None] * seen)
        found[:, :, used : self.used] += factors.V
        return np.asarray(found)

    def _bound(self, seen: Array, rows: Array, ball: Array) -> Array:
        """Of rows that see these generators, (S, m, used)."""
        total = self.r[:, None] * np.linalg.norm(seen[:, :, : self.d], axis=2)
        k = self.spread.shape[2]
        for q, (root, norm) in enumerate(self.passed):
            by = seen[:, :, self.d + q * k : self.d + (q + 1) * k]
            alone = (np.abs(by) @ self.spread[:, q, :, None])[:, :, 0]
            total = total + np.minimum(alone, np.linalg.norm(by * root[:, None], axis=2) * norm[:, None])
        return np.minimum(total, np.linalg.norm(rows, axis=-1) * ball[:, None])
