"""Phases: control problems one after another, linked at their ends.

    min Σ_k J_k,   every phase k a ``ControlProblem`` of its own on [t_k, t_{k+1}],
    x_{k+1}(t_{k+1}) = g_{k+1}(x_k(t_{k+1}), p_k),    ℓ(ends of all phases) in an interval,    shared parameters equal.

All of it is rows r(e) in [low, high] of the ends e = (x(t0), x(T), t0, T, p) of all phases (``Linkage``). Where those
of the others are held, what is left of phase k is a ``ControlProblem`` again, with its rows of r as ``boundary``
(``Phases.given``): an answer is stationary if and only if every phase is, with the same multipliers of r.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array, is_real
from ocdl.callables import called
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.bounds import Box, Free
from ocdl.statement.problem import ROLES, ControlProblem

Item = TypeVar("Item")
ENDS = ("x0", "xT", "t0", "T", "p")

STATED = tuple(role for role in ROLES if role not in ("output", "equations"))  # those two follow from others


@dataclass(frozen=True, eq=False)
class Ends:
    """The ends of one phase: states x0 and xT (n,) at its times t0 and T, and its own parameters p."""

    x0: Any
    xT: Any
    t0: Any
    T: Any
    p: Any

    @property
    def horizon(self) -> Any:
        """T − t0."""
        return self.T - self.t0

    @property
    def columns(self) -> list[Any]:
        return [getattr(self, name) for name in ENDS]


@dataclass(frozen=True, eq=False)
class Linkage:
    """Rows r(e) in [low, high] of the ends of all phases.

    function: CasADi, of x0, xT, t0, T, p of every phase in turn; names: what each row is; rows: those of each phase.
    """

    function: ca.Function
    low: Array
    high: Array
    names: tuple[str, ...]
    rows: tuple[NDArray[np.int64], ...]

    @property
    def count(self) -> int:
        return len(self.names)

    def values(self, ends: Sequence[Ends]) -> Array:
        """r, shape (rows,)."""
        return np.asarray(self.function(*_columns(ends)).full().ravel())


@dataclass(frozen=True, eq=False)
class Phases:
    """Control problems one after another (see the module's formula).

    phases: ``{"boost": ControlProblem(...), ...}`` in their order, or a list, whose phases are called phase0, phase1, …
        Each has one sample, its own dynamics, cost, bounds, constraints, and a horizon T given or ``Free``. What a
        phase takes over from the one before is a ``Free()`` entry of its ``initial``. It begins where that one ends;
        the first at its own t0.
    jumps: ``{"coast": lambda x: [x[0], 0.8 * x[1]]}``: where the phase coast begins, as a function of the state x at
        the end of the phase before and, if it takes it, of that phase's parameters p; None for a state that is not
        linked. Without one, states of the same name are equal.
    links: further conditions, a function that takes phases by their names, each as ``Ends``, such as
        ``lambda boost, coast: [boost.horizon - coast.horizon]``; linked: their interval, (0, 0) by default.
    shared: names of parameters that are one and the same in every phase that has them.

    A cost of all ends is a parameter e of the last phase with ``penalty=lambda p: p`` and a link e − cost(ends) = 0.
    Raises InvalidInput for what does not fit, NotSupported for several samples.
    """

    phases: Mapping[str, ControlProblem] | Sequence[ControlProblem]
    jumps: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    links: Callable[..., Any] | None = None
    linked: tuple[Any, Any] = (0.0, 0.0)
    shared: Sequence[str] = ()

    def __post_init__(self) -> None:
        given = dict(self.phases if isinstance(self.phases, Mapping) else _numbered(self.phases))
        object.__setattr__(self, "phases", given)
        if not given:
            raise InvalidInput("Phases({}): at least one phase is needed.")
        for name, problem in given.items():
            _check_phase(name, problem)
        self._check_names()
        _ = self.cores, self.linkage

    def _check_names(self) -> None:
        later = self.names[1:]
        for name in later:
            if self.phases[name].t0 != 0.0:  # type: ignore[call-overload]
                raise InvalidInput(f"Phases({{{name!r}: ...}}): it begins where the phase before ends; leave t0 out.")
        for name in self.jumps:
            if name not in later:
                raise InvalidInput(f"Phases(jumps={{{name!r}: ...}}): a phase that follows another is needed: {later}.")
        for name in self.shared:
            if sum(name in _names(problem.parameters) for problem in self.stated) < 2:
                raise InvalidInput(f"Phases(shared={list(self.shared)!r}): fewer than two phases have {name!r}.")

    def __repr__(self) -> str:
        return f"Phases({', '.join(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.phases)  # type: ignore[arg-type]

    @property
    def stated(self) -> tuple[ControlProblem, ...]:
        """The phases as the user wrote them."""
        return tuple(self.phases.values())  # type: ignore[union-attr]

    @cached_property
    def cores(self) -> tuple[ControlProblem, ...]:
        """The phases, in order, each beginning where the one before ends: at a number, or at a time that is free."""
        cores = list(self.stated[:1])
        for problem in self.stated[1:]:
            low, high = (begin + length for begin, length in zip(*map(_reach, _times(cores[-1])), strict=True))
            cores.append(_beginning(problem, low) if low == high else _beginning_between(problem, low, high))
        return tuple(cores)

    # -- the linkages ---------------------------------------------------------------------------------------

    @cached_property
    def linkage(self) -> Linkage:
        ends = self._symbols()
        rows = [*self._junctions(ends), *self._sharing(ends), *self._starts(ends)]
        parts = [(value, 0.0, 0.0, name) for value, name in rows] + self._further(ends)
        expression = ca.vertcat(*(value for value, *_ in parts)) if parts else ca.SX(0, 1)
        function = ca.Function("links", _columns(ends), [expression])
        each = len(ENDS)
        low, high = (np.array([part[side] for part in parts]) for side in (1, 2))
        of = tuple(_rows_with(function, range(each * k, each * (k + 1))) for k in range(len(ends)))
        lost = set(range(len(parts))) - {int(row) for rows in of for row in rows}
        if lost:
            raise InvalidInput(f"Phases: {parts[min(lost)][3]} depends on no end of any phase.")
        return Linkage(function, low, high, tuple(name for *_, name in parts), of)

    def _symbols(self) -> list[Ends]:
        return [Ends(*map(ca.SX.sym, ENDS, _sizes(core))) for core in self.cores]

    def _junctions(self, ends: list[Ends]) -> list[tuple[Any, str]]:
        """x_{k+1}(0) − g_{k+1}(x_k(T), p_k), state by state."""
        rows = []
        for k in range(1, len(ends)):
            name, problem = self.names[k], self.stated[k]
            for i, value in enumerate(self._landing(k, ends[k - 1])):
                if value is not None:
                    state = _names(problem.states)[i]
                    rows.append((ends[k].x0[i] - value, f"{state} at the begin of {name}"))
        return rows

    def landing(self, k: int, end: Ends) -> Array:
        """Where phase k begins, from an end of the phase before in numbers; NaN for a state that is not linked."""
        values = self._landing(k, Ends(*map(ca.SX, end.columns)))
        return np.array([np.nan if value is None else float(ca.evalf(ca.SX(value))) for value in values])

    def _landing(self, k: int, end: Ends) -> list[Any]:
        """The same for any end, None for a state that is not linked."""
        name, problem, before = self.names[k], self.stated[k], self.stated[k - 1]
        own, earlier = _names(problem.states), _names(before.states)
        if name not in self.jumps:
            if not set(own) & set(earlier):
                raise InvalidInput(
                    f"Phases: {name} has none of the states of the phase before, {', '.join(earlier)}; "
                    f"give jumps={{{name!r}: ...}}."
                )
            anew = problem.reduction.counted  # integrals are those of a phase
            linked = [state in earlier and state not in anew for state in own]
            return [end.xT[earlier.index(state)] if same else None for state, same in zip(own, linked, strict=True)]
        said, jump = f"jumps[{name!r}]", self.jumps[name]
        seen = {"x": end.xT, "p": end.p}
        found = called(said, "x and p", jump, **{key: seen[key] for key in _arguments(said, jump, tuple(seen))})
        values = _parts(said, found, may_lack=True)
        values += [None] * (problem.n - len(values) if len(values) == problem.reduction.stated else 0)
        if len(values) != problem.n:
            raise InvalidInput(f"{said}: {problem.n} value(s) are needed, one a state; got {len(values)}.")
        return values

    def _sharing(self, ends: list[Ends]) -> list[tuple[Any, str]]:
        rows = []
        for parameter in self.shared:
            having = [k for k, problem in enumerate(self.stated) if parameter in _names(problem.parameters)]
            at = [ends[k].p[_names(self.stated[k].parameters).index(parameter)] for k in having]
            rows += [
                (b - a, f"{parameter} of {self.names[k]}") for a, b, k in zip(at, at[1:], having[1:], strict=False)
            ]
        return rows

    def _starts(self, ends: list[Ends]) -> list[tuple[Any, str]]:
        """The times at which phases begin, where they are free."""
        after = zip(self.names, self.cores, ends, strict=True)
        free = [isinstance(core.t0, Free) and k > 0 for k, (_, core, _) in enumerate(after)]
        return [(ends[k].t0 - ends[k - 1].T, f"t0 of {self.names[k]}") for k in np.flatnonzero(free)]

    def _further(self, ends: list[Ends]) -> list[tuple[Any, float, float, str]]:
        """The rows of ``links`` with their interval."""
        if self.links is None:
            return []
        seen = dict(zip(self.names, ends, strict=True))
        taken = _arguments("links", self.links, self.names)
        values = _parts("links", called("links", ", ".join(taken), self.links, **{name: seen[name] for name in taken}))
        low, high = Box(linked=self.linked).interval("linked", (len(values),))
        return [(value, low[i], high[i], f"links row {i}") for i, value in enumerate(values)]

    # -- one phase, the others given ------------------------------------------------------------------------

    @cached_property
    def _conditionals(self) -> dict[int, ControlProblem]:
        return {k: self._conditional(k) for k, rows in enumerate(self.linkage.rows) if rows.size}

    def given(self, k: int, ends: Sequence[Ends]) -> ControlProblem:
        """Phase k where the ends of the others are held at numbers: its rows of the linkages are rows of boundary,
        behind its own. Everything else is ``cores[k]``.
        """
        if k not in self._conditionals:
            return self.cores[k]
        data = np.concatenate([np.asarray(self.cores[k].data).ravel(), *map(np.ravel, _columns(_without(k, ends)))])
        return self._conditionals[k].with_numbers(data=data[None])

    def _conditional(self, k: int) -> ControlProblem:
        core, linkage, rows = self.cores[k], self.linkage, self.linkage.rows[k].tolist()
        own, before = int(np.shape(core.data)[1]), len(ENDS) * k
        cuts = np.cumsum([own, *(size for other in _without(k, self.cores) for size in _sizes(other))]).tolist()
        at, times = _own_boundary(core), _times_taken(core, linkage.function, before)

        def boundary(x0: Any, xT: Any, p: Any, d: Any, t0: Any = 0.0, T: Any = 0.0) -> Any:
            others = [d[a:b] for a, b in pairwise(cuts)]
            columns = [*others[:before], x0, xT, t0, T, p, *others[before:]]
            return ca.vertcat(at(x0, xT, t0, T, p, d[:own]), linkage.function(*columns)[rows])

        _sign(boundary, ["x0", "xT", "p", "d", *times])
        low, high = core.interval_at("boundary", np.zeros(1))
        interval = np.append(low[0], linkage.low[rows]), np.append(high[0], linkage.high[rows])
        return replace(
            core,
            **{role: _seeing(core, role, own) for role in STATED} | {"boundary": boundary},
            data=np.append(np.asarray(core.data)[0], np.zeros(cuts[-1] - own))[None],
            bounds=core.bounds.with_interval("boundary", interval),
        )


def _seeing(core: ControlProblem, role: str, own: int) -> Callable[..., Any] | None:
    """The function of ``role`` that takes only its ``own`` of the data, if it takes data."""
    function: Callable[..., Any] | None = getattr(core, role)
    taken = [] if function is None else list(inspect.signature(function).parameters)
    if function is None or "d" not in taken:
        return function

    def seeing(**given: Any) -> Any:
        assert function is not None
        return function(**given | {"d": given["d"][:own]})

    _sign(seeing, taken)
    return seeing


def _sign(function: Any, names: Sequence[str]) -> None:
    """Give the function these arguments to be told apart by."""
    function.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )


# -- the pieces --------------------------------------------------------------------------------------------


def _own_boundary(core: ControlProblem) -> ca.Function:
    """The phase's own boundary as a function of its ends and data; no row where it has none."""
    x0, xT, t0, T, p = symbols = [ca.SX.sym(name, size) for name, size in zip(ENDS, _sizes(core), strict=True)]
    d = ca.SX.sym("d", int(np.shape(core.data)[1]))
    free = {"t0": t0, "horizon": T - t0}
    whole = ca.vertcat(p, ca.SX.zeros(len(core.free_initial)), *(free[name] for name in core.times.free))
    given = {"x0": x0, "xT": xT, "t": ca.SX(core.span), "p": whole, "d": d}
    rows = ca.SX(0, 1) if core.boundary is None else core.evaluate("boundary", **given)
    return ca.Function("boundary", [*symbols, d], [ca.densify(rows)])


def _times_taken(core: ControlProblem, links: ca.Function, before: int) -> list[str]:
    """Which of t0 and T are in the boundary of the phase or in a linkage."""
    taken = core.arguments("boundary")
    own = {"t0": "t0" in taken, "T": "t" in taken or "T" in taken}
    return [name for name in own if own[name] or _rows_with(links, [before + ENDS.index(name)]).size]


def _sizes(core: ControlProblem) -> tuple[int, ...]:
    return core.n, core.n, 1, 1, core.own_parameters


def _columns(ends: Sequence[Ends]) -> list[Any]:
    return [column for end in ends for column in end.columns]


def _without(k: int, items: Sequence[Item]) -> list[Item]:
    return [item for j, item in enumerate(items) if j != k]


def _beginning(problem: ControlProblem, t0: float) -> ControlProblem:
    return problem if t0 == problem.t0 else replace(problem, t0=t0)


def _beginning_between(problem: ControlProblem, low: float, high: float) -> ControlProblem:
    """The phase with a free initial time, which is a parameter before its horizon."""
    metric = np.insert(np.asarray(problem.parameter_metric), problem.P - problem.has_free_horizon, 1.0)
    return replace(problem, t0=Free(low, high), layout=None, parameter_metric=metric)


def _times(problem: ControlProblem) -> tuple[float | Free, float | Free]:
    return problem.t0, problem.horizon


def _reach(time: float | Free) -> tuple[float, float]:
    """The interval in which it is."""
    return (time.lower, time.upper) if isinstance(time, Free) else (time, time)


def _rows_with(function: ca.Function, arguments: Iterable[int]) -> NDArray[np.int64]:
    """The rows of the function in which some of its arguments are."""
    return np.unique(np.concatenate([np.array(function.jac_sparsity(0, i).row(), dtype=np.int64) for i in arguments]))


def _numbered(phases: Any) -> list[tuple[str, Any]]:
    if not isinstance(phases, (list, tuple)):
        raise InvalidInput(
            f"Phases({type(phases).__name__}): a mapping of names to phases, or a list of them, is needed."
        )
    return [(f"phase{k}", problem) for k, problem in enumerate(phases)]


def _check_phase(name: Any, problem: Any) -> None:
    if not (isinstance(name, str) and name.isidentifier()):
        raise InvalidInput(f"Phases({{{name!r}: ...}}): a name is needed as of an argument of a function.")
    if not isinstance(problem, ControlProblem):
        raise InvalidInput(f"Phases({{{name!r}: {type(problem).__name__}}}): every phase is a ControlProblem.")
    if problem.samples > 1 or problem.control_set is not None or problem.velocity_box is not None:
        raise NotSupported(f"Phases({{{name!r}: ...}}): phases of one sample with a box of controls only.")
    if problem.stations.size:
        raise NotSupported(f"Phases({{{name!r}: ...}}): phases without measurements and conditions at given depths.")


def _names(names: Any) -> tuple[str, ...]:
    return tuple(names or ())


def _arguments(said: str, function: Any, known: tuple[str, ...]) -> list[str]:
    if not callable(function):
        raise InvalidInput(f"{said}={function!r}: give a function of {', '.join(known)}.")
    names = list(inspect.signature(function).parameters)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(
            f"{said}: its arguments are taken by name from {', '.join(known)}; got {', '.join(unknown)}."
        )
    return names


def _parts(said: str, value: Any, may_lack: bool = False) -> list[Any]:
    """The entries of a column or a list, of which some ``may_lack``: they are None."""
    column = ca.vertsplit(value) if isinstance(value, ca.SX) else [value]
    parts = list(value) if isinstance(value, (list, tuple)) else column
    for part in parts:
        if not (
            (part is None and may_lack) or is_real(part) or (isinstance(part, (ca.SX, ca.DM)) and part.numel() == 1)
        ):
            raise InvalidInput(f"{said}: it must return an expression or a list of them; got {type(part).__name__}.")
    return parts
