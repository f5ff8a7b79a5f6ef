"""Regularisers: convex penalties on controls and readout, integrated over width and depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ocdl.arrays import is_real
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
        if not (is_real(self.weight) and math.isfinite(self.weight) and self.weight > 0.0):
            raise InvalidInput(f"Tikhonov(weight={self.weight!r}): the weight must be positive and finite.")

    def density(self, control: Any) -> Any:
        return 0.5 * self.weight * control**2
