"""More channels: a trained network as the start of one with further channels that begin at 0.

Source: Chen, Goodfellow and Shlens, "Net2Net" (2016), for growing without changing the function.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.solution import Solution
from ocdl.solving.start import make_start
from ocdl.statement.layout import Part
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper

SAME = 1e-9  # of the old channels' final states


def widened(solution: Solution, problem: ControlProblem, *, seed: int = 0, scale: float = 0.1) -> dict[str, Array]:
    """A start for ``problem``, which is ``solution``'s with more channels, ``ocdl.network(..., channels=...)``, on the
    same layers.

    It is the same network: no old channel and no output sees a new one. What the new ones see of all, their rows of K,
    is drawn from N(0, scale²), so that whether to listen to them has a gradient; all else of theirs is 0.

    Raises InvalidInput where parts have other names, or shrink, and NotSupported where old channels see new ones
    through the very entries by which these see them, as in an antisymmetric K.
    """
    if not (is_real(scale) and scale > 0.0 and np.isfinite(scale)):
        raise InvalidInput(f"widened(scale={scale!r}): a positive number is needed.")
    draw, layout, given = np.random.default_rng(seed), problem.layout, {**solution.controls, **solution.parameters}
    assert layout is not None
    parts = (*layout.controls, *layout.parameters)
    if {part.name for part in parts} != set(given):
        raise InvalidInput(
            f"widened(<solution by {solution.method}>): it has {', '.join(sorted(given))}, the problem "
            f"{', '.join(sorted(part.name for part in parts))}."
        )
    start = {part.name: _grown(given[part.name], part, draw, scale) for part in parts}
    _check_same(solution, problem, start)
    return start


def _grown(array: xr.DataArray, part: Part, draw: np.random.Generator, scale: float) -> Array:
    """The entries of ``array`` first along every dimension of the part; rows that are new are drawn, the rest is 0."""
    leading = array.shape[: array.ndim - len(part.shape)]
    old = array.shape[len(leading) :]
    if array.dims[len(leading) :] != part.dims or any(a > b for a, b in zip(old, part.shape, strict=True)):
        raise InvalidInput(f"widened: {part.name} is {part.shape} here, and {old} in the solution; it cannot shrink.")
    values = np.zeros((*leading, *part.shape))
    if part.dims == ("y", "z"):
        values[..., old[0] :, :] = scale * draw.standard_normal((part.shape[0] - old[0], part.shape[1]))
    kept: Any = (..., *map(slice, old))
    values[kept] = array.values
    return values


def _check_same(solution: Solution, problem: ControlProblem, start: dict[str, Array]) -> None:
    """Raise NotSupported where the old channels do not end as they did."""
    assert solution.answer is not None
    depth = solution.answer.depth
    begun = make_start(problem, depth, start, None)
    before: Array = solution.answer.x[-1]
    after = Sweeper(problem, depth).state(begun.u, begun.p).x[-1][:, : before.shape[1]]
    if before.shape != after.shape or np.max(np.abs(after - before)) > SAME * (1.0 + np.max(np.abs(before))):
        raise NotSupported(
            "widened: the old channels would see the new ones, and the network would be another one; its parts are "
            "coupled as in an antisymmetric or Hamiltonian layer."
        )
