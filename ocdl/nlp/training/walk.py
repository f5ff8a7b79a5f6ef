"""What every training method has in common: the point where it is, what it has seen, and how it hands its answer back.

The variables are v = √metric · w, so that |∇J|₂ is the norm of the gradient in function space, whatever the grid.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.interrupts import interruptible
from ocdl.nlp.training.feasible import Feasible
from ocdl.progress import progress_bar
from ocdl.referee.outcome import Outcome, Status, wrapped_up
from ocdl.solving.diagnosis import LOST
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused.threads import one_thread_of_blas
from ocdl.sweeps.reduced import ReducedCost

Array = NDArray[np.float64]

ROUNDING = 1e-14  # relative to |J|: differences of J below this say nothing
BOTTOMLESS = 1e15  # times max(1, |J| at the start): what falls by so much, falls without end
COLUMNS = ("cost", "gradient", "evaluations", "seconds", "cpu_seconds")


class Point(NamedTuple):
    """v, J and its gradient there, in the scaled variables; of J + λ·(a·v − c) where sums are given."""

    v: Array
    cost: float
    gradient: Array


class Ended(NamedTuple):
    """How a method ended, and in words why."""

    status: Status
    why: str


class Walk:
    """From the start to the answer: the present ``point`` and a row of the history for each iterate.

    ``normal``: the part of ∇J that the sums balance, λᵀa at the present point. It is taken off every gradient: along
    feasible steps it says nothing, and its rounding would hide what is left.
    Both change by one assignment each, so that an interrupt finds them whole.
    """

    def __init__(self, reduced: ReducedCost, start: Array) -> None:
        self.reduced = reduced
        self.scale = np.sqrt(reduced.metric)
        self.feasible = Feasible.of(reduced, self.scale)
        self.clocks = time.perf_counter(), time.process_time()
        self.rows: list[tuple[float, ...]] = []
        self.bar: Any = None
        self.normal = np.zeros(self.scale.size)
        self._arrive(self.at(self.feasible.project(start * self.scale)))

    @property
    def iterations(self) -> int:
        """How many steps were taken."""
        return len(self.rows) - 1

    @property
    def norm(self) -> float:
        """|v − Π(v − ∇J)|, the norm of the projected gradient in function space."""
        return self.rows[-1][1]

    @property
    def noise(self) -> float:
        """What J is uncertain by."""
        return ROUNDING * abs(self.point.cost)

    def at(self, v: Array) -> Point:
        """J and its gradient at v."""
        cost, gradient = self.reduced.value_and_gradient(v / self.scale)
        gradient = gradient / self.scale
        return Point(v, cost, gradient - self.normal if self.feasible.sums else gradient)

    def move(self, point: Point) -> None:
        """Take a step to ``point``."""
        self._arrive(point)
        self.bar.update()
        if not self.bar.disable:
            self.bar.set_postfix_str(f"cost {point.cost:.6g}, gradient {self.norm:.1e}", refresh=False)

    def _arrive(self, point: Point) -> None:
        if self.feasible.sums:
            change = self.feasible.normal(point.v, point.gradient)
            self.normal = self.normal + change
            point = point._replace(gradient=point.gradient - change)
        self.point = point
        residual = self.feasible.residual(self.point.v, self.point.gradient)
        norm = float(residual @ residual) ** 0.5
        now = time.perf_counter() - self.clocks[0], time.process_time() - self.clocks[1]
        self.rows.append((self.point.cost, norm, float(self.reduced.evaluations), *now))

    def stop(self, tolerance: float, last: int) -> Ended | None:
        """Whether nothing is left to do: converged, out of iterations (the ``last`` is done), or out of numbers."""
        if self.norm <= tolerance:
            return Ended(Status.CONVERGED, f"gradient {self.norm:.1e}")
        first = self.rows[0][0]
        if first - self.point.cost >= BOTTOMLESS * max(1.0, abs(first)):
            return Ended(Status.FAILED, f"J fell to {self.point.cost:.0e}: it is unbounded below; bound the controls")
        if self.iterations >= last:
            return Ended(Status.ITERATION_LIMIT, f"gradient {self.norm:.1e}, above the tolerance {tolerance:.0e}")
        return None

    def stalled(self, tolerance: float) -> Ended:
        """No step lowers J."""
        return Ended(
            Status.STALLED,
            f"no step lowers J by more than its rounding, {self.noise:.0e}; gradient {self.norm:.1e}, above the "
            f"tolerance {tolerance:.0e}",
        )

    def outcome(self, ended: Ended) -> Outcome:
        """The answer; on its bounds exactly, whatever the rounding of the scale."""
        v, (low, high) = self.point.v, self.reduced.bounds
        w = np.clip(v / self.scale, low, high)
        w = np.where(v <= self.feasible.low, low, np.where(v >= self.feasible.high, high, w))
        u, p = self.reduced.split(w)
        history = {name: list(column) for name, column in zip(COLUMNS, zip(*self.rows, strict=True), strict=True)}
        steps = f"{self.iterations} steps, {self.reduced.evaluations} evaluations of J"
        why = f": {ended.why}" if ended.why else ""
        return Outcome(u, p, ended.status, f"{steps}{why}.", {"cost": self.point.cost}, history)


@dataclass(frozen=True)
class Training(Method):
    """Base of the methods on ``ReducedCost``: a subclass says in ``descend`` how it walks down.

    tolerance: on |v − Π(v − ∇J)|, the norm of the projected gradient in function space. max_iterations: steps.
    """

    budgets: ClassVar[bool] = True
    in_blocks: ClassVar[bool] = True

    tolerance: float = 1e-9
    max_iterations: int = 20_000

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0:
            raise InvalidInput(f"{self.name}(tolerance={self.tolerance!r}): it must lie between 0 and 1.")
        if not is_whole(self.max_iterations) or self.max_iterations < 0:
            raise InvalidInput(
                f"{self.name}(max_iterations={self.max_iterations!r}): a whole number, at least 0, is needed."
            )

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        reduced = ReducedCost(problem, depth)
        return self.minimise(reduced, reduced.join(start.u, start.p), progress=progress)

    def minimise(self, reduced: ReducedCost, w: Array, *, progress: bool | None = None) -> Outcome:
        """Walk down J from w; Ctrl-C keeps the iterate."""
        walk = Walk(reduced, w)
        with progress_bar(self.name, progress=progress) as walk.bar, one_thread_of_blas():
            try:
                with interruptible():
                    ended = self.descend(walk) if np.isfinite(walk.point.cost) and np.isfinite(walk.norm) else _lost()
            except KeyboardInterrupt:
                ended = Ended(Status.INTERRUPTED, f"gradient {walk.norm:.1e}")
            return wrapped_up(lambda: walk.outcome(ended))

    def descend(self, walk: Walk) -> Ended:
        """Move ``walk`` until the tolerance holds or no step is left."""
        raise NotImplementedError


def _lost() -> Ended:
    return Ended(Status.NOT_A_NUMBER, f"{LOST} at the start: J or its gradient")
