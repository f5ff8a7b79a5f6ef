"""Extended successive approximations: the augmented Hamiltonian minimised layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ocdl.arrays import is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Move, Trial, Update, descend
from ocdl.pmp.moves.steps import AdaptivePenalty, FixedStep
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.augmented import LayerProblems, Minimiser
from ocdl.pmp.updates.last_layer import AlsoLast, LastLayer, check_last_layer
from ocdl.pmp.updates.needles import first_order_gap
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem

LARGEST = 300  # controls of a layer whose dense Hessian is worth its price


@dataclass(frozen=True)
class ExtendedSuccessiveApproximations(Method):
    """State sweep, costate sweep, u ← argmin of the augmented Hamiltonian on every layer; repeat.

    K(w) = H(w) + ρ/2 ‖f(w) − ẋ‖² + ρ/2 ‖∇_x H(w) + ṗ‖², averaged over the samples, by ``layer_iterations`` of
    L-BFGS-B or (minimiser="newton") of projected Newton with the exact Hessian on every layer, which is the closed form
    in one step where K is quadratic; on ``workers`` threads, with the same answer, bit by bit, for any number of them.
    On Euler layers this is the discrete form (algorithm 3), elsewhere the continuous one (algorithm 2) on a mesh.

    penalty: ρ. adaptive: accept a step only where it lowers J by at least 1e-8 ‖change‖², quadruple ρ where it does not
    and halve it where it does (the rule of the sequential quadratic Hamiltonian method); otherwise ρ stays and
    nothing makes the cost go down. batch: samples of one iteration (all by default), drawn anew by ``seed``; then the
    cost in the history is still that of all samples.

    tolerance: for the gap Σ h [H(u) − min H] where it is in closed form; elsewhere for what a unit projected gradient
    step would gain. Parameters of the terminal loss and the penalty (a readout) are a last layer, by L-BFGS-B.
    Problems with parameters in their layers, and for Newton with more than 300 controls a layer, are NotSupported.
    Source: Li, Chen, Tai and E, "Maximum principle based algorithms for deep learning", algorithms 2, 3, section 4.3.
    """

    penalty: float = 1.0
    adaptive: bool = False
    layer_iterations: int = 10
    minimiser: Minimiser = "lbfgs"
    workers: int = 1
    batch: int | None = None
    seed: int = 0
    max_iterations: int = 200
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        infinity = float("inf")
        for name in ("max_iterations", "layer_iterations", "workers"):
            check_count(self.name, name, getattr(self, name))
        if self.batch is not None:
            check_count(self.name, "batch", self.batch)
        if self.batch is not None and self.adaptive:
            raise InvalidInput(
                f"{self.name}(adaptive=True, batch={self.batch}): a batch cannot judge a step; choose one."
            )
        if not is_whole(self.seed) or self.seed < 0:
            raise InvalidInput(f"{self.name}(seed={self.seed!r}): a seed is a whole number, at least 0.")
        if self.minimiser not in ("lbfgs", "newton"):
            raise InvalidInput(f"{self.name}(minimiser={self.minimiser!r}): one of 'lbfgs', 'newton' is needed.")
        for name in ("penalty", "tolerance"):
            check_number(self.name, name, getattr(self, name), 0.0, infinity, "a positive number is needed")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        check_last_layer(self.name, problem)
        if self.batch is not None and self.batch > problem.samples:
            raise InvalidInput(f"{self.name}(batch={self.batch}): the problem has {problem.samples} sample(s).")
        if self.minimiser == "newton" and problem.m > LARGEST:
            raise NotSupported(
                f'{self.name}(minimiser="newton"): {problem.m} controls a layer; at most {LARGEST} may be. Use "lbfgs".'
            )
        move: Move = FixedStep(1.0 / self.penalty)
        if self.adaptive:
            move = AdaptivePenalty(penalty=self.penalty, sufficient=1e-8, tighten=4.0, relax=0.5)
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            self._update(problem),
            [move],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )

    def _update(self, problem: ControlProblem) -> Update:
        if self.batch is None or self.batch == problem.samples:
            problems = LayerProblems(problem, self.layer_iterations, self.workers, self.minimiser)
            return lambda iterate: self._held(iterate, iterate, problems)
        generator, size = np.random.default_rng(self.seed), self.batch
        problems = LayerProblems(problem, self.layer_iterations, self.workers, self.minimiser)

        def drawn(iterate: Iterate) -> AlsoLast:
            rows = np.sort(generator.choice(problem.samples, size, replace=False))
            return self._held(iterate, iterate.ground.on_samples(rows).at(iterate.u, iterate.p), problems)

        return drawn

    def _held(self, iterate: Iterate, source: Iterate, problems: LayerProblems) -> AlsoLast:
        controls = HeldDynamics(iterate, source, problems)
        return AlsoLast(controls, iterate, lambda size: LastLayer(source, penalty=1.0 / size), self.layer_iterations)


@dataclass(frozen=True, eq=False)
class HeldDynamics:
    """``trial(1/ρ)`` minimises the augmented Hamiltonian of the ``source``, the iterate or its mini-batch."""

    iterate: Iterate
    source: Iterate
    problems: LayerProblems
    suggested: float | None = None
    largest: float = float("inf")

    @cached_property
    def gap(self) -> float:
        """Of the source: the maximum-principle gap in closed form, else what a projected gradient step would gain."""
        return first_order_gap(self.source)

    def trial(self, size: float) -> Trial | None:
        u, gains = self.problems.argmin(self.source, 1.0 / size)
        if np.array_equal(u, self.iterate.u):
            return None
        return Trial(u, self.iterate.p, float(self.source.ground.sweeper.h @ gains))
