"""Contractive networks: ∂t f = Bᵀσ(a − Bf), where distances between samples never grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Activated
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Contractive(Activated):
    """∂t f = Bᵀσ(a − Bf) with B (width, n) and a (width,): ½ d/dt |f − g|² ≤ 0 for any two samples where σ' ≥ 0.

    width: n by default. Source: Liu and Markowich, section 3.5, with σ' ≥ 0.
    """

    width: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width is not None and not (is_whole(self.width) and self.width >= 1):
            raise InvalidInput(f"Contractive(width={self.width!r}): a width is a whole number, at least 1.")
        if not self.activation.increasing:
            raise InvalidInput(
                f"Contractive(activation={self.activation!r}): σ must be non-decreasing, or nothing contracts."
            )

    def parts(self, n: int) -> tuple[Part, ...]:
        k = self.width or n
        return Part("B", ("y", "z"), (k, n)), Part("a", ("y",), (k,))

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        return u["a"] - u["B"] @ x

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        return u["B"].T @ self.activation(z)
