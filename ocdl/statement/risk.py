"""Risk: what a spread of costs over the samples, or scenarios, is worth.

    mean         Σ ω_s J_s
    Exponential  (1/k) log Σ ω_s e^{k J_s} ≈ E J + (k/2) Var J;   averse for k > 0, seeking for k < 0
    CVaR         min_τ τ + Σ ω_s (J_s − τ)₊ / (1 − level): the mean of the worst 1 − level of all
    WorstCase    max_s J_s

Each is written as an ordinary problem with parameters more (an optimised certainty equivalent), so that every route
sees one, and the referee judges it as any other:

    Exponential, k > 0    min over τ of τ + Σ ω_s (e^{k(J_s − τ)} − 1)/k;  its costates weigh sample s by e^{k(J_s − τ)}
    Exponential, k < 0    min over weights ν > 0, Σ ω ν = 1, of Σ ω_s [ν_s J_s − (ν_s log ν_s)/k]
    CVaR                  excess_s ≥ 0, J_s − τ − excess_s ≤ 0, a row of boundary each; or (·)₊ made smooth
    WorstCase             J_s − τ ≤ 0

Sources: Liu and Theodorou (2019), "Deep learning theory review", section 5, (49); Ben-Tal and Teboulle (2007), "An
old-new concept of convex risk measures"; Rockafellar and Uryasev (2000), "Optimization of conditional value-at-risk".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput

MARGIN = 5.0  # of exponents above those that an optimum has


@dataclass(frozen=True)
class Risk:
    """R of the costs of the samples. The names of its parameters: ``shared``, and ``own`` of every sample."""

    shared: ClassVar[Any] = ()
    own: ClassVar[Any] = ""
    constrains: ClassVar[Any] = False

    def value(self, costs: Any, weights: Any = None) -> float:
        """R of costs (S,) with weights ω (S,), equal by default."""
        J = np.asarray(costs, dtype=float)
        omega = np.ones(J.size) if weights is None else np.asarray(weights, dtype=float)
        return self._value(J, omega / omega.sum())

    def _value(self, J: Array, omega: Array) -> float:
        raise NotImplementedError(f"{type(self).__name__} has no value")

    def loss(self, J: Any, shared: Any, own: Any, omega: Array) -> Any:
        """What stands for J of one sample, from its shared parameters and ``own`` = (all, this sample's)."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def row(self, J: Any, shared: Any, own: Any) -> Any:
        """What is at most zero for every sample, where the risk ``constrains``."""
        raise NotImplementedError(f"{type(self).__name__} has no row")

    def gauge(self, own: Any, omega: Array) -> Any:
        """A penalty that is zero at an optimum, and picks one where parameters are not unique."""
        return 0.0


@dataclass(frozen=True)
class Exponential(Risk):
    """(1/k) log Σ ω_s e^{k J_s}: ``averse`` k > 0 weighs high costs more, k < 0 low ones."""

    k: float

    def __post_init__(self) -> None:
        if not (is_real(self.k) and np.isfinite(self.k) and self.k != 0.0):
            raise InvalidInput(f"Exponential(k={self.k!r}): a finite number other than 0 is needed; 0 is the mean.")

    @property
    def shared(self) -> tuple[str, ...]:
        return ("tau",) if self.k > 0.0 else ()

    @property
    def own(self) -> str:
        return "" if self.k > 0.0 else "tilt"

    def _value(self, J: Array, omega: Array) -> float:
        top = np.max(self.k * J)
        return float((top + np.log(omega @ np.exp(self.k * J - top))) / self.k)

    def loss(self, J: Any, shared: Any, own: Any, omega: Array) -> Any:
        if self.k > 0.0:
            # at an optimum ω_s e^{k(J_s − τ)} ≤ 1: beyond, exponents may be anything that is convex and finite
            return shared + (_exponential(self.k * (J - shared), MARGIN - float(np.log(omega.min()))) - 1.0) / self.k
        log_nu = own[1] - ca.log(ca.dot(ca.DM(omega), ca.exp(own[0])))
        return ca.exp(log_nu) * (J - log_nu / self.k)

    def gauge(self, own: Any, omega: Array) -> Any:
        return 0.5 * ca.dot(ca.DM(omega), own) ** 2 if self.k < 0.0 else 0.0


@dataclass(frozen=True)
class CVaR(Risk):
    """The mean of the worst 1 − ``level`` of the costs, 0 ≤ level < 1.

    smoothing: 0 states it exactly, with a row of boundary a sample, for methods that take constraints; δ > 0 takes
        ½(s + √(s² + δ²)) for (s)₊, for methods on controls alone, which is at most ½δ/(1 − level) too large.
    """

    level: float
    smoothing: float = 0.0

    shared: ClassVar[Any] = ("tau",)

    def __post_init__(self) -> None:
        if not (is_real(self.level) and 0.0 <= self.level < 1.0):
            raise InvalidInput(f"CVaR(level={self.level!r}): a number from 0 to below 1 is needed.")
        if not (is_real(self.smoothing) and np.isfinite(self.smoothing) and self.smoothing >= 0.0):
            raise InvalidInput(f"CVaR(smoothing={self.smoothing!r}): a non-negative number is needed.")

    @property
    def constrains(self) -> bool:
        return self.smoothing == 0.0

    @property
    def own(self) -> str:
        return "excess" if self.constrains else ""

    def _value(self, J: Array, omega: Array) -> float:
        order = np.argsort(-J)
        before = np.concatenate([[0.0], np.cumsum(omega[order])[:-1]])
        share = np.clip(1.0 - self.level - before, 0.0, omega[order])
        return float(share @ J[order] / share.sum())

    def loss(self, J: Any, shared: Any, own: Any, omega: Array) -> Any:
        if self.constrains:
            return shared + own[1] / (1.0 - self.level)
        over = J - shared
        return shared + 0.5 * (over + ca.sqrt(over**2 + self.smoothing**2)) / (1.0 - self.level)

    def row(self, J: Any, shared: Any, own: Any) -> Any:
        return J - shared - own[1]


@dataclass(frozen=True)
class WorstCase(Risk):
    """The largest cost of all samples, by its epigraph, for methods that take constraints."""

    shared: ClassVar[Any] = ("tau",)
    constrains: ClassVar[Any] = True

    def _value(self, J: Array, omega: Array) -> float:
        return float(J.max())

    def loss(self, J: Any, shared: Any, own: Any, omega: Array) -> Any:
        return shared

    def row(self, J: Any, shared: Any, own: Any) -> Any:
        return J - shared


def _exponential(s: Any, top: float) -> Any:
    """e^s, and above ``top`` the parabola that continues it, C²."""
    over = ca.fmax(s - top, 0.0)
    return ca.exp(ca.fmin(s, top)) * (1.0 + over + 0.5 * over**2)
