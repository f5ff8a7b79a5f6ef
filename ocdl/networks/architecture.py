"""Architectures: what one layer of a network computes, written once as a formula in CasADi.

A layer is φ(x, z, u) with z = lift(x, u), affine in x, to which σ is applied entry by entry, so that what sweeps the
layers can see from the formulas that they are dense. In depth ẋ = φ, or x⁺ = x + φ where it is ``discrete``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.activations import Activation, Tanh
from ocdl.statement.bounds import Box
from ocdl.statement.budget import Budget
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Architecture:
    """Base of the architectures. A new one has ``parts``, ``lift`` and ``dynamics``.

    In the formulas x (n, C) holds the states of C samples as columns, n = ``states(channels)``, and ``u`` the controls
    of the layer by name, with the shapes of ``parts``: u["K"] (n, n), u["beta"] (n, 1). Write matrix products and
    entrywise functions only: a column of biases is added to every column of x.

    by_depth: the formula changes from layer to layer; it is a single ``rate(t, x, u)`` in place of lift and dynamics.
    discrete: layers that are no steps of a differential equation; they live on unit steps, x⁺ = x + φ, so that φ is
        the layer's value less x where the layer has no skip connection.
    """

    discrete: ClassVar[bool] = False
    by_depth: ClassVar[bool] = False

    def parts(self, n: int) -> tuple[Part, ...]:
        """The controls of a layer of ``n`` states: names, dimensions and shapes."""
        raise NotImplementedError(f"{type(self).__name__} has no parts")

    def lift(self, x: Any, u: Mapping[str, Any]) -> Any:
        """Pre-activations z (k, C), affine in x."""
        raise NotImplementedError(f"{type(self).__name__} has no lift")

    def dynamics(self, x: Any, z: Any, u: Mapping[str, Any]) -> Any:
        """φ (n, C)."""
        raise NotImplementedError(f"{type(self).__name__} has no dynamics")

    def operator(self, u: Mapping[str, Any], n: int) -> Any:
        """M (n, n) where ∂φ/∂x = diag(σ'(z)) M: what constraints of stability are about."""
        raise NotSupported(
            f"stability=...: it binds layers σ(Ky + β), or a number times that; those of {type(self).__name__} are not."
        )

    def rate(self, t: Any, x: Any, u: Mapping[str, Any]) -> Any:
        """φ (n,) of a single column x at depth t, where the architecture is ``by_depth``."""
        raise NotImplementedError(f"{type(self).__name__} has no rate")

    def states(self, channels: int) -> int:
        """The number n of states of a network with so many channels; those beyond the channels begin at 0."""
        return channels

    def features(self, n: int) -> Array:
        """What the readout sees of the final states: B x, B (r, n), or (n,) for a diagonal."""
        return np.ones(n)

    def bounds(self, n: int) -> Box:
        """Intervals of the controls that belong to the architecture itself."""
        return Box()

    def budgets(self, horizon: float) -> tuple[Budget, ...]:
        """Integrals over the depth that belong to the architecture itself."""
        return ()

    def layers(self) -> int | None:
        """How many unit steps a ``discrete`` architecture has; None where it has as many as asked for."""
        return None


@dataclass(frozen=True)
class Activated(Architecture):
    """Architectures with one activation σ in all layers."""

    activation: Activation = field(default_factory=Tanh)

    def __post_init__(self) -> None:
        check_activation(self)


def check_activation(layer: Any) -> None:
    """Raise InvalidInput where the activation of a layer is none."""
    if not isinstance(layer.activation, Activation):
        raise InvalidInput(
            f"{type(layer).__name__}(activation={layer.activation!r}): give an instance such as ocdl.Tanh()."
        )
    layer.activation.check()


def total(parts: tuple[Part, ...]) -> int:
    """How many entries parts have together."""
    return sum(part.size for part in parts)


def matrices(parts: tuple[Part, ...], flat: Any) -> dict[str, Any]:
    """Entries (m,), row by row and part by part, as matrices by name; as columns but where there are two dimensions."""
    ends = np.cumsum([0, *(part.size for part in parts)]).tolist()
    pieces = [flat[begin:end] for begin, end in pairwise(ends)]
    return {
        part.name: ca.reshape(piece, *part.shape[::-1]).T if len(part.shape) == 2 else piece
        for part, piece in zip(parts, pieces, strict=True)
    }
