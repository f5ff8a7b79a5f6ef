"""Architectures: what one layer of a network computes, written once as a formula in CasADi.

A layer is φ(x, z, u) with z = lift(x, u), affine in x, to which σ is applied entry by entry, so that what sweeps the
layers can see from the formulas that they are dense. In depth ẋ = φ, or x⁺ = x + φ where it is ``discrete``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ocdl.arrays import Array
from ocdl.errors import InvalidInput
from ocdl.statement.activations import Activation, Tanh
from ocdl.statement.bounds import Box
from ocdl.statement.budget import Budget
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Architecture:
    """Base of the architectures. A new one is a subclass with ``parts``, ``lift`` and ``dynamics``.

    In the formulas x (n, C) holds the states of C samples as columns, n = ``states(channels)``, and ``u`` the controls
    of the layer by name, with the shapes of ``parts``: u["K"] (n, n), u["beta"] (n, 1). Write matrix products and
    entrywise functions only: a column of biases is added to every column of x.

    discrete: layers that are no steps of a differential equation; they live on unit steps, x⁺ = x + φ, so that φ is
        the layer's value less x where the layer has no skip connection.
    """

    activation: Activation = field(default_factory=Tanh)
    discrete: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise InvalidInput(
                f"{type(self).__name__}(activation={self.activation!r}): give an instance such as ocdl.Tanh()."
            )
        self.activation.check()

    def parts(self, n: int) -> tuple[Part, ...]:
        """The controls of a layer of ``n`` states: names, dimensions and shapes."""
        raise NotImplementedError(f"{type(self).__name__} has no parts")

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        """Pre-activations z (k, C), affine in x."""
        raise NotImplementedError(f"{type(self).__name__} has no lift")

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        """φ (n, C)."""
        raise NotImplementedError(f"{type(self).__name__} has no dynamics")

    def states(self, channels: int) -> int:
        """The number n of states of a network with so many channels; those beyond the channels begin at 0."""
        return channels

    def features(self, n: int) -> Array:
        """What the readout sees of the final states: B x, B (r, n)."""
        return np.eye(n)

    def bounds(self, n: int) -> Box:
        """Intervals of the controls that belong to the architecture itself."""
        return Box()

    def budgets(self, horizon: float) -> tuple[Budget, ...]:
        """Integrals over the depth that belong to the architecture itself."""
        return ()

    def layers(self) -> int | None:
        """How many unit steps a ``discrete`` architecture has; None where it has as many as asked for."""
        return None
