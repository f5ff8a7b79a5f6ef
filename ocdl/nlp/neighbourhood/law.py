"""The law of neighbouring extremals: u = u*(t) − K(t)(x − x*(t)), at any time."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.nlp.neighbourhood.linearised import Linearised

Array = NDArray[np.float64]


class Law:
    """That of an answer with gains (Q, m, S·n), coefficients as its controls are, and ``nodes`` (N+1,), true times."""

    def __init__(self, linearised: Linearised, gains: Array, nodes: Array) -> None:
        self.linearised, self.gains, self.nodes = linearised, gains, nodes
        self.transcription = linearised.transcription
        self.problem, self.depth = self.transcription.problem, self.transcription.depth

    def at(self, t: float, x: Array) -> Array:
        """u (m,) inside its box, x (S·n,)."""
        k, c = self._place(t)
        transcription = self.transcription
        columns = transcription.shape_columns[k]
        weights = self.depth.controls.weights(np.array([c]), transcription.tableau.c)[0]
        u = weights @ self.linearised.w[transcription.places.u[columns]]
        K = np.tensordot(weights, self.gains[columns], axes=1)
        low, high = self.problem.control_box_at(transcription.t[k] + c * transcription.h[k : k + 1])
        return np.asarray(np.clip(u - K @ (x - self._state(k, c)), low[0], high[0]))

    def _place(self, t: float) -> tuple[int, float]:
        """The layer of a depth, and where in it, in [0, 1]."""
        nodes = self.nodes
        k = int(np.clip(np.searchsorted(nodes, t, side="right") - 1, 0, nodes.size - 2))
        return k, float(np.clip((t - nodes[k]) / (nodes[k + 1] - nodes[k]), 0.0, 1.0))

    def _state(self, k: int, c: float) -> Array:
        """x* (S·n,) in layer k, the cubic by values and rates at its ends."""
        (x, rates), c2, c3 = self._cubics, c * c, c * c * c
        before, after, h = x[k], x[k + 1], self.transcription.h[k]
        slopes = h * rates[k]
        cubic = (2 * c3 - 3 * c2 + 1) * before + (c3 - 2 * c2 + c) * slopes[0]
        return np.asarray(cubic + (3 * c2 - 2 * c3) * after + (c3 - c2) * slopes[1])

    @cached_property
    def _cubics(self) -> tuple[Array, Array]:
        """States at the nodes (N+1, S·n), and rates at both ends of every layer (N, 2, S·n)."""
        transcription, w = self.transcription, self.linearised.w
        x, t, N, S = w[transcription.places.x], transcription.t, self.depth.count, self.problem.samples
        ends = self.depth.controls.weights(np.array([0.0, 1.0]), transcription.tableau.c)
        u = ends @ w[transcription.places.u[transcription.shape_columns]]  # (N, 2, m)
        depths = np.repeat(np.stack([t[:-1], t[1:]], axis=1).ravel(), S)[None, :]
        states = np.stack([x[:-1], x[1:]], axis=1).reshape(2 * N * S, -1).T
        data, p = np.tile(np.asarray(self.problem.data).T, (1, 2 * N)), w[transcription.places.p]
        columns = np.repeat(u.reshape(2 * N, -1), S, axis=0).T
        rates = self.problem.rate.map(2 * N * S)(depths, states, columns, np.tile(p[:, None], 2 * N * S), data).full()
        return x.reshape(N + 1, -1), rates.T.reshape(N, 2, -1)
