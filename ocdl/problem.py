"""ControlProblem: the statement of a finite-dimensional optimal control problem, and nothing else.

    min Σ_s ω_s [ ℓ(x_s(T), p, d_s) + ∫_0^T L(t, x_s, u, p, d_s) dt ] + ∫_0^T E(t, u, p) dt + P(p)
    ẋ_s = φ(t, x_s, u, p, d_s, z_s),  z_s = g(t, x_s, u, p, d_s),  x_s(0) = x_s^0,  u and p in a box,

for S samples s that share the controls u and the parameters p. S = 1 is ordinary optimal control.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array, finite_array, is_real, is_whole
from ocdl.batch import Batch
from ocdl.bounds import Box
from ocdl.errors import InvalidInput, OcdlError
from ocdl.layout import Layout, Part
from ocdl.velocity_box import VelocityBox

ROLES = {  # the functions of a problem, and what each may depend on
    "dynamics": "txupdz",
    "lift": "txupd",
    "running": "txupdz",
    "terminal": "txpd",
    "effort": "tup",
    "penalty": "p",
}
COLUMNS = ("dynamics", "lift")  # the others are scalars


@dataclass(frozen=True, eq=False, kw_only=True)
class ControlProblem:
    """An optimal control problem (see the module's formula).

    dynamics: φ, running: L, terminal: ℓ, effort: E, penalty: P, lift: g. Each is a function of those it needs of
        ``t, x, u, p, d, z``, told apart by these argument names; x, u, p, d, z arrive as CasADi
        columns; return a CasADi expression or a list of them. Write with CasADi or numpy functions.
    initial: x^0, shape (n,) for one sample or (S, n).
    horizon: T > 0.
    bounds: ``Box(u=(lower, upper), p=(lower, upper))``, scalars or arrays of shape (m,), (P,).
    states, controls, parameters: how many, or their names, used as labels.
    data: d, shape (S, k). weights: ω (S,) > 0, normalised to sum 1; equal by default.
    layout, state_metric (n,), control_metric (m,), parameter_metric (P,): names and quadrature weights of a
        discretised function space; every reported gradient is divided by them.
    velocity_box: closed-form structure of one sample, where the builder knows it.
    columnwise: dynamics and lift take only x, u, p, z, and x of many columns at once (matrix products, entrywise
        functions); wide problems are then swept without Jacobians.

    Raises InvalidInput for shapes that disagree, NaN, or functions that do not fit.
    """

    dynamics: Callable[..., Any]
    initial: Any
    horizon: float
    terminal: Callable[..., Any] | None = None
    running: Callable[..., Any] | None = None
    effort: Callable[..., Any] | None = None
    penalty: Callable[..., Any] | None = None
    lift: Callable[..., Any] | None = None
    bounds: Box = field(default_factory=Box)
    states: Sequence[str] | None = None
    controls: int | Sequence[str] = 1
    parameters: int | Sequence[str] = 0
    data: Any = None
    weights: Any = None
    layout: Layout | None = None
    state_metric: Any = None
    control_metric: Any = None
    parameter_metric: Any = None
    velocity_box: VelocityBox | None = None
    columnwise: bool = False

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        check_horizon(self.horizon)
        set_(self, "horizon", float(self.horizon))
        if not isinstance(self.bounds, Box):
            raise InvalidInput(f"bounds={self.bounds!r}: give an instance such as ocdl.Box(u=(-1, 1)).")
        x0 = finite_array("initial", self.initial)
        if x0.ndim not in (1, 2) or x0.size == 0:
            raise InvalidInput(f"initial: shape (n,) for one sample or (S, n) for S is needed; got {x0.shape}.")
        set_(self, "initial", np.atleast_2d(x0))
        for name in ("controls", "parameters"):
            set_(self, name, _names(name, getattr(self, name)))
        set_(self, "states", _names("states", self.n if self.states is None else self.states))
        if len(self.states or ()) != self.n:
            raise InvalidInput(f"states: {len(self.states or ())} given, but the initial value has {self.n}.")
        set_(self, "data", self._checked_data())
        set_(self, "weights", self._checked_weights())
        for name, size in (("state_metric", self.n), ("control_metric", self.m), ("parameter_metric", self.P)):
            metric = np.ones(size) if getattr(self, name) is None else finite_array(name, getattr(self, name))
            if metric.shape != (size,) or np.any(metric <= 0):
                raise InvalidInput(f"{name}: {size} positive weights are needed; got {metric}.")
            set_(self, name, metric)
        unknown = set(self.bounds.names) - {"u", "p"}
        if unknown:
            raise InvalidInput(f"{self.bounds!r}: a ControlProblem's box has intervals for u and p; got {unknown}.")
        if self.layout is None:
            set_(self, "layout", self._default_layout())
        _ = self.control_box, self.parameter_box  # shapes are checked here, not in a solve
        for role in ROLES:
            self._check_formula(role)

    # -- sizes -------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of states of one sample."""
        return int(np.shape(self.initial)[-1])

    @property
    def m(self) -> int:
        """Number of controls."""
        return len(self.controls)  # type: ignore[arg-type]

    @property
    def P(self) -> int:
        """Number of time-invariant parameters."""
        return len(self.parameters)  # type: ignore[arg-type]

    @property
    def samples(self) -> int:
        """Number of samples S."""
        return int(np.shape(self.initial)[0])

    @property
    def x0(self) -> Array:
        """Initial states, shape (S, n)."""
        return np.asarray(self.initial)

    @cached_property
    def control_box(self) -> tuple[Array, Array]:
        """Lower and upper bounds of u, each (m,)."""
        return self.bounds.interval("u", (self.m,))

    @cached_property
    def parameter_box(self) -> tuple[Array, Array]:
        """Lower and upper bounds of p, each (P,)."""
        return self.bounds.interval("p", (self.P,))

    @property
    def has_running_cost(self) -> bool:
        return self.running is not None or self.effort is not None

    # -- the formulas as CasADi expressions and functions ----------------------------------------

    def evaluate(self, role: str, kind: Any = ca.SX, **given: Any) -> Any:
        """The expression of ``role`` (``dynamics``, ``running``, ...) at CasADi ``given`` values.

        A missing z is eliminated by the lift. Zero where the problem has no such role.
        """
        function = getattr(self, role)
        if function is None:
            return kind(0)
        wanted = _arguments(role, function)
        if "z" in wanted and self.lift is None:
            raise InvalidInput(f"{role}: it takes z, but the problem has no lift that defines z.")
        if "z" in wanted and "z" not in given:
            given["z"] = self.evaluate("lift", kind, **given)
        arguments = {name: given[name] for name in wanted}
        with warnings.catch_warnings():  # CasADi announces a future change of np.tanh(DM)
            warnings.simplefilter("ignore", FutureWarning)
            try:
                value = function(**arguments)
            except OcdlError:
                raise
            except Exception as error:  # the user's own function may raise what it likes
                raise InvalidInput(f"{role}: {_complaint(arguments, error)}.") from error
        return _expression(role, value, kind)

    def symbols(self, kind: Any = ca.SX) -> dict[str, Any]:
        """Fresh symbols t, x, u, p, d of one sample."""
        sizes = {"t": 1, "x": self.n, "u": self.m, "p": self.P, "d": int(np.shape(self.data)[1])}
        return {name: kind.sym(name, size) for name, size in sizes.items()}

    @cached_property
    def lifted(self) -> int:
        """Number of lifted (algebraic) variables z of one sample."""
        return 0 if self.lift is None else int(self.evaluate("lift", **self.symbols()).numel())

    @cached_property
    def rate(self) -> ca.Function:
        """φ as a function (t, x, u, p, d) → ẋ of one sample."""
        s = self.symbols()
        rate = self.evaluate("dynamics", **s)
        return ca.Function("rate", list(s.values()), [ca.densify(rate)], list(s), ["rate"])

    @cached_property
    def terminal_function(self) -> ca.Function:
        """ℓ as a function (x, p, d) → loss and its gradients in x and p."""
        s = self.symbols()
        x, p, d = s["x"], s["p"], s["d"]
        loss = self.evaluate("terminal", **{**s, "t": ca.SX(float(self.horizon))})
        return ca.Function(
            "terminal", [x, p, d], [loss, ca.densify(ca.gradient(loss, x)), ca.densify(ca.gradient(loss, p))]
        )

    def terminal_loss(self, x: Any, p: Any = None, sample: int = 0) -> Array:
        """ℓ of one sample at any states x (..., n); shape (...)."""
        x = np.asarray(x, dtype=float)
        columns = x.reshape(-1, self.n).T
        p = np.zeros(self.P) if p is None else np.asarray(p, dtype=float)
        loss = self._terminal_batch(columns, p, np.asarray(self.data)[sample])[0]
        return loss.reshape(x.shape[:-1])

    @cached_property
    def _terminal_batch(self) -> Batch:
        return Batch(self.terminal_function, shared=(1, 2))

    # -- vectors with names ------------------------------------------------------------------------

    def pack(self, **parts: Any) -> Array:
        """Controls u (N, m) from named arrays, e.g. a (N, M) and b (N, M, M)."""
        assert self.layout is not None
        leading = np.shape(next(iter(parts.values()), ()))[:1]
        return self.layout.pack(self.layout.controls, parts, leading)

    def unpack(self, u: Array) -> dict[str, Array]:
        """Named arrays from controls u (..., m)."""
        assert self.layout is not None
        return self.layout.unpack(self.layout.controls, u)

    # -- checks --------------------------------------------------------------------------------------

    def _check_formula(self, role: str) -> None:
        """Evaluate ``role`` once: what it takes, what it returns, and that it depends on nothing else."""
        function = getattr(self, role)
        if function is None and role != "dynamics":
            return
        if not callable(function):
            raise InvalidInput(f"{role}={function!r}: give a function of {', '.join(ROLES[role])}.")
        s = self.symbols()
        value = self.evaluate(role, **s)
        if role == "dynamics" and value.shape != (self.n, 1):
            raise InvalidInput(f"dynamics: {self.n} state(s) need {self.n} derivative(s); got {_shape(value)}.")
        free = ca.Function(role, list(s.values()), [value], {"allow_free": True}).free_sx()
        if free:
            names = ", ".join(str(symbol) for symbol in free)
            raise InvalidInput(f"{role}: it may depend on its own arguments only; it also holds the symbol(s) {names}.")

    def _checked_data(self) -> Array:
        data = np.zeros((self.samples, 0)) if self.data is None else finite_array("data", self.data)
        data = data[None, :] if data.ndim == 1 else data
        if data.ndim != 2 or data.shape[0] != self.samples:
            raise InvalidInput(f"data: one row a sample, shape ({self.samples}, k), is needed; got {data.shape}.")
        return data

    def _checked_weights(self) -> Array:
        weights = np.ones(self.samples) if self.weights is None else finite_array("weights", self.weights)
        if weights.shape != (self.samples,) or np.any(weights <= 0.0):
            raise InvalidInput(f"weights: {self.samples} positive sample weights are needed; got {weights}.")
        return weights / weights.sum()

    def _default_layout(self) -> Layout:
        states, controls, parameters = (tuple(v or ()) for v in (self.states, self.controls, self.parameters))  # type: ignore[arg-type]
        return Layout(
            state=Part("x", ("state",), (self.n,)),
            controls=(Part("u", ("control",), (self.m,)),),
            parameters=(Part("p", ("parameter",), (self.P,)),) if self.P else (),
            coords={
                "state": (("state",), list(states)),
                "control": (("control",), list(controls)),
                "parameter": (("parameter",), list(parameters)),
            },
        )


def check_horizon(horizon: Any) -> None:
    """Raise InvalidInput where T is no positive finite number."""
    if not is_real(horizon) or not math.isfinite(horizon) or horizon <= 0.0:
        raise InvalidInput(f"horizon={horizon!r}: the horizon T must be a positive finite number.")


def _names(what: str, given: Any) -> tuple[str, ...]:
    if is_whole(given):
        if given < 0:
            raise InvalidInput(f"{what}={given}: a number of {what} cannot be negative.")
        letter = {"states": "x", "controls": "u", "parameters": "p"}[what]
        return tuple(f"{letter}{i}" for i in range(given))
    if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given):
        return tuple(given)
    raise InvalidInput(f"{what}={given!r}: give a number of {what} or a list of their names.")


def _arguments(role: str, function: Callable[..., Any]) -> list[str]:
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:
        raise InvalidInput(f"{role}: {function!r} does not tell its argument names; wrap it in a lambda.") from None
    unknown = [name for name in names if name not in ROLES[role]]
    if unknown:
        raise InvalidInput(
            f"{role}: its arguments are taken by name from {', '.join(ROLES[role])}; got {', '.join(unknown)}."
        )
    return names


def _complaint(arguments: dict[str, Any], error: Exception) -> str:
    """What a user's function was called with and how it ended; of CasADi's text the last line, which says what."""
    called = ", ".join(f"{name} of length {value.numel()}" for name, value in arguments.items())
    lines = [line for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    return f"called with {called or 'nothing'} it raised {type(error).__name__}: {lines[-1]}"


def _expression(role: str, value: Any, kind: Any) -> Any:
    """``value`` as a column of ``kind`` (SX or MX); one number where the role is a scalar."""
    parts = list(value.ravel()) if isinstance(value, np.ndarray) else value
    parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    parts = [float(part) if is_real(part) else part for part in parts]
    for part in parts:
        if not isinstance(part, (kind, ca.DM, float)):
            raise InvalidInput(
                f"{role}: it must return an expression in its arguments or a list of them; got {type(part).__name__}."
            )
    column = parts[0] if len(parts) == 1 and not isinstance(parts[0], float) else ca.vertcat(*parts)
    column = column if isinstance(column, kind) else kind(column)
    if role not in COLUMNS and column.numel() != 1:
        raise InvalidInput(f"{role}: it must return one number; got {_shape(column)}.")
    return column


def _shape(value: Any) -> str:
    return f"{value.numel()}" if value.shape[1] == 1 else f"shape {value.shape}"
