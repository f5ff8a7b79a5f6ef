"""The answer of a delay problem, its pieces end to end again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl import xr
from ocdl.arrays import Array
from ocdl.errors import InvalidInput
from ocdl.referee.solution import Solution
from ocdl.statement.delay import DelayProblem


@dataclass(frozen=True, eq=False)
class Unstacked:
    """States and costates (t, state) at the nodes of [0, T], and controls (t, control) on the layer that starts at t.

    Controls of their own at every stage have a dimension stage; piecewise linear ones, which jump where pieces meet,
    have the node there twice.
    """

    state: xr.DataArray
    costate: xr.DataArray
    controls: xr.DataArray


def unstacked(problem: DelayProblem, solution: Solution) -> Unstacked:
    """States, costates and controls on [0, T] of a solution of ``problem.stacked()``.

    Raises InvalidInput where the solution is of another problem.
    """
    known = isinstance(problem, DelayProblem) and isinstance(solution, Solution)
    if not known or solution.state.coords["state"].values.tolist() != problem.names_of("states"):
        raise InvalidInput("unstacked(problem, solution): give a DelayProblem and a solution of its stacked() problem.")
    nodes, costates = (array.isel(sample=0, drop=True) for array in (solution.state, solution.costate))
    return Unstacked(
        state=_end_to_end(problem, nodes, "state", shared=True),
        costate=_end_to_end(problem, costates, "state", shared=True),
        controls=_end_to_end(problem, solution.controls["u"], "control", shared=False),
    )


def _end_to_end(problem: DelayProblem, array: xr.DataArray, of: str, *, shared: bool) -> xr.DataArray:
    """Pieces of ``of`` side by side, laid end to end; of a node that two share, if any, the later one's values."""
    t: Array = array["t"].values
    names = [name.removesuffix("[0]") for name in problem.names_of(f"{of}s")]
    size = len(names) // problem.pieces
    parts = [array.isel({of: slice(k * size, (k + 1) * size)}) for k in range(problem.pieces)]
    parts = [part.assign_coords({of: names[:size], "t": t + k * problem.step}) for k, part in enumerate(parts)]
    kept = [part.isel(t=slice(0, -1)) if shared else part for part in parts[:-1]]
    return xr.concat([*kept, parts[-1]], dim="t").assign_attrs(array.attrs) if size else xr.DataArray(np.zeros(0))
