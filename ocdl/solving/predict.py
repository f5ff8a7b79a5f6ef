"""Prediction: propagate new samples through a trained network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.networks.labels import padded, rows_of
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.compile import discretised
from ocdl.statement.problem import ControlProblem
from ocdl.statement.readout_loss import ReadoutLoss
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.sweeps.sweeper import Sweeper


def predict(
    problem: ControlProblem | SelectionProblem, grid: Grid | DepthScheme, solution: Solution, inputs: Any = None
) -> xr.DataArray:
    """h(O) of the trained network ``solution``: dimensions (sample, output), or (sample, y) of an output on Y.

    problem, grid: those of the solution; a SelectionProblem or what ``network`` states.
    inputs: (S', d); of a SelectionProblem f_I, (S', M) or a function of the nodes. By default the problem's
        own samples.

    Raises InvalidInput for a problem that ends in no readout, a solution of another, and inputs that do not fit.
    """
    statement, depth = discretised(_asked(problem, inputs), grid)
    u, p = coefficients(statement, depth, solution)
    final = Sweeper(statement, depth).ends(u, p)
    terminal = statement.terminal
    if not isinstance(terminal, ReadoutLoss):
        raise InvalidInput("predict: this ControlProblem ends in no readout; state it by ocdl.network(...).")
    prediction = terminal.link(terminal.output.values(final, p))
    readout = problem.readout if isinstance(problem, SelectionProblem) else None
    on_width = terminal.output.features is None or (readout is not None and readout.outputs == "width")
    return xr.DataArray(prediction, dims=("sample", "y" if on_width else "output"), name="prediction")


def _asked(problem: Any, inputs: Any) -> Any:
    """The problem with other samples, whose labels do not matter."""
    if inputs is None:
        return problem
    if isinstance(problem, SelectionProblem):
        return problem.replace(initial=inputs, target=0.0, weights=None)
    x0 = padded(rows_of(inputs), problem.n)
    return replace(problem, initial=x0, data=np.zeros((len(x0), problem.data.shape[1])), weights=None)


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
