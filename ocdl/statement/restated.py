"""Formulas of a stated problem as formulas of its core, where controls have become states and states were added.

x = X[:n],   u = (the core's controls, and of X those that follow x),   u̇ = the core's other controls
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import casadi as ca

from ocdl.callables import called
from ocdl.errors import InvalidInput
from ocdl.statement.formulas import ROLES, expression, protected, shape_of
from ocdl.statement.names import Signature, Whole

RATE = "du"
BEYOND = {role: (RATE,) for role in ("dynamics", "running", "path", "integral")} | {"boundary": ("u0", "uT")}
Named = tuple[str, Whole]  # a formula and its role, for messages


def own_formulas(problem: Any, moving: tuple[int, ...] = ()) -> dict[str, Whole]:
    """By role, the formulas of a problem as those of its core, of which controls ``moving`` are states."""
    return {role: own(problem, role, moving) for role in (*ROLES, "integral") if getattr(problem, role) is not None}


def own(problem: Any, role: str, moving: tuple[int, ...] = ()) -> Whole:
    """That of one role. InvalidInput where it is no function."""
    still = tuple(i for i in range(problem.m) if i not in moving)
    function = getattr(problem, role)
    if not callable(function):
        raise InvalidInput(f"{role}={function!r}: give a function of {', '.join(_values(problem, role))}.")
    signature = problem.names.signature(role, function, _values(problem, role))
    own = problem.own_parameters, problem.data.shape[1]
    formula = Restated(role, function, signature, problem.n, still, moving, *own)
    return Whole(formula.taken, formula)


def fields(problem: Any, formulas: dict[str, Whole]) -> dict[str, Any]:
    """The fields of a problem that hold the formulas, those of its lift and its measurements within these."""
    found: dict[str, Any] = {role: each for role, each in formulas.items() if role not in ("output", "equations")}
    if "equations" in formulas:
        found["lift"] = Defined(formulas["lift"].taken, formulas["lift"].function, formulas["equations"])
    if "output" in formulas:
        found["measurements"] = replace(problem.measurements, output=formulas["output"])
    return found


@dataclass(frozen=True, eq=False)
class Defined(Whole):
    """A lift that ``equations`` define."""

    equations: Whole


@dataclass(frozen=True, eq=False)
class Restated:
    """A formula of the stated x (n,), u, u̇, p and d as one of the core's, whose controls are ``still`` and the rates of
    ``moving``, and whose parameters and data may be more.
    """

    role: str
    function: Callable[..., Any]
    signature: Signature
    n: int
    still: tuple[int, ...]
    moving: tuple[int, ...]
    parameters: int
    data: int

    @property
    def taken(self) -> tuple[str, ...]:
        """The core's values of which the stated ones are made."""
        return tuple(dict.fromkeys(name for stated in self.signature.needed for name in self._behind(stated)))

    def _behind(self, name: str) -> list[str]:
        if name == RATE:
            return ["u"]
        if name in ("u0", "uT"):
            return ["x" + name[1:]]
        if name != "u":
            return [name]
        return [*(["x"] if self.moving else []), *(["u"] if self.still else [])]

    def __call__(self, **given: Any) -> Any:
        values = {name: self._stated(name, given) for name in self.signature.needed}
        return called(self.role, "its arguments", self.signature.call(self.function), **values)

    def _stated(self, name: str, given: dict[str, Any]) -> Any:
        if name in ("x", "x0", "xT"):
            return given[name][: self.n, :]
        if name in ("p", "d"):
            return given[name][: self.parameters if name == "p" else self.data]
        if name == RATE:
            return given["u"][len(self.still) :]
        if name not in ("u", "u0", "uT") or not self.moving:
            return given[name]
        states = given["x" + name[1:]]
        entries = {i: given[name][k] for k, i in enumerate(self.still)} if name == "u" else {}
        entries |= {i: states[self.n + k] for k, i in enumerate(self.moving)}
        return ca.vertcat(*[entries.get(i, 0.0) for i in range(len(self.still) + len(self.moving))])


@dataclass(frozen=True, eq=False)
class Joined:
    """Rows of several formulas, one below the other; ``n`` rows of the first, where that many are needed."""

    parts: tuple[Named, ...]
    n: int | None = None

    def __call__(self, **given: Any) -> Any:
        found = [_expression(role, formula, given) for role, formula in self.parts]
        if self.n is not None and found[0].shape != (self.n, 1):
            raise InvalidInput(f"dynamics: {self.n} state(s) need {self.n} derivative(s); got {shape_of(found[0])}.")
        return ca.vertcat(*found)


@dataclass(frozen=True, eq=False)
class Total:
    """The sum of several formulas of one value."""

    parts: tuple[Named, ...]

    def __call__(self, **given: Any) -> Any:
        return sum(_expression(role, formula, given) for role, formula in self.parts)


@dataclass(frozen=True, eq=False)
class Accumulated:
    """A state at its end."""

    state: int

    def __call__(self, x: Any) -> Any:
        return x[self.state]


@dataclass(frozen=True, eq=False)
class Rates:
    """The controls behind the first ``still``."""

    still: int

    def __call__(self, u: Any) -> Any:
        return u[self.still :]


@dataclass(frozen=True, eq=False)
class Returns:
    """x(T) − x(0) of some states."""

    states: tuple[int, ...]

    def __call__(self, x0: Any, xT: Any) -> Any:
        return ca.vertcat(*[xT[i] - x0[i] for i in self.states])


def joined(*parts: Named, n: int | None = None) -> Whole:
    return Whole(_taken(parts), Joined(parts, n))


def total(*parts: Named) -> Whole:
    return Whole(_taken(parts), Total(parts))


def rows_of(problem: Any, role: str, formula: Whole) -> int:
    """How many rows a formula has."""
    sizes = {"x": problem.n, "x0": problem.n, "xT": problem.n, "u": problem.m, "z": problem.lifted}
    sizes |= {"p": problem.own_parameters, "d": problem.data.shape[1]}
    symbols = {name: ca.SX.sym(name, sizes.get(name, 1)) for name in formula.taken}
    return int(expression(role, protected(role, formula, symbols), ca.SX).numel())


def takes_rates(problem: Any) -> bool:
    """Whether a formula takes u̇."""
    return any(RATE in _arguments(problem, role) for role in BEYOND if RATE in _values(problem, role))


def ends_taken(problem: Any) -> set[int]:
    """The controls of which boundary takes a value at an end."""
    beyond = [name for name in _values(problem, "boundary") if name in BEYOND["boundary"]]
    taken = {name for name in _arguments(problem, "boundary") if not problem.names.places(name, ROLES["boundary"])}
    whole = set(range(problem.m)) if taken & set(beyond) else set()
    return whole | {i for name in taken for _, i in problem.names.places(name, tuple(beyond))}


def _arguments(problem: Any, role: str) -> set[str]:
    """The argument names of a formula that is not yet one of the core's."""
    function = getattr(problem, role)
    if not callable(function) or isinstance(function, Whole):
        return set()
    try:
        return set(inspect.signature(function).parameters)
    except ValueError:  # refused, in words, where the formula is checked
        return set()


def _values(problem: Any, role: str) -> tuple[str, ...]:
    """What a stated formula may take: more than the core's where no name of the user's means something else."""
    values = ROLES.get(role, ROLES["running"])
    return (*values, *(name for name in BEYOND.get(role, ()) if not problem.names.places(name, values)))


def _expression(role: str, formula: Whole, given: dict[str, Any]) -> Any:
    kind = type(next(iter(given.values()))) if given else ca.DM
    return expression(role, formula(**{name: given[name] for name in formula.taken}), kind)


def _taken(parts: tuple[Named, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _, formula in parts for name in formula.taken))
