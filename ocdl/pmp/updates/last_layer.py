"""The last layer: parameters p of the terminal loss and of the penalty, with a Hamiltonian of their own.

    H_p(p) = Σ_s ω_s ℓ(x_s(T), p, d_s) + P(p)

J is H_p of the final states, so that at fixed controls its minimiser is that of J; with the controls it moves at once,
held by the method's own term,

    K_p(p) = H_p(p) + Σ ε (p − p₀)² + ρ/2 Σ_s ‖ω_s (∇ₓℓ(p) − ∇ₓℓ(p₀))‖² / ω_s,

ε of the sequential quadratic Hamiltonian method, ρ of extended MSA: no layer follows, so that of the two feasibility
errors only the costate's is left, in the norm of function space.
Source: Li, Chen, Tai and E, J. Mach. Learn. Res. 18 (2018), theorem 2 and algorithm 3, for the augmentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.errors import NotSupported
from ocdl.pmp.iterate import Iterate, Trial
from ocdl.pmp.loop import Proposal
from ocdl.pmp.updates.boxed import descended
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

ITERATIONS = 200
TIGHT = {"ftol": 0.0, "gtol": 1e-12, "maxcor": 20}  # SciPy's own rules end far from the minimiser


def check_last_layer(method: str, problem: ControlProblem) -> None:
    """NotSupported where more is free than controls and parameters that the terminal loss and the penalty alone see."""
    if problem.P == 0:
        return
    s = problem.symbols()
    along = [problem.evaluate(role, **s) for role in ("dynamics", "running", "effort")]
    if problem.own_parameters < problem.P or ca.depends_on(ca.vertcat(*along), s["p"]):
        raise NotSupported(
            f"{method} moves controls, and parameters of the terminal loss and the penalty alone; this problem "
            f"{problem.also_free}. Use NeedleSteps(), LBFGSB() or ProjectedGradient()."
        )


class LastLayer:
    """K_p at one iterate; ``hold`` is ε (P,), ``penalty`` is ρ."""

    def __init__(self, iterate: Iterate, *, hold: Array | None = None, penalty: float = 0.0) -> None:
        self.ground, self.p, self.x = iterate.ground, iterate.p, iterate.trajectory.x[-1]
        problem = self.ground.problem
        self.d, self.omega = np.asarray(problem.data), np.asarray(problem.weights)
        self.hold, self.penalty = np.zeros(problem.P) if hold is None else hold, penalty
        self.measure = np.outer(self.omega, np.asarray(problem.state_metric))
        self.pull = self._terminal(self.p)[1]

    def hamiltonian(self, p: Array) -> float:
        return self._terminal(p)[0] + self.ground.penalty.value(p)

    def __call__(self, p: Array) -> tuple[float, Array]:
        """K_p and its gradient."""
        value, pull, slope = self._terminal(p)
        penalty, by_p = self.ground.penalty.slopes(p)
        change = p - self.p
        value += penalty + float(self.hold @ change**2)
        slope = slope + by_p + 2.0 * self.hold * change
        if self.penalty:
            error = pull - self.pull
            v = error / self.measure
            value += 0.5 * self.penalty * float(np.sum(error * v))
            given = self.x, p, self.d, self.omega, v, np.zeros(p.size)
            slope += self.penalty * self.ground.terminal.products(*given)[1]
        return value, slope

    def argmin(self, iterations: int = ITERATIONS) -> tuple[Array, float]:
        """The best p found within its box, and H_p(p₀) − H_p(p)."""
        problem = self.ground.problem
        metric = np.asarray(problem.parameter_metric)
        p = descended(self, self.p, problem.parameter_box, metric, maxiter=iterations, **TIGHT)
        if not self(p)[0] < self(self.p)[0]:
            return self.p, 0.0
        return p, self.hamiltonian(self.p) - self.hamiltonian(p)

    def _terminal(self, p: Array) -> tuple[float, Array, Array]:
        return self.ground.terminal.slopes(self.x, p, self.d, self.omega)


@dataclass(frozen=True, eq=False)
class AlsoLast:
    """A proposal for the controls, and with it the minimiser of ``last(size)`` for the parameters."""

    controls: Proposal
    iterate: Iterate
    last: Callable[[float], LastLayer]
    iterations: int = ITERATIONS

    @property
    def gap(self) -> float:
        return self.controls.gap

    @property
    def largest(self) -> float:
        return self.controls.largest

    @property
    def suggested(self) -> float | None:
        return self.controls.suggested

    def trial(self, size: float) -> Trial | None:
        trial, at = self.controls.trial(size), self.iterate
        if at.p.size == 0:
            return trial
        p, gain = self.last(size).argmin(self.iterations)
        if trial is None:
            return None if np.array_equal(p, at.p) else Trial(at.u, p, gain)
        return Trial(trial.u, p, trial.predicted + gain)
