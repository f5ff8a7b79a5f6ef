"""Diagnosis: what is wrong with a problem or a start before a solve, and in the user's own terms where one went wrong.

``target_notes`` and ``start_notes`` look before the solve; ``located`` finds the formula, depth, sample and argument
that gave NaN or infinity; ``violations`` lists the constraints that the controls of a failed solve miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.depth.fine_mesh import control_at
from ocdl.depth.schemes import DepthScheme
from ocdl.referee.constraints import Constrained, Constraints, missed
from ocdl.referee.defects import trajectory_of
from ocdl.referee.outcome import Outcome
from ocdl.solving.guesses import guessed
from ocdl.solving.method import Start
from ocdl.statement.layout import Part
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import SelectionProblem
from ocdl.sweeps.sweeper import Sweeper, SweepFailed, Trajectory

Array = NDArray[np.float64]

LOST = "Not finite"
NOTEWORTHY = 1e-6  # a smaller violation is not listed
LISTED = 4
EXPLODED = 1e3  # times 1 + |x| of the answer: a sweep that goes there tells nothing of it
SHOWN = 6  # arguments of a formula in a sentence

REMEDIES = {
    "dynamics": "The bounds leave the equations no trajectory near the last iterate: loosen the bounds or ends, "
    "{longer}, or give states to begin from, start={'x': ...}.",
    "state": "Loosen this bound there, widen the controls, or {longer}.",
    "path": "Loosen the interval of path there, or start from controls that keep it.",
    "boundary": "Check that the rows of boundary can hold together; loosen their interval.",
    "budget": "Check that the other constraints leave this integral its total.",
}
LONGER = {False: "lengthen the horizon", True: "begin at another horizon, Free(..., guess=...)"}  # where it is free
ROLES = {"dynamics": "dynamics of {row}", "lift": "lift row {row}", "path": "path row {row}", "running": "running cost"}
ORDERS = ("", "the first derivatives of ", "the second derivatives of ")
OPERATIONS = {getattr(ca, name): name[3:].lower() for name in dir(ca) if name.startswith("OP_")}
WRITTEN = {
    ca.OP_ADD: "{0:g} + {1:g}",
    ca.OP_SUB: "{0:g} - {1:g}",
    ca.OP_MUL: "{0:g} * {1:g}",
    ca.OP_DIV: "{0:g} / {1:g}",
    ca.OP_POW: "({0:g}) ** {1:g}",
    ca.OP_CONSTPOW: "({0:g}) ** {1:g}",
    ca.OP_SQ: "({0:g}) ** 2",
    ca.OP_INV: "1 / {0:g}",
}


# -- names ---------------------------------------------------------------------------------------------------


def state_name(problem: ControlProblem, i: int) -> str:
    """The state's own name, or f(y = 0.25) where it is a value of a function."""
    assert problem.layout is not None
    return entry_name(problem, problem.layout.state, i)


def entry_name(problem: ControlProblem, part: Part, i: int) -> str:
    """What the user calls entry i of a part."""
    assert problem.layout is not None
    return problem.layout.entry_name(part, i)


def _entries(problem: ControlProblem, parts: tuple[Part, ...]) -> list[str]:
    return [entry_name(problem, part, i) for part in parts for i in range(part.size)]


def _of_sample(problem: ControlProblem, sample: int) -> str:
    return f", sample {sample}" if problem.samples > 1 else ""


# -- before the solve ----------------------------------------------------------------------------------------


def target_notes(problem: Any, discrete: ControlProblem) -> list[str]:
    """Targets that no controls reach: f(T) − f(0) lies in T [inf σ, sup σ], whatever they are."""
    if not isinstance(problem, SelectionProblem) or problem.readout is not None:
        return []
    least, most = problem.activation.limits
    x0, target = discrete.x0, np.asarray(discrete.data)
    with np.errstate(invalid="ignore"):
        low, high = x0 + problem.horizon * least, x0 + problem.horizon * most
    beyond = np.maximum(np.maximum(low - target, target - high), 0.0)
    if not np.any(beyond > 1e-9):
        return []
    sample, i = (int(v) for v in np.unravel_index(int(np.argmax(beyond)), beyond.shape))
    return [
        f"Out of reach: {np.count_nonzero(beyond > 1e-9)} of {beyond.size} targets lie beyond what σ in "
        f"[{least:g}, {most:g}] can do in T = {problem.horizon:g}, by up to {beyond[sample, i]:.3g}: "
        f"{state_name(discrete, i)}{_of_sample(discrete, sample)} starts at {x0[sample, i]:.4g} and stays within "
        f"[{low[sample, i]:.4g}, {high[sample, i]:.4g}]; its target is {target[sample, i]:.4g}. J cannot vanish."
    ]


def start_notes(problem: ControlProblem, depth: DepthScheme, given: Any, start: Start) -> list[str]:
    """Entries of a start that lay outside their box and were moved into it."""
    if not isinstance(given, Mapping):
        return []
    layout, mesh, times = problem.layout, depth.mesh(problem.span), problem.times
    assert layout is not None
    t = times.at(depth.controls.depths(mesh, depth.tableau.c), start.p)
    asked = guessed(problem, depth, given, start)
    notes = []
    for parts, wanted, taken, depths in (
        (layout.controls, asked.u, start.u, t),
        (layout.parameters, asked.p, start.p, None),
    ):
        for part, (one, other) in zip(
            parts, zip(*(layout.unpack(parts, v).values() for v in (wanted, taken)), strict=True), strict=True
        ):
            notes += _moved(problem, part, one, other, depths)
    if start.x is not None and "x" in problem.bounds.names:
        box = [end[:, None] for end in problem.state_box_at(mesh)]
        states, inside = start.x[1:], np.clip(start.x, *box)[1:]  # the start is given
        notes += _moved(problem, layout.state, states[:, 0], inside[:, 0], times.at(mesh[1:], start.p))
    return notes


def _moved(problem: ControlProblem, part: Part, asked: Array, taken: Array, depths: Array | None) -> list[str]:
    distance = np.abs(asked - taken)
    outside = distance > 1e-9 * (1.0 + np.abs(taken))
    if not np.any(outside):
        return []
    at = np.unravel_index(int(np.argmax(distance)), distance.shape)
    index = at if depths is None else at[1:]
    entry = entry_name(problem, part, int(np.ravel_multi_index(index, part.shape)) if part.shape else 0)
    where = "" if depths is None else f" at t = {depths[at[0]]:g}"
    side, more = ("above", "upper") if asked[at] > taken[at] else ("below", "lower")
    others = np.count_nonzero(outside) - 1
    return [
        f"The start leaves its box: {entry}{where} = {asked[at]:g} lies {side} its {more} bound {taken[at]:g} and was "
        f"moved there{f' (with {others} more entries of {part.name})' if others else ''}."
    ]


# -- NaN and infinity ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Points:
    """Where formulas are evaluated: K columns t (K,), x (K, n), u (K, m), z (K, q) or None, of layer (K,) and sample
    (K,); p (P,); and where they are known the ends x_0 and x_N, each (S, n).
    """

    t: Array
    x: Array
    u: Array
    p: Array
    layer: NDArray[np.int64]
    sample: NDArray[np.int64]
    z: Array | None = None
    ends: tuple[Array, Array] | None = None


def located(problem: ControlProblem, points: Points, derivatives: bool = True) -> str:
    """The first formula, or derivative of one, that is not finite, with its arguments; empty where all are."""
    for order in range(3 if derivatives else 1):
        for role in ("lift", "dynamics", "running", "path", "effort", "terminal", "boundary", "penalty"):
            if getattr(problem, role) is not None and (points.ends is not None or role not in ("terminal", "boundary")):
                said = _sentence(problem, points, role, order)
                if said:
                    return said
    return ""


def _sentence(problem: ControlProblem, points: Points, role: str, order: int) -> str:
    columns = _columns(problem, points, role)
    symbols = {name: ca.SX.sym(name, len(values)) for name, values in columns.items()}
    function = _formula(problem, role, symbols, order)
    values = Batch(function)(*columns.values())[0]
    bad = np.argwhere(~np.isfinite(values.T))
    if not bad.size:
        return ""
    k, row = (int(v) for v in bad[0])
    origin = _origin(function, [values[:, k] for values in columns.values()], row)
    name = ROLES.get(role, role).format(row=state_name(problem, row) if role == "dynamics" and not order else row)
    name = name if not order else role
    return f"{ORDERS[order]}{name}{_place(problem, points, role, k)}: {_told(problem, origin, columns, k)}."


def _columns(problem: ControlProblem, points: Points, role: str) -> dict[str, Array]:
    """The arguments of a role, each (rows, K)."""
    data, p = np.asarray(problem.data), points.p
    if role == "penalty":
        return {"p": p[:, None]}
    if role in ("terminal", "boundary"):
        assert points.ends is not None
        S = problem.samples
        x0, xT = (end.T for end in points.ends)
        states = {"x": xT} if role == "terminal" else {"x0": x0, "xT": xT}
        return {"t": np.full((1, S), problem.span), **states, "p": np.tile(p[:, None], S), "d": data.T}
    K = points.t.size
    columns = {"t": points.t[None], "x": points.x.T, "u": points.u.T, "p": np.tile(p[:, None], K)}
    columns["d"] = data[points.sample].T
    return columns | ({} if points.z is None or role == "lift" else {"z": points.z.T})


def _formula(problem: ControlProblem, role: str, symbols: dict[str, ca.SX], order: int) -> ca.Function:
    value = ca.densify(problem.evaluate(role, **dict(symbols)))
    if order:
        moving = ca.vertcat(*[symbols[name] for name in ("x", "x0", "xT", "u", "p", "z") if name in symbols])
        derivative = ca.jacobian(value, moving) if order == 1 else ca.hessian(ca.sum1(value), moving)[0]
        value = ca.vertcat(*derivative.nonzeros())
        value = value if value.numel() else ca.SX(0)
    return ca.Function(role, list(symbols.values()), [value])


def _place(problem: ControlProblem, points: Points, role: str, k: int) -> str:
    if role == "penalty":
        return ""
    if role in ("terminal", "boundary"):
        return f" at the end{_of_sample(problem, k)}"
    t = problem.times.at(points.t[k], points.p)
    return f" at t = {t:g} (layer {points.layer[k]}{_of_sample(problem, int(points.sample[k]))})"


@dataclass(frozen=True)
class _Origin:
    """An operation that made finite operands into NaN or infinity, and the inputs (argument, entry) they depend on."""

    written: str
    value: float
    inputs: frozenset[tuple[int, int]]


def _origin(function: ca.Function, given: list[Array], row: int) -> _Origin:
    """Walk the operations of an SX function to the one in which output ``row`` was lost."""
    work: dict[int, tuple[float, frozenset[tuple[int, int]], _Origin | None]] = {}
    for k in range(function.n_instructions()):
        code, reads, writes = function.instruction_id(k), function.instruction_input(k), function.instruction_output(k)
        if code == ca.OP_INPUT:
            value = float(given[reads[0]][reads[1]])
            inputs = frozenset({(reads[0], reads[1])})
            lost = None if np.isfinite(value) else _Origin("the argument", value, inputs)
            work[writes[0]] = value, inputs, lost
        elif code == ca.OP_CONST:
            work[writes[0]] = float(function.instruction_constant(k)), frozenset(), None
        elif code == ca.OP_OUTPUT:
            if writes[1] == row:
                value, inputs, lost = work[reads[0]]
                return lost or _Origin("a constant", value, inputs)
        else:
            operands = [work[i] for i in reads]
            numbers = [operand[0] for operand in operands]
            value = float((ca.DM.unary if len(reads) == 1 else ca.DM.binary)(code, *map(ca.DM, numbers)))
            inputs = frozenset().union(*(operand[1] for operand in operands))
            lost = next((operand[2] for operand in operands if operand[2] is not None), None)
            if not np.isfinite(value) and lost is None:
                lost = _Origin(_written(code, numbers), value, inputs)
            work[writes[0]] = value, inputs, lost if not np.isfinite(value) else None
    raise AssertionError("a function writes every row of its output")


def _written(code: int, numbers: list[float]) -> str:
    name = f"{OPERATIONS.get(code, 'operation')}({', '.join(f'{number:g}' for number in numbers)})"
    return WRITTEN[code].format(*numbers) if code in WRITTEN else name


def _told(problem: ControlProblem, origin: _Origin, columns: dict[str, Array], k: int) -> str:
    """``sqrt(-0.31) is NaN, from v = 0.19, u = 0.5``."""
    layout = problem.layout
    assert layout is not None
    states = _entries(problem, (layout.state,))
    names = {"x": states, "u": _entries(problem, layout.controls), "p": _entries(problem, layout.parameters)}
    names |= {name: [f"{state} at {end}" for state in states] for name, end in (("x0", "0"), ("xT", "T"))}
    arguments = list(columns)
    said = []
    for which, entry in sorted(origin.inputs):
        name = arguments[which]
        label = names[name][entry] if name in names else name if name == "t" else f"{name}[{entry}]"
        said.append(f"{label} = {columns[name][entry, k]:.6g}")
    more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    source = f", from {', '.join(said[:SHOWN])}{more}" if said else ""
    return f"{origin.written} is {'NaN' if np.isnan(origin.value) else 'infinite'}{source}"


def layer_points(problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, states: Array) -> Points:
    """The nodes of a sweep that got as far as ``states`` (k + 1, S, n), and the stages of layer k as far as they go.

    The stages of an implicit scheme are taken from Euler's method.
    """
    mesh, tableau = depth.mesh(problem.span), depth.tableau
    k, (S, n) = min(len(states), depth.count) - 1, states.shape[1:]
    h, batch, data = mesh[k + 1] - mesh[k], Batch(problem.rate, shared=(3,)), np.asarray(problem.data).T
    t, x, layers = list(mesh[: k + 1]), list(states[: k + 1]), list(range(k + 1))

    def slope(at: float, state: Array) -> Array:
        v = control_at(depth, mesh, u, np.array([k]), np.array([at]))[0]
        return np.asarray(batch(np.full((1, S), at), state.T, np.tile(v[:, None], S), p, data)[0].T)

    slopes = [slope(mesh[k], states[k])]
    for i, c in enumerate(tableau.c):
        weights = tableau.A[i, :i] if tableau.explicit else [c]
        state = states[k] + h * sum((a * s for a, s in zip(weights, slopes, strict=False)), np.zeros((S, n)))
        if tableau.explicit:
            slopes = [*slopes[:i], slope(mesh[k] + c * h, state)]
        t.append(mesh[k] + c * h)
        x.append(state)
        layers.append(k)
    layer = np.array(layers)
    controls = control_at(depth, mesh, u, layer, np.array(t))
    return Points(
        t=np.repeat(t, S),
        x=np.concatenate(x),
        u=np.repeat(controls, S, axis=0),
        p=p,
        layer=np.repeat(layer, S),
        sample=np.tile(np.arange(S), len(t)),
        ends=(states[0], states[-1]) if len(states) == depth.count + 1 else None,
    )


def lost_along(sweeper: Sweeper, trajectory: Trajectory, u: Array, p: Array) -> str:
    """The formula, or derivative of one, that is not finite along a trajectory that is; empty where all are."""
    (N, s, S, n), t = trajectory.stages.shape, trajectory.stage_t
    controls = sweeper.stage_controls(u).reshape(N, s, 1, -1)
    points = Points(
        t=np.repeat(t.ravel(), S),
        x=trajectory.stages.reshape(-1, n),
        u=np.broadcast_to(controls, (N, s, S, controls.shape[-1])).reshape(N * s * S, -1),
        p=p,
        layer=np.repeat(np.arange(N), s * S),
        sample=np.tile(np.arange(S), N * s),
        ends=(trajectory.x[0], trajectory.x[-1]),
    )
    return located(sweeper.problem, points)


def lost_at(problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, states: Array) -> str:
    """Where a sweep with these controls lost its numbers, in words; empty where no formula explains it."""
    return located(problem, layer_points(problem, depth, u, p, states), derivatives=False)


# -- constraints ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Miss:
    """A violated row: ``kind`` (dynamics, state, path, boundary, budget), what it is called, its ``place``, and by how
    much.
    """

    kind: str
    name: str
    place: str
    said: str
    amount: float


def listed(problem: ControlProblem, misses: list[Miss], heading: str, remedy: bool = True) -> str:
    """The worst row of every name, worst first, with the remedy for the first; empty where there is none."""
    misses = sorted((m for m in misses if m.amount > NOTEWORTHY), key=lambda miss: -miss.amount)
    if not misses:
        return ""
    worst = {miss.name: miss for miss in reversed(misses)}
    shown = sorted(worst.values(), key=lambda miss: -miss.amount)[:LISTED]
    counts = {miss.name: sum(other.name == miss.name for other in misses) - 1 for miss in shown}
    said = [
        " ".join(filter(None, (m.name, m.place)))
        + f": {m.said}"
        + (f" (and {counts[m.name]} more such rows)" if counts[m.name] else "")
        for m in shown
    ]
    advice = REMEDIES[shown[0].kind].replace("{longer}", LONGER[problem.has_free_horizon])
    return f"{heading} {'; '.join(said)}." + (f" {advice}" if remedy else "")


def violations(problem: ControlProblem, depth: DepthScheme, outcome: Outcome) -> str:
    """The constraints that the states of the last controls miss, in the user's terms, but for those that the detail
    names already; of the answer's own states where the controls alone have none, or lose them.
    """
    sweeper, told = Sweeper(problem, depth), outcome.detail
    trajectory, whose = _last_trajectory(sweeper, outcome)
    if trajectory is None:
        return ""
    constraints = Constraints(problem, depth, sweeper)
    families = constraints.families(trajectory, outcome.u, outcome.p, constraints.no_multipliers())
    misses = [miss for family in families for miss in _misses(problem, family) if f" {miss.name}" not in told]
    return listed(problem, misses, whose, remedy=not told.count("Unmet"))


def _last_trajectory(sweeper: Sweeper, outcome: Outcome) -> tuple[Trajectory | None, str]:
    """The sweep of the last controls, or the answer's own states where that fails or explodes; and how to say so."""
    try:
        swept = sweeper.state(outcome.u, outcome.p)
    except SweepFailed:
        swept = None
    x, said = outcome.x, "The trajectory of the last controls misses"
    if x is None or not np.all(np.isfinite(x)):
        return swept, said
    if swept is not None and np.max(np.abs(swept.x)) <= EXPLODED * (1.0 + np.max(np.abs(x))):
        return swept, said
    return trajectory_of(sweeper, outcome.u, outcome.p, x, outcome.stages), "The last iterate misses"


def _misses(problem: ControlProblem, family: Constrained) -> list[Miss]:
    kind = family.name.split()[0]
    found = []
    for place in np.argwhere(family.violation > NOTEWORTHY):
        sample, row = int(place[-2]), int(place[-1])
        name = f"state {state_name(problem, row)}" if kind == "state" else f"{kind} row {row}"
        where = "" if kind == "boundary" else f"at t = {family.depths[tuple(place[: family.depths.ndim])]:g}"
        if kind == "state" and family.depths.ndim == 1 and place[0] == len(family.values) - 1:
            name = f"final {name}"
        sampled = f"(sample {sample})" if problem.samples > 1 else ""
        index = tuple(place)
        said = missed(family.values[index], family.low[index], family.high[index])
        amount = float(family.violation[index])
        found.append(Miss(kind, name, " ".join(filter(None, (where, sampled))), said, amount))
    return found
