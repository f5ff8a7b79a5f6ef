"""Prediction: propagate new samples through a trained network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl import xr
from ocdl.errors import InvalidInput
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.sweeps.sweeper import Sweeper


def predict(problem: SelectionProblem, grid: Grid, solution: Solution, initial: Any = None) -> xr.DataArray:
    """h(O) of the network ``solution`` for ``initial`` (S', M), or a function of the nodes.

    By default the problem's own samples. Dimensions (sample, y), or (sample, output) behind a readout of K outputs.
    """
    if set(solution.controls) != {"a", "b"}:
        raise InvalidInput(f"predict: a solution with controls a and b is needed; got {sorted(solution.controls)}.")
    asked = problem if initial is None else problem.replace(initial=initial, target=0.0, weights=None)
    statement = asked.discretise(grid.width)
    u, p = coefficients(statement, grid.depth, solution)
    final = Sweeper(statement, grid.depth).state(u, p).x[-1]
    output = asked.output(grid.width, final, p)
    width = output.shape[1] == statement.n and (asked.readout is None or asked.readout.outputs == "width")
    return xr.DataArray(asked.link(output), dims=("sample", "y" if width else "output"), name="prediction")


def accuracy(prediction: xr.DataArray, labels: Any) -> float:
    """Share of right predictions: of labels 0 or 1, those on the same side of one half; of predictions (S, K) and
    classes 0, …, K − 1 as labels (S,), those that are largest at the class.

    Labels (S, K) are K independent questions a sample; of one-hot labels give the classes, ``labels.argmax(axis=1)``.
    """
    given, classes = np.asarray(prediction), np.asarray(labels)
    if given.ndim == 2 and given.shape[1] > 1 and classes.shape == given.shape[:1]:
        return float(np.mean(given.argmax(axis=1) == classes))
    values, wanted = given.ravel(), np.asarray(labels, dtype=float).ravel()
    if values.shape != wanted.shape:
        raise InvalidInput(f"accuracy: {values.size} predictions need as many labels; got {wanted.size}.")
    return float(np.mean((values > 0.5) == (wanted > 0.5)))
