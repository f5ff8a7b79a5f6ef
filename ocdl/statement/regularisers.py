"""Regularisers: convex penalties on controls and readout, integrated over width and depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput


@dataclass(frozen=True)
class Regulariser:
    """A pointwise penalty: its ``density`` is integrated over Y for a, Y × Y for b, and over the readout."""

    def density(self, control: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no density")


@dataclass(frozen=True)
class Tikhonov(Regulariser):
    """(λ/2) (∫∫ a² dy dt + ∫∫∫ b² dz dy dt + |readout|²), so that its gradient is λa, λb as printed in
    Liu and Markowich, (4.7); λ = ``weight`` > 0.
    """

    weight: float

    def __post_init__(self) -> None:
        _check_weight(self, self.weight)

    def density(self, control: Any) -> Any:
        return 0.5 * self.weight * control**2


@dataclass(frozen=True)
class L1(Regulariser):
    """λ (∫∫ |a| dy dt + ∫∫∫ |b| dz dy dt + |readout|₁): controls that gain less than λ vanish; λ = ``weight`` > 0.

    It has a kink at 0: ``ProjectedGradient`` takes its proximal map. For other methods its slope is sign(u); where
    these stop short of the optimum the certificate says so.
    """

    weight: float

    def __post_init__(self) -> None:
        _check_weight(self, self.weight)

    def density(self, control: Any) -> Any:
        return self.weight * np.fabs(control)


@dataclass(frozen=True, eq=False)
class Penalised:
    """Σ_j m_j density(v_j) with quadrature weights m: what a regulariser adds to the effort or to the penalty."""

    regulariser: Regulariser
    metric: Array

    def total(self, values: Any) -> Any:
        return ca.dot(self.metric, self.regulariser.density(values))


class PenalisedControls(Penalised):
    """The effort of a regulariser."""

    def __call__(self, u: Any) -> Any:
        return self.total(u)


class PenalisedParameters(Penalised):
    """The penalty of a regulariser."""

    def __call__(self, p: Any) -> Any:
        return self.total(p)


def thresholds(given: Any, metric: Array) -> Array:
    """λ (m,) of an effort or a penalty Σ_j metric_j λ_j |v_j|; 0 where ``given`` is another.

    Known by the very classes: what overrides a formula is not taken for it.
    """
    found = np.zeros(metric.size)
    if type(given) in (PenalisedControls, PenalisedParameters) and type(given.regulariser) is L1:
        found[: given.metric.size] = given.regulariser.weight * given.metric / metric[: given.metric.size]
    return found


def _check_weight(regulariser: Regulariser, weight: Any) -> None:
    if not (is_real(weight) and math.isfinite(weight) and weight > 0.0):
        raise InvalidInput(f"{type(regulariser).__name__}(weight={weight!r}): the weight must be positive and finite.")
