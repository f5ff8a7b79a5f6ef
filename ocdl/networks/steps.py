"""Steps of a chain: maps x ↦ g(x, u) between states of different widths, each with controls of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import casadi as ca

from ocdl.arrays import is_real, is_whole
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Architecture, check_activation
from ocdl.networks.images import cells, channels, check_image, check_pool, check_size, convolution, on_pixels
from ocdl.statement.activations import Activation, Tanh
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Step:
    """g_k of the discrete maximum principle of Li et al. (2018), section 4.2: x_{k+1} = g_k(x_k, u_k).

    A new step is a subclass with ``width``, ``parts`` and ``value``; ``u`` holds its controls by name as an
    ``Architecture`` has them.
    """

    def width(self, n: int) -> int:
        """How many states it makes of n."""
        raise NotImplementedError(f"{type(self).__name__} has no width")

    def parts(self, n: int) -> tuple[Part, ...]:
        """Its controls on n states."""
        raise NotImplementedError(f"{type(self).__name__} has no parts")

    def value(self, x: Any, u: Mapping[str, Any]) -> Any:
        """g(x, u) of a column x (n,)."""
        raise NotImplementedError(f"{type(self).__name__} has no value")


@dataclass(frozen=True)
class FullyConnected(Step):
    """g = σ(Kx + β) with ``size`` values."""

    size: int
    activation: Activation = field(default_factory=Tanh)

    def __post_init__(self) -> None:
        if not (is_whole(self.size) and self.size >= 1):
            raise InvalidInput(f"FullyConnected(size={self.size!r}): a whole number of values, at least 1.")
        check_activation(self)

    def width(self, n: int) -> int:
        return self.size

    def parts(self, n: int) -> tuple[Part, ...]:
        return Part("K", ("y", "z"), (self.size, n)), Part("beta", ("y",), (self.size,))

    def value(self, x: Any, u: Mapping[str, Any]) -> Any:
        return self.activation(u["K"] @ x + u["beta"])


@dataclass(frozen=True)
class Skip(Step):
    """g = x + hφ(x, u): an explicit Euler step of a residual architecture, h = ``step``."""

    architecture: Architecture
    step: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.architecture, Architecture) or self.architecture.discrete:
            raise InvalidInput(f"Skip({self.architecture!r}): an architecture with ẋ = φ is needed, ocdl.Residual().")
        if not (is_real(self.step) and math.isfinite(self.step) and self.step > 0.0):
            raise InvalidInput(f"Skip(step={self.step!r}): the step must be positive and finite.")

    def width(self, n: int) -> int:
        return n

    def parts(self, n: int) -> tuple[Part, ...]:
        return self.architecture.parts(n)

    def value(self, x: Any, u: Mapping[str, Any]) -> Any:
        return x + self.step * self.architecture.dynamics(x, self.architecture.lift(x, u), u)


@dataclass(frozen=True)
class Projection(Step):
    """g_d = the largest of σ(Σ_c K_dc ⋆ x_c + β_d) in every cell of pool × pool pixels, of images x_c.

    filters: the number of channels d it makes. The input projection of Li et al. (2018), section 5, has pool = 2.
    """

    image: tuple[int, int]
    filters: int
    size: int = 3
    pool: int = 2
    activation: Activation = field(default_factory=Tanh)

    def __post_init__(self) -> None:
        check_image("Projection", self.image)
        check_size("Projection", self.size)
        check_pool("Projection", self.pool, self.image)
        if not (is_whole(self.filters) and self.filters >= 1):
            raise InvalidInput(f"Projection(filters={self.filters!r}): a whole number of channels, at least 1.")
        check_activation(self)

    def width(self, n: int) -> int:
        return self.filters * self.image[0] * self.image[1] // self.pool**2

    def parts(self, n: int) -> tuple[Part, ...]:
        C, D, k = channels("Projection", n, self.image), self.filters, self.size
        return Part("K", ("channel", "from", "row", "column"), (D, C, k, k)), Part("beta", ("channel",), (D,))

    def value(self, x: Any, u: Mapping[str, Any]) -> Any:
        C, D = channels("Projection", x.shape[0], self.image), self.filters
        z = convolution(u["K"], self.image, (D, C, self.size)) @ x + on_pixels(u["beta"], self.image)
        values = self.activation(z)
        return reduce(ca.fmax, (ca.vec(values[place.tolist()]) for place in cells(self.image, self.pool, D).T))
