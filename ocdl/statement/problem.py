"""ControlProblem: the statement of a finite-dimensional optimal control problem, and nothing else.

    min Σ_s ω_s [ ℓ(x_s(T), p, d_s) + ∫_0^T L(t, x_s, u, p, d_s) dt ] + ∫_0^T E(t, u, p) dt + P(p)
    ẋ_s = φ(t, x_s, u, p, d_s, z_s),  z_s = g(t, x_s, u, p, d_s),  x_s(0) = x_s^0,  u and p in a box,
    and where asked for: noise, dx_s = φ dt + σ(t, x_s, u, p, d_s, z_s) dW_s, and means over it; x_s in a box,
    path c(t, x_s, u, p, d_s, z_s) and boundary B(x_s(0), x_s(T), T, p, d_s)
    in intervals, parts of x_s(0) and x_s(T) given or free in an interval, T free; time begins at 0, or at t0 (x(0) then
    stands for the initial value), given or free,

for S samples s that share the controls u and the parameters p. S = 1 is ordinary optimal control.

What is free beside the controls is a parameter of the core: p = [the user's own, free initial states, t0, horizon];
with a free horizon the core lives on depths τ in [0, 1], where ẋ = horizon · φ and t = t0 + horizon · τ (``times``).
``evaluate`` does that, so no route needs to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import (
    Array,
    finite_array,
    positive_array,
)
from ocdl.batch import Batch
from ocdl.callables import called, numpy_on_casadi
from ocdl.depth.schemes import Layers
from ocdl.errors import InvalidInput, NotSupported
from ocdl.once import Built
from ocdl.statement.bounds import Box, Free
from ocdl.statement.budget import Budget
from ocdl.statement.conditions import checked_conditions, conditioned
from ocdl.statement.control_set import ControlSet
from ocdl.statement.extended import Reduction
from ocdl.statement.formulas import ROLES, check_columns, check_pure, expression, protected, shape_of
from ocdl.statement.given import data_rows, final_rows, names_of, rows_of_states, sample_weights, suspects
from ocdl.statement.labelled import by_labels
from ocdl.statement.layout import Layout, layout_of
from ocdl.statement.measurements import Measurements
from ocdl.statement.names import Names, Signature, formula
from ocdl.statement.noise import completed, stated_noise
from ocdl.statement.reductions import reduced
from ocdl.statement.risk import Risk
from ocdl.statement.table import Reading, readings, watched
from ocdl.statement.times import Times, check_horizon, check_t0
from ocdl.statement.velocity_box import VelocityBox

PER_DEPTH = ("dynamics", "running", "effort")  # multiplied by T on the depths t/T of a free horizon
ROUNDING = 1e-9  # by which an end may lie outside its bounds
HULL_DEPTHS = 1025  # of bounds that depend on depth
ENDS = ("free_initial", "x0", "final_box", "parameter_box", "parameter_guess")
NUMBERS = (*ENDS, "control_box", "state_hull")  # cached
FORMULAS = ("rate", "terminal_function", "lifted", "_rows")  # cached, too
INTERVALS = {"path": (-np.inf, 0.0), "boundary": (0.0, 0.0)}  # of constraints whose interval is not given


@dataclass(frozen=True, eq=False, kw_only=True)
class ControlProblem:
    """An optimal control problem (see the module's formula).

    dynamics: φ, running: L, terminal: ℓ, effort: E, penalty: P, lift: g, path: c, noise: σ. Each is a function of those
        it needs of ``t, x, u, p, d, z``, told apart by these argument names; x, u, p, d, z arrive as CasADi
        columns; return a CasADi expression or a list of them. Write with CasADi or numpy functions. Every function,
        also that of boundary, may take ``t0`` and ``T``, the initial and the final time, given or free. What depends on
        nothing may be a number: ``running=1.0``.
    boundary: B, a function of those it needs of ``x0, xT, t, p, d``, where t is T; of controls with bounded rates also
        of ``u0, uT``.
    integral: g, a function as running is, that returns rows: of every sample ∫ g dt lies in ``Box(integral=...)``, by
        default 0. The integral so far is a state more, such as "integral[0]".
    periodic: True for x(T) = x(0) of all states, or the names of the states (and controls with bounded rates) that end
        as they begin; what begins is ``Free()`` in ``initial``.
    noise: σ, a function as dynamics is, or numbers, of a matrix (n, k) for k Wiener processes, or (n,) for one that
        moves all states; every sample has its own. Methods that would leave it out refuse it.
    initial: x^0, shape (n,) for one sample or (S, n); entries may be ``Free(lower, upper)``.
    final: x(T), of the same shape; None, or ``Free(lower, upper)``, where it is not prescribed.
    t0: where time begins, 0 by default, or ``Free(lower, upper)``: t runs from t0 to T = t0 + horizon.
    horizon: T − t0 > 0, the final time T where t0 = 0, or ``Free(lower, upper)`` with lower > 0.
    bounds: ``Box(u=..., p=..., x=..., path=..., boundary=...)``, pairs (lower, upper) of numbers or arrays; those of u,
        x and path may be functions of t. ``rate=...`` bounds u̇, which dynamics, running, path and integral may take as
        ``du``: such controls become states, continuous in t, and their rates the controls (``rates``). path is in
        (−∞, 0] and boundary in [0, 0] where no interval is given. An equality of path, lower = upper, needs controls in
        it (``equalities``): it takes one of them away.
    states, controls, parameters: how many, or their names. Names are labels, and where functions, ``initial``,
        ``final`` and the box may take whole vectors they may take names (``names``): ``dynamics=lambda h, v, thrust:
        [v, thrust - 1]``, ``boundary=lambda h0, hT: hT - h0``, ``initial={"h": 0, "v": 1}``, ``Box(h=(0, None))``.
    units: of states, controls and parameters by name, such as {"h": "km"}; words for tables and figures.
    data: d, shape (S, k); it and ``initial`` may be memory-mapped arrays of float64, which stay in their files.
    weights: ω (S,) > 0, normalised to sum 1; equal by default.
    risk: what the samples' costs are worth instead of their mean, such as ``Exponential(2.0)``, ``CVaR(0.9)`` or
        ``WorstCase()``; effort and penalty, which all share, stay as they are. Its parameters, such as "tau", are
        parameters of the problem. With noise it is that of all J over it, and Exponential(k) alone has an equation.
    layout, state_metric (n,), control_metric (m,), parameter_metric (P,): names and quadrature weights of a
        discretised function space; every reported gradient is divided by them.
    velocity_box: closed-form structure of one sample, where the builder knows it.
    sample_box: the same for every one of many samples by itself.
    control_set: where the controls are in less than their box, which then is the smallest one around it.
    measurements: data of the states at given depths; their χ² is added to the cost.
    conditions: {t: values}: what the states, of every sample, are to be at depths t inside the horizon, (n,) each: a
        number, ``Free(lower, upper)``, or None where nothing is asked.
    reduction: what it was stated as before integral, periodic and rates became states and ends (``reductions``).
    budgets: integrals of controls over the depth that are given, ``(Budget("alpha", 1.0),)``; methods on controls alone
        keep them by projection, Ipopt by a linear constraint.
    discrete: the unit steps x_{k+1} = x_k + φ(x_k, u_k) *are* the statement, a network, no approximation of
        anything in between; on ``ExplicitEuler`` alone, and nothing is integrated anew by the certificate.
    columnwise: dynamics and lift take only x, u, p, z, and x of many columns at once (matrix products, entrywise
        functions); wide problems are then swept without Jacobians.

    Raises InvalidInput for shapes that disagree, NaN, or functions that do not fit.
    """

    dynamics: Callable[..., Any]
    initial: Any
    horizon: float | Free
    t0: float | Free = 0.0
    final: Any = None
    terminal: Callable[..., Any] | None = None
    running: Callable[..., Any] | None = None
    effort: Callable[..., Any] | None = None
    penalty: Callable[..., Any] | None = None
    lift: Callable[..., Any] | None = None
    path: Callable[..., Any] | None = None
    boundary: Callable[..., Any] | None = None
    integral: Callable[..., Any] | None = None
    noise: Any = None
    periodic: bool | Sequence[str] = False
    bounds: Box = field(default_factory=Box)
    states: Sequence[str] | None = None
    controls: int | Sequence[str] = 1
    parameters: int | Sequence[str] = 0
    units: Mapping[str, str] | None = None
    data: Any = None
    weights: Any = None
    risk: Risk | None = None
    layout: Layout | None = None
    state_metric: Any = None
    control_metric: Any = None
    parameter_metric: Any = None
    velocity_box: VelocityBox | None = None
    sample_box: VelocityBox | None = None
    control_set: ControlSet | None = None
    measurements: Measurements | None = None
    conditions: Mapping[float, Any] | None = None
    budgets: Sequence[Budget] = ()
    discrete: bool = False
    columnwise: bool = False
    reduction: Reduction = field(default_factory=Reduction, repr=False)
    readings: tuple[Reading, ...] = field(init=False, repr=False, default=())
    output: Callable[..., Any] | None = field(init=False, repr=False, default=None)
    equations: Callable[..., Any] | None = field(init=False, repr=False, default=None)
    _checked: ClassVar[bool] = False  # every formula has been seen to leave its arguments as they are

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if not isinstance(self.measurements, Measurements | None):
            raise InvalidInput(f"measurements={self.measurements!r}: give ocdl.Measurements(times=..., values=...).")
        set_(self, "output", None if self.measurements is None else self.measurements.output)
        set_(self, "equations", getattr(self.lift, "equations", None))
        if not isinstance(self.horizon, Free):
            check_horizon(self.horizon)
            set_(self, "horizon", float(self.horizon))
        elif not self.horizon.lower > 0.0:
            raise InvalidInput(f"horizon={self.horizon!r}: a free horizon needs a positive lower bound.")
        check_t0(self.t0)
        set_(self, "t0", self.t0 if isinstance(self.t0, Free) else float(self.t0))
        if not isinstance(self.bounds, Box):
            raise InvalidInput(f"bounds={self.bounds!r}: give an instance such as ocdl.Box(u=(-1, 1)).")
        named = {"state": (("state",), list(self.states))} if isinstance(self.states, list | tuple) else {}
        set_(self, "noise", stated_noise(self.noise))
        for role in (*ROLES, "integral"):
            set_(self, role, formula(getattr(self, role)))
        stated = Names({"x": tuple(names_of("states", () if self.states is None else self.states))})
        for name, value, missing in (("initial", self.initial, ()), ("final", self.final, None)):
            value = stated.row(name, value, "x", missing)
            set_(self, name, by_labels(name, value, ("sample", "state"), named))
        set_(self, "initial", rows_of_states("initial", self.initial))
        if self.final is not None:
            set_(self, "final", final_rows(self.final, self.samples, self.n))
        for name in ("controls", "parameters"):
            set_(self, name, names_of(name, getattr(self, name)))
        set_(self, "states", names_of("states", self.n if self.states is None else self.states))
        if len(self.states or ()) != self.n:
            raise InvalidInput(f"states: {len(self.states or ())} given, but the initial value has {self.n}.")
        set_(self, "bounds", self.names.box(self.bounds))
        self.names.check_units(self.units)
        set_(self, "data", data_rows(self.data, self.samples))
        set_(self, "weights", sample_weights(self.weights, self.samples))
        set_(self, "budgets", self._checked_budgets())
        changes = reduced(self)
        if changes is not None:
            vars(self).update(vars(replace(self, **changes)))
            return
        for name, size in (("state_metric", self.n), ("control_metric", self.m), ("parameter_metric", self.P)):
            metric = np.ones(size) if getattr(self, name) is None else getattr(self, name)
            set_(self, name, positive_array(name, metric, size, "weights"))
        self._check_interval_names()
        if self.layout is None:
            freed, rated = self._freed, len(self.reduction.rated)
            set_(self, "layout", layout_of(self.states, self.controls, self.parameters, freed, rated))
        if dict(self.units or {}) != self.layout.units:  # type: ignore[union-attr]
            set_(self, "layout", replace(self.layout, units=dict(self.units or {})))  # type: ignore[type-var]
        set_(self, "readings", ())
        for role in ROLES:
            self._check_formula(role)
        self._check_stations()
        if self.columnwise:
            self._check_columns()
        set_(self, "_checked", True)
        if self.budgets and self.times.free:
            raise NotSupported(
                f"{self.budgets[0]!r}: budgets need times that are given, and this problem leaves "
                f"{', '.join(self.times.free)} free; write it as integral=..., which may take any control."
            )
        self._check_intervals()
        self._check_tables()

    # -- the same formulas with other numbers ------------------------------------------------

    @cached_property
    def built(self) -> Built:
        """What was compiled from these formulas."""
        return Built()

    def with_formulas_of(self, other: ControlProblem) -> ControlProblem:
        """This problem, which takes over what was compiled for ``other``, whose formulas and sizes are the same."""
        vars(self)["built"] = other.built
        vars(self).update({name: vars(other)[name] for name in FORMULAS if name in vars(other)})
        return self

    def with_numbers(
        self, *, initial: Any = None, parameters: Any = None, data: Any = None, bounds: Box | None = None
    ) -> ControlProblem:
        """The same problem with other numbers of the same shapes, checked as ever; no formula is evaluated again.

        parameters: values (own_parameters,) at which the user's own parameters are held.

        Raises InvalidInput for other shapes, other free initial states, NaN, and ends that contradict the bounds.
        """
        other, set_ = copy(self).with_formulas_of(self), object.__setattr__
        for name in NUMBERS:
            vars(other).pop(name, None)
        if bounds is not None:
            if not isinstance(bounds, Box):
                raise InvalidInput(f"bounds={bounds!r}: give an instance such as ocdl.Box(u=(-1, 1)).")
            if self.reduction.stated is not None:
                raise InvalidInput(
                    f"{bounds!r}: the bounds of a problem with integral=..., periodic=... or rates belong to its "
                    "statement; state it anew with these."
                )
            if self.sample_box is not None:
                raise InvalidInput(f"{bounds!r}: bounds of a discretised SelectionProblem are those of a and b there.")
            set_(other, "bounds", self.names.box(bounds))
            other._check_interval_names()
        if parameters is not None:
            values = finite_array("parameters", self.names.row("parameters", parameters, "p"))
            if values.shape != (self.own_parameters,):
                raise InvalidInput(f"parameters: the shape ({self.own_parameters},) is needed; got {values.shape}.")
            set_(other, "bounds", other.bounds.holding("p", values))
        if initial is not None:
            named = {"state": (("state",), list(self.states or ()))}
            row = self.names.row("initial", self.reduction.named(initial, self), "x")
            rows = rows_of_states("initial", by_labels("initial", row, ("sample", "state"), named))
            set_(other, "initial", self.reduction.completed(rows, self.initial))
            if np.shape(other.initial) != np.shape(self.initial) or other.free_initial != self.free_initial:
                raise InvalidInput(
                    f"initial: {self.samples} sample(s) of {self.n} state(s) are needed, free where they were stated "
                    f"free; got shape {np.shape(other.initial)}."
                )
        if data is not None:
            set_(other, "data", data)
            set_(other, "data", data_rows(other.data, other.samples))
            if np.shape(other.data) != np.shape(self.data):
                raise InvalidInput(f"data: the shape {np.shape(self.data)} is needed; got {np.shape(other.data)}.")
        other._check_intervals()
        other._check_tables()
        return other

    def on_samples(self, rows: NDArray[np.intp], weights: Any = None) -> ControlProblem:
        """The same problem of some samples only, also repeated, their weights (rows,) relative to each other as they
        were or as given; nothing is checked or compiled again. Not for free initial states, measurements and
        conditions, which belong to single samples.
        """
        other, set_ = copy(self).with_formulas_of(self), object.__setattr__
        for name in NUMBERS:
            vars(other).pop(name, None)
        for name in ("initial", "data", *(("final",) if self.final is not None else ())):
            set_(other, name, np.asarray(getattr(self, name))[rows])
        weights = np.asarray(self.weights)[rows] if weights is None else weights
        set_(other, "weights", weights / weights.sum())
        return other

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
        """Number of time-invariant parameters: the user's own, free initial states, and free times."""
        return self.own_parameters + len(self.free_parameters)

    @property
    def own_parameters(self) -> int:
        """Number of parameters that the user's functions see."""
        return len(self.parameters)  # type: ignore[arg-type]

    @property
    def has_free_horizon(self) -> bool:
        return isinstance(self.horizon, Free)

    @property
    def also_free(self) -> str:
        """What is free beside the controls, such as "trains 2 parameters and leaves its horizon free"."""
        counts = {
            "trains {} parameter{}": self.own_parameters,
            "leaves {} initial state{} free": len(self.free_initial),
            "leaves its initial time free": int(isinstance(self.t0, Free)),
            "leaves its horizon free": int(self.has_free_horizon),
        }
        return " and ".join(said.format(k, "s" * (k > 1)) for said, k in counts.items() if k)

    @cached_property
    def times(self) -> Times:
        """The initial time and the horizon, and the true times of the core's depths."""
        return Times(self.t0, self.horizon)

    @property
    def span(self) -> float:
        """The length of the core's depth: the horizon, or 1 where it is free."""
        return self.times.span

    @property
    def free_parameters(self) -> list[Free]:
        """What is free behind the user's own parameters: initial states and times."""
        return [*(self.initial[place] for place in self.free_initial), *self.times.free.values()]

    @cached_property
    def free_initial(self) -> tuple[tuple[int, int], ...]:
        """(sample, state) of every free initial state, in the order of their parameters."""
        initial = np.asarray(self.initial)
        places = np.ndindex(*initial.shape) if initial.dtype == object else ()
        return tuple((s, i) for s, i in places if isinstance(initial[s, i], Free))

    @property
    def samples(self) -> int:
        """Number of samples S."""
        return int(np.shape(self.initial)[0])

    @cached_property
    def x0(self) -> Array:
        """Initial states, shape (S, n); the guesses of those that are free."""
        if not self.free_initial:
            return np.asarray(self.initial, dtype=float)
        begin = [v.begin if isinstance(v, Free) else v for v in np.ravel(self.initial)]
        return np.array(begin, dtype=float).reshape(np.shape(self.initial))

    def initial_states(self, p: Array) -> Array:
        """Initial states, shape (S, n), for parameters p (P,)."""
        x0 = self.x0 if not self.free_initial else self.x0.copy()
        for k, place in enumerate(self.free_initial):
            x0[place] = p[self.own_parameters + k]
        return x0

    @cached_property
    def control_box(self) -> tuple[Array, Array]:
        """Lower and upper bounds of u, each (m,). Raises NotSupported where they depend on depth."""
        return self.bounds.interval("u", (self.m,))

    def control_box_at(self, t: Array) -> tuple[Array, Array]:
        """Lower and upper bounds of u at depths t (K,), each (K, m)."""
        return self.bounds.interval_at("u", (self.m,), self.times.shifted(t))

    def coefficient_box(self, depth: Layers) -> tuple[Array, Array]:
        """Lower and upper bounds of the coefficients of the controls on the layers of ``depth``, each (Q, m)."""
        shape, mesh, nodes = depth.controls, depth.mesh(self.span), depth.tableau.c
        if not self.bounds.varies("u"):
            return self.control_box_at(shape.depths(mesh, nodes))
        return shape.bounds(self.control_box_at, mesh, nodes)

    def state_box_at(self, t: Array) -> tuple[Array, Array]:
        """Lower and upper bounds of x at depths t (K,), each (K, n), with the conditions at those that have some."""
        box = self.bounds.interval_at("x", (self.n,), self.times.shifted(t))
        return conditioned(box, t, self._conditioned, self.span)

    @cached_property
    def _conditioned(self) -> dict[float, tuple[Array, Array]]:
        """Depth → lower and upper ends (n,) of the states there."""
        return {} if self.conditions is None else checked_conditions(self.conditions, self.n, self.span)

    @cached_property
    def stations(self) -> Array:
        """The depths that have measurements or conditions, (K,); a mesh must have nodes there."""
        return np.unique([*self.measured_depths, *self._conditioned])

    @property
    def measured_depths(self) -> Array:
        """The depths of the measurements, (K,)."""
        return np.zeros(0) if self.measurements is None else np.asarray(self.measurements.times)

    @cached_property
    def state_hull(self) -> tuple[Array, Array]:
        """The least box that holds the bounds of x at ``HULL_DEPTHS`` depths, each end (n,)."""
        low, high = self.state_box_at(np.linspace(0.0, self.span, HULL_DEPTHS if self.bounds.varies("x") else 1))
        return low.min(axis=0), high.max(axis=0)

    def hull(self, vector: str, i: int) -> tuple[float, float]:
        """The bounds of entry i of t, x, u, p, x0 or xT, or of one of the data, over all depths and samples."""
        if vector == "t":
            return 0.0, self.span
        if vector == "d":
            data = np.asarray(self.data)[:, i]
            return float(data.min()), float(data.max())
        if vector == "u":
            low, high = self.control_box_at(np.linspace(0.0, self.span, HULL_DEPTHS if self.bounds.varies("u") else 1))
            return float(low[:, i].min()), float(high[:, i].max())
        low, high = self.parameter_box if vector == "p" else self.state_hull
        return float(low[i]), float(high[i])

    def entry_name(self, vector: str, i: int) -> str:
        """What the user calls entry i of x, u, p, x0 or xT; t is t."""
        names: Any = {"x": self.states, "u": self.controls, "p": self.parameters}.get(vector[0]) or ()
        return f"{names[i]}{vector[1:]}" if i < len(names) else vector

    @cached_property
    def final_box(self) -> tuple[Array, Array]:
        """Lower and upper bounds of x(T), each (S, n): ``final``, within the bounds of x."""
        ends = self.state_box_at(np.array([self.span]))
        low, high = (np.repeat(end, self.samples, axis=0) for end in ends)
        for place, value in np.ndenumerate(np.asarray(self.final if self.final is not None else np.empty((0, 0)))):
            free = value if isinstance(value, Free) else Free(value, value)
            low[place], high[place] = np.maximum(low[place], free.lower), np.minimum(high[place], free.upper)
        return low, high

    @cached_property
    def parameter_box(self) -> tuple[Array, Array]:
        """Lower and upper bounds of p, each (P,)."""
        low, high = self.bounds.interval("p", (self.own_parameters,))
        free = self.free_parameters
        low, high = np.append(low, [f.lower for f in free]), np.append(high, [f.upper for f in free])
        ends = self.state_box_at(np.zeros(1))  # a free initial state keeps to the box of the states
        for k, (_, i) in enumerate(self.free_initial, start=self.own_parameters):
            low[k], high[k] = np.maximum(low[k], ends[0][0, i]), np.minimum(high[k], ends[1][0, i])
        return low, high

    @cached_property
    def parameter_guess(self) -> Array:
        """Where the parameters begin: the guesses of what is free, elsewhere NaN."""
        return np.append(np.full(self.own_parameters, np.nan), [free.begin for free in self.free_parameters])

    def interval_at(self, role: str, t: Array) -> tuple[Array, Array]:
        """The interval of the constraint ``path`` or ``boundary`` at depths t (K,), each end (K, rows)."""
        if role not in self.bounds.names:
            return tuple(np.full((t.size, self.rows(role)), end) for end in INTERVALS[role])  # type: ignore[return-value]
        return self.bounds.interval_at(role, (self.rows(role),), self.times.shifted(t))

    def rows(self, role: str) -> int:
        """Number of rows of ``path`` or ``boundary``."""
        return self._rows[role]

    @cached_property
    def _rows(self) -> dict[str, int]:
        given = {role: getattr(self, role) is not None for role in INTERVALS}
        return {role: int(self.evaluate(role, **self.all_symbols()).numel()) if given[role] else 0 for role in given}

    @property
    def has_running_cost(self) -> bool:
        return self.running is not None or self.effort is not None

    @property
    def constraints(self) -> tuple[str, ...]:
        """The constraints beyond the boxes of controls and parameters, as the user wrote them."""
        own = {"x": ("Box(x=...)",)} if "x" in self.bounds.names else {}
        for role in ("final", "path", "boundary", "conditions"):
            if getattr(self, role) is not None:
                own[role] = (f"{role}=...",)
        return tuple(said for role, words in own.items() for said in self.reduction.written.get(role, words))

    # -- the formulas as CasADi expressions and functions ----------------------------------------

    def evaluate(self, role: str, kind: Any = ca.SX, **given: Any) -> Any:
        """The expression of ``role`` (``dynamics``, ``running``, ...) at CasADi ``given`` values.

        A missing z is eliminated by the lift. Zero where the problem has no such role.
        """
        function = getattr(self, role)
        if function is None:
            return kind(0)
        wanted = self._signature(role).needed
        if "t" in given:
            given["t"] = self.times.at(given["t"], given.get("p"))
        value = self._written(role, function, wanted, kind, given)
        if role == "noise":
            stated = self.n if self.reduction.stated is None else self.reduction.stated
            return completed(value, stated, self.n) * (given["p"][-1] ** 0.5 if self.has_free_horizon else 1.0)
        return value * given["p"][-1] if self.has_free_horizon and role in PER_DEPTH else value

    def _written(self, role: str, function: Any, wanted: list[str], kind: Any, given: dict[str, Any]) -> Any:
        """What the user's own function returns, on true depths and for the user's own parameters."""
        if "z" in wanted and self.lift is None:
            raise InvalidInput(f"{role}: it takes z, but the problem has no lift that defines z.")
        if "z" in wanted and "z" not in given:
            lift: Any = self.lift
            given["z"] = self._written("lift", lift, self._signature("lift").needed, kind, given)
        own = {"t0": self.times.begin, "T": self.times.end}
        arguments = {name: kind(own[name](given["p"])) if name in own else given[name] for name in wanted}
        if "p" in wanted and self.own_parameters < self.P:
            arguments["p"] = given["p"][: self.own_parameters]
        lengths = ", ".join(f"{name} of length {value.numel()}" for name, value in arguments.items()) or "nothing"
        with numpy_on_casadi():
            function = self._signature(role).call(function)
            if self._checked:
                value = called(role, lengths, function, **arguments)
            else:
                value = called(role, lengths, protected, role, function, arguments)
        return expression(role, value, kind)

    @cached_property
    def names(self) -> Names:
        """The user's own names of states, controls and parameters."""
        return Names.of(self.states, self.controls, self.parameters)  # type: ignore[arg-type]

    @cached_property
    def _signatures(self) -> dict[str, Signature]:
        """By role, once asked for; of these very functions, whatever else equal formulas share."""
        return {}

    def _signature(self, role: str) -> Signature:
        """What the function of ``role`` takes."""
        if role not in self._signatures:
            self._signatures[role] = self.names.signature(role, getattr(self, role), ROLES[role])
        return self._signatures[role]

    def arguments(self, role: str) -> list[str]:
        """What the function of ``role`` takes, by name; nothing where there is none."""
        return [] if getattr(self, role) is None else list(self._signature(role).needed)

    def symbols(self, kind: Any = ca.SX) -> dict[str, Any]:
        """Fresh symbols t, x, u, p, d of one sample."""
        sizes = {"t": 1, "x": self.n, "u": self.m, "p": self.P, "d": int(np.shape(self.data)[1])}
        return {name: kind.sym(name, size) for name, size in sizes.items()}

    def all_symbols(self) -> dict[str, Any]:
        """Those, and x0 and xT of the boundary."""
        return self.symbols() | {name: ca.SX.sym(name, self.n) for name in ("x0", "xT")}

    @cached_property
    def lifted(self) -> int:
        """Number of lifted (algebraic) variables z of one sample."""
        return 0 if self.lift is None else int(self.evaluate("lift", **self.symbols()).numel())

    def lift_rows(self, z: Any, **given: Any) -> Any:
        """What is zero where z is the lift's: z − g, or of an ``Implicit`` one its equations."""
        return (
            z - self.evaluate("lift", **given) if self.equations is None else self.evaluate("equations", z=z, **given)
        )

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
        loss = self.evaluate("terminal", **{**s, "t": ca.SX(self.span)})
        return ca.Function(
            "terminal", [x, p, d], [loss, ca.densify(ca.gradient(loss, x)), ca.densify(ca.gradient(loss, p))]
        )

    @cached_property
    def residual_function(self) -> ca.Function:
        """(t, x, p, d, one of ``measurements.columns``) → (h − y)/σ (r,), χ² and its gradients in x and p."""
        s, measurements = self.symbols(), self.measurements
        assert measurements is not None
        residuals, given = measurements.residuals(self.evaluate("output", **s))
        misfit, names = ca.sumsqr(residuals), ("t", "x", "p", "d")
        gradients = [ca.densify(ca.gradient(misfit, s[name])) for name in ("x", "p")]
        return ca.Function("misfit", [*(s[name] for name in names), given], [ca.densify(residuals), misfit, *gradients])

    def terminal_loss(self, x: Any, p: Any = None, sample: int = 0) -> Array:
        """ℓ of one sample at any states x (..., n); shape (...)."""
        x = np.asarray(x, dtype=float)
        columns = x.reshape(-1, self.n).T
        p = np.zeros(self.P) if p is None else np.asarray(p, dtype=float)
        loss = self._terminal_batch(columns, p, np.asarray(self.data)[sample])[0]
        return loss.reshape(x.shape[:-1])

    @property
    def _terminal_batch(self) -> Batch:
        return self.built.of("terminal", lambda: Batch(self.terminal_function, shared=(1, 2)))

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
        s = self.all_symbols()
        with watched() as calls:
            value = self.evaluate(role, **s)
        object.__setattr__(self, "readings", (*self.readings, *readings(role, calls, s)))
        if role == "dynamics" and value.shape != (self.n, 1):
            raise InvalidInput(f"dynamics: {self.n} state(s) need {self.n} derivative(s); got {shape_of(value)}.")
        wide = self.columnwise and role in ("dynamics", "lift")  # their second evaluation is that of columns
        check_pure(role, s, value, value if wide else self.evaluate(role, **s))

    def _check_columns(self) -> None:
        """Dynamics, and the lift in it, of several columns together and apart."""
        for role in ("dynamics", "lift"):
            function = getattr(self, role)
            beyond = set() if function is None else set(self._signature(role).needed) - {"x", "u", "p", "z"}
            if beyond:
                raise InvalidInput(
                    f"columnwise=True: {role} may take x, u, p and z only; it takes {', '.join(beyond)}."
                )
        check_columns(
            "dynamics", lambda x, u, p: self.evaluate("dynamics", ca.MX, x=x, u=u, p=p), self.n, self.m, self.P
        )

    def _check_stations(self) -> None:
        """Measurements and conditions fit the sizes and the horizon."""
        if self.measurements is None and self.conditions is None:
            return
        if self.times.free or self.t0 != 0.0:
            raise NotSupported(
                f"t0={self.t0!r}, horizon={self.horizon!r}: measurements and conditions at given depths need t0 = 0 "
                "and a horizon that is given."
            )
        for depth in self._conditioned:
            low, high = (end[0] for end in self.state_box_at(np.array([depth])))
            if np.any(low > high):
                i = int(np.argmax(low > high))
                raise InvalidInput(
                    f"conditions at t = {depth:g}: they and Box(x=...) contradict each other in state {self.states[i]}."  # type: ignore[index]
                )
        if self.measurements is not None:
            s = self.symbols()
            self.measurements.check(self.samples, int(self.evaluate("output", **s).numel()), self.span)

    def _check_interval_names(self) -> None:
        unknown = set(self.bounds.names) - {"u", "p", "x", *INTERVALS}
        if unknown:
            raise InvalidInput(
                f"{self.bounds!r}: a ControlProblem's box has intervals for integral, rate, u, p, x, path and boundary"
                f"{', and for ' + ', '.join(self.names.all) if self.names.all else ''}; got {unknown}."
            )
        for role in INTERVALS:
            if role in self.bounds.names and getattr(self, role) is None:
                raise InvalidInput(f"{self.bounds!r}: it bounds {role}, but the problem has no {role}=....")
        varying = [name for name in self.bounds.names if self.bounds.varies(name)]
        if set(varying) - {"u", "x", "path"}:
            raise InvalidInput(f"{self.bounds!r}: bounds of u, x and path may depend on depth; got {varying}.")
        if varying and self.times.free:
            raise NotSupported(
                f"{self.bounds!r}: bounds that depend on depth need a horizon that is not free, and such an initial "
                "time; write them as a path constraint, which may use t."
            )

    def _check_intervals(self) -> None:
        """Evaluate every interval once: shapes and empty intervals are found here, not in a solve."""
        ends = np.array([0.0, self.span])
        _ = self.parameter_box, self.control_box_at(ends), self.state_box_at(ends)
        self._check_budgets()
        for role in INTERVALS:
            self.interval_at(role, ends)
        for name, begun in (("initial", True), ("final", False)):
            if getattr(self, name) is not None:
                self._check_end(
                    name, np.asarray(getattr(self, name)), self.state_box_at(ends[:1] if begun else ends[1:])
                )

    def _checked_budgets(self) -> tuple[Budget, ...]:
        """Of controls by name, where they have names of their own: a reduction numbers them anew."""
        given = self.budgets
        if not isinstance(given, (list, tuple)) or not all(isinstance(one, Budget) for one in given):
            raise InvalidInput(f"budgets={given!r}: give a list of ocdl.Budget(control, total).")
        if self.layout is not None:
            return tuple(given)
        names: Any = self.controls
        return tuple(replace(one, control=names[one.place(names, ())]) for one in given)

    @cached_property
    def budgeted(self) -> tuple[int, ...]:
        """The number of the control of every budget."""
        parts = () if self.layout is None else self.layout.controls
        return tuple(one.place(self.controls, parts) for one in self.budgets)  # type: ignore[arg-type]

    def _check_budgets(self) -> None:
        """Raise InvalidInput for two budgets of one control, and for one that its steady bounds do not allow."""
        twice = [one for k, one in enumerate(self.budgets) if self.budgeted[k] in self.budgeted[:k]]
        if twice:
            raise InvalidInput(f"{twice[0]!r}: this control has two budgets; one integral has one value.")
        if self.budgets and not self.bounds.varies("u"):
            low, high = (self.span * end for end in self.control_box)
            for j, one in zip(self.budgeted, self.budgets, strict=True):
                one.check(low[j], high[j], f"over {self.span:g}")

    def _check_tables(self) -> None:
        """Raise InvalidInput where bounds keep an argument of a table outside its points."""
        for reading in self.readings:
            (low, high), (least, largest) = reading.range(self.hull(reading.vector, reading.i)), reading.known
            if low > largest or high < least:
                raise InvalidInput(
                    f"{reading.said(self.entry_name(reading.vector, reading.i))} is in [{low:g}, {high:g}] by its "
                    f"bounds, and the table knows [{least:g}, {largest:g}] only."
                )

    def _check_end(self, name: str, given: Any, box: tuple[Array, Array]) -> None:
        """Raise InvalidInput where what is ``given`` of a state at an end (S, n) lies outside its bounds there."""
        layout, (low, high) = self.layout, box
        assert layout is not None and self.states is not None
        for s, i in suspects(given, low[0], high[0]):
            value = given[s, i]
            free = value if isinstance(value, Free) else Free(value, value)
            slack = ROUNDING * (1.0 + abs(value)) if value is not free else 0.0
            if free.lower > high[0, i] + slack or free.upper < low[0, i] - slack:
                state = self.states[i] if layout.state.name == "x" else f"{layout.state.name}[{i}]"
                asked = f"is {value:g}" if value is not free else f"lies in [{free.lower:g}, {free.upper:g}]"
                raise InvalidInput(
                    f"{name}: state {state} of sample {s} {asked}, and Box({layout.state.name}=...) bounds it there by "
                    f"[{low[0, i]:g}, {high[0, i]:g}]: they contradict each other."
                )

    @property
    def _freed(self) -> tuple[list[str], list[str]]:
        """What is free beside the user's own parameters: the names of initial states, and of times."""
        names: Any = self.states
        several = self.samples > 1
        states = [f"{names[i]}(0)" + (f" of sample {s}" if several else "") for s, i in self.free_initial]
        return states, list(self.times.free)
