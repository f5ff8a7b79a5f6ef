"""What an estimator trains on: inputs, labels and weights of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WeightedSamples:
    """Inputs (S, d), labels (S, K) and weights (S,) ≥ 0."""

    inputs: Array
    labels: Array
    weights: Array

    def __getitem__(self, rows: NDArray[np.intp]) -> WeightedSamples:
        return WeightedSamples(self.inputs[rows], self.labels[rows], self.weights[rows])

    @property
    def distinct(self) -> WeightedSamples:
        """The same measure: equal samples once with the sum of their weights, in the order of their values; none of no
        weight. A sample of weight two and the sample twice, in whatever order, train the same network to the last bit.
        """
        values = np.column_stack([self.inputs, self.labels])
        rows, place = np.unique(values[self.weights > 0.0], axis=0, return_inverse=True)
        d = self.inputs.shape[1]
        weights = np.bincount(place.ravel(), self.weights[self.weights > 0.0], len(rows)).astype(float)
        return WeightedSamples(np.ascontiguousarray(rows[:, :d]), np.ascontiguousarray(rows[:, d:]), weights)
