"""Chains: networks whose layers differ in width and kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import casadi as ca
import numpy as np

from ocdl.arrays import Array, is_whole
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Architecture, matrices, total
from ocdl.networks.steps import Step
from ocdl.statement.layout import Part


@dataclass(frozen=True)
class Chain(Architecture):
    """x_{k+1} = g_k(x_k, u_k) for a sequence of steps, each with the width that the one before has left.

    The states are those of the widest step; those that a narrower one does not use are 0 behind it. u_k holds the
    controls of step k one part after the other, and what is left of it changes nothing; ``controls_of`` takes a
    solution's "u" apart.

    steps: such as (Projection((8, 8), 4), Skip(Convolutional(image=(4, 4))), FullyConnected(10)).
    inputs: the number of values a sample, which the first step sees.
    Source: Li, Chen, Tai and E, "Maximum principle based algorithms for deep learning" (2018), section 4.2.
    """

    steps: tuple[Step, ...]
    inputs: int
    discrete: ClassVar[bool] = True
    by_depth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.steps, tuple | list) and self.steps and all(isinstance(s, Step) for s in self.steps)):
            raise InvalidInput(
                f"Chain(steps={self.steps!r}): give one step or more, such as (FullyConnected(4), FullyConnected(2))."
            )
        if not (is_whole(self.inputs) and self.inputs >= 1):
            raise InvalidInput(f"Chain(inputs={self.inputs!r}): a whole number of values a sample, at least 1.")
        object.__setattr__(self, "steps", tuple(self.steps))
        _ = self.parts_by_step

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of states before each step, and behind the last."""
        found = [self.inputs]
        for step in self.steps:
            found.append(step.width(found[-1]))
        return tuple(found)

    @property
    def parts_by_step(self) -> list[tuple[Part, ...]]:
        """The controls of each step."""
        return [step.parts(n) for step, n in zip(self.steps, self.widths[:-1], strict=True)]

    def controls_of(self, u: Any) -> list[dict[str, Array]]:
        """The controls of each step by name, from rows u (N, m)."""
        rows = np.asarray(u)
        return [
            {
                part.name: row[end - part.size : end].reshape(part.shape)
                for part, end in zip(parts, np.cumsum([part.size for part in parts]), strict=True)
            }
            for parts, row in zip(self.parts_by_step, rows, strict=True)
        ]

    def layers(self) -> int:
        return len(self.steps)

    def states(self, channels: int) -> int:
        if channels != self.inputs:
            raise InvalidInput(
                f"channels={channels}: this Chain has {self.inputs} inputs; its steps make its further channels."
            )
        return max(self.widths)

    def features(self, n: int) -> Array:
        return np.eye(self.widths[-1], n)

    def parts(self, n: int) -> tuple[Part, ...]:
        return (Part("u", ("entry",), (max(map(total, self.parts_by_step)),)),)

    def rate(self, t: Any, x: Any, u: Mapping[str, Any]) -> Any:
        """g_k(x) − x with the step k at depth t, k ≤ t < k + 1."""
        n = x.shape[0]
        values = []
        for step, width, parts in zip(self.steps, self.widths[:-1], self.parts_by_step, strict=True):
            value = ca.densify(step.value(x[:width], matrices(parts, u["u"])))
            values.append(ca.vertcat(value, ca.DM.zeros(n - value.shape[0], 1)))
        return ca.conditional(ca.floor(t), values[:-1], values[-1]) - x
