"""Ends that cannot be prescribed independently: a conserved sum, a state no control reaches, a row said twice.

The prescribed final states and the boundary rows that are equalities, e(u, p) along the trajectory of controls u and
parameters p, need independent gradients. A vector y ≠ 0 with yᵀ ∂e/∂(u, p) = 0 at random u, p is a combination of ends
that follows from the dynamics and the start alone: what is prescribed of it is redundant, or contradicts them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.depth.schemes import ImplicitMidpoint
from ocdl.referee.constraints import Constraints
from ocdl.referee.outcome import Multipliers
from ocdl.solving.start import make_start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, SweepFailed

Array = NDArray[np.float64]

MOST_ENDS, MOST_STATES = 40, 400  # where they are looked for: as many sweeps back, of so many states of all samples
INDEPENDENT = 1e-9  # a smaller singular value, of gradients of length one, is none
SAME = 1e-7  # values of a combination, relative, from one trajectory to the next
NAMED = 3


@dataclass(frozen=True, eq=False)
class _Ends:
    """What is prescribed at the end: names, values along a trajectory (E,), their gradients (E, ·), and the targets."""

    names: tuple[str, ...]
    values: Array
    gradients: Array
    targets: Array


def dependent_ends(problem: ControlProblem) -> str:
    """Which of the prescribed ends follow from the others, in words; empty where none does, or none is found out."""
    final, rows = _prescribed(problem)
    count = len(final) + len(rows)
    if not 0 < count <= MOST_ENDS or problem.samples * problem.n > MOST_STATES:
        return ""
    try:
        with np.errstate(all="ignore"):
            first, second = (_ends(problem, final, rows, seed) for seed in (0, 1))
    except SweepFailed:
        return ""
    if not all(np.all(np.isfinite(ends.gradients)) for ends in (first, second)):
        return ""
    said = [_told(y, first, second) for y in _combinations(first.gradients)]
    return " ".join(filter(None, said[:NAMED]))


def _prescribed(problem: ControlProblem) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(sample, state) of the final states and (sample, row) of the boundary rows that have one value."""
    low, high = problem.final_box
    final = [(int(s), int(i)) for s, i in np.argwhere(low == high)] if problem.final is not None else []
    below, above = (end[0] for end in problem.interval_at("boundary", np.zeros(1)))
    rows = [(s, int(i)) for s in range(problem.samples) for i in np.flatnonzero(below == above)]
    return final, rows


def _ends(problem: ControlProblem, final: list[tuple[int, int]], rows: list[tuple[int, int]], seed: int) -> _Ends:
    """Along random controls, on as many layers as leave them the freedom to meet all ends."""
    free = replace(problem, running=None, effort=None, terminal=None, penalty=None, measurements=None, conditions=None)
    depth = ImplicitMidpoint(2 + (len(final) + len(rows)) // max(problem.m, 1))
    start, sweeper = make_start(free, depth, None, seed), Sweeper(free, depth)
    trajectory = sweeper.state(start.u, start.p)
    constraints = Constraints(free, depth, sweeper)
    families = constraints.families(trajectory, start.u, start.p, constraints.no_multipliers())
    boundary = {family.name: family for family in families}.get("boundary")
    gradients = []
    for of_final, at in (*((True, at) for at in final), *((False, at) for at in rows)):
        unit = Multipliers.zeros(free, depth)
        (unit.nodes[-1] if of_final else unit.boundary)[at] = 1.0
        adjoint = sweeper.costate(trajectory, start.u, start.p, constraints.forces(trajectory, start.u, start.p, unit))
        gradients.append(np.append(adjoint.gradient_u, adjoint.gradient_p))
    boxes = problem.control_box_at(depth.controls.depths(sweeper.t, depth.tableau.c)), problem.parameter_box
    movable = np.concatenate([(low < high).ravel() for low, high in boxes])
    low = problem.interval_at("boundary", np.zeros(1))[0][0]
    return _Ends(
        names=(*(_of_state(problem, *at) for at in final), *(_of_row(problem, *at) for at in rows)),
        values=np.array([*(trajectory.x[-1][at] for at in final), *(boundary.values[at] for at in rows)]),  # type: ignore[union-attr]
        gradients=np.array(gradients)[:, movable],
        targets=np.array([*(problem.final_box[0][at] for at in final), *(low[i] for _, i in rows)]),
    )


def _of_state(problem: ControlProblem, sample: int, i: int) -> str:
    layout = problem.layout
    assert layout is not None
    return f"{layout.entry_name(layout.state, i)}(T)" + (f" of sample {sample}" if problem.samples > 1 else "")


def _of_row(problem: ControlProblem, sample: int, i: int) -> str:
    return f"boundary row {i}" + (f" of sample {sample}" if problem.samples > 1 else "")


def _combinations(gradients: Array) -> Array:
    """Rows y (·, E) with yᵀ gradients = 0, each with an end in it that the others have not; their first entry is 1."""
    length = np.linalg.norm(gradients, axis=1)
    length[length <= INDEPENDENT * length.max(initial=0.0)] = 0.0
    unit = np.where(length[:, None] > 0.0, gradients / np.where(length > 0.0, length, 1.0)[:, None], 0.0)
    null = scipy.linalg.null_space(unit.T, rcond=INDEPENDENT) if unit.any() else np.eye(length.size)
    if not null.size:
        return np.zeros((0, length.size))
    pivots = scipy.linalg.qr(null.T, mode="r", pivoting=True)[1][: null.shape[1]]
    found = np.linalg.solve(null[pivots].T, null.T) / np.where(length > 0.0, length, 1.0)
    found[np.abs(found) <= SAME * np.abs(found).max(axis=1, keepdims=True)] = 0.0
    first = np.take_along_axis(found, (found != 0.0).argmax(axis=1)[:, None], axis=1)
    return np.asarray(found / first)


def _told(y: Array, first: _Ends, second: _Ends) -> str:
    """What a combination of ends is along two trajectories, and what is prescribed of it."""
    taken = np.flatnonzero(y)
    names = [first.names[i] for i in taken]
    known, other, asked = float(y @ first.values), float(y @ second.values), float(y @ first.targets)
    if abs(known - other) > SAME * (1.0 + abs(known)):  # a combination that changes from point to point
        dependent = len(names) > 1 and len(_combinations(second.gradients)) > 0
        return f"The ends {', '.join(names)} are not independent of one another." if dependent else ""
    follows = f"{_sum(y[taken], names)} = {_shown(known)} follows from the dynamics and the start alone"
    if abs(known - asked) > SAME * (1.0 + abs(asked)):
        return f"Contradiction: {follows}, and {_shown(asked)} is prescribed: no controls reach that."
    which = f"one of {', '.join(names)} is" if len(names) > 1 else f"{names[0]} is"
    return f"Redundant: {follows}; {which} prescribed needlessly and can be left out."


def _sum(coefficients: Array, names: list[str]) -> str:
    """``x1(T) − 0.5 x2(T)``."""
    sizes = [_shown(abs(c)) for c in coefficients]
    terms = [name if size == "1" else f"{size} {name}" for size, name in zip(sizes, names, strict=True)]
    signs = ["− " if c < 0.0 else "+ " for c in coefficients]
    return " ".join(sign + term for sign, term in zip(signs, terms, strict=True)).removeprefix("+ ")


def _shown(value: float) -> str:
    return f"{round(value, 6) + 0.0:.6g}"
