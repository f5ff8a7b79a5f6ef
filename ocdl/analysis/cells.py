"""The worst cost of a network of one output over a ball of its inputs, proven by branch and bound.

Cubes cover the ball. In each, ``Deviation`` bounds how far the output can be from that at its centre, and the loss,
which falls and then rises with the output, is largest at an end of that interval. Cubes whose bound exceeds what an
attack has found are halved along every input. Source: Bunel et al. (2018), "A unified view of piecewise linear neural
network verification", for branch and bound on inputs.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ocdl.analysis.certificates import Deviation
from ocdl.arrays import Array
from ocdl.errors import NotSupported
from ocdl.solving.layered import LayeredNetwork
from ocdl.statement.ball import Ball
from ocdl.statement.readout_loss import ReadoutLoss

LEVELS = 6  # of halving
NARROW = 3  # inputs, up to which cubes are halved
CLOSE = 1e-3  # between bound and attack, relative to 1 + |J|: close enough
CELLS = 60_000  # at once
ROUNDED = 1e-9


def proven_costs(
    network: LayeredNetwork, terminal: ReadoutLoss, inputs: Array, data: Array, ball: Ball, found: Array
) -> Array:
    """Bounds (S,) from above on max J_s over the ball about inputs (S, d), where an attack has ``found`` (S,)."""
    S, d = inputs.shape
    bounds, enough = found.copy(), found + CLOSE * (1.0 + np.abs(found))
    of, centre, half = np.arange(S), np.zeros((S, d)), ball.radius
    for level in range(LEVELS + 1):
        r = ball.radius if level == 0 and ball.norm == 2.0 else half * np.sqrt(d)
        try:
            top = _bound(network, terminal, inputs[of] + centre, data[of], r)
        except NotSupported:
            return np.full(S, np.inf)
        open_ = top > enough[of]
        last = level == LEVELS or d > NARROW or np.count_nonzero(open_) * 2**d > CELLS
        done = np.ones_like(open_) if last else ~open_
        np.maximum.at(bounds, of[done], top[done])
        if np.all(done):
            break
        half = 0.5 * half
        of, centre = _halved(of[open_], centre[open_], half, ball)
    return bounds


def _halved(of: NDArray[np.intp], centre: Array, half: float, ball: Ball) -> tuple[NDArray[np.intp], Array]:
    """The cubes of half the size, those left out that do not meet the ball."""
    corners = half * np.array(list(product((-1.0, 1.0), repeat=centre.shape[1])))
    cut = (centre[:, None] + corners).reshape(-1, centre.shape[1])
    nearest = np.maximum(np.abs(cut) - half, 0.0)
    meets = ball.size(nearest) <= ball.radius * (1.0 + ROUNDED)
    return np.repeat(of, len(corners))[meets], cut[meets]


def _bound(network: LayeredNetwork, terminal: ReadoutLoss, inputs: Array, data: Array, r: float) -> Array:
    """The largest cost (C,) within a distance r of inputs (C, d) with data (C, 1)."""
    output = network.output(inputs)
    width = (1.0 + ROUNDED) * Deviation.of(network, inputs, np.full(len(inputs), r)).bound(network.readout.weight)
    ends = [terminal.loss.slopes(end, data, np.ones(1), network.link)[0] for end in (output - width, output + width)]
    return np.asarray(np.maximum(*ends))
