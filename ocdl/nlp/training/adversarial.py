"""Adversarial training as minimax control: controls that are best against the worst change of every sample.

    min_u Σ_s ω_s [ (1 − α) max_{‖δ_s‖ ≤ Δ} J_s(u, x_s^0 + δ_s) + α J_s(u, x_s^0) ] + effort + penalty

Sources: Liu and Theodorou (2019), "Deep learning theory review", section 5.3, (56) and (57); Blankenship and Falk
(1976), "Infinitely constrained optimization problems", for cutting sets; Danskin (1966).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from ocdl import xr
from ocdl.arrays import Array, is_real, is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.interrupts import interruptible
from ocdl.nlp.training.lbfgs import LBFGS
from ocdl.nlp.training.scenarios import FirstOrder, Maximised, Scenarios, Several, SmoothMaximum
from ocdl.nlp.training.walk import Training
from ocdl.referee.outcome import Outcome, Status, wrapped_up
from ocdl.solving.adversary import Adversary, Ascent, check_perturbed
from ocdl.solving.method import Method, Start
from ocdl.statement.ball import Ball
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.reduced import ReducedCost

Outer = Literal["cutting sets", "Danskin", "first order"]

SHARP = 10.0  # k times the spread of the costs of a sample's scenarios, at first
SHARPENED = 3.0  # times as sharp, from pass to pass
PASSES = 12  # in one round
LEVELLED = 0.1  # of the shares, when scenarios are new
APART = 1e-9  # by which a scenario must be worse than those that are there, relative to 1 + |J|
SETTLED = 0.1  # of the tolerance, below which the scenarios that are there are settled
COLUMNS = ("lower", "upper", "scenarios")


@dataclass(frozen=True)
class AdversarialTraining(Method):
    """Trains against the worst changes of every sample's initial state in a ``Ball``.

    The answer is one to the problem whose samples are the worst changes that were found, with the weights at which they
    balance (``extras``: "change", "of", "weight"); the referee judges it as that. What an adversary then still finds is
    recomputed by ``AdversarialCertificate.of``.

    ball: where the changes are; by default there are none, and training is plain. adversary: what finds them.
    method: what minimises, on controls alone.
    outer: "cutting sets" collects the worst changes and minimises the largest cost among them, until no other costs
        more than the ``tolerance``, relative to 1 + |J|, or ``rounds`` are over: where J is convex in the controls, and
        the changes are maxima, lower and upper value of the game. "Danskin" finds the worst changes anew at every
        evaluation, which serves where they depend smoothly on the controls. "first order" takes Δ ‖p_s(0)‖_* for what
        they cost, exact where J_s is affine in the initial state.
    mixture: α of (57), from 0 to below 1.
    """

    ball: Ball = field(default_factory=lambda: Ball(0.0))
    adversary: Adversary = field(default_factory=Ascent)
    method: Training = field(default_factory=LBFGS)
    outer: Outer = "cutting sets"
    mixture: float = 0.0
    rounds: int = 20
    tolerance: float = 1e-3

    budgets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        kinds: tuple[tuple[str, Any, str], ...] = (
            ("ball", Ball, "ocdl.Ball(0.1)"),
            ("adversary", Adversary, "ocdl.Ascent()"),
            ("method", Training, "ocdl.LBFGS()"),
        )
        for name, kind, example in kinds:
            if not isinstance(getattr(self, name), kind):
                said = f"{self.name}({name}={getattr(self, name)!r})"
                raise InvalidInput(f"{said}: give an instance such as {example}.")
        if self.outer not in get_args(Outer):
            raise InvalidInput(f"{self.name}(outer={self.outer!r}): one of {', '.join(map(repr, get_args(Outer)))}.")
        if not (is_real(self.mixture) and 0.0 <= self.mixture < 1.0):
            raise InvalidInput(f"{self.name}(mixture={self.mixture!r}): a number from 0 to below 1 is needed.")
        if not is_whole(self.rounds) or self.rounds < 1:
            raise InvalidInput(f"{self.name}(rounds={self.rounds!r}): a whole number, at least 1, is needed.")
        if not (is_real(self.tolerance) and 0.0 < self.tolerance < 1.0):
            raise InvalidInput(f"{self.name}(tolerance={self.tolerance!r}): it must lie between 0 and 1.")

    def check(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self.method.check(problem, depth)
        check_perturbed(self.name, problem, self.ball)

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        reduced = ReducedCost(problem, depth)
        scenarios = Scenarios.nominal(problem, self.mixture)
        cost = Maximised(reduced, scenarios, self.ball, self.adversary)
        game = _Game(self, cost, reduced.join(start.u, start.p))
        play = game.cut if self.outer == "cutting sets" else game.directly
        try:
            with interruptible():
                status = play(progress)
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        return wrapped_up(lambda: game.outcome(status))


class _Game:
    """The present controls w and the scenarios that they answer; a row of figures for each round."""

    def __init__(self, options: AdversarialTraining, cost: Maximised, w: Array) -> None:
        self.options, self.cost = options, cost
        self.now = w, cost.scenarios
        self.rows: list[tuple[float, ...]] = []
        self.inner = Status.CONVERGED

    def cut(self, progress: bool | None) -> Status:
        """Rounds: w is the best against the scenarios, then the worst changes at w join these."""
        for _ in range(self.options.rounds):
            self._settle(progress)
            if self._met():
                return Status.CONVERGED if self.inner is Status.CONVERGED else Status.ACCEPTABLE
        return Status.ITERATION_LIMIT

    def _met(self) -> bool:
        """Whether lower and upper value meet; else the worst changes join the scenarios where they cost more."""
        w, scenarios = self.now
        several = Several(self.cost.nominal, scenarios)
        worst, costs = self.options.adversary.worst(self.cost.target(w)), several.costs(w)
        present, lower = scenarios.worst(costs), several.value(w)
        omega = (1.0 - scenarios.mixture) * np.asarray(scenarios.problem.weights)
        upper = lower + float(omega @ (np.maximum(worst.costs, present) - scenarios.mean(costs)))
        self.rows.append((lower, upper, float(scenarios.of.size)))
        if upper - lower <= self.options.tolerance * (1.0 + abs(upper)):
            return True
        new = np.flatnonzero(worst.costs > present + APART * (1.0 + np.abs(present)))
        self.now = w, scenarios.joined(worst.changes, new)
        return False

    def _settle(self, progress: bool | None) -> None:
        """Controls that are best against the largest costs of the scenarios, with the shares that balance these."""
        w, scenarios = self.now[0], self.now[1].levelled(LEVELLED)
        costs = Several(self.cost.nominal, scenarios).costs(w)
        spread = float(np.max(scenarios.worst(costs) + scenarios.worst(-costs)))
        k = SHARP / spread if spread > 0.0 else 1.0
        for _ in range(PASSES):
            cost = SmoothMaximum(self.cost.nominal, scenarios, k)
            found = self.options.method.minimise(cost, w, progress=progress)
            w = cost.join(found.u, found.p)
            costs = cost.costs(w)
            scenarios, k = scenarios.tilted(costs, k)[1], SHARPENED * k
            self.now, self.inner = (w, scenarios), found.status
            omega = np.asarray(scenarios.problem.weights)
            left = float(omega @ (scenarios.worst(costs) - scenarios.mean(costs)))
            if left <= SETTLED * self.options.tolerance * (1.0 + abs(float(omega @ costs[: omega.size]))):
                return

    def directly(self, progress: bool | None) -> Status:
        """One descent, on what stands for the maximum."""
        first_order = self.options.outer == "first order"
        cost = (FirstOrder if first_order else Maximised)(
            self.cost.nominal, self.cost.scenarios, self.options.ball, self.options.adversary
        )
        found = self.options.method.minimise(cost, self.now[0], progress=progress)
        w = cost.join(found.u, found.p)
        self.now = w, self.cost.at(w)
        self._met()
        return found.status

    def outcome(self, status: Status) -> Outcome:
        w, scenarios = self.now
        u, p = self.cost.split(w)
        lower, upper, count = self.rows[-1] if self.rows else (np.nan, np.nan, np.nan)
        kept = scenarios.weights > 0.0
        rows = {"of": scenarios.of[kept], "weight": scenarios.weights[kept]}
        extras = {name: xr.DataArray(values, dims=("scenario",)) for name, values in rows.items()}
        extras["change"] = xr.DataArray(scenarios.change[kept], dims=("scenario", "moved"))
        history = {name: list(column) for name, column in zip(COLUMNS, zip(*self.rows, strict=True), strict=False)}
        said = f"{len(self.rows)} round(s), {count:.0f} scenarios: value {lower:.6g} to {upper:.6g}."
        return Outcome(u, p, status, said, {"cost": lower}, history, extras, judge=scenarios.stated)
