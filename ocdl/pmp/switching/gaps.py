"""The maximum-principle gap of any solution, neuron by neuron: what local and what global search find."""

from __future__ import annotations

import numpy as np

from ocdl import xr
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.options import check_count
from ocdl.pmp.updates.needles import layer_columns, needles
from ocdl.referee.solution import Solution
from ocdl.solving.start import make_start
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem


def principle_gaps(
    problem: SelectionProblem | ControlProblem, grid: Grid | DepthScheme, solution: Solution, *, starts: int = 8
) -> xr.Dataset:
    """h_k [H_k(u) − H_k(u*)] ≥ 0 of every layer and neuron of a ``solution`` by any route, dimensions (t, group).

    ``local``: u* by projected Newton from the controls in force; what is left there is a lack of convergence.
    ``global``: also from the corner of the box along −∇H and from ``starts`` random points, or in closed form where
    there is one; what it has over ``local`` no gradient sees, and needles along it may lower J further
    (``NeedleSteps(starts=...)`` started from the solution). A group is a neuron of a selection problem, else a set of
    controls that do not meet in H. H_k is that of the whole layer, all stages and samples.
    """
    check_count("principle_gaps", "starts", starts, least=0)
    if isinstance(problem, SelectionProblem):
        if not isinstance(grid, Grid):
            raise InvalidInput(f"principle_gaps(grid={grid!r}): a SelectionProblem needs a Grid(width=..., depth=...).")
        problem, depth = problem.discretise(grid.width), grid.depth
    else:
        depth = grid.depth if isinstance(grid, Grid) else grid
    begin = make_start(problem, depth, solution, None)
    ground = Ground(problem, depth)
    if not ground.separated.small:
        raise NotSupported("principle_gaps: the controls of a layer meet in too large a group for Newton's method.")
    iterate = ground.at(begin.u, begin.p)
    h = ground.sweeper.h[:, None]
    found, _ = ground.separated.minimum(*layer_columns(iterate), corner=False)
    best = _global(iterate, starts)
    return xr.Dataset(
        {"local": (("t", "group"), h * found), "global": (("t", "group"), np.maximum(best, h * found))},
        coords={"t": ground.sweeper.t[:-1]},
    )


def _global(iterate: Iterate, starts: int) -> np.ndarray:
    return needles(iterate, starts=starts).gains
