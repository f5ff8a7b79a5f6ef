"""Inputs and labels of a network: arrays as they come, checked and brought to the shapes of states and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl.arrays import Array, finite_array, is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.losses import Logistic, Loss, Readout


def states_of(inputs: Any, n: int, said: str = "inputs") -> Array:
    """Initial states (S, n) from inputs (S, d), d ≤ n: channels beyond the inputs begin at 0.

    Raises InvalidInput for NaN, other shapes, and more inputs than states.
    """
    given = finite_array(said, inputs)
    rows = given[None, :] if given.ndim == 1 else given
    if rows.ndim != 2 or rows.size == 0:
        raise InvalidInput(f"{said}: one row a sample, shape (S, d), is needed; got {given.shape}.")
    if rows.shape[1] > n:
        raise InvalidInput(f"{said}: {rows.shape[1]} values a sample do not fit into {n} states.")
    return np.pad(rows, ((0, 0), (0, n - rows.shape[1])))


def channels_of(inputs: Array, channels: Any) -> int:
    """The number of channels: those of the inputs, or as many as are asked for."""
    d = inputs.shape[1]
    if channels is None:
        return d
    if not (is_whole(channels) and channels >= d):
        raise InvalidInput(f"channels={channels!r}: a whole number is needed, at least the {d} of the inputs.")
    return int(channels)


def checked_labels(labels: Any, samples: int, outputs: int, readout: Readout | None, loss: Loss) -> Array:
    """Labels (S, K): numbers (S,) for one output, (S, K) for K, or classes 0 … K − 1, (S,), as unit vectors.

    Raises InvalidInput for NaN, other shapes, labels outside those of the loss, and a classifier's of one class only.
    """
    given = finite_array("labels", labels)
    rows = given[:, None] if given.ndim == 1 and outputs == 1 else given
    rows = _unit_vectors(given, outputs) if given.ndim == 1 and outputs > 1 and given.size == samples else rows
    if rows.shape != (samples, outputs):
        classes = f", or the classes 0 to {outputs - 1}, shape ({samples},)" if outputs > 1 else ""
        raise InvalidInput(
            f"labels: {samples} sample(s) with {outputs} output(s) need the shape ({samples}, {outputs}){classes}; "
            f"got {given.shape}."
        )
    low, high = loss.labels
    if np.any((rows < low) | (rows > high)):
        raise InvalidInput(
            f"labels: {type(loss).__name__} needs labels in [{low:g}, {high:g}]; "
            f"they range over [{rows.min():g}, {rows.max():g}]."
        )
    if samples > 1 and readout is not None and isinstance(readout.link, Logistic) and np.all(rows == rows[0]):
        raise InvalidInput(f"labels: a classifier needs at least two classes; all {samples} are {given[0]!s}.")
    return rows


def _unit_vectors(classes: Array, K: int) -> Array:
    """Row s is the unit vector of class s, (S, K)."""
    wrong = classes[(classes != np.round(classes)) | (classes < 0) | (classes >= K)]
    if wrong.size:
        raise InvalidInput(f"labels: the classes of {K} outputs are 0 to {K - 1}; got {wrong[0]:g}.")
    return np.eye(K)[classes.astype(int)]
