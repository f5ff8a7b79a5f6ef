"""Classifiers: two classes behind a logistic readout, more behind a softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ocdl.learn.base import NetworkEstimator
from ocdl.learn.samples import WeightedSamples
from ocdl.statement.losses import CrossEntropy, Logistic, Loss, Readout, Softmax, SoftmaxCrossEntropy

Array = NDArray[np.float64]


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkClassifier(ClassifierMixin, NetworkEstimator):
    """Base of the classifiers: cross entropy behind a logistic readout of two classes, a softmax of more.

    class_weight: None, ``"balanced"``, or weights by class. Fitted also: ``classes_``.
    """

    class_weight: Mapping[Any, float] | str | None = None

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """``partial_iterations`` more on these samples, from where the last ones ended.

        classes: all there will ever be; needed at the first call alone.
        """
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("partial_fit(classes=None): the first call needs all classes that there will ever be.")
        given = np.unique(self.classes_ if classes is None else classes)
        if first:
            self.classes_: NDArray[Any] = given
        elif not np.array_equal(given, self.classes_):
            raise ValueError(f"partial_fit(classes={classes!r}): the first call had {self.classes_!r}.")
        return self._further(X, y, sample_weight, fresh=False)

    def decision_function(self, X: Any) -> Array:
        """The output O before its link: (S,) of two classes, positive for the second, else (S, K)."""
        output = self._output(X)
        return output[:, 0] if len(self.classes_) == 2 else output

    def predict_proba(self, X: Any) -> Array:
        """The probability of every class, (S, K)."""
        output = self._output(X)
        shares = np.asarray(self.network_.link(output))
        return np.column_stack([1.0 - shares, shares]) if len(self.classes_) == 2 else shares

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of every sample, (S,)."""
        output = self._output(X)
        place = output[:, 0] > 0.0 if len(self.classes_) == 2 else np.argmax(output, axis=1)
        return np.asarray(self.classes_[place.astype(int)])

    def _head(self) -> tuple[Readout, Loss]:
        K = len(self.classes_)
        if K == 2:
            return Readout(link=Logistic()), CrossEntropy()
        return Readout(link=Softmax(), outputs=K), SoftmaxCrossEntropy()

    def _targets(self, y: NDArray[Any], fresh: bool) -> Array:
        """The places of the classes, (S, 1)."""
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        if fresh:
            self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes; y has one class, {self.classes_[0]!r}."
            )
        unseen = np.setdiff1d(y, self.classes_)
        if unseen.size:
            raise ValueError(f"y has the classes {unseen!r}, which are not among classes_ = {self.classes_!r}.")
        return np.searchsorted(self.classes_, y)[:, None].astype(float)

    def _labelled(self, samples: WeightedSamples, fresh: bool) -> WeightedSamples:
        place = samples.labels[:, 0].astype(int)
        if fresh and len(np.unique(place)) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes; only one class has positive weight.")
        y = self.classes_[place]
        by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=samples.weights)
        labels = samples.labels if len(self.classes_) == 2 else np.eye(len(self.classes_))[place]
        return replace(samples, labels=labels, weights=samples.weights * by_class[place])

    def _stratum(self, samples: WeightedSamples) -> Any:
        return samples.labels if len(self.classes_) == 2 else np.argmax(samples.labels, axis=1)
