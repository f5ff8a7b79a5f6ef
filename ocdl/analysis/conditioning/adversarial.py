"""What adversaries can make of an answer: its cost against the worst changes, attacked from below, proven from above.

    lower = Σ weight J(x^0 + δ) over the answer's own scenarios  ≤  attacked  ≤  Σ_s ω_s max_{‖δ‖≤Δ} J_s  ≤  certified,

each computed anew from the controls. Where the controls minimise the first, which is the cost that the referee judges,
and J is convex in them, no controls have a value below it, and certified − lower bounds what is left to gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.conditioning.branching import proven_costs
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.adversary import Adversary, Ascent, Perturbed, Worst, check_perturbed
from ocdl.solving.compile import Problem, discretised
from ocdl.solving.layered import LayeredNetwork
from ocdl.statement.ball import Ball
from ocdl.statement.problem import ControlProblem
from ocdl.statement.readout_loss import ReadoutLoss
from ocdl.statement.selection import Grid
from ocdl.sweeps.sweeper import Sweeper

ATTACK = Ascent(iterations=40, starts=8, seed=1)  # longer than in training, and from elsewhere
STATIONARY = 1e-6  # norm of a projected gradient that vanishes
ROUNDED = 1e-9  # of weights, and of lengths


@dataclass(frozen=True, eq=False)
class AdversarialCertificate:
    """Values of the game at an answer: ``nominal`` J, ``lower``, ``attacked``, ``certified`` (infinite where nothing is
    proven), and of each sample ``changes`` (S, n), their ``costs`` and proven ``bounds`` (S,).

    stationarity: the referee's norm of the answer's projected gradient; ``lower`` is a bound where it vanishes.
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
        target, omega = Perturbed(Sweeper(core, depth), u, p, ball), np.asarray(core.weights)
        nominal = float(target.sweeper.integral(u, p)[1])
        own = target.costs(target.samples, np.zeros((core.samples, core.n)))
        rows, weights, moved = _scenarios(core, solution, ball)
        played = target.costs(rows, moved)
        worst = adversary.worst(target)
        changes, costs = _largest(worst, own, rows, moved, played)
        bounds = np.minimum(worst.bounds, _proven(core, depth, solution, ball, costs))
        shared = nominal - float(omega @ own)

        def mixed(J: Array) -> float:
            return shared + float(omega @ ((1.0 - mixture) * J + mixture * own))

        values = nominal, shared + float(weights @ played), mixed(costs), mixed(bounds)
        return cls(ball, *values, changes, costs, bounds, solution.stationarity)

    @property
    def gap(self) -> float:
        """certified − lower; attacked − lower where nothing is proven."""
        return (self.certified if np.isfinite(self.certified) else self.attacked) - self.lower

    @property
    def findings(self) -> tuple[Finding, Finding]:
        """What no adversary can exceed, and what no controls can undercut."""
        return (
            Finding(
                "Maxima over the ball, proven by eigenvalues or by branch and bound",
                (Hypothesis.declared("every maximum is proven from above", bool(np.isfinite(self.certified))),),
                f"no changes in {self.ball!r} raise J from {self.nominal:.6g} above {self.certified:.6g}; those "
                f"that were found raise it to {self.attacked:.6g}",
            ),
            Finding(
                "Weak duality: what controls cost that are best against given changes, no controls undercut",
                (Hypothesis("the projected gradient vanishes; minus its norm", -self.stationarity, -STATIONARY),),
                f"where J is convex in the controls, all of them have a worst cost of at least {self.lower:.6g}",
            ),
        )


def _largest(worst: Worst, own: Array, rows: Any, moved: Array, played: Array) -> tuple[Array, Array]:
    """The worst change of each sample (S, n) and its cost (S,), of what was found, none at all, and scenarios."""
    S = own.size
    of = np.concatenate([np.tile(np.arange(S), 2), rows])
    change = np.concatenate([worst.changes, np.zeros_like(worst.changes), moved])
    costs = np.concatenate([worst.costs, own, played])
    last = np.lexsort((costs, of))[np.cumsum(np.bincount(of)) - 1]
    return change[last], costs[last]


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
