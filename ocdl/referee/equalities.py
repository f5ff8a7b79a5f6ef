"""Equalities of ``path``: where a scheme imposes them, and whether the controls can hold them.

A row c(t, x_s, u, p, d_s) whose interval is a point takes a control away. It is imposed at as many stages a layer as
the controls have degrees of freedom there (``ControlShape.determined``); inequalities take none and are imposed at
every stage. A row that is the same for all samples is imposed once, for the first. Where rows and controls meet, the
equalities of all samples need independent gradients ∂c/∂u: else a combination of them prescribes states alone (a higher
index), or nothing.
A row of states alone that the dynamics keep by themselves (``Invariant``) is imposed nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import Layers
from ocdl.errors import InvalidInput
from ocdl.referee.invariants import Invariant
from ocdl.referee.lattice import drawn
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

POINTS = 8  # at which a rank is found
DEPENDENT = 1e-10  # a smaller singular value, of rows of length one, is none


def imposed(problem: ControlProblem, depth: Layers) -> Mask:
    """Where the rows of path are imposed, (N, s, S, rows)."""
    equal, rows = _equal(problem, depth)[:, :, None], range(problem.rows("path"))
    at = depth.controls.determined(depth.count, depth.tableau.c)[:, :, None, None]
    first = np.arange(problem.samples)[:, None] == 0
    own = np.array([_depends(problem, row, ("x", "d")) for row in rows], dtype=bool)
    kept = np.array([bool(np.all(equal[..., row])) and _kept(problem, row) for row in rows], dtype=bool)
    return (own | first) & (~equal | (at & ~kept))


def _equal(problem: ControlProblem, depth: Layers) -> Mask:
    """Which rows are equalities at the stages, (N, s, rows)."""
    mesh, c = depth.mesh(problem.span), depth.tableau.c
    t = mesh[:-1, None] + np.diff(mesh)[:, None] * c
    low, high = problem.interval_at("path", t.ravel())
    return np.asarray((low == high).reshape(*t.shape, -1))


def _depends(problem: ControlProblem, row: int, names: tuple[str, ...]) -> bool:
    s = problem.symbols()
    return bool(ca.depends_on(problem.evaluate("path", **s)[row], ca.vertcat(*[s[name] for name in names])))


# -- before the solve --------------------------------------------------------------------------------------


def check_equalities(problem: ControlProblem, depth: Layers) -> None:
    """Raise InvalidInput where the controls cannot hold the equalities of path that are imposed at one point.

    An equality of states alone is refused, not imposed: it acts on the controls only through its derivative along
    ẋ = φ, so that imposed at stages it leaves them undetermined or makes them oscillate from layer to layer. Index
    reduction imposes that derivative and has the start satisfy the row itself; the message says which one it is.
    """
    if problem.path is None:
        return
    mesh, c = depth.mesh(problem.span), depth.tableau.c
    t = (mesh[:-1, None] + np.diff(mesh)[:, None] * c).ravel()
    low, high = problem.control_box_at(t)
    met = _equal(problem, depth) & depth.controls.determined(depth.count, c)[:, :, None]
    for case in np.unique(np.concatenate([met.reshape(t.size, -1), low < high], axis=1), axis=0):
        rows, free = np.split(case, [problem.rows("path")])
        if np.any(rows):
            _check_case(problem, np.flatnonzero(rows), np.flatnonzero(free))


def _check_case(problem: ControlProblem, rows: NDArray[np.int64], free: NDArray[np.int64]) -> None:
    for row in rows:
        if not _depends(problem, int(row), ("u",)) and not _kept(problem, int(row)):
            raise InvalidInput(f"path row {row}: {_of_states(problem, int(row))}")
    rows = np.array([row for row in rows if _depends(problem, int(row), ("u",))], dtype=int)
    named = f"path row{'s' if rows.size > 1 else ''} {_listed(rows)}"
    equations = _equations(problem, rows)
    shared = f" in {problem.samples} samples that share the controls" if equations > rows.size else ""
    count = f"{equations} equation{'s' if equations > 1 else ''} at every depth{shared}"
    controls = _listed([problem.controls[i] for i in free]) or "none"  # type: ignore[index]
    if equations > free.size:
        raise InvalidInput(
            f"{named}: equalities, {count}, and the controls that are free are {free.size}: {controls}. More equations "
            "than controls cannot hold: leave some out, give them an interval, or add controls."
        )
    if _rank(problem, rows, free) < equations:
        raise InvalidInput(
            f"{named}: equalities, {count}, but not so many independent ones of the controls {controls}: "
            f"{_dependent(problem, rows)}"
        )


def _dependent(problem: ControlProblem, rows: NDArray[np.int64]) -> str:
    """Why equalities that all have controls in them do not determine as many."""
    if rows.size > 1 and _rank(problem, rows, None) < rows.size:
        return "where the others hold, one of them is redundant or contradicts them. Leave it out."
    return (
        "a combination of them has no control in it and constrains the states alone. Give path, in place of one of "
        "them, the derivative of that combination along ẋ = φ, and let the start satisfy the combination."
    )


def _kept(problem: ControlProblem, row: int) -> bool:
    """The row has no control in it, and the dynamics keep it from where all samples start."""
    if _depends(problem, row, ("u",)) or problem.free_initial or problem.bounds.varies("path"):
        return False
    invariant = Invariant(problem, row, float(problem.interval_at("path", np.zeros(1))[0][0, row]))
    points, samples = list(_points(problem)), list(zip(problem.x0, np.asarray(problem.data), strict=True))
    begun = all(invariant.holds(0.0, x, u, p, d) for _, _, u, p in points for x, d in samples)
    return begun and all(invariant.kept_near(t, x[0], u, p, samples[0][1]) for t, x, u, p in points)


def _equations(problem: ControlProblem, rows: NDArray[np.int64]) -> int:
    return sum(problem.samples if _depends(problem, int(row), ("x", "d")) else 1 for row in rows)


def _of_states(problem: ControlProblem, row: int) -> str:
    """What to do with an equality in which there is no control."""
    order = _controlled_derivative(problem, row)
    said = "it is an equality without a control in it, which constrains the states alone. "
    if not order:
        return said + (
            f"None of its first {problem.n} derivatives along ẋ = φ has a control either: the dynamics keep it or not, "
            "whatever the controls are. Leave it out."
        )
    which = {1: "first", 2: "second", 3: "third"}.get(order, f"{order}th")
    return said + (
        f"Its {which} derivative along ẋ = φ is the first with a control in it: give path that derivative instead, and "
        f"let the start satisfy the row{' and its derivatives before that' if order > 1 else ''}."
    )


def _controlled_derivative(problem: ControlProblem, row: int) -> int:
    """The first derivative of the row along the dynamics that has a control in it; 0 where none of n has."""
    s = problem.symbols()
    value, rate = problem.evaluate("path", **s)[row], problem.evaluate("dynamics", **s)
    for order in range(1, problem.n + 1):
        value = ca.jtimes(value, s["x"], rate) + ca.jtimes(value, s["t"], ca.SX(1))
        if ca.depends_on(value, s["u"]):
            return order
    return 0


def _rank(problem: ControlProblem, rows: NDArray[np.int64], free: NDArray[np.int64] | None) -> int:
    """The largest rank at some random points: of ∂c/∂u in the ``free`` controls, of all samples together, or, where
    that is None, of ∂c/∂(t, x, u, p) of one sample. Where nothing is finite nothing is claimed.
    """
    s, data = problem.symbols(), np.asarray(problem.data)
    value = problem.evaluate("path", **s)[rows.tolist()]
    moving = ca.vertcat(s["t"], s["x"], s["u"], s["p"]) if free is None else s["u"][free.tolist()]
    function = ca.Function("gradient", list(s.values()), [ca.densify(ca.jacobian(value, moving))])
    found = []
    for t, x, u, p in _points(problem):
        samples = range(problem.samples if free is not None else 1)
        gradients = np.concatenate([function(t, x[k], u, p, data[k]).full() for k in samples])
        if np.all(np.isfinite(gradients)):
            length = np.linalg.norm(gradients, axis=1, keepdims=True)
            unit = gradients / np.where(length > 0.0, length, 1.0)
            found.append(int(np.linalg.matrix_rank(unit, tol=DEPENDENT)))
    return max(found, default=rows.size * problem.samples)


def _points(problem: ControlProblem) -> Iterator[tuple[float, Array, Array, Array]]:
    """Random t, x (S, n), u (m,), p (P,) inside their boxes."""
    generator = np.random.default_rng(0)
    for _ in range(POINTS):
        t = float(generator.uniform(0.0, problem.span))
        x = problem.x0 + (0.1 + np.abs(problem.x0)) * generator.standard_normal(problem.x0.shape)
        x = np.clip(x, *(end[0] for end in problem.state_box_at(np.array([t]))))
        low, high = (end[0] for end in problem.control_box_at(np.array([t])))
        u = drawn(generator, low, high, (problem.m,))
        yield t, x, u, drawn(generator, *problem.parameter_box, (problem.P,))


def _listed(names: Iterable[object]) -> str:
    said = [str(name) for name in names]
    return said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1] if said else ""
