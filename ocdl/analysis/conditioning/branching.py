"""The worst a network of one output O makes of a ball of its inputs, proven by branch and bound.

Cubes cover the ball. In each, ``Deviation`` bounds how far the output can be from that at its centre, and what counts,
a margin, or a loss, which falls and then rises with O, is worst at an end of that interval. Cubes that may still be
worse than asked are halved along every input. Source: Bunel et al. (2018), "A unified view of piecewise linear neural
network verification", for branch and bound on inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.analysis.conditioning.certificates import Deviation
from ocdl.arrays import Array, finite_array
from ocdl.errors import InvalidInput, NotSupported
from ocdl.solving.layered import LayeredNetwork
from ocdl.statement.ball import Ball
from ocdl.statement.readout_loss import ReadoutLoss

LEVELS = 10  # of halving
NARROW = 3  # inputs, up to which cubes are halved
CLOSE = 1e-3  # between bound and attack, relative to 1 + |J|: close enough
CELLS = 60_000  # at once
ROUNDED = 1e-9

Rows = NDArray[np.intp]
Worse = Callable[[Rows, Array], Array]  # how bad outputs (C, 1) of samples (C,) are, (C,)


def proven_costs(
    network: LayeredNetwork, terminal: ReadoutLoss, inputs: Array, data: Array, ball: Ball, found: Array
) -> Array:
    """Bounds (S,) from above on max J_s over the ball about inputs (S, d), where an attack has ``found`` (S,)."""

    def cost(of: Rows, output: Array) -> Array:
        return np.asarray(terminal.loss.slopes(output, data[of], np.ones(1), network.link)[0])

    enough = found + CLOSE * (1.0 + np.abs(found))
    return np.maximum(found, _worst(network, cost, inputs, ball, enough))


def keeps_class(network: LayeredNetwork, inputs: Any, labels: Any, ball: Ball) -> NDArray[np.bool_]:
    """Whether every input in the ball about each of inputs (S, d) is proven to be told by its label, 0 or 1, (S,).

    True is a proof; False is none. Raises NotSupported for networks of several outputs.
    """
    x, classes = finite_array("inputs", inputs), finite_array("labels", labels).ravel()
    if len(network.readout.weight) != 1:
        raise NotSupported(
            f"keeps_class: one output tells two classes; this network has {len(network.readout.weight)}."
        )
    if classes.shape != (len(x),) or not np.all((classes == 0.0) | (classes == 1.0)):
        raise InvalidInput(f"keeps_class: {len(x)} labels, 0 or 1, are needed.")
    sign = np.where(classes == 1.0, -1.0, 1.0)
    found = _worst(network, lambda of, output: sign[of] * output[:, 0], x, ball, np.zeros(len(x)))
    return np.asarray(found < 0.0)


def _worst(network: LayeredNetwork, worse: Worse, inputs: Array, ball: Ball, enough: Array) -> Array:
    """Bounds (S,) on what is worst in the ball; cubes are halved where the bound is above ``enough`` (S,), unless their
    sample is above it at the centre of a cube, moved into the ball.
    """
    S, d = inputs.shape
    bounds, of, centre, half = np.full(S, -np.inf), np.arange(S), np.zeros((S, d)), ball.radius
    for level in range(LEVELS + 1):
        r = ball.radius if level == 0 and ball.norm == 2.0 else half * np.sqrt(d)
        at = ball.projected(centre)  # no farther than the centre from any point of the cube that is in the ball
        here, top = _bound(network, worse, of, inputs[of] + at, r)
        split = (top > enough[of]) & ~np.isin(of, of[here > enough[of]])
        if level == LEVELS or d > NARROW or np.count_nonzero(split) * 2**d > CELLS:
            split[:] = False
        np.maximum.at(bounds, of[~split], top[~split])
        if not np.any(split):
            break
        half = 0.5 * half
        of, centre = _halved(of[split], centre[split], half, ball)
    return bounds


def _halved(of: Rows, centre: Array, half: float, ball: Ball) -> tuple[Rows, Array]:
    """The cubes of half the size, those left out that do not meet the ball."""
    corners = half * np.array(list(product((-1.0, 1.0), repeat=centre.shape[1])))
    cut = (centre[:, None] + corners).reshape(-1, centre.shape[1])
    meets = ball.size(np.maximum(np.abs(cut) - half, 0.0)) <= ball.radius * (1.0 + ROUNDED)
    return np.repeat(of, len(corners))[meets], cut[meets]


def _bound(network: LayeredNetwork, worse: Worse, of: Rows, inputs: Array, r: float) -> tuple[Array, Array]:
    """What is at inputs (C, d), and the worst (C,) within a distance r of them."""
    output = network.output(inputs)
    width = (1.0 + ROUNDED) * Deviation.of(network, inputs, np.full(len(inputs), r)).bound(network.readout.weight)
    return worse(of, output), np.maximum(worse(of, output - width), worse(of, output + width))
