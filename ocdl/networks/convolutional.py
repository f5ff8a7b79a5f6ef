"""Convolutional residual networks: ẏ_d = σ(Σ_c K_dc ⋆ y_c + β_d) for channels y_c that are images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocdl.arrays import Array
from ocdl.networks.architecture import Activated
from ocdl.networks.images import channels, check_image, check_pool, check_size, convolution, mean_pooling, on_pixels
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Convolutional(Activated):
    """ẏ_d = σ(Σ_c K_dc ⋆ y_c + β_d) with stencils K_dc of size × size pixels and one bias a channel.

    image: (H, W), the pixels of one channel; inputs are images channel by channel, row by row, and ``channels`` of
        ``network`` counts states: 3 · 64 of inputs of 64 pixels adds two channels that begin at 0.
    pool: the readout sees the means of cells of pool × pool pixels.
    Source: Li, Chen, Tai and E, "Maximum principle based algorithms for deep learning" (2018), section 5.
    """

    image: tuple[int, int] = (8, 8)
    size: int = 3
    pool: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image("Convolutional", self.image)
        check_size("Convolutional", self.size)
        check_pool("Convolutional", self.pool, self.image)

    def parts(self, n: int) -> tuple[Part, ...]:
        C, k = channels("Convolutional", n, self.image), self.size
        return Part("K", ("channel", "from", "row", "column"), (C, C, k, k)), Part("beta", ("channel",), (C,))

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        C = channels("Convolutional", x.shape[0], self.image)
        return convolution(u["K"], self.image, (C, C, self.size)) @ x + on_pixels(u["beta"], self.image)

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        return self.activation(z)

    def features(self, n: int) -> Array:
        if self.pool == 1:
            return super().features(n)
        return mean_pooling(self.image, self.pool, channels("Convolutional", n, self.image))
