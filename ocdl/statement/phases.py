"""Phases: control problems one after another, linked at their ends.

    min Σ_k J_k,   every phase k a ``ControlProblem`` of its own on [t_k, t_k + T_k],   t_{k+1} = t_k + T_k,
    x_{k+1}(t_{k+1}) = g_{k+1}(x_k(t_{k+1}), p_k),    ℓ(ends of all phases) in an interval,    shared parameters equal.

All of it is rows r(e) in [low, high] of the ends e = (x(0), x(T), T, p) of all phases (``Linkage``). Where the ends of
the others are held, what is left of phase k is a ``ControlProblem`` again, with its rows of r as ``boundary``
(``Phases.given``): an answer is stationary if and only if every phase is, with the same multipliers of r.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array, finite_array, is_real
from ocdl.callables import called
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.bounds import Box, Free
from ocdl.statement.problem import ROLES, ControlProblem

TIMED = tuple(role for role, taken in ROLES.items() if "t" in taken and role != "boundary")  # its t is the duration
STARTS = "t0"  # the parameter of a phase whose formulas take t and which begins at a time that is free


@dataclass(frozen=True, eq=False)
class Ends:
    """The ends of one phase: states x0 and xT (n,), duration T, parameters p, and when it begins (t0) and ends (tT)."""

    x0: Any
    xT: Any
    T: Any
    p: Any
    t0: Any
    tT: Any


@dataclass(frozen=True, eq=False)
class Linkage:
    """Rows r(e) in [low, high] of the ends of all phases.

    function: CasADi, of x0, xT, T, p of every phase in turn; names: what each row is; rows: those of each phase.
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
        phase takes over from the one before is a ``Free()`` entry of its ``initial``. Its formulas see the true time t;
        the t of ``boundary`` is its duration.
    jumps: ``{"coast": lambda x: [x[0], 0.8 * x[1]]}``: where the phase coast begins, as a function of the state x at the
        end of the phase before and, if it takes it, of that phase's parameters p; None for a state that is not linked.
        Without one, states of the same name are equal.
    links: further conditions: a function that takes phases by their names, ``lambda boost, coast: [boost.T - coast.T]``,
        each as ``Ends``; linked: their interval, (0, 0) by default.
    shared: names of parameters that are one and the same in every phase that has them.
    begin: the time at which the first phase begins.

    A cost of all ends is a parameter e of the last phase with ``penalty=lambda p: p`` and a link e − cost(ends) = 0.
    Raises InvalidInput for what does not fit, NotSupported for several samples.
    """

    phases: Mapping[str, ControlProblem] | Sequence[ControlProblem]
    jumps: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    links: Callable[..., Any] | None = None
    linked: tuple[Any, Any] = (0.0, 0.0)
    shared: Sequence[str] = ()
    begin: float = 0.0

    def __post_init__(self) -> None:
        given = self.phases if isinstance(self.phases, Mapping) else dict(_numbered(self.phases))
        object.__setattr__(self, "phases", given)
        if not given:
            raise InvalidInput("Phases({}): at least one phase is needed.")
        for name, problem in given.items():
            _check_phase(name, problem)
        if not (is_real(self.begin) and np.isfinite(self.begin)):
            raise InvalidInput(f"Phases(begin={self.begin!r}): a finite number is needed.")
        self._check_names()
        _ = self.cores, self.linkage

    def _check_names(self) -> None:
        later = self.names[1:]
        for name in self.jumps:
            if name not in later:
                raise InvalidInput(f"Phases(jumps={{{name!r}: ...}}): a phase that follows another is needed: {later}.")
        for name in self.shared:
            if sum(name in _names(problem.parameters) for problem in self.stated) < 2:
                raise InvalidInput(f"Phases(shared={list(self.shared)!r}): fewer than two phases have {name!r}.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.phases)  # type: ignore[arg-type]

    @property
    def stated(self) -> tuple[ControlProblem, ...]:
        """The phases as the user wrote them."""
        return tuple(self.phases.values())  # type: ignore[union-attr]

    @cached_property
    def cores(self) -> tuple[ControlProblem, ...]:
        """The phases on time from 0 to T, in order; their formulas see the true time nevertheless."""
        low = high = float(self.begin)
        cores = []
        for problem in self.stated:
            cores.append(_timed(problem, low, high))
            free = problem.horizon if isinstance(problem.horizon, Free) else Free(problem.horizon, problem.horizon)
            low, high = low + free.lower, high + free.upper
        return tuple(cores)

    # -- the linkages ---------------------------------------------------------------------------------------

    @cached_property
    def linkage(self) -> Linkage:
        ends = self._symbols()
        rows = [*self._junctions(ends), *self._sharing(ends), *self._starts(ends)]
        parts = [(value, 0.0, 0.0, name) for value, name in rows] + self._further(ends)
        expression = ca.vertcat(*(value for value, *_ in parts)) if parts else ca.SX(0, 1)
        function = ca.Function("links", _columns(ends), [expression])
        low, high = (np.array([part[side] for part in parts]) for side in (1, 2))
        of = tuple(_rows_with(function, range(4 * k, 4 * k + 4)) for k in range(len(ends)))
        lost = set(range(len(parts))) - {int(row) for rows in of for row in rows}
        if lost:
            raise InvalidInput(f"Phases: {parts[min(lost)][3]} depends on no end of any phase.")
        return Linkage(function, low, high, tuple(name for *_, name in parts), of)

    def _symbols(self) -> list[Ends]:
        ends, t0 = [], ca.SX(self.begin)
        for core in self.cores:
            symbols = (ca.SX.sym(name, size) for name, size in (("x0", core.n), ("xT", core.n), ("T", 1)))
            x0, xT, T = symbols
            p = ca.SX.sym("p", core.own_parameters)
            ends.append(Ends(x0, xT, T, p, t0, t0 + T))
            t0 = t0 + T
        return ends

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
        values = self._landing(k, Ends(*(ca.SX(part) for part in _columns([end])), ca.SX(end.t0), ca.SX(end.tT)))
        return np.array([np.nan if value is None else float(ca.evalf(ca.SX(value))) for value in values])

    def _landing(self, k: int, end: Ends) -> list[Any]:
        """The same for any end, None for a state that is not linked."""
        name, problem, before = self.names[k], self.stated[k], self.stated[k - 1]
        own, earlier = _names(problem.states), _names(before.states)
        if name not in self.jumps:
            if not set(own) & set(earlier):
                raise InvalidInput(
                    f"Phases: {name} has none of the states of the phase before, {', '.join(earlier)}; give jumps={{{name!r}: ...}}."
                )
            return [end.xT[earlier.index(state)] if state in earlier else None for state in own]
        said, jump = f"jumps[{name!r}]", self.jumps[name]
        seen = {"x": end.xT, "p": end.p[: before.own_parameters]}
        found = called(said, "x and p", jump, **{key: seen[key] for key in _arguments(said, jump, tuple(seen))})
        values = _parts(said, found)
        if len(values) != problem.n:
            raise InvalidInput(f"{said}: {problem.n} value(s) are needed, one a state; got {len(values)}.")
        return values

    def _sharing(self, ends: list[Ends]) -> list[tuple[Any, str]]:
        rows = []
        for parameter in self.shared:
            having = [k for k, problem in enumerate(self.stated) if parameter in _names(problem.parameters)]
            at = [ends[k].p[_names(self.stated[k].parameters).index(parameter)] for k in having]
            rows += [(b - a, f"{parameter} of {self.names[k]}") for a, b, k in zip(at, at[1:], having[1:], strict=False)]
        return rows

    def _starts(self, ends: list[Ends]) -> list[tuple[Any, str]]:
        """t0 of the phases that have it as a parameter."""
        cores = zip(self.names, self.stated, self.cores, ends, strict=True)
        return [
            (end.p[-1] - end.t0, f"{STARTS} of {name}")
            for name, stated, core, end in cores
            if core.own_parameters > stated.own_parameters
        ]

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
        data = np.concatenate([np.asarray(self.cores[k].data).ravel(), *(np.ravel(end) for end in _others(k, ends))])
        return self._conditionals[k].with_numbers(data=data[None])

    def _conditional(self, k: int) -> ControlProblem:
        core, linkage, own = self.cores[k], self.linkage, int(np.shape(self.cores[k].data)[1])
        rows = linkage.rows[k].tolist()
        low, high = core.interval_at("boundary", np.zeros(1))
        at = _own_boundary(core)
        sizes = [size for j, other in enumerate(self.cores) if j != k for size in _sizes(other)]
        cuts = np.cumsum([own, *sizes])

        def boundary(x0: Any, xT: Any, p: Any, d: Any, t: Any = 0.0) -> Any:
            others = [d[int(a) : int(b)] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
            columns = [*others[: 4 * k], x0, xT, t, p, *others[4 * k :]]
            return ca.vertcat(at(x0, xT, t, p, d[:own]), linkage.function(*columns)[rows])

        timed = "t" in core.arguments("boundary") or self._links_duration(k)
        _sign(boundary, ["x0", "xT", "p", "d", *(["t"] if timed else [])])

        functions = {role: _seeing(core, role, {"d": lambda given: given["d"][:own]}) for role in ROLES}
        interval = np.append(low[0], linkage.low[rows]), np.append(high[0], linkage.high[rows])
        return replace(
            core,
            **functions | {"boundary": boundary},
            data=np.append(np.asarray(core.data)[0], np.zeros(cuts[-1] - own))[None],
            bounds=core.bounds.with_interval("boundary", interval),
        )


    def _links_duration(self, k: int) -> bool:
        """Whether the duration of phase k is in a linkage."""
        return _rows_with(self.linkage.function, [4 * k + 2]).size > 0


# -- the true time -----------------------------------------------------------------------------------------


def _timed(problem: ControlProblem, low: float, high: float) -> ControlProblem:
    """The phase that begins at a time in [low, high], on time from 0: its formulas see t + t0, where t0 is a number,
    or, where it is free and they take t, a parameter more.
    """
    if low == high == 0.0 or not (_takes_time(problem) or _varies(problem)):
        return problem
    if low == high:
        functions = {role: _seeing(problem, role, {"t": lambda given: given["t"] + low}) for role in TIMED}
        return replace(problem, **functions, bounds=problem.bounds.later(low))
    if _varies(problem):
        raise NotSupported(
            f"{problem.bounds!r}: bounds that depend on time, in a phase that begins at a time that is free; write them "
            "as a path constraint, which may use t."
        )
    own = problem.own_parameters
    truncated = {"p": lambda given: given["p"][:own]}
    shifted = truncated | {"t": lambda given: given["t"] + given["p"][own]}
    functions = {role: _seeing(problem, role, shifted if role in TIMED else truncated, ("p",)) for role in ROLES}
    begin, end = problem.bounds.interval("p", (own,))
    return replace(
        problem,
        **functions,
        parameters=(*_names(problem.parameters), STARTS),
        parameter_metric=np.insert(np.asarray(problem.parameter_metric), own, 1.0),
        bounds=problem.bounds.with_interval("p", (np.append(begin, low), np.append(end, high))),
        layout=None,
    )


def _takes_time(problem: ControlProblem) -> bool:
    return any("t" in problem.arguments(role) for role in TIMED)


def _varies(problem: ControlProblem) -> bool:
    return any(problem.bounds.varies(name) for name in problem.bounds.names)


def _seeing(
    problem: ControlProblem,
    role: str,
    changes: Mapping[str, Callable[[Mapping[str, Any]], Any]],
    needed: tuple[str, ...] = (),
) -> Callable[..., Any] | None:
    """The function of ``role`` that sees some of its arguments changed, for which those ``needed`` are given, too."""
    function: Callable[..., Any] | None = getattr(problem, role)
    taken = problem.arguments(role)
    if function is None or not set(changes) & set(taken):
        return function

    def changed(**given: Any) -> Any:
        assert function is not None
        return function(**{name: changes[name](given) if name in changes else given[name] for name in taken})

    _sign(changed, [*taken, *needed])
    return changed


def _sign(function: Any, names: Sequence[str]) -> None:
    """Give the function these arguments to be told apart by."""
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in dict.fromkeys(names)]
    function.__signature__ = inspect.Signature(parameters)


# -- the pieces --------------------------------------------------------------------------------------------


def _own_boundary(core: ControlProblem) -> ca.Function:
    """The phase's own boundary as a function of x0, xT, T, its own parameters and data; no row where it has none."""
    p, T = ca.SX.sym("p", core.own_parameters), ca.SX.sym("T")
    x0, xT, d = (ca.SX.sym(name, size) for name, size in (("x0", core.n), ("xT", core.n), ("d", core.data.shape[1])))
    free = ca.SX.zeros(len(core.free_initial))
    whole = ca.vertcat(p, free, T) if core.has_free_horizon else ca.vertcat(p, free)
    given = {"x0": x0, "xT": xT, "t": ca.SX(1) if core.has_free_horizon else T, "p": whole, "d": d}
    rows = ca.SX(0, 1) if core.boundary is None else core.evaluate("boundary", **given)
    return ca.Function("boundary", [x0, xT, T, p, d], [ca.densify(rows)])


def _sizes(core: ControlProblem) -> tuple[int, int, int, int]:
    return core.n, core.n, 1, core.own_parameters


def _columns(ends: Sequence[Ends]) -> list[Any]:
    return [part for end in ends for part in (end.x0, end.xT, end.T, end.p)]


def _others(k: int, ends: Sequence[Ends]) -> list[Any]:
    return _columns([end for j, end in enumerate(ends) if j != k])


def _rows_with(function: ca.Function, arguments: Iterable[int]) -> NDArray[np.int64]:
    """The rows of the function in which some of its arguments are."""
    return np.unique(np.concatenate([np.array(function.jac_sparsity(0, i).row(), dtype=np.int64) for i in arguments]))


def _numbered(phases: Any) -> list[tuple[str, Any]]:
    if not isinstance(phases, (list, tuple)):
        raise InvalidInput(f"Phases({type(phases).__name__}): a mapping of names to phases, or a list of them, is needed.")
    return [(f"phase{k}", problem) for k, problem in enumerate(phases)]


def _check_phase(name: Any, problem: Any) -> None:
    if not (isinstance(name, str) and name.isidentifier()):
        raise InvalidInput(f"Phases({{{name!r}: ...}}): a name is needed as of an argument of a function.")
    if not isinstance(problem, ControlProblem):
        raise InvalidInput(f"Phases({{{name!r}: {type(problem).__name__}}}): every phase is a ControlProblem.")
    if problem.samples > 1 or problem.control_set is not None or problem.velocity_box is not None:
        raise NotSupported(f"Phases({{{name!r}: ...}}): phases of one sample with a box of controls only.")


def _names(names: Any) -> tuple[str, ...]:
    return tuple(names or ())


def _arguments(said: str, function: Any, known: tuple[str, ...]) -> list[str]:
    if not callable(function):
        raise InvalidInput(f"{said}={function!r}: give a function of {', '.join(known)}.")
    names = list(inspect.signature(function).parameters)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"{said}: its arguments are taken by name from {', '.join(known)}; got {', '.join(unknown)}.")
    return names


def _parts(said: str, value: Any) -> list[Any]:
    """The entries of a column or a list."""
    parts = list(value) if isinstance(value, (list, tuple)) else ca.vertsplit(value) if isinstance(value, ca.SX) else [value]
    for part in parts:
        if not (part is None or is_real(part) or (isinstance(part, (ca.SX, ca.DM)) and part.numel() == 1)):
            raise InvalidInput(f"{said}: it must return an expression or a list of them; got {type(part).__name__}.")
    return parts
