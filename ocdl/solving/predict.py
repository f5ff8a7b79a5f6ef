"""Prediction: propagate new samples through a trained network, to its features and its outputs."""

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
    statement, depth = stated_for(problem, grid, inputs)
    terminal = readout_of("predict", statement)
    u, p = coefficients(statement, depth, solution)
    final = Sweeper(statement, depth).ends(u, p)
    readout = problem.readout if isinstance(problem, SelectionProblem) else None
    on_width = terminal.output.features is None or (readout is not None and readout.outputs == "width")
    dims = ("sample", "y" if on_width else "output")
    return xr.DataArray(terminal.link(terminal.output.values(final, p)), dims=dims, name="prediction")


def features(
    problem: ControlProblem | SelectionProblem, grid: Grid | DepthScheme, solution: Solution, inputs: Any = None
) -> xr.DataArray:
    """What the layers of the trained network ``solution`` make of the inputs: states x(t) at the nodes (t, sample, y).

    The arguments and what is raised are those of ``predict``.
    """
    statement, depth = stated_for(problem, grid, inputs)
    states = Sweeper(statement, depth).state(*coefficients(statement, depth, solution)).x
    return xr.DataArray(states, dims=("t", "sample", "y"), coords={"t": depth.mesh(statement.span)}, name="features")


def stated_for(
    problem: ControlProblem | SelectionProblem, grid: Grid | DepthScheme, inputs: Any
) -> tuple[ControlProblem, DepthScheme]:
    """The discretised problem on other inputs, with labels that do not matter; on its own where they are None."""
    return discretised(_asked(problem, inputs), grid)


def readout_of(said: str, statement: ControlProblem) -> ReadoutLoss:
    """The loss of the readout in which the problem ends. Raises InvalidInput where it ends in none."""
    if not isinstance(statement.terminal, ReadoutLoss):
        raise InvalidInput(f"{said}: this ControlProblem ends in no readout; state it by ocdl.network(...).")
    return statement.terminal


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
