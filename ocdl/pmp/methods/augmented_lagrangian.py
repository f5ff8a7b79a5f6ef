"""Conditions at the ends for methods that take none: the augmented Lagrangian.

Rows c of the final state and of ``boundary`` in intervals [c⁻, c⁺] enter the terminal loss,

    ℓ + Σ_i ρ/2 dist²(c_i + λ_i/ρ, [c_i⁻, c_i⁺]),        λ_i ← ρ (c_i + λ_i/ρ − Π(c_i + λ_i/ρ)),

and an inner method minimises that again and again, each time from its last answer; ρ grows where the violation does not
fall to a quarter. In the limit λ are the multipliers of the ends, whose pull is the costate's end condition.
Source: Bertsekas, "Constrained optimization and Lagrange multiplier methods" (1982), chapters 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.methods.lbfgsb import LBFGSB
from ocdl.pmp.options import check_count, check_number
from ocdl.referee.outcome import Multipliers, Outcome, Status
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper

GROWTH = 4.0  # of ρ, where the violation has not fallen by as much


@dataclass(frozen=True)
class AugmentedLagrangian(Method):
    """An ``inner`` method of this route on problems with conditions at the ends (``final``, ``boundary``).

    Of one sample; boundary rows need an initial state that is given. What else the inner method refuses it refuses, and
    where nothing is prescribed at the ends it is the inner method. penalty: the first ρ, which grows as it must.
    tolerance: for the violation of the ends, and for slack where a multiplier presses. max_iterations: solves by the
    inner method.
    """

    inner: Method = field(default_factory=LBFGSB)
    penalty: float = 10.0
    tolerance: float = 1e-8
    max_iterations: int = 40
    any_controls: ClassVar[bool] = True  # where the inner method takes them

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Method):
            raise InvalidInput(f"{self.name}(inner={self.inner!r}): give an instance of a method, such as LBFGSB().")
        for name in ("penalty", "tolerance"):
            check_number(self.name, name, getattr(self, name), 0.0, float("inf"), "a positive number is needed")
        check_count(self.name, "max_iterations", self.max_iterations)

    def check(self, problem: ControlProblem, depth: DepthScheme) -> None:
        if not _prescribed(problem):
            return self.inner.check(problem, depth)
        if problem.samples > 1:
            raise NotSupported(
                f"{self.name}: conditions at the ends of one sample are taken, not of {problem.samples}."
            )
        if problem.boundary is not None and problem.free_initial:
            raise NotSupported(f"{self.name}: boundary=... with free initial states is not taken; use Ipopt.")
        ends = Ends(problem)
        self.inner.check(ends.penalised(np.zeros(ends.rows), self.penalty), depth)

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        if not _prescribed(problem):
            return self.inner.solve(problem, depth, start, progress=progress)
        self.check(problem, depth)
        ends, rho, violation, history = Ends(problem), self.penalty, np.inf, list[float]()
        multipliers, sweeper = np.zeros(ends.rows), Sweeper(problem, depth)
        for _ in range(self.max_iterations):
            inner = self.inner.solve(ends.penalised(multipliers, rho), depth, start, progress=progress)
            start = Start(inner.u, inner.p)
            x = sweeper.state(inner.u, inner.p).x[-1, 0]
            multipliers, missed = ends.updated(x, inner.p, multipliers, rho)
            history.append(missed)
            if inner.status in (Status.INTERRUPTED, Status.NOT_A_NUMBER) or missed <= self.tolerance:
                break
            rho, violation = (rho if missed <= violation / GROWTH else rho * GROWTH), missed
        status = inner.status if missed <= self.tolerance or inner.status.failed else Status.ITERATION_LIMIT
        said = f"{len(history)} solves by {self.inner.name}, ρ = {rho:.3g}, the ends are missed by {missed:.1e}."
        return replace(
            inner,
            status=Status.CONVERGED if status is Status.REACHABLE else status,
            detail=f"{inner.detail} {said}".strip(),
            multipliers=ends.as_multipliers(multipliers, depth),
            claim={},
            history={"violation": history},
            x=None,
            stages=None,
            costate=None,
        )


def _prescribed(problem: ControlProblem) -> bool:
    return problem.final is not None or problem.boundary is not None


class Ends:
    """The rows c of a problem's ends: final states in proper intervals, then ``boundary``."""

    def __init__(self, problem: ControlProblem) -> None:
        self.problem = problem
        low, high = (end[0] for end in problem.final_box)
        given = np.isfinite(low) | np.isfinite(high) if problem.final is not None else np.zeros(problem.n, dtype=bool)
        self.states = np.flatnonzero(given)
        none = np.zeros((1, 0))
        between = problem.interval_at("boundary", np.zeros(1)) if problem.boundary is not None else (none, none)
        self.low, self.high = (
            np.append(end[self.states], row.ravel()) for end, row in zip((low, high), between, strict=True)
        )
        self.rows = self.low.size
        x, p = ca.SX.sym("x", problem.n), ca.SX.sym("p", problem.P)
        self._function = ca.Function("ends", [x, p], [self._values(x, p)])

    def _values(self, x: Any, p: Any) -> Any:
        problem, rows = self.problem, [x[[int(i) for i in self.states]]] if len(self.states) else []
        if problem.boundary is not None:
            data, x0 = ca.DM(np.asarray(problem.data)[0]), ca.DM(problem.x0[0])
            rows.append(problem.evaluate("boundary", x0=x0, xT=x, t=ca.SX(problem.span), p=p, d=data))
        return ca.vertcat(*rows)

    def penalised(self, multipliers: Array, rho: float) -> ControlProblem:
        """The problem without conditions at its ends, whose terminal loss has them."""
        problem = self.problem
        shift = multipliers / rho

        def terminal(x: Any, p: Any, d: Any, t0: Any, T: Any) -> Any:
            times = {"t0": t0, "horizon": T - t0}
            whole = ca.vertcat(p, *[0.0] * len(problem.free_initial), *[times[name] for name in problem.times.free])
            shifted = self._values(x, whole) + shift
            beyond = shifted - ca.fmin(ca.fmax(shifted, self.low), self.high)
            loss = problem.evaluate("terminal", x=x, t=ca.SX(problem.span), p=whole, d=d)
            return loss + 0.5 * rho * ca.sumsqr(beyond)

        bounds = problem.bounds
        return replace(problem, final=None, boundary=None, terminal=terminal, bounds=bounds.without("boundary"))

    def updated(self, x: Array, p: Array, multipliers: Array, rho: float) -> tuple[Array, float]:
        """The next multipliers λ⁺, and the largest |λ⁺ − λ|/ρ: of a violation, or of slack at a multiplier."""
        shifted = self._function(x, p).full().ravel() + multipliers / rho
        following = rho * (shifted - np.clip(shifted, self.low, self.high))
        return following, float(np.max(np.abs(following - multipliers), initial=0.0)) / rho

    def as_multipliers(self, values: Array, depth: DepthScheme) -> Multipliers:
        found, k = Multipliers.zeros(self.problem, depth), len(self.states)
        found.nodes[-1, 0, self.states] = values[:k]
        found.boundary[0] = values[k:]
        return found
