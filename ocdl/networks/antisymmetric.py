"""Antisymmetric networks: ẏ = σ((K − Kᵀ − γI) y + β), stable forwards and backwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import casadi as ca

from ocdl.arrays import is_real
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Activated
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Antisymmetric(Activated):
    """ẏ = σ((K − Kᵀ − γI) y + β): the eigenvalues of the matrix have real part −γ.

    damping: γ ≥ 0.
    Sources: Haber and Ruthotto, "Stable architectures for deep neural networks" (2017), section 4; Chang et al.,
    "AntisymmetricRNN" (2019).
    """

    damping: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_real(self.damping) and math.isfinite(self.damping) and self.damping >= 0.0):
            raise InvalidInput(f"Antisymmetric(damping={self.damping!r}): γ is a number, at least 0.")

    def parts(self, n: int) -> tuple[Part, ...]:
        return Part("K", ("y", "z"), (n, n)), Part("beta", ("y",), (n,))

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        return self.operator(u, x.shape[0]) @ x + u["beta"]

    def operator(self, u: Mapping[str, Any], n: int) -> Any:
        return u["K"] - u["K"].T - self.damping * ca.DM.eye(n)

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        return self.activation(z)
