"""Grid sequencing: solve on one grid after another, coarse to fine in depth and width, each from the answer before.

A coarse answer is a function of t (and y, z) and is carried over as one: controls constant in a layer are repeated in
the layers that it is cut into, so that integrals such as budgets stay, parameters stay, and what lives on width nodes
is interpolated. Source: the multilevel initialisation of Haber and Ruthotto, "Stable architectures for deep neural
networks" (2017), section 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ocdl.arrays import is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.interrupts import uninterrupted
from ocdl.referee.certify import FIRST_ORDER
from ocdl.referee.judgement import PRINCIPLE, Kind
from ocdl.referee.outcome import Status
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Plan, Problem, compile
from ocdl.solving.method import Method
from ocdl.statement.discrete import refuse_discrete
from ocdl.statement.selection import Grid

COARSEST = 5  # layers: fewer hardly see what the controls do along the depth


def sequence(
    problem: Problem,
    grids: Grid | DepthScheme | Iterable[Grid | DepthScheme],
    method: Method,
    *,
    coarse: Method | None = None,
    coarsest: int = COARSEST,
    start: Solution | Mapping[str, Any] | None = None,
    seed: int | None = None,
    certificate: Kind = PRINCIPLE,
    progress: bool | None = None,
) -> Solution:
    """Solve on one grid after another, coarse to fine in width and depth, each from the solution before.

    grids: all of them, or the finest alone, before which come those of half its layers, a quarter, ..., as long as
        they are ``coarsest`` layers or more; width nodes of a counted rule, such as Midpoint(16), are halved with them.
    coarse: the method on all grids but the last, ``method`` by default; such as ``Train(tolerance=1e-5)``, whose answer
        is only a start, before ``NewtonCG()``.
    start, seed: where the coarsest grid begins. certificate: of the last answer; the others are not searched for min H,
        and one that is not what was asked for is still a start.

    Raises InvalidInput, NotSupported for discrete layers, of which others are another network, or SolveFailed.
    """
    several = _sequence(grids, coarsest)
    if len({grid.depth if isinstance(grid, Grid) else grid for grid in several}) > 1:
        why = "a network of other layers is another one; state it for each, and give one's answer to solve as a start"
        refuse_discrete("sequence", getattr(problem, "discrete", False), why)
    solution: Solution | None = None
    plan: Plan | None = None
    with uninterrupted():
        for grid in several:
            last = grid is several[-1]
            plan = compile(problem, grid, method if last or coarse is None else coarse, like=plan)
            solution = plan.solve(
                start=start if solution is None else solution,
                seed=seed if solution is None else None,
                certificate=certificate if last else FIRST_ORDER,
                on_failure="raise" if last else "return",
                progress=progress,
            )
            if solution.status is Status.INTERRUPTED:
                break
    assert solution is not None
    return solution


def _sequence(grids: Any, coarsest: Any) -> list[Grid | DepthScheme]:
    """The grids, coarse to fine."""
    if not is_whole(coarsest) or coarsest < 1:
        raise InvalidInput(f"sequence(coarsest={coarsest!r}): a whole number of layers, at least 1, is needed.")
    if not isinstance(grids, Grid | DepthScheme):
        several = list(grids)
        if not several:
            raise InvalidInput("sequence(grids=[]): at least one grid is needed.")
        return several
    found = [grids]
    while (half := _halved(found[0])) is not None and _depth(half).count >= coarsest:
        found.insert(0, half)
    return found


def _halved(grid: Grid | DepthScheme) -> Grid | DepthScheme | None:
    """The grid with every two layers in one and half the width nodes; None where there is one layer alone."""
    depth = _depth(grid)
    if depth.count < 2:
        return None
    if is_whole(depth.layers):
        depth = depth.with_layers(depth.count // 2)
    else:
        depth = depth.with_layers(np.add.reduceat(depth.layers, range(0, depth.count, 2)).tolist())
    if not isinstance(grid, Grid):
        return depth
    width: Any = grid.width
    if hasattr(width, "count"):
        width = replace(width, count=max(width.least, width.count // 2))
    return Grid(width, depth)


def _depth(grid: Grid | DepthScheme) -> DepthScheme:
    return grid.depth if isinstance(grid, Grid) else grid
