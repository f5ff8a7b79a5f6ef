"""A mesh through given depths: those at which a problem has measurements or conditions."""

from __future__ import annotations

import numpy as np

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.statement.problem import ControlProblem


def through(grid: DepthScheme, problem: ControlProblem) -> DepthScheme:
    """The same scheme with nodes wherever ``problem`` has measurements or conditions.

    Each piece between two of these depths gets as many layers as ``grid`` has there, at least one, and as wide in
    proportion; between them nodes move, and no layer becomes a sliver.

    Raises InvalidInput for what is no ControlProblem or depth scheme.
    """
    if not isinstance(problem, ControlProblem) or not isinstance(grid, DepthScheme):
        raise InvalidInput(
            f"through({grid!r}, {type(problem).__name__}): give a depth scheme and a ControlProblem, such as "
            "ocdl.through(ocdl.Radau(layers=20, degree=3), problem)."
        )
    if not problem.stations.size:
        return grid
    mesh = grid.mesh(problem.span)
    depths = np.unique(np.concatenate([[0.0], np.minimum(problem.stations, mesh[-1]), [mesh[-1]]]))
    places = np.interp(depths, mesh, np.arange(mesh.size))  # in layers
    counts = np.maximum(1, np.rint(np.diff(places))).astype(int)
    pieces = [np.linspace(a, b, n + 1)[:-1] for a, b, n in zip(places[:-1], places[1:], counts, strict=True)]
    nodes = np.interp(np.append(np.concatenate(pieces), places[-1]), np.arange(mesh.size), mesh)
    nodes[np.append(0, np.cumsum(counts))] = depths
    return grid.with_layers(tuple(np.diff(nodes)))
