"""Activations σ: formulas that numpy arrays and CasADi expressions both understand.

A new activation is a subclass with its ``formula``, its ``limits`` and whether it is
``increasing`` (non-decreasing) and ``smooth`` (twice continuously differentiable). Its ``derivative`` and ``curvature``
for arrays of numbers come from the formula by CasADi, unless it states cheaper ones; at a kink both are CasADi's. Its
``primitive`` comes by quadrature and ``lipschitz`` from a sample, unless it states them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_real
from ocdl.batch import Batch
from ocdl.callables import numpy_on_casadi
from ocdl.errors import InvalidInput
from ocdl.once import Built
from ocdl.statement import declared
from ocdl.statement.primitives import Panels, steepest


@dataclass(frozen=True)
class Activation:
    """σ, applied entry by entry; call it on a numpy array or on a CasADi expression.

    ``limits`` are (inf σ, sup σ); ``increasing`` says that σ is non-decreasing, which the
    closed-form maximum principle needs; ``smooth`` that σ is C².
    """

    limits = (-math.inf, math.inf)  # no annotations: these are no fields
    increasing = True
    smooth = True
    limits_said = "limits"  # how the user gives them

    def formula(self, s: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no formula")

    def __call__(self, s: Any) -> Any:
        return self.formula(s)

    def derivative(self, s: Array, value: Array) -> Array:
        """σ'(s) at numbers s, where ``value`` = σ(s) is known."""
        return _by_casadi(self, 1, s)

    def curvature(self, s: Array, value: Array) -> Array:
        """σ''(s) at numbers s, where ``value`` = σ(s) is known."""
        return _by_casadi(self, 2, s)

    def primitive(self, s: Array) -> Array:
        """Σ(s) = ∫_0^s σ at numbers s."""
        s = np.asarray(s, dtype=float)
        reach = 2.0 ** math.ceil(math.log2(np.max(np.abs(s), initial=1.0, where=np.isfinite(s))))
        panels: Panels = self.built.recent("primitive", reach, lambda: Panels.of(self.formula, reach))
        return panels(s)

    @property
    def lipschitz(self) -> float:
        """sup |σ'|, infinite where σ jumps or its slope is not bounded."""
        return self.built.of("lipschitz", lambda: _steepest(self))

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where σ is not C², as far as it is known."""
        return () if self.smooth else self.built.of("kinks", lambda: _kinks(self))

    @cached_property
    def built(self) -> Built:
        """What was compiled from this very formula; equal is no other's, whatever its fields say."""
        return Built()

    def check(self) -> None:
        """Raise InvalidInput where a sample contradicts what σ declares; once for equal activations."""
        try:
            _check_once(self)
        except TypeError:  # fields that cannot be hashed
            _check(self)


class Tanh(Activation):
    """σ(s) = tanh s."""

    limits = (-1.0, 1.0)
    lipschitz = 1.0

    def formula(self, s: Any) -> Any:
        return np.tanh(s)

    def derivative(self, s: Array, value: Array) -> Array:
        return 1.0 - value * value

    def curvature(self, s: Array, value: Array) -> Array:
        return -2.0 * value * (1.0 - value * value)

    def primitive(self, s: Array) -> Array:
        return _log_cosh(s)


class Arctan(Activation):
    """σ(s) = arctan s."""

    limits = (-math.pi / 2, math.pi / 2)
    lipschitz = 1.0

    def formula(self, s: Any) -> Any:
        return np.arctan(s)

    def derivative(self, s: Array, value: Array) -> Array:
        return 1.0 / (1.0 + s * s)

    def curvature(self, s: Array, value: Array) -> Array:
        return -2.0 * s / (1.0 + s * s) ** 2

    def primitive(self, s: Array) -> Array:
        s = np.abs(s)
        return s * np.arctan(s) - np.where(s < 1.0, 0.5 * np.log1p(np.fmin(s, 1.0) ** 2), np.log(np.hypot(1.0, s)))


class Sigmoid(Activation):
    """σ(s) = 1/(1 + e^−s), written as (1 + tanh(s/2))/2 so that it never overflows."""

    limits = (0.0, 1.0)
    lipschitz = 0.25

    def formula(self, s: Any) -> Any:
        return 0.5 * (1.0 + np.tanh(0.5 * s))

    def derivative(self, s: Array, value: Array) -> Array:
        return value * (1.0 - value)

    def curvature(self, s: Array, value: Array) -> Array:
        return value * (1.0 - value) * (1.0 - 2.0 * value)

    def primitive(self, s: Array) -> Array:
        """log((1 + e^s)/2)."""
        small = np.clip(s, -1.0, 1.0)
        return np.where(small == s, 0.5 * small + _log_cosh(0.5 * small), np.logaddexp(0.0, s) - math.log(2.0))


class ReLU(Activation):
    """σ(s) = max(s, 0)."""

    limits = (0.0, math.inf)
    smooth = False
    lipschitz = 1.0

    def formula(self, s: Any) -> Any:
        return np.fmax(s, 0.0)

    def derivative(self, s: Array, value: Array) -> Array:
        return np.heaviside(s, 0.5)

    def curvature(self, s: Array, value: Array) -> Array:
        return np.zeros_like(s)

    def primitive(self, s: Array) -> Array:
        return 0.5 * np.fmax(s, 0.0) ** 2


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """σ(s) = max(s, κs) with slope 0 ≤ κ < 1 (Liu and Markowich print κ = 0.1)."""

    smooth = False
    lipschitz = 1.0
    slope: float = 0.1

    def __post_init__(self) -> None:
        if not (is_real(self.slope) and 0.0 <= self.slope < 1.0):
            raise InvalidInput(f"LeakyReLU(slope={self.slope!r}): the slope must be a number in [0, 1).")

    @property
    def limits(self) -> tuple[float, float]:  # type: ignore[override]
        return (-math.inf if self.slope > 0.0 else 0.0, math.inf)

    def formula(self, s: Any) -> Any:
        return np.fmax(s, self.slope * s)

    def derivative(self, s: Array, value: Array) -> Array:
        return self.slope + (1.0 - self.slope) * np.heaviside(s, 0.5)

    def curvature(self, s: Array, value: Array) -> Array:
        return np.zeros_like(s)

    def primitive(self, s: Array) -> Array:
        return 0.5 * s * self.formula(s)


@dataclass(frozen=True)
class ELU(Activation):
    """σ(s) = s for s > 0 and α(e^s − 1) for s ≤ 0, α > 0."""

    smooth = False
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not (is_real(self.alpha) and math.isfinite(self.alpha) and self.alpha > 0.0):
            raise InvalidInput(f"ELU(alpha={self.alpha!r}): alpha must be positive and finite.")

    @property
    def limits(self) -> tuple[float, float]:  # type: ignore[override]
        return (-self.alpha, math.inf)

    @property
    def lipschitz(self) -> float:
        return max(1.0, self.alpha)

    def formula(self, s: Any) -> Any:
        return np.fmax(s, 0.0) + self.alpha * np.expm1(np.fmin(s, 0.0))

    def derivative(self, s: Array, value: Array) -> Array:
        below = np.heaviside(-s, 0.5)
        return 1.0 - below + below * (np.fmin(value, 0.0) + self.alpha)

    def curvature(self, s: Array, value: Array) -> Array:
        return np.heaviside(-s, 0.5) ** 2 * (np.fmin(value, 0.0) + self.alpha)

    def primitive(self, s: Array) -> Array:
        below = np.fmin(s, 0.0)
        return 0.5 * np.fmax(s, 0.0) ** 2 + self.alpha * _expm1_less_s(below)


class Identity(Activation):
    """σ(s) = s."""

    lipschitz = 1.0

    def formula(self, s: Any) -> Any:
        return s

    def derivative(self, s: Array, value: Array) -> Array:
        return np.ones_like(s)

    def curvature(self, s: Array, value: Array) -> Array:
        return np.zeros_like(s)

    def primitive(self, s: Array) -> Array:
        return 0.5 * np.square(s)


@dataclass(frozen=True)
class CustomActivation(Activation):
    """A user's own σ, written with numpy functions: ``CustomActivation(lambda s: s / np.sqrt(1 + s**2))``.

    It acts entry by entry, on numpy arrays and on CasADi expressions alike; ``bounds`` = (inf σ, sup σ).
    ``smooth`` None is found out, and ``steepest`` None = sup |σ'| too. All that is claimed is checked on a sample
    (``ocdl.declared``). Source of the closed forms that rest on the claims: Liu and Markowich, section 4.2.
    """

    function: Callable[[Any], Any]
    increasing: bool = False
    smooth: bool | None = None  # type: ignore[assignment]
    limits_said = "bounds"
    bounds: tuple[float, float] = (-math.inf, math.inf)
    steepest: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InvalidInput(f"CustomActivation(function={self.function!r}): give a function of one array.")
        if self.smooth is None:
            sigma = declared.same_on_arrays_and_expressions("CustomActivation", self)
            object.__setattr__(self, "smooth", declared.bend(sigma) is None)
        if self.steepest is not None and not (is_real(self.steepest) and self.steepest >= 0.0):
            raise InvalidInput(f"CustomActivation(steepest={self.steepest!r}): sup |σ'| is a number, at least 0.")
        self.check()
        if self.steepest is not None and (there := _steepest(self)) > self.steepest * (1.0 + declared.ROUNDING):
            raise InvalidInput(f"CustomActivation(steepest={self.steepest:g}): on a sample |σ'| reaches {there:g}.")

    @property
    def limits(self) -> tuple[float, float]:  # type: ignore[override]
        return self.bounds

    @property
    def lipschitz(self) -> float:
        return super().lipschitz if self.steepest is None else float(self.steepest)

    def formula(self, s: Any) -> Any:
        return self.function(s)


def _by_casadi(activation: Activation, order: int, s: Array) -> Array:
    """The derivative of σ of this order at s."""

    def compiled() -> Batch:
        x = ca.SX.sym("s")
        with numpy_on_casadi():
            formula = activation(x)
        for _ in range(order):
            formula = ca.jacobian(formula, x)
        return Batch(ca.Function("derivative", [x], [ca.densify(formula)]))

    batch: Batch = activation.built.of(order, compiled)
    return batch(np.reshape(s, (1, -1)))[0].reshape(np.shape(s))


def _steepest(activation: Activation) -> float:
    """sup |σ'| as a sample shows it."""
    sigma = declared.same_on_arrays_and_expressions(type(activation).__name__, activation)
    bend = None if activation.smooth else declared.bend(sigma)
    if bend is not None and bend[0] == declared.NAMES[0]:
        return math.inf
    return steepest(lambda s: np.abs(_by_casadi(activation, 1, s)), declared.sample())


def _kinks(activation: Activation) -> tuple[float, ...]:
    sigma = declared.same_on_arrays_and_expressions(type(activation).__name__, activation)
    return tuple(declared.bends(sigma).tolist())


def _log_cosh(s: Array) -> Array:
    """Exact to rounding also where it is small."""
    s = np.abs(s)
    far = s + np.log1p(np.exp(-2.0 * s)) - math.log(2.0)
    return np.where(s < 1.0, 0.5 * np.log1p(np.sinh(np.fmin(s, 1.0)) ** 2), far)


def _expm1_less_s(s: Array) -> Array:
    """e^s − 1 − s, s ≤ 0, exact to rounding also where it is small: there by its series."""
    small = np.fmax(s, -1.0)
    series = small**2 * np.polynomial.polynomial.polyval(small, _SERIES)
    return np.where(small == s, series, np.expm1(s) - s)


_SERIES = np.array([1.0 / math.factorial(k + 2) for k in range(18)])


def _check(activation: Activation) -> None:
    """Every claim of ``activation`` against a sample of its formula."""
    name, (lower, upper) = type(activation).__name__, _checked_limits(activation)
    sigma = declared.same_on_arrays_and_expressions(name, activation)
    falls = declared.decrease(sigma) if activation.increasing else None
    if falls is not None:
        raise InvalidInput(f"{name}(increasing=True): σ decreases near s = {falls:g}; declare increasing = False.")
    leaves, said = declared.outside(sigma, lower, upper), activation.limits_said
    if leaves is not None:
        low, high = declared.value_range(sigma)
        raise InvalidInput(
            f"{name}({said}={activation.limits}): σ leaves its stated {said} near s = {leaves:g}; it ranges over at "
            f"least [{low:g}, {high:g}]."
        )
    bend = declared.bend(sigma) if activation.smooth else None
    if bend is not None:
        raise InvalidInput(f"{name}(smooth=True): {bend[0]} jumps at s = {bend[1]:g}; declare smooth = False.")


_check_once = lru_cache(maxsize=256)(_check)


def _checked_limits(activation: Activation) -> tuple[float, float]:
    limits: Any = activation.limits
    pair = isinstance(limits, (tuple, list)) and len(limits) == 2 and all(is_real(limit) for limit in limits)
    if not pair or not limits[0] < limits[1]:
        raise InvalidInput(
            f"{type(activation).__name__}({activation.limits_said}={limits!r}): "
            "give the pair of numbers (inf σ, sup σ)."
        )
    return float(limits[0]), float(limits[1])
