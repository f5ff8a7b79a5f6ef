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
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.bounds import Box
from ocdl.errors import InvalidInput
from ocdl.layout import Layout, Part
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]

ARGUMENTS = ("t", "x", "u", "p", "d", "z")


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

    def __post_init__(self) -> None:
        horizon = self.horizon
        if not isinstance(horizon, (int, float, np.floating)) or not math.isfinite(horizon) or horizon <= 0.0:
            raise InvalidInput(f"horizon={horizon!r}: the horizon T must be a positive finite number.")
        x0 = finite_array("initial", self.initial)
        if x0.ndim not in (1, 2) or x0.size == 0:
            raise InvalidInput(f"initial: shape (n,) for one sample or (S, n) for S is needed; got {x0.shape}.")
        set_ = object.__setattr__
        set_(self, "initial", np.atleast_2d(x0))
        for name in ("controls", "parameters"):
            set_(self, name, _names(name, getattr(self, name)))
        set_(self, "states", _names("states", self.n if self.states is None else self.states))
        if len(self.states or ()) != self.n:
            raise InvalidInput(f"states={self.states}: the initial value has {self.n} states.")
        set_(self, "data", self._checked_data())
        set_(self, "weights", self._checked_weights())
        for name, size in (("state_metric", self.n), ("control_metric", self.m), ("parameter_metric", self.P)):
            metric = np.ones(size) if getattr(self, name) is None else finite_array(name, getattr(self, name))
            if metric.shape != (size,) or np.any(metric <= 0):
                raise InvalidInput(f"{name}: {size} positive weights are needed; got shape {metric.shape}.")
            set_(self, name, metric)
        unknown = set(self.bounds.names) - {"u", "p"}
        if unknown:
            raise InvalidInput(f"{self.bounds!r}: a ControlProblem's box has intervals for u and p; got {unknown}.")
        if self.layout is None:
            set_(self, "layout", self._default_layout())
        _ = self.control_box, self.parameter_box, self.rate  # shapes are checked here, not in a solve

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

    def evaluate(self, role: str, kind: type = ca.SX, **given: Any) -> Any:
        """The expression of ``role`` (``dynamics``, ``running``, ...) at CasADi ``given`` values.

        A missing z is eliminated by the lift. Zero where the problem has no such role.
        """
        function = getattr(self, role)
        if function is None:
            return kind(0)
        wanted = _arguments(role, function)
        if "z" in wanted and "z" not in given:
            given["z"] = self.evaluate("lift", kind, **given)
        with warnings.catch_warnings():  # CasADi announces a future change of np.tanh(DM)
            warnings.simplefilter("ignore", FutureWarning)
            return _column(role, function(**{name: given[name] for name in wanted}))

    def symbols(self, kind: type = ca.SX) -> dict[str, Any]:
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
        if rate.shape != (self.n, 1):
            raise InvalidInput(f"dynamics: {self.n} states need {self.n} derivatives; got shape {rate.shape}.")
        return ca.Function("rate", list(s.values()), [ca.densify(rate)], list(s), ["rate"])

    @cached_property
    def terminal_function(self) -> ca.Function:
        """ℓ as a function (x, p, d) → loss and its gradients in x and p."""
        s = self.symbols()
        x, p, d = s["x"], s["p"], s["d"]
        loss = _scalar("terminal", self.evaluate("terminal", **{**s, "t": ca.SX(self.horizon)}))
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
        leading = np.shape(next(iter(parts.values())))[:1]
        return self.layout.pack(self.layout.controls, parts, leading)

    def unpack(self, u: Array) -> dict[str, Array]:
        """Named arrays from controls u (..., m)."""
        assert self.layout is not None
        return self.layout.unpack(self.layout.controls, u)

    # -- checks --------------------------------------------------------------------------------------

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


def finite_array(name: str, values: Any) -> Array:
    """``values`` as a float array; InvalidInput names ``name`` where that fails or a value is not finite."""
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name}: numbers in a regular array are needed; {error}.") from None
    if not np.all(np.isfinite(array)):
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InvalidInput(f"{name}: all values must be finite; got {array[at]} at index {at}.")
    return array


def _names(what: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        if given < 0:
            raise InvalidInput(f"{what}={given}: a number of {what} cannot be negative.")
        letter = {"states": "x", "controls": "u", "parameters": "p"}[what]
        return tuple(f"{letter}{i}" for i in range(given))
    if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given):
        return tuple(given)
    raise InvalidInput(f"{what}={given!r}: give a number of {what} or a list of their names.")


def _arguments(role: str, function: Callable[..., Any]) -> list[str]:
    names = list(inspect.signature(function).parameters)
    unknown = [name for name in names if name not in ARGUMENTS]
    if unknown:
        raise InvalidInput(
            f"{role}: its arguments are taken by name from {', '.join(ARGUMENTS)}; got {', '.join(unknown)}."
        )
    return names


def _column(role: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = list(value.ravel())
    if isinstance(value, (list, tuple)):
        value = ca.vertcat(*value)
    if isinstance(value, (int, float, np.floating)):
        value = ca.SX(float(value))
    if not isinstance(value, (ca.SX, ca.MX, ca.DM)):
        raise InvalidInput(f"{role}: must return a CasADi expression or a list of them; got {type(value).__name__}.")
    return value


def _scalar(role: str, value: Any) -> Any:
    if value.numel() != 1:
        raise InvalidInput(f"{role}: must return one number; got shape {value.shape}.")
    return value
