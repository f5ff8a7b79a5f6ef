"""The gradient methods of deep learning: stochastic gradients, Adagrad and Adam, on all samples or on batches."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.interrupts import interruptible
from ocdl.pmp.options import check_count, check_number
from ocdl.progress import progress_bar
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.diagnosis import LOST, lost_at
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused.threads import one_thread_of_blas
from ocdl.sweeps.reduced import ReducedCost

Array = NDArray[np.float64]
Rule = Literal["sgd", "adagrad", "adam"]
Schedule = Literal["constant", "cosine", "inverse"]

TINY = 1e-8  # keeps the quotients finite; relative to a gradient in function space
FIRST, SECOND = 0.9, 0.999  # Adam's rates of forgetting


@dataclass(frozen=True)
class StochasticGradient(Method):
    """z ← Π(z − τ_k d), z = (u, p), d from the gradients g of J in function space, of all samples or of a ``batch``.

    rule: ``"sgd"``: d = g + momentum · (d before); ``"adagrad"``: d = g/√(Σ g²) over the past; ``"adam"``: d = m/√v,
    the running means of g and g² with rates 0.9 and 0.999, corrected for their start at 0. Nothing makes the cost go
    down.

    step: τ. schedule: τ_k is ``"constant"``, ``"cosine"``: ½ τ (1 + cos(π k/K)) of K = max_iterations, or
    ``"inverse"``: τ/(1 + k/E) with E the iterations of an epoch. batch: samples of one iteration (all by default), in
    turn from the samples shuffled by ``seed`` at every epoch, none twice. evaluate: after how many iterations the cost
    of all samples is computed, for the history and for the best iterate, which is returned; once an epoch by default.
    tolerance: for the norm of z − Π(z − ∇J) of what was drawn; it stands as ``gap`` there.
    Sources: Robbins and Monro (1951); Duchi, Hazan and Singer, J. Mach. Learn. Res. 12 (2011); Kingma and Ba (2014).
    """

    in_blocks: ClassVar[bool] = True

    rule: Rule = "adam"
    step: float = 0.01
    batch: int | None = None
    seed: int = 0
    max_iterations: int = 1000
    tolerance: float = 1e-6
    schedule: Schedule = "constant"
    momentum: float = 0.0
    evaluate: int | None = None

    def __post_init__(self) -> None:
        for name, offered in (("rule", ("sgd", "adagrad", "adam")), ("schedule", ("constant", "cosine", "inverse"))):
            if getattr(self, name) not in offered:
                shown = ", ".join(map(repr, offered))
                raise InvalidInput(f"{self.name}({name}={getattr(self, name)!r}): one of {shown} is needed.")
        for name in ("max_iterations", "batch", "evaluate"):
            if getattr(self, name) is not None:
                check_count(self.name, name, getattr(self, name))
        if not is_whole(self.seed) or self.seed < 0:
            raise InvalidInput(f"{self.name}(seed={self.seed!r}): a seed is a whole number, at least 0.")
        for name in ("step", "tolerance"):
            check_number(self.name, name, getattr(self, name), 0.0, math.inf, "a positive number is needed")
        check_number(self.name, "momentum", self.momentum, -TINY, 1.0, "a number in [0, 1) is needed")
        if self.momentum and self.rule != "sgd":
            raise InvalidInput(f"{self.name}(momentum={self.momentum!r}): it belongs to rule='sgd'.")

    def check(self, problem: ControlProblem, depth: DepthScheme) -> None:
        super().check(problem, depth)
        if self.batch is not None and self.batch > problem.samples:
            raise InvalidInput(f"{self.name}(batch={self.batch}): the problem has {problem.samples} sample(s).")
        if self.batch is not None and problem.free_initial:
            raise NotSupported(
                f"{self.name}(batch={self.batch}): initial states are free, and each belongs to a sample."
            )

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        self.check(problem, depth)
        run = _Run(self, ReducedCost(problem, depth), start)
        with progress_bar(self.name, self.max_iterations, progress=progress) as bar, one_thread_of_blas():
            try:
                with interruptible():
                    status, detail = run.descend(bar)
            except KeyboardInterrupt:
                status, detail = Status.INTERRUPTED, f"After {run.iteration} iterations."
        return run.outcome(status, detail)

    def step_at(self, k: int, epoch: int) -> float:
        """τ_k, with ``epoch`` iterations of an epoch."""
        if self.schedule == "cosine":
            return 0.5 * self.step * (1.0 + math.cos(math.pi * k / self.max_iterations))
        return self.step / (1.0 + k / epoch) if self.schedule == "inverse" else self.step


class _Run:
    """One run: where it is, the best point of which the cost of all samples is known, and the learning curve."""

    def __init__(self, method: StochasticGradient, cost: ReducedCost, start: Start) -> None:
        self.method, self.cost, self.iteration = method, cost, 0
        self.w = cost.join(start.u, start.p)
        self.best, self.least = self.w, math.inf
        self.clock, self.cpu = time.perf_counter(), time.process_time()
        names = ("cost", "gap", "predicted", "accepted", "sweeps", "seconds", "cpu_seconds", "iteration")
        self.history: dict[str, list[float]] = {name: [] for name in names}
        samples = cost.problem.samples
        self.epoch = 1 if method.batch is None else -(-samples // method.batch)

    def descend(self, bar: Any) -> tuple[Status, str]:
        method, cost = self.method, self.cost
        direction = _Direction(method.rule, method.momentum)
        (low, high), metric, every = cost.bounds, cost.metric, method.evaluate or self.epoch
        for iteration, drawn in enumerate(self._drawn()):
            self.iteration = iteration
            value, gradient = drawn.value_and_gradient(self.w)
            if not (math.isfinite(value) and np.all(np.isfinite(gradient))):
                return Status.NOT_A_NUMBER, self._lost()
            slope = gradient / metric
            step = self.w - np.clip(self.w - slope, low, high)
            gap = math.sqrt(float(np.dot(metric, step * step)))
            last = gap <= method.tolerance or self.iteration == method.max_iterations
            if last or self.iteration % every == 0:
                self._evaluated(value if drawn is cost else cost.value(self.w), gap)
                bar.set_postfix_str(f"cost {self.least:.8g}", refresh=False)
            bar.update()
            if last:
                break
            size = method.step_at(self.iteration, self.epoch)
            self.w = np.clip(self.w - size * direction(slope), low, high)
        if gap <= method.tolerance:
            return Status.CONVERGED, f"Projected gradient {gap:.1e} after {self.iteration} iterations."
        return Status.ITERATION_LIMIT, f"{method.max_iterations} iterations, projected gradient {gap:.1e}."

    def _drawn(self) -> Iterator[ReducedCost]:
        """The cost of the samples of one iteration after the other: all, or batches of a shuffled epoch."""
        batch, samples = self.method.batch, self.cost.problem.samples
        if batch is None or batch == samples:
            while True:
                yield self.cost
        generator = np.random.default_rng(self.method.seed)
        while True:
            shuffled = generator.permutation(samples)
            for begin in range(0, samples, batch):
                yield self.cost.on_samples(np.sort(shuffled[begin : begin + batch]))

    def _evaluated(self, value: float, gap: float) -> None:
        if value < self.least:
            self.best, self.least = self.w, value
        times = time.perf_counter() - self.clock, time.process_time() - self.cpu
        row = (value, gap, 0.0, 1.0, 2.0 * self.iteration, *times, float(self.iteration))
        for column, entry in zip(self.history.values(), row, strict=True):
            column.append(entry)

    def _lost(self) -> str:
        u, p = self.cost.split(self.w)
        states = self.cost.states_as_far_as(self.w)
        cause = "" if states is None else lost_at(self.cost.problem, self.cost.depth, u, p, states)
        return f"{LOST} at iteration {self.iteration}: {cause or 'the cost or its gradient.'} A shorter step may help."

    def outcome(self, status: Status, detail: str) -> Outcome:
        u, p = self.cost.split(self.best)
        claim = {"cost": self.least} if math.isfinite(self.least) else {}
        return Outcome(u.copy(), p.copy(), status, detail, claim, self.history)


@dataclass
class _Direction:
    """Gradient by gradient the direction of a rule, from what it has seen so far."""

    rule: Rule
    momentum: float
    count: int = 0
    first: Array = field(default_factory=lambda: np.zeros(1))
    second: Array = field(default_factory=lambda: np.zeros(1))

    def __call__(self, g: Array) -> Array:
        self.count += 1
        if self.rule == "sgd":
            self.first = self.momentum * self.first + g if self.momentum else g
            return self.first
        if self.rule == "adagrad":
            self.second = self.second + g**2
            return g / (np.sqrt(self.second) + TINY)
        self.first = FIRST * self.first + (1.0 - FIRST) * g
        self.second = SECOND * self.second + (1.0 - SECOND) * g**2
        mean, square = self.first / (1.0 - FIRST**self.count), self.second / (1.0 - SECOND**self.count)
        return mean / (np.sqrt(square) + TINY)
