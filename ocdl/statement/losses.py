"""Losses and readouts: what the output of the network is, and what an error costs.

The output of a sample is O(y) = f(y,T), or O = ∫ W f dz + μ behind a ``Readout``; the prediction is h(O)
with the link h. A loss is a formula ``density(output, label, link)``, integrated over the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Box


@dataclass(frozen=True)
class Link:
    """h, from output to prediction."""

    def __call__(self, output: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no formula")


class IdentityLink(Link):
    """h(O) = O."""

    def __call__(self, output: Any) -> Any:
        return output


class Logistic(Link):
    """h(O) = e^O / (1 + e^O), the logistic regression function of Liu and Markowich, section 2.3."""

    def __call__(self, output: Any) -> Any:
        return 0.5 * (1.0 + np.tanh(0.5 * output))


class _ReadoutBox(Box):
    said = "Readout"


@dataclass(frozen=True)
class Readout:
    """O = ∫ W(z) f(z,T) dz + μ with prediction h(O); W and μ are trained within their intervals.

    ``outputs``: the number K of outputs, each with its own W (K, M) and μ (K,), of unit weight;
    or ``"width"`` for an output O(y) = ∫ W(y,z) f(z) dz + μ(y) on the same Y (Liu and Markowich, (2.9)).
    ``weight`` and ``bias`` are intervals (lower, upper); equal ends fix the readout.
    """

    link: Link = field(default_factory=Logistic)
    outputs: int | str = 1
    weight: tuple[Any, Any] = (-np.inf, np.inf)
    bias: tuple[Any, Any] = (-np.inf, np.inf)

    def __post_init__(self) -> None:
        if self.outputs != "width" and not (is_whole(self.outputs) and int(self.outputs) >= 1):
            raise InvalidInput(
                f"Readout(outputs={self.outputs!r}): outputs is a positive number of outputs or 'width'."
            )
        if not isinstance(self.link, Link):
            raise InvalidInput(f"Readout(link={self.link!r}): link is one of ocdl's links, e.g. ocdl.Logistic().")
        _ = self.box

    @property
    def box(self) -> Box:
        """The intervals of W and μ."""
        return _ReadoutBox(weight=self.weight, bias=self.bias)


@dataclass(frozen=True)
class Loss:
    """Base of the losses; ``labels`` is the interval in which its labels must lie."""

    labels: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def density(self, output: Any, label: Any, link: Callable[[Any], Any]) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no density")

    def check(self, link: Link) -> None:
        """Raise InvalidInput where this loss cannot follow ``link``."""


class HalfSquare(Loss):
    """½ ∫ (h(O) − c)² dy, Liu and Markowich, section 2.4."""

    def density(self, output: Any, label: Any, link: Callable[[Any], Any]) -> Any:
        return 0.5 * (link(output) - label) ** 2


class CrossEntropy(Loss):
    """−∫ c log h(O) + (1 − c) log(1 − h(O)) dy with logistic h and labels c in [0, 1].

    Written as max(O, 0) − cO + log(1 + e^−|O|), which never overflows.
    """

    labels = (0.0, 1.0)

    def density(self, output: Any, label: Any, link: Callable[[Any], Any]) -> Any:
        return np.fmax(output, 0.0) - label * output + np.log1p(np.exp(-np.fabs(output)))

    def check(self, link: Link) -> None:
        if not isinstance(link, Logistic):
            raise InvalidInput(
                "CrossEntropy(): cross entropy needs a readout with a logistic link, "
                f"Readout(link=Logistic()); got {type(link).__name__}."
            )
