"""The head of a network: what of the last state it reads, and what an error costs."""

from __future__ import annotations

import numpy as np

from ocdl.arrays import Array
from ocdl.statement.layout import Part
from ocdl.statement.losses import IdentityLink, Loss, Readout
from ocdl.statement.readout_loss import Output, ReadoutLoss


def head(readout: Readout | None, loss: Loss, features: Array, place: int) -> ReadoutLoss:
    """ℓ = loss(h(O), d), O = W B x + μ with W and μ the parameters from ``place`` on; O = Bx without a readout.

    features: B, (n,) for a diagonal or (r, n).
    """
    r = len(features)
    if readout is not None:
        K = r if readout.outputs == "width" else int(readout.outputs)
        return ReadoutLoss(Output(np.ones(K), features, place), loss, readout.link)
    if features.ndim == 1:
        return ReadoutLoss(Output(np.ones(r)), loss, IdentityLink())
    identity = np.concatenate([np.eye(r).ravel(), np.zeros(r)])
    return ReadoutLoss(Output(np.ones(r), features, place, identity), loss, IdentityLink())


def head_parts(output: Output) -> tuple[Part, ...]:
    """W and μ, where they are parameters."""
    K, r = output.shape
    return (Part("W", ("output", "z"), (K, r)), Part("mu", ("output",), (K,))) if output.size else ()
