"""Delays: dynamics that look back by a fixed lag, as a problem without delays by the method of steps.

    ẋ(t) = φ(t, x(t), x(t − r), u(t), u(t − s), p),   x = ξ on [−r, 0),   u = υ on [−s, 0),   t ∈ [0, T].

Where T, r and s are whole multiples of one step δ = T/K, the K pieces of the trajectory run side by side on [0, δ]:

    x_k(τ) = x(k δ + τ),   ẋ_k = φ(k δ + τ, x_k, x_{k − r/δ}, u_k, u_{k − s/δ}, p),   x_k(0) = x_{k−1}(δ),

a problem of K n states and K m controls without any delay (``DelayProblem.stacked``), which methods that take
constraints solve and the referee judges; ``ocdl.unstacked`` lays the pieces end to end again.
Source: Göllmann, Kern and Maurer, Optim. Control Appl. Meth. 30 (2009), section 4.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import finite_array, is_real, is_whole, shown
from ocdl.callables import called
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.bounds import Box, Free
from ocdl.statement.problem import ControlProblem, check_horizon

NAMES = ("t", "x", "u", "p", "x_lag", "u_lag")  # what dynamics, running and path may take
MOST_PIECES = 200
WHOLE = 1e-9  # by which a multiple of the step may miss a whole number


@dataclass(frozen=True, eq=False, kw_only=True)
class DelayProblem:
    """An optimal control problem whose state or controls act with a delay (see the module's formula).

    dynamics: φ, running: L, path: c: functions of those they need of ``t, x, u, p, x_lag, u_lag``, where x_lag is
        x(t − state_lag) and u_lag is u(t − control_lag).
    terminal: ℓ, a function of some of ``t, x, p``. boundary: B, of some of ``x0, xT, t, p``.
    state_lag, control_lag: r and s > 0, where x_lag and u_lag are taken.
    history, control_history: ξ and υ, what states and controls were before 0: numbers (n,) and (m,), or functions of t
        written with CasADi or numpy.
    initial: x(0), shape (n,), numbers or ``Free``. horizon: T > 0, a whole multiple of a step of which both lags are.
    final, bounds, states, controls, parameters: as of a ControlProblem; bounds do not depend on depth.

    Raises InvalidInput where no common step of at least T/200 exists, NotSupported for a free horizon.
    """

    dynamics: Callable[..., Any]
    initial: Any
    horizon: float
    state_lag: float | None = None
    control_lag: float | None = None
    history: Any = None
    control_history: Any = None
    final: Any = None
    running: Callable[..., Any] | None = None
    terminal: Callable[..., Any] | None = None
    path: Callable[..., Any] | None = None
    boundary: Callable[..., Any] | None = None
    bounds: Box = field(default_factory=Box)
    states: Sequence[str] | None = None
    controls: int | Sequence[str] = 1
    parameters: int | Sequence[str] = 0

    def __post_init__(self) -> None:
        if isinstance(self.horizon, Free):
            raise NotSupported(f"horizon={self.horizon!r}: a fixed lag needs a horizon that is given.")
        check_horizon(self.horizon)
        for name in ("state_lag", "control_lag"):
            lag = getattr(self, name)
            if lag is not None and not (is_real(lag) and np.isfinite(lag) and lag > 0.0):
                raise InvalidInput(f"{name}={shown(lag)}: a lag is a positive number, or None where there is no delay.")
        varying = [name for name in self.bounds.names if self.bounds.varies(name)]
        if varying:
            raise NotSupported(f"{self.bounds!r}: bounds of a DelayProblem do not depend on depth; {varying[0]} does.")
        for role in ("dynamics", "running", "path"):
            self._check_names(role)
        if np.ndim(self.initial) != 1:
            raise InvalidInput(f"initial: the state at 0, shape (n,), is needed; got shape {np.shape(self.initial)}.")
        _ = self.pieces, self._histories

    def _check_names(self, role: str) -> None:
        taken = [] if getattr(self, role) is None else list(inspect.signature(getattr(self, role)).parameters)
        unknown = [name for name in taken if name not in NAMES]
        if unknown:
            raise InvalidInput(
                f"{role}: its arguments are taken by name from {', '.join(NAMES)}; got {', '.join(unknown)}."
            )
        for name, lag, past in (("x_lag", "state_lag", "history"), ("u_lag", "control_lag", "control_history")):
            missing = [given for given in (lag, past) if getattr(self, given) is None]
            if name in taken and missing:
                raise InvalidInput(f"{role}: it takes {name}, which needs {' and '.join(missing)}.")

    # -- the pieces --------------------------------------------------------------------------------------------

    @cached_property
    def pieces(self) -> int:
        """K, the fewest equal pieces of the horizon of which both lags are whole multiples, or no shorter than it."""
        lags = [lag for lag in (self.state_lag, self.control_lag) if lag is not None]
        shares = np.array([lag / self.horizon for lag in lags if lag < self.horizon])
        for count in range(1, MOST_PIECES + 1):
            lengths = count * shares
            if np.all(np.abs(lengths - np.rint(lengths)) <= WHOLE * count) and np.all(lengths > 0.5):
                return count
        raise InvalidInput(
            f"horizon={self.horizon:g}, lags {', '.join(f'{lag:g}' for lag in lags)}: no step of at least "
            f"T/{MOST_PIECES} divides them all; the method of steps needs one. Make horizon and lags whole "
            "multiples of one step."
        )

    @property
    def step(self) -> float:
        """δ."""
        return self.horizon / self.pieces

    @property
    def n(self) -> int:
        """Number of states."""
        return int(np.shape(self.initial)[0])

    @property
    def m(self) -> int:
        """Number of controls."""
        return len(self._names("controls"))

    @cached_property
    def _histories(self) -> dict[str, Callable[[Any], Any]]:
        """What x_lag and u_lag are before 0, as columns of t."""
        given = {"x_lag": ("history", self.history, self.n), "u_lag": ("control_history", self.control_history, self.m)}
        return {name: _column_of_t(*what) for name, what in given.items() if what[1] is not None}

    def _at(self, k: int, t: Any, x: Any, u: Any, p: Any) -> dict[str, Any]:
        """What the user's functions may take in piece k."""
        now = t + k * self.step
        found = {"t": now, "x": _piece(x, k, self.n), "u": _piece(u, k, self.m), "p": p}
        lagged = (("x_lag", self.state_lag, x, self.n), ("u_lag", self.control_lag, u, self.m))
        for name, lag, of, size in lagged:
            if lag is not None and name in self._histories:
                earlier = k - round(lag / self.step)
                found[name] = _piece(of, earlier, size) if earlier >= 0 else self._histories[name](now - lag)
        return found

    def _each(self, role: str) -> Callable[..., Any] | None:
        """The function of every piece, one below the other."""
        function = getattr(self, role)
        if function is None:
            return None
        taken = list(inspect.signature(function).parameters)

        def stacked(t: Any, x: Any, u: Any, p: Any) -> Any:
            parts = []
            for k in range(self.pieces):
                at = self._at(k, t, x, u, p)
                parts.append(_column(role, function, {name: at[name] for name in taken}))
            if role == "dynamics" and parts[0].numel() != self.n:
                raise InvalidInput(f"dynamics: {self.n} state(s) need {self.n} derivative(s); got {parts[0].numel()}.")
            return ca.vertcat(*parts)

        return stacked

    # -- the problem without delays, and back ------------------------------------------------------------------

    def stacked(self) -> ControlProblem:
        """The pieces side by side: a ControlProblem on [0, δ] with states such as ``x0[2]``, x0 in piece 2."""
        K, n = self.pieces, self.n
        begin = [value.begin if isinstance(value, Free) else float(value) for value in self.initial]
        running = self._each("running")
        return ControlProblem(
            dynamics=self._each("dynamics"),  # type: ignore[arg-type]
            initial=[*self.initial, *(Free(guess=value) for value in begin * (K - 1))],
            horizon=self.step,
            final=None if self.final is None else [*[None] * (n * (K - 1)), *self.final],
            running=None if running is None else (lambda t, x, u, p: ca.sum1(running(t, x, u, p))),
            terminal=self._terminal,
            path=self._each("path"),
            boundary=self._linked if K > 1 or self.boundary is not None else None,
            bounds=self._stacked_bounds(),
            states=self.names_of("states"),
            controls=self.names_of("controls"),
            parameters=self.parameters,
        )

    @property
    def _terminal(self) -> Callable[..., Any] | None:
        terminal = self.terminal
        if terminal is None:
            return None
        taken = list(inspect.signature(terminal).parameters)

        def last(x: Any, p: Any) -> Any:
            given = {"t": ca.SX(self.horizon), "x": _piece(x, self.pieces - 1, self.n), "p": p}
            return _column("terminal", terminal, {name: given[name] for name in taken})

        return last

    def _linked(self, x0: Any, xT: Any, p: Any) -> Any:
        """x_k(0) − x_{k−1}(δ), and the user's own boundary rows."""
        links = x0[self.n :] - xT[: -self.n]
        if self.boundary is None:
            return links
        given = {"x0": x0[: self.n], "xT": xT[-self.n :], "t": ca.SX(self.horizon), "p": p}
        taken = {name: given[name] for name in inspect.signature(self.boundary).parameters}
        return ca.vertcat(links, _column("boundary", self.boundary, taken))

    def _stacked_bounds(self) -> Box:
        """Those of every piece; the links are equalities."""
        rows = {"x": self.n, "u": self.m, "p": len(self._names("parameters")), **self._rows}
        bounds = {name: self.bounds.interval(name, (rows.get(name, 0),)) for name in self.bounds.names}
        for name in {"x", "u", "path"} & set(bounds):
            bounds[name] = tuple(np.tile(end, self.pieces) for end in bounds[name])  # type: ignore[assignment]
        if "boundary" in bounds:
            links = np.zeros(self.n * (self.pieces - 1))
            bounds["boundary"] = tuple(np.append(links, end) for end in bounds["boundary"])  # type: ignore[assignment]
        return Box(**bounds)

    @property
    def _rows(self) -> dict[str, int]:
        """Number of rows of path, in a piece, and of the user's boundary."""
        K, n, p = self.pieces, self.n, ca.SX.sym("p", len(self._names("parameters")))
        x, u = ca.SX.sym("x", n * K), ca.SX.sym("u", self.m * K)
        path = self._each("path")
        return {
            "path": 0 if path is None else path(ca.SX.sym("t"), x, u, p).numel() // K,
            "boundary": 0 if self.boundary is None else self._linked(x, x, p).numel() - n * (K - 1),
        }

    def _names(self, what: str) -> list[str]:
        """Names of states, controls or parameters, where they are counted x0, x1, ...; u0, ...; p0, ...."""
        given = getattr(self, what)
        count = self.n if given is None else given
        letter = {"states": "x", "controls": "u", "parameters": "p"}[what]
        return [f"{letter}{i}" for i in range(count)] if is_whole(count) else list(given)

    def names_of(self, what: str) -> list[str]:
        """The names of states or controls of all pieces, piece after piece."""
        return [f"{name}[{k}]" for k in range(self.pieces) for name in self._names(what)]


def _piece(of: Any, k: int, size: int) -> Any:
    return of[k * size : (k + 1) * size]


def _column(role: str, function: Callable[..., Any], arguments: dict[str, Any]) -> ca.SX:
    """What the user's function returns, as a column."""
    lengths = ", ".join(f"{name} of length {value.numel()}" for name, value in arguments.items()) or "nothing"
    value = called(role, lengths, function, **arguments)
    parts = list(value.ravel()) if isinstance(value, np.ndarray) else value
    return ca.vertcat(*parts) if isinstance(parts, (list, tuple)) else ca.SX(parts)


def _column_of_t(name: str, given: Any, size: int) -> Callable[[Any], Any]:
    """A history as a function of a symbol t that returns a column of ``size``."""
    if not callable(given):
        values = finite_array(name, given)
        if values.shape not in ((), (size,)):
            raise InvalidInput(f"{name}={shown(given)}: {size} number(s) or a function of t are needed.")
        return lambda t: ca.SX(np.broadcast_to(values, (size,)))

    def column(t: Any) -> Any:
        value = _column(name, given, {"t": t})
        if value.shape != (size, 1):
            raise InvalidInput(f"{name}: it must return {size} expression(s) in t; got shape {value.shape}.")
        return value

    column(ca.SX.sym("t"))
    return column
