"""Scenarios: the samples of a problem, each with several changes of its initial state and a share of its weight.

    Σ_s ω_s max_{λ_s} [ Σ_j λ_sj J_sj − (1/k) Σ_j λ_sj log(λ_sj/λ⁰_sj) ] = Σ_s ω_s (1/k) log Σ_j λ⁰_sj e^{k J_sj}

is what ``SmoothMaximum`` offers to methods on controls alone; its gradient is that of Σ_s ω_s Σ_j λ_sj J_sj at the λ
that maximise, so that a minimiser of the one is stationary for the other, which is an ordinary problem. Of the maxima
1 − α counts, and α of the unperturbed costs.
Source: Tseng and Bertsekas, Math. Program. 60 (1993), exponential multipliers.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.solving.adversary import Adversary, Perturbed
from ocdl.statement.ball import Ball
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.reduced import GradientCost, ReducedCost
from ocdl.sweeps.sweeper import SweepFailed

NOTHING, SMALLEST = 1e-300, 1e-12  # of shares: none, and the smallest that is kept
DIFFERENCE = 1e-4  # of initial states, for derivatives along changes


@dataclass(frozen=True, eq=False)
class Scenarios:
    """Of scenario r the sample ``of`` (R,), the ``change`` (R, n) and the ``share`` λ (R,), 1 in all for each sample.

    The first S are the samples as they are, which have α, the ``mixture``, beside their share of 1 − α.
    """

    problem: ControlProblem
    of: NDArray[np.intp]
    change: Array
    share: Array
    mixture: float = 0.0

    @classmethod
    def nominal(cls, problem: ControlProblem, mixture: float = 0.0) -> Scenarios:
        S = problem.samples
        return cls(problem, np.arange(S), np.zeros((S, problem.n)), np.ones(S), mixture)

    @property
    def weights(self) -> Array:
        """ω_s [(1 − α) λ_sj + α (j = 0)], (R,)."""
        first = np.arange(self.of.size) < self.problem.samples
        return np.asarray(self.problem.weights)[self.of] * ((1.0 - self.mixture) * self.share + self.mixture * first)

    @property
    def stated(self) -> ControlProblem:
        """The ordinary problem whose samples are these scenarios, those without weight left out."""
        kept = self.weights > 0.0
        rows = self.of[kept]
        stated = self.problem.on_samples(rows, self.weights[kept])
        return stated.with_numbers(initial=self.problem.x0[rows] + self.change[kept])

    def mean(self, values: Array) -> Array:
        """Σ_j λ_sj values (S,) of values (R,)."""
        return np.asarray(np.bincount(self.of, self.share * values, self.problem.samples), dtype=float)

    def worst(self, values: Array) -> Array:
        """max_j of values (R,), (S,)."""
        found = np.full(self.problem.samples, -np.inf)
        np.maximum.at(found, self.of, values)
        return found

    def tilted(self, costs: Array, k: float) -> tuple[Array, Scenarios]:
        """(1/k) log Σ_j λ e^{k J} (S,) of costs J (R,), and the scenarios with λ ∝ λ e^{k J}."""
        raised = k * costs + np.log(np.maximum(self.share, NOTHING))
        top = self.worst(raised)
        raised = np.exp(raised - top[self.of])
        total = np.bincount(self.of, raised, self.problem.samples)
        share = np.where(raised > SMALLEST * total[self.of], raised, 0.0)
        share /= np.bincount(self.of, share, self.problem.samples)[self.of]
        return (top + np.log(total)) / k, replace(self, share=share)

    def levelled(self, part: float) -> Scenarios:
        """With this part of the shares spread evenly over the scenarios of each sample."""
        return replace(self, share=(1.0 - part) * self.share + part / np.bincount(self.of)[self.of])

    def joined(self, change: Array, new: NDArray[np.intp]) -> Scenarios:
        """With changes (S, n) of the samples ``new`` as scenarios more, which have no share yet."""
        return replace(
            self,
            of=np.concatenate([self.of, new]),
            change=np.concatenate([self.change, change[new]]),
            share=np.concatenate([self.share, np.zeros(new.size)]),
        )

    def only(self, change: Array) -> Scenarios:
        """The samples as they are, and one change (S, n) for each, which has all of its share."""
        S = self.problem.samples
        both = self.nominal(self.problem, self.mixture).joined(change, np.arange(S))
        return replace(both, share=np.repeat([0.0, 1.0], S))


class Several(GradientCost):
    """A reduced cost whose samples are scenarios, by the compiled functions of another."""

    def __init__(self, reduced: ReducedCost, scenarios: Scenarios) -> None:
        super().__init__(reduced)
        self.scenarios = scenarios

    def costs(self, w: Array) -> Array:
        """J_sj (R,) of the scenarios. Raises SweepFailed."""
        u, p = self.split(w)
        rows = self.scenarios.of
        sweeper = self.nominal.sweeper.for_samples(self.nominal.problem.on_samples(rows, np.ones(rows.size)))
        x0 = self.nominal.problem.x0[rows] + self.scenarios.change
        return sweeper.costs(sweeper.state(u, p, x0), u, p)

    def weighed(self, w: Array, scenarios: Scenarios, weights: Array) -> tuple[float, Array]:
        """Σ weights J + effort + penalty over scenarios with weights (R,), 1 in all, and its gradient."""
        other, problem = copy(self.nominal), self.nominal.problem
        stated = problem.on_samples(scenarios.of, weights)
        other.problem = stated.with_numbers(initial=problem.x0[scenarios.of] + scenarios.change)
        other.sweeper = self.nominal.sweeper.for_samples(other.problem)
        return other.value_and_gradient(w)

    def value_and_gradient(self, w: Array) -> tuple[float, Array]:
        self.evaluations += 1
        try:
            with np.errstate(all="ignore"):
                return self._found(w)
        except SweepFailed:
            return float("nan"), np.full(w.size, np.nan)

    def _found(self, w: Array) -> tuple[float, Array]:
        return self.weighed(w, self.scenarios, self.scenarios.weights)


class SmoothMaximum(Several):
    """The smooth maximum over given scenarios, of sharpness k."""

    def __init__(self, reduced: ReducedCost, scenarios: Scenarios, k: float) -> None:
        super().__init__(reduced, scenarios)
        self.k = k

    def _found(self, w: Array) -> tuple[float, Array]:
        costs = self.costs(w)
        soft, tilted = self.scenarios.tilted(costs, self.k)
        value, gradient = self.weighed(w, tilted, tilted.weights)
        omega = (1.0 - tilted.mixture) * np.asarray(tilted.problem.weights)
        return value + float(omega @ (soft - tilted.mean(costs))), gradient


class Maximised(Several):
    """The maximum itself, found anew at every evaluation; by Danskin its gradient is that at the maximiser."""

    def __init__(self, reduced: ReducedCost, scenarios: Scenarios, ball: Ball, adversary: Adversary) -> None:
        super().__init__(reduced, scenarios)
        self.ball, self.adversary = ball, adversary

    def at(self, w: Array) -> Scenarios:
        """The scenarios of the maximisers at w."""
        return self.scenarios.only(self.adversary.worst(self.target(w)).changes)

    def target(self, w: Array) -> Perturbed:
        return Perturbed(self.nominal.sweeper, *self.split(w), self.ball)

    def _found(self, w: Array) -> tuple[float, Array]:
        found = self.at(w)
        return self.weighed(w, found, found.weights)


class FirstOrder(Maximised):
    """J + (1 − α) Δ Σ_s ω_s ‖p_s(0)‖_*, the maximum to first order, by differences along the steepest changes."""

    def _found(self, w: Array) -> tuple[float, Array]:
        S, n = self.nominal.problem.samples, self.nominal.problem.n
        rows, omega = np.arange(S), np.asarray(self.nominal.problem.weights)
        unit = Ball(DIFFERENCE, self.ball.norm, self.ball.inputs)
        step = unit.steepest(self.target(w).slopes(rows, np.zeros((S, n)))[1])
        both = self.scenarios.only(step).joined(-step, rows)
        along = 0.5 * (1.0 - self.scenarios.mixture) * self.ball.radius / DIFFERENCE * omega
        return self.weighed(w, both, np.concatenate([omega, along, -along]))
