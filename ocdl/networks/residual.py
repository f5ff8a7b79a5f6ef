"""Residual networks: ẏ = σ(Ky + β), the ResNet on explicit Euler steps and a Runge–Kutta network on any other scheme.

Sources: He et al., "Deep residual learning for image recognition" (2016); Benning, Celledoni, Ehrhardt, Owren and
Schönlieb, "Deep learning as optimal control problems" (2019), section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Activated
from ocdl.networks.kernels import DenseKernel, Kernel
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Residual(Activated):
    """ẏ = σ(Ky + β) with one K and β a layer: on ``ExplicitEuler`` the ResNet y⁺ = y + hσ(Ky + β), on ``Kutta4`` and
    other schemes the Runge–Kutta networks of Benning et al. (2019), (24).

    kernel: what K is made of, a full matrix by default.
    """

    kernel: Kernel = field(default_factory=DenseKernel)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.kernel, Kernel):
            raise InvalidInput(
                f"{type(self).__name__}(kernel={self.kernel!r}): give an instance such as ocdl.DenseKernel()."
            )

    def parts(self, n: int) -> tuple[Part, ...]:
        return *self.kernel.parts(n), Part("beta", ("y",), (n,))

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        return self.kernel.matrix(u, x.shape[0]) @ x + u["beta"]

    def operator(self, u: Mapping[str, Any], n: int) -> Any:
        return self.kernel.matrix(u, n)

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        return self.activation(z)
