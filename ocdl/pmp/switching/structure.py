"""Switching structure: where the costate r_i and the state f_j of a solution change sign, and where they vanish.

By the bang-bang synthesis (Liu and Markowich, section 4.2) a_i and row i of b jump where r_i changes sign, column j of
b where f_j does. On stretches where r_i = 0 the maximum principle says nothing about neuron i, where f_j = 0 nothing
about column j: their measure is reported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import is_real
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.options import check_controls_only
from ocdl.referee.solution import Solution
from ocdl.statement.discrete import refuse_discrete
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

NEGLIGIBLE = 1e-6


def switching_structure(solution: Solution, *, negligible: float = NEGLIGIBLE) -> xr.Dataset:
    """Switches of the first sample of ``solution`` between its depth nodes, and its singular stretches.

    One entry along ``switch``, in order of depth: ``depth`` (by linear interpolation), ``function`` ("r" or "f"),
    ``neuron`` (its number) and ``direction`` (+1 where the function becomes positive, −1 where negative).
    ``singular_r`` and ``singular_f`` (neuron): depth on which |r_i| or |f_j| is at most ``negligible`` times its
    largest value in the network. Raises NotSupported for discrete layers.
    """
    refuse_discrete("switching_structure", solution.discrete, "there is no switch inside a layer")
    if not (is_real(negligible) and 0.0 <= negligible < 1.0):
        raise InvalidInput(f"switching_structure(negligible={negligible!r}): a number in [0, 1) is needed.")
    t = solution.state["t"].to_numpy()
    f, r = one_sample(solution)
    found = [(name, *crossing) for name, values in (("r", r), ("f", f)) for crossing in _crossings(t, values)]
    return as_dataset(found, _singular(t, r, negligible), _singular(t, f, negligible))


def one_sample(solution: Solution) -> tuple[Array, Array]:
    """f and r of a solution's first sample at the depth nodes, (N+1, M)."""
    return tuple(array.to_numpy()[:, 0, :] for array in (solution.state, solution.r))  # type: ignore[return-value]


def as_dataset(found: list[tuple[str, int, float, int]], singular_r: Array, singular_f: Array) -> xr.Dataset:
    """The labelled structure from (function, neuron, depth, direction) of every switch."""
    found = sorted(found, key=lambda switch: (switch[2], switch[0], switch[1]))
    columns: list[Any] = [
        np.array([switch[i] for switch in found], dtype=kind) for i, kind in enumerate((str, int, float, int))
    ]
    names = ("function", "neuron", "depth", "direction")
    return xr.Dataset(
        {name: ("switch", column) for name, column in zip(names, columns, strict=True)}
        | {"singular_r": ("y", singular_r), "singular_f": ("y", singular_f)}
    )


def vanishing(t: Array, values: Array, negligible: float) -> NDArray[np.bool_]:
    """Layers (N, M) at both ends of which |values| ≤ negligible · max |values|."""
    small = np.abs(values) <= negligible * np.max(np.abs(values))
    return small[1:] & small[:-1]


def _singular(t: Array, values: Array, negligible: float) -> Array:
    return np.diff(t) @ vanishing(t, values, negligible)


def _crossings(t: Array, values: Array) -> list[tuple[int, float, int]]:
    """(column, depth, direction) of every sign change of the columns of values (N+1, M); zeros have no sign."""
    found = []
    for column, curve in enumerate(values.T):
        signed = np.flatnonzero(curve)
        left, right = signed[:-1], signed[1:]
        for a, b in zip(left, right, strict=True):
            if curve[a] * curve[b] < 0.0:
                depth = t[a] + (t[b] - t[a]) * curve[a] / (curve[a] - curve[b])
                found.append((column, float(depth), int(np.sign(curve[b]))))
    return found


def is_bang_bang(problem: ControlProblem) -> bool:
    """Whether the maximum principle of ``problem`` is the bang-bang synthesis of a network."""
    return problem.velocity_box is not None and not problem.has_running_cost and not problem.P


def check_bang_bang(what: str, problem: ControlProblem) -> None:
    """NotSupported unless the maximum principle of ``problem`` is the bang-bang synthesis."""
    refuse_discrete(what, problem.discrete, "there is no switch inside a layer")
    if problem.velocity_box is None:
        raise NotSupported(
            f"{what}: the synthesis is bang-bang for one sample, increasing activation and a finite box of (a, b) only."
        )
    if problem.measurements is not None:
        raise NotSupported(f"{what}: it takes no measurements at given depths.")
    if problem.budgets:
        raise NotSupported(f"{what}: it keeps no {problem.budgets[0]!r}.")
    if problem.has_running_cost:
        raise NotSupported(f"{what}: with a running cost or a regulariser the controls are not bang-bang.")
    check_controls_only(what, problem)
