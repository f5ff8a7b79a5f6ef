"""What adversaries can make of an answer: its cost against the worst changes, attacked from below, proven from above.

    lower = Σ weight J(x^0 + δ) over the answer's own scenarios  ≤  attacked  ≤  Σ_s ω_s max_{‖δ‖≤Δ} J_s  ≤  certified,

each computed anew from the controls. Where the controls minimise the first, which is the cost that the referee judges,
and J is convex in them, no controls have a value below it, and certified − lower bounds what is left to gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.cells import proven_costs
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.adversary import Adversary, Ascent, Perturbed, check_perturbed
from ocdl.solving.compile import Problem, discretised
from ocdl.solving.layered import LayeredNetwork
from ocdl.statement.ball import Ball
from ocdl.statement.problem import ControlProblem
from ocdl.statement.readout_loss import ReadoutLoss
from ocdl.statement.selection import Grid
from ocdl.sweeps.sweeper import Sweeper

ATTACK = Ascent(iterations=40, starts=8, seed=1)  # longer than in training, and from elsewhere
ROUNDED = 1e-9  # of weights, and of lengths


@dataclass(frozen=True, eq=False)
class AdversarialCertificate:
    """Values of the game at an answer: ``nominal`` J, ``lower``, ``attacked``, ``certified`` (infinite where nothing is
    proven), and of each sample ``changes`` (S, n), their ``costs`` and proven ``bounds`` (S,).

    stationarity: what the referee says of the answer's gradient, of which ``lower`` is a bound.
    """

    ball: Ball
    nominal: float
    lower: float
    attacked: float
    certified: float
    changes: Array
    costs: Array
    bounds: Array
    stationarity: float

    @classmethod
    def of(
        cls,
        problem: Problem,
        grid: Grid | DepthScheme,
        solution: Solution,
        ball: Ball,
        *,
        adversary: Adversary = ATTACK,
        mixture: float = 0.0,
    ) -> AdversarialCertificate:
        """Of a solution of ``problem``, by any method, before changes in ``ball``; mixture: α as in training.

        Bounds are proven by ``TrustRegion()``, and of networks of dense layers with one output.
        Raises InvalidInput where scenarios that the solution says it answers leave the ball, or have other weights.
        """
        core, depth = discretised(problem, grid)
        check_perturbed("AdversarialCertificate.of", core, ball)
        u, p = coefficients(core, depth, solution)
        target = Perturbed(Sweeper(core, depth), u, p, ball)
        own, rows = target.costs(target.samples, np.zeros((core.samples, core.n))), target.samples
        total = float(target.sweeper.integral(u, p)[1])
        omega, worst = np.asarray(core.weights), adversary.worst(target)
        better = worst.costs >= own
        changes, costs = np.where(better[:, None], worst.changes, 0.0), np.maximum(worst.costs, own)
        rows, weights, moved = _scenarios(core, solution, ball)
        played = target.costs(rows, moved)
        for s, J, change in zip(rows, played, moved, strict=True):
            if costs[s] < J:
                costs[s], changes[s] = J, change
        bounds = np.minimum(worst.bounds, _proven(core, depth, solution, ball, costs))
        shared = total - float(omega @ own)
        mixed = [float(omega @ ((1.0 - mixture) * J + mixture * own)) + shared for J in (costs, bounds)]
        lower = float(weights @ played) + shared
        attacked, certified = mixed
        return cls(ball, total, lower, attacked, certified, changes, costs, bounds, solution.stationarity)

    @property
    def gap(self) -> float:
        """certified − lower; attacked − lower where nothing is proven."""
        return (self.certified if np.isfinite(self.certified) else self.attacked) - self.lower

    @property
    def finding(self) -> Finding:
        """The certificate in words."""
        proven = bool(np.isfinite(self.certified))
        said = f"no change in {self.ball!r} raises J above {self.certified:.6g}" if proven else "nothing is proven"
        return Finding(
            "Weak duality of the game: a mixture of changes that its minimiser answers bounds the value from below",
            (
                Hypothesis.declared("every maximum is proven from above", proven),
                Hypothesis("what a unit projected step would gain, at most 1e-6", 1e-6 - self.stationarity),
            ),
            f"{said}; attacks raise it from {self.nominal:.6g} to {self.attacked:.6g}, and controls near these, all "
            f"controls where J is convex in them, have a value of {self.lower:.6g} or more: a gap of {self.gap:.2g}",
        )


def _scenarios(problem: ControlProblem, solution: Solution, ball: Ball) -> tuple[Any, Array, Array]:
    """Of every scenario that the solution answers its sample, weight and change; the samples as they are where none."""
    S, n = problem.samples, problem.n
    if "change" not in solution.extras:
        return np.arange(S), np.asarray(problem.weights), np.zeros((S, n))
    of, weight, change = (np.asarray(solution.extras[name]) for name in ("of", "weight", "change"))
    fits = of.ndim == 1 and change.shape == (of.size, n) and weight.shape == of.shape and of.min() >= 0 and of.max() < S
    said = "AdversarialCertificate.of(solution): its scenarios"
    if not fits:
        raise InvalidInput(f"{said} are none of this problem's {S} sample(s) of {n} state(s).")
    if not np.allclose(np.bincount(of, weight, S), problem.weights, rtol=0.0, atol=ROUNDED) or weight.min() < 0.0:
        raise InvalidInput(f"{said} have not the weights of the samples.")
    length = float(np.max(ball.size(change)))
    fixed = float(np.max(np.abs(change[:, ball.moved(n) :]), initial=0.0))
    if length > ball.radius * (1.0 + ROUNDED) or fixed > 0.0:
        raise InvalidInput(f"{said} change initial states by up to {length:g}, outside {ball!r}.")
    return of.astype(int), weight, change


def _proven(core: ControlProblem, depth: DepthScheme, solution: Solution, ball: Ball, costs: Array) -> Array:
    """Bounds (S,) on the worst costs of a network's samples; infinite where it is none of the kind."""
    d, terminal, unknown = ball.moved(core.n), core.terminal, np.full(core.samples, np.inf)
    if not isinstance(terminal, ReadoutLoss) or core.running is not None or np.any(core.x0[:, d:]):
        return unknown
    if not terminal.known or terminal.output.weights.size != 1:
        return unknown
    try:
        network = LayeredNetwork.of(core, depth, solution, inputs=d)
        return proven_costs(network, terminal, core.x0[:, :d], np.asarray(core.data), ball, costs)
    except NotSupported:
        return unknown
