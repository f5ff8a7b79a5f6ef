"""A primal–dual interior-point method in the reduced space, whose Newton step knows the layers and the samples.

    min_w J(w) − μ Σ log(w − l) − μ Σ log(h − w),  μ → 0:

    (∇²J + z_l/(w − l) + z_h/(h − w)) d = −∇J + μ/(w − l) − μ/(h − w).

Every iterate satisfies the state equation (states come from a sweep), so one line search on the barrier function is
all the globalisation there is; the barrier rule, the step to the boundary and the correction of an indefinite Hessian
are IPOPT's. An iteration costs one linearised sweep and one Riccati recursion.
Sources: Wächter and Biegler, Math. Program. 106 (2006), sections 2 and 3; Rao, Wright and Rawlings (1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ocdl.arrays import is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.interrupts import interruptible
from ocdl.nlp.curvature import Blocks
from ocdl.nlp.factor import Factor, NotPositive, factorised
from ocdl.nlp.oracle import Point
from ocdl.nlp.reduced import Reduced, not_in_reduced_space
from ocdl.progress import progress_bar
from ocdl.referee.outcome import Outcome, Status, wrapped_up
from ocdl.solving.diagnosis import LOST
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

PUSH = 1e-2  # the start keeps this far from its bounds, of the interval or absolutely
FIRST_BARRIER = 0.1
BARRIER_FACTOR, BARRIER_POWER, BARRIER_ERROR = 0.2, 1.5, 10.0  # μ ← min(factor μ, μ^power) once the error is below 10 μ
TO_BOUNDARY = 0.99
ARMIJO = 1e-8
HALVINGS = 40
NEARLY = 100.0  # times the tolerance: acceptable where no step lowers the barrier function any more
MOST_MEMORY = 6e9  # bytes
DUAL_SPREAD = 1e10
FIRST_SHIFT, LEAST_SHIFT, MOST_SHIFT = 1e-4, 1e-20, 1e40
FIXED = 1e30
SHIFT_UP_FIRST, SHIFT_UP, SHIFT_DOWN = 100.0, 8.0, 1.0 / 3.0


@dataclass(frozen=True)
class InteriorPoint(Method):
    """Interior-point Newton method in the reduced space: exact second derivatives, factorised by Riccati's recursion,
    or where layers are dense and that is dearer, conjugate gradients on products with the Hessian.

    For many samples and many controls without constraints beyond the box; the same problem as ``Ipopt``'s, and as
    exact. tolerance: on the optimality conditions in function space, as ``Ipopt``'s. max_iterations: Newton steps.
    """

    tolerance: float = 1e-9
    max_iterations: int = 1000

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0:
            raise InvalidInput(f"InteriorPoint(tolerance={self.tolerance!r}): it must lie between 0 and 1.")
        if not is_whole(self.max_iterations) or self.max_iterations < 0:
            raise InvalidInput(
                f"InteriorPoint(max_iterations={self.max_iterations!r}): a whole number, at least 0, is needed."
            )

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        why_not = not_in_reduced_space(problem, depth)
        if why_not:
            raise NotSupported(f"InteriorPoint: {why_not}; use Ipopt.")
        reduced = Reduced(problem, depth)
        if not reduced.oracle.by_products:
            _check_memory(problem, depth)
        barrier = Barrier.of(reduced)
        state = barrier.begin(reduced.guess(start))
        history: dict[str, list[float]] = {"cost": [], "dual_infeasibility": [], "mu": []}
        # blocks are small: one thread of BLAS is faster, and many times so where cores are shared
        with progress_bar(self.name, progress=progress) as bar, threadpool_limits(1, user_api="blas"):
            try:
                with interruptible():
                    status = self._iterate(state, history, bar)
            except KeyboardInterrupt:
                status = Status.INTERRUPTED
            return wrapped_up(lambda: state.outcome(status, max(len(history["cost"]) - 1, 0), history))

    def _iterate(self, state: Iterate, history: dict[str, list[float]], bar: Any) -> Status:
        if not state.point.finite:
            return Status.NOT_A_NUMBER
        for iteration in range(self.max_iterations + 1):
            state.lower_barrier(self.tolerance)
            figures = (state.point.cost, state.stationarity(), state.mu)
            for values, figure in zip(history.values(), figures, strict=True):
                values.append(float(figure))
            bar.set_postfix_str(f"cost {figures[0]:.6g}", refresh=False)
            if state.error(0.0) <= self.tolerance:
                return Status.CONVERGED
            if iteration == self.max_iterations:
                break
            if not state.advance():
                if not state.point.curved:
                    return Status.NOT_A_NUMBER
                return Status.ACCEPTABLE if state.error(0.0) <= NEARLY * self.tolerance else Status.STALLED
            bar.update()
        return Status.ITERATION_LIMIT


def _check_memory(problem: ControlProblem, depth: DepthScheme) -> None:
    memory = Blocks.memory(problem, depth)
    if memory > MOST_MEMORY:
        raise NotSupported(
            f"InteriorPoint: second derivatives of {problem.samples} samples, {problem.n} states, {problem.m} "
            f"controls and {depth.count} layers take about {memory / 1e9:.1f} GB, more than {MOST_MEMORY / 1e9:g}; "
            "use LBFGSB or ProjectedGradient, which need none, or fewer samples."
        )


@dataclass(frozen=True, eq=False)
class Barrier:
    """The reduced NLP in the scaled variables v that are free, the cost times ``factor``: that of function space."""

    reduced: Reduced
    factor: float
    low: Array
    high: Array
    free: NDArray[np.bool_]

    @classmethod
    def of(cls, reduced: Reduced) -> Barrier:
        low, high = reduced.bounds()
        factor = 1.0 / (np.mean(reduced.h) * np.mean(np.asarray(reduced.problem.state_metric)))
        return cls(reduced, float(factor), low, high, low < high)

    def point(self, v: Array) -> Point:
        return self.reduced.oracle.point(v / self.reduced.scale)

    def begin(self, guess: Array) -> Iterate:
        """The start, pushed off its bounds. Raises SweepFailed where it has no state."""
        width = PUSH * (self.high - self.low)
        low, high = np.nan_to_num(self.low, neginf=0.0), np.nan_to_num(self.high, posinf=0.0)
        above = self.low + np.minimum(PUSH * np.maximum(1.0, np.abs(low)), width)
        below = self.high - np.minimum(PUSH * np.maximum(1.0, np.abs(high)), width)
        v = np.where(self.free, np.clip(guess, above, below), self.low)
        point = self.point(v)
        if point.trajectory is None:
            point.oracle.sweeper.state(point.u, point.p)  # says where
        ones = np.ones(v.size)
        z_low = np.where(self.free & np.isfinite(self.low), ones, 0.0)
        return Iterate(self, v, z_low, np.where(self.free & np.isfinite(self.high), ones, 0.0), FIRST_BARRIER, point)

    def slacks(self, v: Array) -> tuple[Array, Array]:
        """v − l and h − v, infinite where there is no bound to keep off."""
        return np.where(self.free, v - self.low, np.inf), np.where(self.free, self.high - v, np.inf)


@dataclass(eq=False)
class Iterate:
    """Where the method is: v strictly inside its box, the bounds' multipliers, μ, and what is known at v."""

    barrier: Barrier
    v: Array
    z_low: Array
    z_high: Array
    mu: float
    point: Point
    shift: float = 0.0  # the last correction of an indefinite Hessian

    # -- optimality ----------------------------------------------------------------------------------

    @property
    def gradient(self) -> Array:
        """∂J/∂v of the scaled cost; zero for fixed variables."""
        barrier = self.barrier
        return np.where(barrier.free, barrier.factor * self.point.gradient / barrier.reduced.scale, 0.0)

    def stationarity(self) -> float:
        """Largest entry of ∂J/∂v − z_l + z_h."""
        return float(np.max(np.abs(self.gradient - self.z_low + self.z_high), initial=0.0))

    def error(self, mu: float) -> float:
        """IPOPT's scaled optimality error of the barrier problem."""
        below, above = self.barrier.slacks(self.v)
        products = [(z[z > 0.0] * slack[z > 0.0] - mu) for z, slack in ((self.z_low, below), (self.z_high, above))]
        multipliers = np.concatenate([self.z_low[self.z_low > 0.0], self.z_high[self.z_high > 0.0]])
        scale = max(100.0, float(np.mean(multipliers)) if multipliers.size else 0.0) / 100.0
        complementarity = max((float(np.max(np.abs(product), initial=0.0)) for product in products), default=0.0)
        return max(self.stationarity(), complementarity) / scale

    def lower_barrier(self, tolerance: float) -> None:
        """μ ← max(tolerance/10, min(0.2 μ, μ^1.5)) as often as the barrier problem is solved well enough."""
        least = tolerance / 10.0
        while self.mu > least and self.error(self.mu) <= BARRIER_ERROR * self.mu:
            self.mu = max(least, min(BARRIER_FACTOR * self.mu, self.mu**BARRIER_POWER))

    def merit(self, v: Array, point: Point) -> float:
        """J − μ Σ log of the slacks."""
        below, above = self.barrier.slacks(v)
        with np.errstate(invalid="ignore", divide="ignore"):
            logs = np.sum(np.log(below[np.isfinite(below)])) + np.sum(np.log(above[np.isfinite(above)]))
        return float(self.barrier.factor * point.cost - self.mu * logs)

    # -- one step ------------------------------------------------------------------------------------

    def advance(self) -> bool:
        """One Newton step of the barrier problem; False where no step lowers the barrier function."""
        below, above = self.barrier.slacks(self.v)
        slope = self.gradient - self.mu / below + self.mu / above
        step = self._step(slope, self.z_low / below + self.z_high / above)
        if step is None:
            return False
        change_low = self.mu / below - self.z_low - self.z_low / below * step
        change_high = self.mu / above - self.z_high + self.z_high / above * step
        tau = max(TO_BOUNDARY, 1.0 - self.mu)
        length = min(_longest(below, step, tau), _longest(above, -step, tau))
        found = self._search(step, float(slope @ step), length)
        if found is None:
            return False
        self.v, self.point = found
        self.z_low = self.z_low + _longest(self.z_low, change_low, tau) * change_low
        self.z_high = self.z_high + _longest(self.z_high, change_high, tau) * change_high
        below, above = self.barrier.slacks(self.v)
        self.z_low, self.z_high = _kept(self.z_low, below, self.mu), _kept(self.z_high, above, self.mu)
        return True

    def _step(self, slope: Array, curvature: Array) -> Array | None:
        """−(∇² + curvature + shift)⁻¹ slope with the least shift tried that makes the matrix positive definite."""
        if not self.point.curved:
            return None
        shift = 0.0
        while shift <= MOST_SHIFT:
            scale = self.barrier.reduced.scale
            try:
                step = -self._factor(curvature + shift).solve(slope * scale) * scale / self.barrier.factor
            except NotPositive:
                if shift == 0.0:
                    shift = FIRST_SHIFT if self.shift == 0.0 else max(LEAST_SHIFT, SHIFT_DOWN * self.shift)
                else:
                    shift *= SHIFT_UP_FIRST if self.shift == 0.0 else SHIFT_UP
                continue
            self.shift = shift or self.shift
            return np.where(self.barrier.free, step, 0.0) if np.all(np.isfinite(step)) else None
        return None

    def _factor(self, curvature: Array) -> Factor:
        """In the variables w = v/D and the cost's own scale; a huge curvature holds what is fixed."""
        barrier = self.barrier
        diagonal = curvature * barrier.reduced.scale**2 / barrier.factor
        return factorised(self.point, np.where(barrier.free, diagonal, FIXED))

    def _search(self, step: Array, slope: float, length: float) -> tuple[Array, Point] | None:
        """Armijo's rule on the barrier function, up to its rounding."""
        here = self.merit(self.v, self.point)
        noise = 1e-14 * max(abs(here), abs(self.barrier.factor * self.point.cost))
        for _ in range(HALVINGS):
            v = self.v + length * step
            point = self.barrier.point(v)
            value = self.merit(v, point)
            if value - here - noise <= ARMIJO * length * slope and np.all(np.isfinite(point.gradient)):
                return v, point
            length *= 0.5
        return None

    # -- back ------------------------------------------------------------------------------------------

    def outcome(self, status: Status, iterations: int, history: dict[str, list[float]]) -> Outcome:
        reduced = self.barrier.reduced
        u, p = reduced.controls(self.v)
        adjoint = self.point.adjoint
        claim: dict[str, Any] = {"cost": self.point.cost}
        if adjoint is not None:
            claim |= {"costate": adjoint.costate, "stage_costate": adjoint.stages}
        detail = f"{iterations} Newton steps in reduced space, {self.v.size} unknowns."
        if status is Status.NOT_A_NUMBER:
            detail += f" {LOST} at the last iterate: {self.point.lost or 'the cost or its derivatives.'}"
        return Outcome(u, p, status, detail=detail, claim=claim, history=history)


def _longest(slack: Array, change: Array, tau: float) -> float:
    """The longest step in (0, 1] with slack + step · change ≥ (1 − τ) slack."""
    shrinking = (change < 0.0) & np.isfinite(slack)
    return float(np.min(-tau * slack[shrinking] / change[shrinking], initial=1.0))


def _kept(z: Array, slack: Array, mu: float) -> Array:
    """Multipliers within a factor of μ/slack, so that they cannot lose touch with the primal ones."""
    bounded = z > 0.0
    central = mu / slack
    return np.where(bounded, np.clip(z, central / DUAL_SPREAD, central * DUAL_SPREAD), 0.0)
