"""The head of a network: its output O = W f + μ, the prediction h(O), and what an error costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.arrays import Array
from ocdl.statement.layout import Part
from ocdl.statement.losses import IdentityLink, Link, Loss, Readout
from ocdl.statement.readout_loss import Output, ReadoutLoss


@dataclass(frozen=True, eq=False)
class Head:
    """Readout and loss on features f = Bx, with W (K, M) and μ (K,) the last parameters. Without a readout O = f."""

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

    @property
    def terminal(self) -> ReadoutLoss:
        """ℓ(x, p, d) = loss(h(O), d)."""
        fixed = None if self.readout is not None else np.concatenate([np.eye(self.M).ravel(), np.zeros(self.M)])
        plain = self.features.shape[1] == self.M and np.array_equal(self.features, np.eye(self.M))
        features = np.ones(self.M) if plain else self.features
        output = Output(np.ones(self.outputs), None if plain and fixed is not None else features, self.before, fixed)
        return ReadoutLoss(output, self.loss, self.link)

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of [W row by row, μ]."""
        if self.readout is None:
            return np.zeros(0), np.zeros(0)
        K = self.outputs
        pairs = self.readout.box.interval("weight", (K, self.M)), self.readout.box.interval("bias", (K,))
        return tuple(np.concatenate([pair[end].ravel() for pair in pairs]) for end in (0, 1))  # type: ignore[return-value]
