"""Fluctuation and dissipation of stochastic gradients that have come to rest in law, as SGD is measured.

    θ⁺ = θ − η g,  E g = ∇Φ:  where the mean of ½|θ|² no longer changes,

    E[θ·∇Φ] = ½ η E|g|² = ½ η Tr E C̃,  C̃ = E_B[g gᵀ],  at any η and for any Φ.

The other relation, of Φ itself, E|∇Φ|² = ½ η Tr E[∇²Φ C̃], has terms of η² and more unless Φ is quadratic. Inner
products are those of function space. C̃ is the second moment; the covariance of (43) in the review is not all of it.
Sources: Liu and Theodorou (2019), "Deep learning theory review", section 4.3, (38) to (42); Yaida (2018), (FDR1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.arrays import Array, finite_array, is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.reduced import ReducedCost
from ocdl.sweeps.sweeper import SweepFailed


@dataclass(frozen=True, eq=False)
class Balance:
    """dissipation and fluctuation (K,), two series whose means agree at rest."""

    dissipation: Array
    fluctuation: Array

    @property
    def difference(self) -> float:
        return float(np.mean(self.dissipation - self.fluctuation))

    def error(self, blocks: int = 20) -> float:
        """Standard error of ``difference``, from means of consecutive blocks, longer than what is correlated."""
        if not is_whole(blocks) or not 2 <= blocks <= self.dissipation.size:
            raise InvalidInput(f"error(blocks={blocks!r}): from 2 blocks to as many as values are needed.")
        means = [np.mean(part) for part in np.array_split(self.dissipation - self.fluctuation, blocks)]
        return float(np.std(means, ddof=1) / np.sqrt(blocks))

    def at_rest(self, within: float = 3.0, blocks: int = 20) -> Finding:
        """Whether the means agree ``within`` so many standard errors; necessary for rest, and not sufficient."""
        apart = abs(self.difference) / self.error(blocks)
        return Finding(
            "Fluctuation–dissipation relation of stochastic gradients at rest in law (Yaida, 2018)",
            (Hypothesis(f"means differ by at most {within:g} standard errors", within - apart),),
            f"dissipation {self.dissipation.mean():.6g} is fluctuation {self.fluctuation.mean():.6g} "
            f"up to {self.difference:.1g} ± {self.error(blocks):.1g}.",
        )


def measured_balance(
    problem: ControlProblem,
    depth: DepthScheme,
    start: tuple[Array, Array],
    *,
    step: float,
    batch: int,
    iterations: int,
    discard: int = 0,
    seed: int = 0,
) -> Balance:
    """⟨z, ∇J⟩ and ½ τ |g|² of z ← z − τ g, of ``iterations`` after the first ``discard``.

    g: the gradient of ``batch`` samples, drawn anew and independently in every iteration; no bounds are kept. Of
    epochs, which ``StochasticGradient`` draws, batches depend on each other, and the relation is not theirs exactly.
    start: controls (Q, m) and parameters (P,). Raises SweepFailed where the iteration diverges.
    """
    if not is_whole(batch) or not 1 <= batch <= problem.samples:
        raise InvalidInput(f"measured_balance(batch={batch!r}): from 1 to {problem.samples} samples are needed.")
    cost, rng = ReducedCost(problem, depth), np.random.default_rng(seed)
    z = cost.join(*(finite_array("start", part) for part in start))
    part = lru_cache(256)(lambda rows: cost.on_samples(np.array(rows)))  # compiled sweeps are slow to set up
    metric, found = cost.metric, np.empty((2, iterations))
    for k in range(-discard, iterations):
        rows = rng.choice(problem.samples, batch, replace=False)
        _, drawn = part(tuple(np.sort(rows).tolist())).value_and_gradient(z)
        if k >= 0:
            _, full = cost.value_and_gradient(z)
            found[:, k] = np.dot(z, full), 0.5 * step * np.dot(drawn, drawn / metric)
        z = z - step * drawn / metric
        if not np.all(np.isfinite(z)):
            raise SweepFailed(f"measured_balance(step={step:g}): the iteration diverges.")
    return Balance(*found)
