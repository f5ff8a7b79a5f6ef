"""Hamiltonian networks: the state is doubled, (y, z), and what one half sees drives the other.

Source: Haber and Ruthotto, "Stable architectures for deep neural networks" (2017), section 4; Benning, Celledoni,
Ehrhardt, Owren and Schönlieb (2019), section 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Activated
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Hamiltonian(Activated):
    """ẏ = σ(Kz + β), ż = −σ(Kᵀy + β); z begins at 0, and the readout sees y alone."""

    def states(self, channels: int) -> int:
        return 2 * channels

    def features(self, n: int) -> Array:
        return np.eye(n // 2, n)

    def parts(self, n: int) -> tuple[Part, ...]:
        k = n // 2
        return Part("K", ("y", "z"), (k, k)), Part("beta", ("y",), (k,))

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        y, z = ca.vertsplit(x, x.shape[0] // 2)
        return ca.vertcat(u["K"] @ z + u["beta"], u["K"].T @ y + u["beta"])

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        rises, falls = ca.vertsplit(self.activation(z), z.shape[0] // 2)
        return ca.vertcat(rises, -falls)


@dataclass(frozen=True)
class Leapfrog(Hamiltonian):
    """y⁺ = y + hσ(Kz + β), z⁺ = z − hσ(Kᵀy⁺ + β): the symplectic Euler steps of ``Hamiltonian``, as the network itself.

    step: h > 0. A layer is a unit step, on ``ExplicitEuler(layers)`` with a horizon of that many layers; its second
    half sees what the first has made, so that it is not one dense layer.
    """

    discrete: ClassVar[bool] = True
    step: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_real(self.step) and math.isfinite(self.step) and self.step > 0.0):
            raise InvalidInput(f"Leapfrog(step={self.step!r}): the step must be positive and finite.")

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        _, z = ca.vertsplit(x, x.shape[0] // 2)
        return u["K"] @ z + u["beta"]

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        y, _ = ca.vertsplit(x, x.shape[0] // 2)
        rise = self.step * self.activation(z)
        return ca.vertcat(rise, -self.step * self.activation(u["K"].T @ (y + rise) + u["beta"]))
