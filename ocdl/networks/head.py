"""The head of a network: its output O = W f + μ, the prediction h(O), and what an error costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.statement.layout import Part
from ocdl.statement.losses import IdentityLink, Link, Loss, Readout


@dataclass(frozen=True, eq=False)
class Head:
    """ℓ(x, p, d) = Σ_k density(O_k, d_k), O = W f + μ of features f = Bx, (K, M) and (K,) the last parameters.

    Without a readout O = f.
    """

    readout: Readout | None
    loss: Loss
    features: Array  # B (M, n)
    before: int  # parameters that stand before W and μ

    @property
    def M(self) -> int:
        """The number of features."""
        return len(self.features)

    @property
    def outputs(self) -> int:
        """K."""
        return self.M if self.readout is None or self.readout.outputs == "width" else int(self.readout.outputs)

    @property
    def link(self) -> Link:
        return IdentityLink() if self.readout is None else self.readout.link

    @property
    def parts(self) -> tuple[Part, ...]:
        """W and μ."""
        K = self.outputs
        return () if self.readout is None else (Part("W", ("output", "z"), (K, self.M)), Part("mu", ("output",), (K,)))

    def output(self, x: Any, p: Any) -> Any:
        """O (K, C) of states x (n, C) as columns."""
        f = ca.DM(self.features) @ x
        if self.readout is None:
            return f
        K, end = self.outputs, self.before + self.outputs * self.M
        return ca.reshape(p[self.before : end], self.M, K).T @ f + p[end : end + K]

    def __call__(self, x: Any, p: Any, d: Any) -> Any:
        return ca.sum1(self.loss.density(self.output(x, p), d, self.link))

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of [W row by row, μ]."""
        if self.readout is None:
            return np.zeros(0), np.zeros(0)
        K = self.outputs
        pairs = self.readout.box.interval("weight", (K, self.M)), self.readout.box.interval("bias", (K,))
        return tuple(np.concatenate([pair[end].ravel() for pair in pairs]) for end in (0, 1))  # type: ignore[return-value]
