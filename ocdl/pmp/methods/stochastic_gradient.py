"""The gradient methods of deep learning: stochastic gradients, Adagrad and Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.pmp.iterate import Ground, Iterate, Trial
from ocdl.pmp.loop import Update, descend
from ocdl.pmp.moves.steps import FixedStep
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.gradient_arcs import GradientArc
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]
Rule = Literal["sgd", "adagrad", "adam"]

TINY = 1e-8  # keeps the quotients finite; relative to a gradient in function space
FIRST, SECOND = 0.9, 0.999  # Adam's rates of forgetting


@dataclass(frozen=True)
class StochasticGradient(Method):
    """z ← Π(z − τ d), z = (u, p), d from the gradients g of J in function space, of all samples or of a ``batch``.

    rule: ``"sgd"``: d = g; ``"adagrad"``: d = g/√(Σ g²) over the past; ``"adam"``: d = m/√v, the running means of g
    and g² with rates 0.9 and 0.999, corrected for their start at 0. Nothing makes the cost go down.

    step: τ. batch: samples of one iteration (all by default), drawn anew by ``seed``; the cost in the history is still
    that of all samples. tolerance: for the norm of z − Π(z − ∇J) of what was drawn; it stands as ``gap`` there.
    Sources: Robbins and Monro (1951); Duchi, Hazan and Singer, J. Mach. Learn. Res. 12 (2011); Kingma and Ba (2014).
    """

    rule: Rule = "adam"
    step: float = 0.01
    batch: int | None = None
    seed: int = 0
    max_iterations: int = 1000
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        infinity = float("inf")
        if self.rule not in ("sgd", "adagrad", "adam"):
            raise InvalidInput(f"{self.name}(rule={self.rule!r}): one of 'sgd', 'adagrad', 'adam' is needed.")
        check_count(self.name, "max_iterations", self.max_iterations)
        if self.batch is not None:
            check_count(self.name, "batch", self.batch)
        if not is_whole(self.seed) or self.seed < 0:
            raise InvalidInput(f"{self.name}(seed={self.seed!r}): a seed is a whole number, at least 0.")
        for name in ("step", "tolerance"):
            check_number(self.name, name, getattr(self, name), 0.0, infinity, "a positive number is needed")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        if self.batch is not None and self.batch > problem.samples:
            raise InvalidInput(f"{self.name}(batch={self.batch}): the problem has {problem.samples} sample(s).")
        update: Update = Directions(self.rule, self.batch, np.random.default_rng(self.seed))
        return descend(
            self.name,
            Ground(problem, depth),
            start,
            update,
            [FixedStep(self.step)],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )


class Directions:
    """Gradient by gradient the direction of ``rule``, from what it has seen so far."""

    def __init__(self, rule: Rule, batch: int | None, generator: np.random.Generator) -> None:
        self.rule, self.batch, self.generator = rule, batch, generator
        self.count, self.first, self.second = 0, np.zeros(0), np.zeros(0)

    def __call__(self, iterate: Iterate) -> Direction:
        source = iterate
        if self.batch is not None and self.batch < iterate.ground.problem.samples:
            rows = self.generator.choice(iterate.ground.problem.samples, self.batch, replace=False)
            source = iterate.ground.on_samples(np.sort(rows)).at(iterate.u, iterate.p)
        in_u, in_p = iterate.ground.metric
        g = np.concatenate([(source.adjoint.gradient_u / in_u).ravel(), source.adjoint.gradient_p / in_p])
        return Direction(iterate, source, self._direction(g))

    def _direction(self, g: Array) -> Array:
        if not self.count:
            self.first, self.second = np.zeros_like(g), np.zeros_like(g)
        self.count += 1
        if self.rule == "sgd":
            return g
        if self.rule == "adagrad":
            self.second = self.second + g**2
            return g / (np.sqrt(self.second) + TINY)
        self.first = FIRST * self.first + (1.0 - FIRST) * g
        self.second = SECOND * self.second + (1.0 - SECOND) * g**2
        mean, square = self.first / (1.0 - FIRST**self.count), self.second / (1.0 - SECOND**self.count)
        return mean / (np.sqrt(square) + TINY)


@dataclass(frozen=True, eq=False)
class Direction:
    """The ray τ ↦ Π(z − τ d); ``source``: the iterate on the samples drawn."""

    iterate: Iterate
    source: Iterate
    direction: Array
    suggested: float | None = None
    largest: float = float("inf")

    @property
    def gap(self) -> float:
        return GradientArc(self.source).gap

    def trial(self, size: float) -> Trial | None:
        at, problem, drawn = self.iterate, self.iterate.ground.problem, self.source.adjoint
        step_u, step_p = np.split(size * self.direction, [at.u.size])
        u = np.clip(at.u - step_u.reshape(at.u.shape), *problem.control_box)
        p = np.clip(at.p - step_p, *problem.parameter_box)
        return Trial(u, p, float(np.sum(drawn.gradient_u * (at.u - u)) + np.sum(drawn.gradient_p * (at.p - p))))
