"""Plain feed-forward networks: y⁺ = σ(Ky + β), no skip connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ocdl.networks.architecture import Architecture
from ocdl.networks.residual import Residual


@dataclass(frozen=True)
class Plain(Residual):
    """y⁺ = σ(Ky + β): the "Net" of Benning et al. (2019), (4) and (5).

    There is no differential equation behind it. Its layers are unit steps y⁺ = y + φ with φ = σ(Ky + β) − y, on
    ``ExplicitEuler(layers)`` with a horizon of that many layers.
    """

    discrete: ClassVar[bool] = True
    operator = Architecture.operator  # of y itself there is nothing left

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        return self.activation(z) - x
