"""Inputs and labels of a network: arrays as they come, checked and brought to the shapes of states and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl.arrays import Array, finite_array, is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.losses import IdentityLink, Link, Loss


def rows_of(inputs: Any) -> Array:
    """Inputs as rows (S, d). Raises InvalidInput for NaN and other shapes."""
    given = finite_array("inputs", inputs)
    rows = given[None, :] if given.ndim == 1 else given
    if rows.ndim != 2 or rows.size == 0:
        raise InvalidInput(f"inputs: one row a sample, shape (S, d), is needed; got {given.shape}.")
    return rows


def padded(rows: Array, n: int) -> Array:
    """Initial states (S, n) of inputs (S, d): states beyond the inputs begin at 0."""
    if rows.shape[1] > n:
        raise InvalidInput(f"inputs: {rows.shape[1]} values a sample do not fit into {n} states.")
    return rows if rows.shape[1] == n else np.pad(rows, ((0, 0), (0, n - rows.shape[1])))


def channels_of(inputs: Array, channels: Any) -> int:
    """The number of channels: those of the inputs, or as many as are asked for."""
    d = inputs.shape[1]
    if channels is None:
        return d
    if not (is_whole(channels) and channels >= d):
        raise InvalidInput(f"channels={channels!r}: a whole number is needed, at least the {d} of the inputs.")
    return int(channels)


def checked_labels(
    labels: Any, samples: int, outputs: int, link: Link, loss: Loss, *, one_class: bool = False
) -> Array:
    """Labels (S, K): numbers (S,) for one output, (S, K) for K, or classes 0 … K − 1, (S,), as unit vectors.

    one_class: samples of one class alone are taken, which have a best network where it is regularised.

    Raises InvalidInput for NaN, other shapes, labels that loss or link cannot meet, and a classifier's of one class.
    """
    given = finite_array("labels", labels)
    if given.shape[:1] != (samples,):
        raise InvalidInput(f"labels: one row a sample is needed, {samples} in all; got shape {given.shape}.")
    rows = _unit_vectors(given, outputs) if given.ndim == 1 and outputs > 1 else given
    rows = loss.label_rows("labels", rows, samples, outputs)
    loss.check_labels("labels", rows)
    if not isinstance(link, IdentityLink):
        _check_probabilities(rows)
        if not one_class and len(rows) > 1 and np.all(rows.min(axis=0) == rows.max(axis=0)):
            raise InvalidInput(f"labels: a classifier needs at least two classes; all {len(rows)} labels are the same.")
    return rows


def _check_probabilities(rows: Array) -> None:
    """Raise InvalidInput where labels (S, K) are no probabilities."""
    if rows.min() < 0.0 or rows.max() > 1.0:
        raise InvalidInput(
            f"labels: a classifier predicts probabilities, and its labels lie in [0, 1]; they range over "
            f"[{rows.min():g}, {rows.max():g}]. K classes 0 to K − 1 need Readout(outputs=K)."
        )


def _unit_vectors(classes: Array, K: int) -> Array:
    """Row s is the unit vector of class s, (S, K)."""
    wrong = classes[(classes != np.round(classes)) | (classes < 0) | (classes >= K)]
    if wrong.size:
        raise InvalidInput(f"labels: the classes of {K} outputs are 0 to {K - 1}; got {wrong[0]:g}.")
    return np.eye(K)[classes.astype(int)]
