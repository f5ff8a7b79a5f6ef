"""ODENet: ẏ = α(t) σ(Ky + β), time steps that are learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocdl.errors import InvalidInput
from ocdl.networks.residual import Residual
from ocdl.statement.bounds import Box
from ocdl.statement.budget import Budget
from ocdl.statement.layout import Part

STEPS = ("free", "non-negative", "simplex")


@dataclass(frozen=True)
class ODENet(Residual):
    """ẏ = α σ(Ky + β) with a scalar control α: h_k α_k is the learnt time step of layer k.

    steps: "free", "non-negative" for α ≥ 0, or "simplex" for α ≥ 0 and ∫α dt = T.
    Source: Benning et al. (2019), (33) and (40).
    """

    steps: str = "free"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps not in STEPS:
            raise InvalidInput(f"ODENet(steps={self.steps!r}): one of {', '.join(map(repr, STEPS))} is needed.")

    def parts(self, n: int) -> tuple[Part, ...]:
        return *super().parts(n), Part("alpha", (), ())

    def operator(self, u: Mapping[str, Any], n: int) -> Any:
        return u["alpha"] * self.kernel.matrix(u, n)

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        return u["alpha"] * self.activation(z)

    def bounds(self, n: int) -> Box:
        return Box() if self.steps == "free" else Box(alpha=(0, None))

    def budgets(self, horizon: float) -> tuple[Budget, ...]:
        return (Budget("alpha", horizon),) if self.steps == "simplex" else ()
