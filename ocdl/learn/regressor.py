"""Regressors: half the square of what the outputs miss, each in units of its own spread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from ocdl.learn.base import NetworkEstimator
from ocdl.learn.samples import WeightedSamples
from ocdl.solving.layered import Affine, LayeredNetwork
from ocdl.statement.losses import HalfSquare, IdentityLink, Loss, Readout

Array = NDArray[np.float64]


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkRegressor(RegressorMixin, NetworkEstimator):
    """Base of the regressors: one or several outputs, trained on (y − mean)/spread of the samples of the first fit.

    So the scale of y does not matter; costs and ``solution_`` are in these units, predictions in those of y.
    """

    _takes: ClassVar = {"multi_output": True, "y_numeric": True}

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """``partial_iterations`` more on these samples, from where the last ones ended; y keeps its first scale."""
        return self._further(X, y, sample_weight, fresh=not hasattr(self, "network_"))

    def predict(self, X: Any) -> Array:
        """(S,), or (S, K) where y was."""
        output = self._output(X)
        return output[:, 0] if self._flat else output

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _head(self) -> tuple[Readout, Loss]:
        return Readout(link=IdentityLink(), outputs=len(self._mean)), HalfSquare()

    def _targets(self, y: Array, fresh: bool) -> Array:
        rows = np.asarray(y, dtype=float).reshape(len(y), -1)
        if fresh:
            self._flat = np.ndim(y) == 1
        elif rows.shape[1] != len(self._mean):
            raise ValueError(f"y has {rows.shape[1]} output(s); the first fit had {len(self._mean)}.")
        return rows

    def _labelled(self, samples: WeightedSamples, fresh: bool) -> WeightedSamples:
        if fresh:
            self._mean = np.average(samples.labels, axis=0, weights=samples.weights)
            spread = np.sqrt(np.average((samples.labels - self._mean) ** 2, axis=0, weights=samples.weights))
            self._spread = np.where(spread > 0.0, spread, 1.0)
        return replace(samples, labels=(samples.labels - self._mean) / self._spread)

    def _in_units(self, trained: LayeredNetwork) -> LayeredNetwork:
        weight, bias = trained.readout.weight, trained.readout.bias
        return replace(trained, readout=Affine(self._spread[:, None] * weight, self._spread * bias + self._mean))
