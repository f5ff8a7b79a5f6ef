"""Activations σ: formulas that numpy arrays and CasADi expressions both understand.

A new activation is a subclass with its ``formula``, its ``limits`` and whether it is
``increasing`` (non-decreasing) and ``smooth`` (twice continuously differentiable).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ocdl.errors import InvalidInput


@dataclass(frozen=True)
class Activation:
    """σ, applied entry by entry; call it on a numpy array or on a CasADi expression.

    ``limits`` are (inf σ, sup σ); ``increasing`` says that σ is non-decreasing, which the
    closed-form maximum principle needs; ``smooth`` that σ is C².
    """

    limits: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    increasing: ClassVar[bool] = True
    smooth: ClassVar[bool] = True

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
        if not 0.0 <= self.slope < 1.0:
            raise InvalidInput(f"LeakyReLU(slope={self.slope!r}): the slope must lie in [0, 1).")

    def formula(self, s: Any) -> Any:
        return np.fmax(s, self.slope * s)


@dataclass(frozen=True)
class ELU(Activation):
    """σ(s) = s for s > 0 and α(e^s − 1) for s ≤ 0, α > 0."""

    smooth = False
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha > 0.0):
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

    ``increasing`` is checked on a sample of [−50, 50] when claimed; ``bounds`` are (inf σ, sup σ).
    Source of the closed forms that rest on the claim: Liu and Markowich, section 4.2.
    """

    function: Callable[[Any], Any] = np.tanh
    increasing: bool = False  # type: ignore[misc]
    smooth: bool = True  # type: ignore[misc]
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        values = np.asarray(self(np.linspace(-50.0, 50.0, 4001)), dtype=float)
        if values.shape != (4001,) or not np.all(np.isfinite(values)):
            raise InvalidInput(
                "CustomActivation(function=...): the function must map an array to finite values of the same shape; "
                f"on linspace(-50, 50, 4001) it gave shape {values.shape}, "
                f"{int(np.sum(~np.isfinite(values)))} values not finite."
            )
        if self.increasing and np.any(np.diff(values) < -1e-12 * np.maximum(1.0, np.abs(values[1:]))):
            at = float(np.linspace(-50, 50, 4001)[int(np.argmin(np.diff(values)))])
            raise InvalidInput(f"CustomActivation(increasing=True): the function decreases near s = {at:g}.")
        if np.any(values < self.bounds[0]) or np.any(values > self.bounds[1]):
            raise InvalidInput(
                f"CustomActivation(bounds={self.bounds}): the function leaves its stated bounds; "
                f"it ranges over [{values.min():g}, {values.max():g}] on [-50, 50]."
            )

    @property
    def limits(self) -> tuple[float, float]:  # type: ignore[override]
        return self.bounds

    def formula(self, s: Any) -> Any:
        return self.function(s)
