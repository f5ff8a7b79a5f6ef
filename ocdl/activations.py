"""Activations σ: formulas that numpy arrays and CasADi expressions both understand.

A new activation is a subclass with its ``formula``, its ``limits`` and whether it is
``increasing`` (non-decreasing) and ``smooth`` (twice continuously differentiable).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import is_real
from ocdl.errors import InvalidInput
from ocdl.interrupts import uninterrupted


@dataclass(frozen=True)
class Activation:
    """σ, applied entry by entry; call it on a numpy array or on a CasADi expression.

    ``limits`` are (inf σ, sup σ); ``increasing`` says that σ is non-decreasing, which the
    closed-form maximum principle needs; ``smooth`` that σ is C².
    """

    limits = (-math.inf, math.inf)  # no annotations: these are no fields
    increasing = True
    smooth = True

    def formula(self, s: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no formula")

    def __call__(self, s: Any) -> Any:
        return self.formula(s)


class Tanh(Activation):
    """σ(s) = tanh s."""

    limits = (-1.0, 1.0)

    def formula(self, s: Any) -> Any:
        return np.tanh(s)


class Arctan(Activation):
    """σ(s) = arctan s."""

    limits = (-math.pi / 2, math.pi / 2)

    def formula(self, s: Any) -> Any:
        return np.arctan(s)


class Sigmoid(Activation):
    """σ(s) = 1/(1 + e^−s), written as (1 + tanh(s/2))/2 so that it never overflows."""

    limits = (0.0, 1.0)

    def formula(self, s: Any) -> Any:
        return 0.5 * (1.0 + np.tanh(0.5 * s))


class ReLU(Activation):
    """σ(s) = max(s, 0)."""

    limits = (0.0, math.inf)
    smooth = False

    def formula(self, s: Any) -> Any:
        return np.fmax(s, 0.0)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """σ(s) = max(s, κs) with slope 0 ≤ κ < 1 (Liu and Markowich print κ = 0.1)."""

    smooth = False
    slope: float = 0.1

    def __post_init__(self) -> None:
        if not (is_real(self.slope) and 0.0 <= self.slope < 1.0):
            raise InvalidInput(f"LeakyReLU(slope={self.slope!r}): the slope must be a number in [0, 1).")

    @property
    def limits(self) -> tuple[float, float]:  # type: ignore[override]
        return (-math.inf if self.slope > 0.0 else 0.0, math.inf)

    def formula(self, s: Any) -> Any:
        return np.fmax(s, self.slope * s)


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

    def formula(self, s: Any) -> Any:
        return np.fmax(s, 0.0) + self.alpha * np.expm1(np.fmin(s, 0.0))


class Identity(Activation):
    """σ(s) = s."""

    def formula(self, s: Any) -> Any:
        return s


@dataclass(frozen=True)
class CustomActivation(Activation):
    """A user's own σ, written with numpy functions: ``CustomActivation(lambda s: s / np.sqrt(1 + s**2))``.

    It acts entry by entry, on numpy arrays and on CasADi expressions alike; that, ``increasing`` when claimed and
    ``bounds`` = (inf σ, sup σ) are checked on a sample of [−50, 50].
    Source of the closed forms that rest on the claim: Liu and Markowich, section 4.2.
    """

    function: Callable[[Any], Any]
    increasing: bool = False
    smooth: bool = True
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        s = np.linspace(-50.0, 50.0, 4001)
        values = self._sampled(s)
        slope = np.diff(values)
        if self.increasing and np.any(slope < -1e-12 * np.maximum(1.0, np.abs(values[1:]))):
            raise InvalidInput(
                f"CustomActivation(increasing=True): the function decreases near s = {s[np.argmin(slope)]:g}."
            )
        try:
            lower, upper = self.bounds
            inside = bool(np.all((lower <= values) & (values <= upper)))
        except (TypeError, ValueError):
            raise InvalidInput(
                f"CustomActivation(bounds={self.bounds!r}): bounds are the pair of numbers (inf σ, sup σ)."
            ) from None
        if not inside:
            raise InvalidInput(
                f"CustomActivation(bounds={self.bounds}): the function leaves its stated bounds; "
                f"it ranges over [{values.min():g}, {values.max():g}] on [-50, 50]."
            )

    def _sampled(self, s: Any) -> Any:
        """σ(s), once it is sure that numpy and CasADi read the same function of each entry."""
        said = "CustomActivation(function=...): the function"
        if not callable(self.function):
            raise InvalidInput(f"CustomActivation(function={self.function!r}): give a function of one array.")
        try:
            values = np.asarray(self(s), dtype=float)
        except Exception as error:  # the user's own function may raise what it likes
            raise InvalidInput(f"{said} raised {type(error).__name__} on an array: {error}.") from error
        if values.shape != s.shape or not np.all(np.isfinite(values)):
            raise InvalidInput(
                f"{said} must map an array to finite values of the same shape; on linspace(-50, 50, {s.size}) it gave "
                f"shape {values.shape}, {int(np.sum(~np.isfinite(values)))} values not finite."
            )
        symbol = ca.SX.sym("s")
        try:
            with (
                uninterrupted(),
                warnings.catch_warnings(),
            ):  # CasADi announces a change of numpy functions
                warnings.simplefilter("ignore", FutureWarning)
                compiled = ca.Function("sigma", [symbol], [self(symbol)])
                read = compiled(s[None, :]).full().ravel()
        except Exception as error:
            raise InvalidInput(
                f"{said} must also take CasADi expressions: write it with numpy's elementary functions, such as "
                f"np.tanh, np.exp, np.fmax. On an expression it raised {type(error).__name__}."
            ) from error
        wrong = np.abs(read - values) > 1e-9 * np.maximum(1.0, np.abs(values))
        if np.any(wrong):
            raise InvalidInput(
                f"{said} must act on each entry alone, and on CasADi expressions as on arrays; "
                f"at s = {s[np.argmax(wrong)]:g} the two differ."
            )
        return values

    @property
    def limits(self) -> tuple[float, float]:  # type: ignore[override]
        return self.bounds

    def formula(self, s: Any) -> Any:
        return self.function(s)
