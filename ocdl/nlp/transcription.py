"""Full-space transcription: states, stages, lifted variables, controls and parameters are the variables of an NLP.

Layer k of sample s, with stages X_i, controls u_i, lifted z_i = g(X_i, u_i) and φ_i = φ(t_i, X_i, u_i, p, d_s, z_i):

    X_i − x_k − h Σ_j a_ij φ_j = 0,   z_i − g(t_i, X_i, u_i, p, d_s) = 0,   x_{k+1} − x_k − h Σ_j b_j φ_j = 0,
    path c(t_i, X_i, u_i, p, d_s, z_i) in its interval, where ``equalities.imposed`` says so;
    boundary B(x_0, x_N, T, p, d_s) in its interval;  Σ w_q u_qj the total of every budget;
    χ² of measurements at their nodes in the cost.

A stage that is the start of the layer (a zero row of A) or its end (stiff accuracy) is no variable of its own; a
condensed scheme has no stages as variables at all. State boxes and final states are bounds on variables.
Multipliers η_i, ν of the first and last rows give the costates in the scheme's own weights:

    h b_j Λ_j = −h (b_j ν + Σ_i a_ij η_i),   p_k = ∂/∂x_k of the layer's part of the Lagrangian.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import evaluated
from ocdl.depth.schemes import DepthScheme
from ocdl.nlp.assembly import Elements, Indices, NonlinearProgram, assemble, parameters_of
from ocdl.once import once
from ocdl.referee.equalities import imposed
from ocdl.referee.outcome import Multipliers
from ocdl.solving.method import Start
from ocdl.statement.measurements import nodes_at
from ocdl.statement.problem import ControlProblem
from ocdl.statement.spending import measure
from ocdl.sweeps.sweeper import Sweeper, SweepFailed, Trajectory

Array = NDArray[np.float64]

DATA_AT = {"_layer": 3, "_terminal": 1, "_boundary": 0, "_misfit": 1}  # among the constants of kinds of elements
PROGRAMS = 2  # of one problem that are kept, the latest: in its own units and in others
EXPLODED = 1e6  # times 1 + |x_0|: a sweep that goes there is no guess
CLOSE = 0.1  # of 1 + |x|: within it a sweep replaces states carried over from another grid


@dataclass(frozen=True, eq=False)
class Places:
    """Where everything lies in w, layer after layer.

    x (N+1, S, n), u (Q, m), X (N, S, own stages, n), z (N, S, s, q), p (P,).
    """

    x: Indices
    u: Indices
    stages: Indices
    z: Indices
    p: Indices
    size: int

    @classmethod
    def of(cls, problem: ControlProblem, N: int, own: int, lifted: int, control_rows: int) -> Places:
        """``lifted``: stages with z; the controls of a layer lie in it, those of the last node behind everything."""
        S, n, m, q = problem.samples, problem.n, problem.m, problem.lifted
        each = control_rows // N
        blocks = (S * n, each * m, S * own * n, S * lifted * q)
        layer = np.arange(N)[:, None] * sum(blocks)
        offsets = np.concatenate([[0], np.cumsum(blocks)])

        def block(b: int, *shape: int) -> Indices:
            return (layer + offsets[b] + np.arange(blocks[b])).reshape(*shape)

        last = N * sum(blocks)
        final = (last + np.arange(S * n)).reshape(1, S, n)
        x = np.concatenate([block(0, N, S, n), final])
        last += S * n
        beyond = last + np.arange((control_rows - N * each) * m).reshape(control_rows - N * each, m)
        u = np.concatenate([block(1, N * each, m), beyond])
        p = last + beyond.size + np.arange(problem.P)
        size = last + beyond.size + problem.P
        return cls(x, u, block(2, N, S, own, n), block(3, N, S, lifted, q), p, size)


@dataclass(frozen=True, eq=False)
class Scales:
    """One unit of the solver's variables, of states (n,), controls (m,) and parameters (P,), and of its rows of path
    and boundary; those of the state equation have the units of states. Ones change nothing.
    """

    x: Array
    u: Array
    p: Array
    path: Array
    boundary: Array

    @property
    def trivial(self) -> bool:
        return all(bool(np.all(scale == 1.0)) for scale in vars(self).values())

    @classmethod
    def ones(cls, problem: ControlProblem) -> Scales:
        return cls(**{name: np.ones(size) for name, size in sizes(problem).items()})


def sizes(problem: ControlProblem) -> dict[str, int]:
    """How many units there are of each kind."""
    rows = {role: problem.rows(role) for role in ("path", "boundary")}
    return {"x": problem.n, "u": problem.m, "p": problem.P, **rows}


def transcribed(problem: ControlProblem, depth: DepthScheme, scales: Scales) -> Transcription:
    """The transcription, with the program that was compiled for other numbers of the same formulas if there is one."""

    def build() -> Transcription:
        return Transcription(problem, depth, scales)

    found = problem.built.recent("transcription", (depth, scales.trivial), build, PROGRAMS)
    return found.with_numbers(problem, scales)


class Transcription:
    """The NLP of one problem on one depth scheme, and the way back from its solution.

    Everything here is in the problem's own units except ``program``, which is in those of ``scales``.
    """

    def __init__(self, problem: ControlProblem, depth: DepthScheme, scales: Scales | None = None) -> None:
        self.problem, self.depth, self.tableau = problem, depth, depth.tableau
        self.scales = Scales.ones(problem) if scales is None else scales
        self.t = depth.mesh(problem.span)
        self.h = np.diff(self.t)
        A = self.tableau.A
        last = self.tableau.stages - 1
        every = range(last + 1)
        self.at_start = [i for i in every if not np.any(A[i]) and self.tableau.c[i] == 0.0]
        self.at_end = [last] if self.tableau.stiffly_accurate and last not in self.at_start else []
        self.own = [] if depth.condensed else [i for i in every if i not in self.at_start + self.at_end]
        self.lifted_stages = 0 if depth.condensed else self.tableau.stages
        self.shape_columns = depth.controls.columns(self.h.size, self.tableau.stages)
        self.shape_weights = depth.controls.weights(self.tableau.c, self.tableau.c)
        self.places = Places.of(problem, self.h.size, len(self.own), self.lifted_stages, depth.control_rows)

    @cached_property
    def imposed(self) -> NDArray[np.bool_]:
        """Where the rows of path are imposed, (N, s, S, rows)."""
        return imposed(self.problem, self.depth)

    @cached_property
    def program(self) -> NonlinearProgram:
        return assemble(self.elements, self.places.size, self._constraints)

    @property
    def elements(self) -> list[Elements]:
        """All kinds of elements, in the solver's units."""
        if self.scales.trivial:
            return self._kinds
        columns, rows = self.variable_scale, self.row_scale
        return [kind.scaled(columns, rows) for kind in self._kinds]

    @property
    def parameters(self) -> Array:
        """What the functions of ``program`` take beside w."""
        if self.scales.trivial:
            return parameters_of([kind.values for kind in self._kinds])
        columns, rows = self.variable_scale, self.row_scale
        return parameters_of([kind.scaled_values(columns, rows) for kind in self._kinds])

    def with_numbers(self, problem: ControlProblem, scales: Scales) -> Transcription:
        """The same compiled program for other numbers of the same problem, and other units."""
        _, other = self.program, copy(self)
        other.problem, other.scales = problem, scales
        for name in ("imposed", "variable_scale", "row_scale"):
            vars(other).pop(name, None)
        for name, values in self._values_of(problem).items():
            if name in vars(other):
                vars(other)[name] = vars(other)[name].with_values(values)
        vars(other).pop("_kinds")
        return other

    @cached_property
    def variable_scale(self) -> Array:
        """Units of w: w = scale · (the solver's variable)."""
        scale = np.ones(self.places.size)
        scale[self.places.x], scale[self.places.u], scale[self.places.p] = self.scales.x, self.scales.u, self.scales.p
        scale[self.places.stages] = self.scales.x
        return scale

    @cached_property
    def row_scale(self) -> Array:
        """Factors of the rows of g: each equation of a state in units of that state."""
        factor = np.ones(self._constraints)
        stages = len(self.own) + 1
        layers = factor[: self._layer_rows].reshape(-1, self._rows_per_layer)
        layers[:, : stages * self.problem.n] = np.tile(1.0 / self.scales.x, stages)
        layers[:, self._path_rows] = np.tile(1.0 / self.scales.path, self.tableau.stages)
        factor[self._layer_rows :][: self._boundary_rows] = np.tile(1.0 / self.scales.boundary, self.problem.samples)
        return factor

    def steepness(self, w: Array) -> dict[str, Array]:
        """The largest derivative in the solver's variables, at w, of every row of ``path`` and ``boundary`` over all
        stages and samples, and of the ``objective`` (1,).
        """
        columns, rows, cost = self.variable_scale, np.zeros(self._constraints), np.zeros(1)
        for kind in self._kinds:
            of_rows, of_cost = kind.steepness(w, columns)
            rows[kind.rows] = of_rows
            cost = np.maximum(cost, np.max(of_cost, initial=0.0))
        layers = rows[: self._layer_rows].reshape(-1, self._rows_per_layer)[:, self._path_rows]
        boundary = rows[self._layer_rows :][: self._boundary_rows]
        return {
            "path": layers.reshape(len(layers), self.tableau.stages, self.problem.rows("path")).max(
                axis=(0, 1), initial=0.0
            ),
            "boundary": boundary.reshape(self.problem.samples, -1).max(axis=0, initial=0.0),
            "objective": cost,
        }

    # -- elements -------------------------------------------------------------------------------------

    @property
    def _rows_per_layer(self) -> int:
        stages = len(self.own) + 1  # the end of the layer, by its own equation or as the last stage
        path = self.tableau.stages * self.problem.rows("path")
        return stages * self.problem.n + self.lifted_stages * self.problem.lifted + path

    @property
    def _path_rows(self) -> slice:
        """The rows of path among those of a layer, stage by stage."""
        return slice(self._rows_per_layer - self.tableau.stages * self.problem.rows("path"), self._rows_per_layer)

    @property
    def _layer_rows(self) -> int:
        return self.h.size * self.problem.samples * self._rows_per_layer

    @property
    def _boundary_rows(self) -> int:
        return self.problem.samples * self.problem.rows("boundary")

    @property
    def _constraints(self) -> int:
        return self._layer_rows + self._boundary_rows + len(self.problem.free_initial) + len(self.problem.budgets)

    @cached_property
    def _kinds(self) -> list[Elements]:
        kinds = [self._layer, self._terminal]
        if self.problem.effort is not None:
            kinds.append(self._effort)
        if self.problem.penalty is not None:
            kinds.append(self._penalty)
        if self.problem.boundary is not None:
            kinds.append(self._boundary)
        if self.problem.free_initial:
            kinds.append(self._initial)
        if self.problem.budgets:
            kinds.append(self._spending)
        if self.problem.measurements is not None:
            kinds.append(self._misfit)
        return kinds

    @property
    def elements_with_data(self) -> list[tuple[Elements, int]]:
        """Those that hold the data of a sample, and where among their constants; the samples come fastest."""
        known = {id(vars(self).get(name)): at for name, at in DATA_AT.items()}
        return [(kind, known[id(kind)]) for kind in self._kinds if id(kind) in known]

    def _values_of(self, problem: ControlProblem) -> dict[str, Array]:
        """The values of those kinds of elements that hold weights or data."""
        N, weights, data = self.h.size, np.asarray(problem.weights)[None, :], np.asarray(problem.data).T
        depths = np.repeat(np.stack([self.t[:-1], self.h]), problem.samples, axis=1)
        layer = np.concatenate([depths, np.tile(weights, N), np.tile(data, (1, N))])
        values = {"_layer": layer, "_terminal": np.concatenate([weights, data]), "_boundary": data}
        if problem.measurements is not None:
            t = np.repeat(self.t[self.measured], problem.samples)[None, :]
            columns = problem.measurements.columns
            values["_misfit"] = np.concatenate([t, np.tile(data, (1, self.measured.size)), columns])
        return values

    @cached_property
    def _layer(self) -> Elements:
        problem, tableau, places = self.problem, self.tableau, self.places
        n, q, s = problem.n, problem.lifted, tableau.stages
        N, S = self.h.size, problem.samples
        sym = problem.symbols()
        x, p, d, t = (sym[name] for name in ("x", "p", "d", "t"))
        end, h, omega = ca.SX.sym("end", n), ca.SX.sym("h"), ca.SX.sym("omega")
        blocks, controls = self._stage_controls()
        X = {i: x for i in self.at_start} | {i: end for i in self.at_end if not self.depth.condensed}
        X |= {i: ca.SX.sym(f"X{i}", n) for i in self.own}
        z = [{"z": ca.SX.sym(f"z{i}", q)} if self.lifted_stages else {} for i in range(s)]
        slopes: list[Any] = []
        at: list[dict[str, Any]] = []
        for i, c in enumerate(tableau.c.tolist()):
            if i not in X:  # eliminated: an explicit stage
                X[i] = x + h * _combine(tableau.A[i, :i], slopes)
            at.append({"t": t + c * h, "x": X[i], "u": controls[i], "p": p, "d": d})
            slopes.append(problem.evaluate("dynamics", **at[i], **z[i]))
        cost = sum((h * b * problem.evaluate("running", **at[i], **z[i]) for i, b in enumerate(tableau.b)), ca.SX(0))
        rows = [X[i] - x - h * _combine(tableau.A[i], slopes) for i in self.own]
        rows.append(end - x - h * _combine(tableau.b, slopes))
        if q and self.lifted_stages:
            rows += [problem.lift_rows(**z[i], **at[i]) for i in range(s)]
        if problem.path is not None:
            rows += [problem.evaluate("path", **at[i], **z[i]) for i in range(s)]

        def per_element(indices: Indices) -> Indices:
            """(N, S, ...) → (rows, N·S)."""
            return indices.reshape(N * S, -1).T

        variables = [
            per_element(places.x[:-1]),
            per_element(places.stages),
            per_element(places.z),
            per_element(places.x[1:]),
            np.repeat(places.u[self.shape_columns].reshape(N, -1), S, axis=0).T,
            np.tile(places.p[:, None], N * S),
        ]
        lifted = [part["z"] for part in z if part]
        return Elements(
            local=ca.vertcat(x, *[X[i] for i in self.own], *lifted, end, *blocks, p),
            constants=ca.vertcat(t, h, omega, d),
            cost=omega * cost,
            residual=ca.vertcat(*rows),
            variables=np.concatenate(variables),
            rows=np.arange(self._layer_rows).reshape(N * S, -1).T,
            values=self._values_of(problem)["_layer"],
        )

    def _stage_controls(self) -> tuple[list[ca.SX], list[Any]]:
        """The coefficients of a layer's controls, and the controls at its stages."""
        blocks = [ca.SX.sym(f"u{j}", self.problem.m) for j in range(self.shape_columns.shape[1])]
        return blocks, [_combine(weights, blocks) for weights in self.shape_weights]

    @cached_property
    def _terminal(self) -> Elements:
        problem, S = self.problem, self.problem.samples
        sym = problem.symbols()
        x, p, d, omega = sym["x"], sym["p"], sym["d"], ca.SX.sym("omega")
        loss = problem.evaluate("terminal", **{**sym, "t": ca.SX(problem.span)})
        return Elements(
            local=ca.vertcat(x, p),
            constants=ca.vertcat(omega, d),
            cost=omega * loss,
            residual=ca.SX(0, 1),
            variables=np.concatenate([self.places.x[-1].T, np.tile(self.places.p[:, None], S)]),
            rows=np.zeros((0, S), dtype=np.int64),
            values=self._values_of(problem)["_terminal"],
        )

    @cached_property
    def _effort(self) -> Elements:
        problem, tableau, N = self.problem, self.tableau, self.h.size
        sym = problem.symbols()
        t, p, h = sym["t"], sym["p"], ca.SX.sym("h")
        blocks, controls = self._stage_controls()
        stages = zip(tableau.b, tableau.c, controls, strict=True)
        cost = sum((h * b * problem.evaluate("effort", t=t + c * h, u=v, p=p) for b, c, v in stages), ca.SX(0))
        return Elements(
            local=ca.vertcat(*blocks, p),
            constants=ca.vertcat(t, h),
            cost=cost,
            residual=ca.SX(0, 1),
            variables=np.concatenate(
                [self.places.u[self.shape_columns].reshape(N, -1).T, np.tile(self.places.p[:, None], N)]
            ),
            rows=np.zeros((0, N), dtype=np.int64),
            values=np.stack([self.t[:-1], self.h]),
        )

    @cached_property
    def _penalty(self) -> Elements:
        p = ca.SX.sym("p", self.problem.P)
        return Elements(
            local=p,
            constants=ca.SX(0, 1),
            cost=self.problem.evaluate("penalty", p=p),
            residual=ca.SX(0, 1),
            variables=self.places.p[:, None],
            rows=np.zeros((0, 1), dtype=np.int64),
            values=np.zeros((0, 1)),
        )

    @cached_property
    def _boundary(self) -> Elements:
        problem, S = self.problem, self.problem.samples
        sym = problem.symbols()
        p, d = sym["p"], sym["d"]
        x0, xT = ca.SX.sym("x0", problem.n), ca.SX.sym("xT", problem.n)
        first = self._layer_rows
        return Elements(
            local=ca.vertcat(x0, xT, p),
            constants=d,
            cost=ca.SX(0),
            residual=problem.evaluate("boundary", x0=x0, xT=xT, t=ca.SX(problem.span), p=p, d=d),
            variables=np.concatenate([self.places.x[0].T, self.places.x[-1].T, np.tile(self.places.p[:, None], S)]),
            rows=(first + np.arange(self._boundary_rows)).reshape(S, -1).T,
            values=self._values_of(problem)["_boundary"],
        )

    @cached_property
    def _initial(self) -> Elements:
        """A free initial state is its parameter."""
        problem = self.problem
        x, p = ca.SX.sym("x"), ca.SX.sym("p")
        samples, states = np.array(problem.free_initial).T
        own, count = problem.own_parameters, len(problem.free_initial)
        first = self._layer_rows + self._boundary_rows
        return Elements(
            local=ca.vertcat(x, p),
            constants=ca.SX(0, 1),
            cost=ca.SX(0),
            residual=x - p,
            variables=np.stack([self.places.x[0][samples, states], self.places.p[own : own + count]]),
            rows=(first + np.arange(count))[None, :],
            values=np.zeros((0, count)),
        )

    @cached_property
    def _spending(self) -> Elements:
        """Σ w_q u_qj of a control with a budget, less that; the last rows."""
        problem, weights = self.problem, measure(self.problem, self.depth)
        u, total = ca.SX.sym("u", weights.size), ca.SX.sym("total")
        count = len(problem.budgets)
        return Elements(
            local=u,
            constants=total,
            cost=ca.SX(0),
            residual=ca.dot(ca.DM(weights), u) - total,
            variables=self.places.u[:, problem.budgeted],
            rows=(self._constraints - count + np.arange(count))[None, :],
            values=np.array([[budget.total for budget in problem.budgets]]),
        )

    @cached_property
    def measured(self) -> Indices:
        """The nodes at which the problem has measurements, (K,)."""
        return nodes_at(self.problem.measured_depths, self.t)

    @cached_property
    def _misfit(self) -> Elements:
        """χ² of every measured depth and sample."""
        problem = self.problem
        sym, measurements = problem.symbols(), problem.measurements
        assert measurements is not None
        residuals, given = measurements.residuals(problem.evaluate("output", **sym))
        at = self.places.x[self.measured].reshape(-1, problem.n).T
        return Elements(
            local=ca.vertcat(sym["x"], sym["p"]),
            constants=ca.vertcat(sym["t"], sym["d"], given),
            cost=ca.sumsqr(residuals),
            residual=ca.SX(0, 1),
            variables=np.concatenate([at, np.tile(self.places.p[:, None], at.shape[1])]),
            rows=np.zeros((0, at.shape[1]), dtype=np.int64),
            values=self._values_of(problem)["_misfit"],
        )

    # -- there and back --------------------------------------------------------------------------------

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of w."""
        problem, places = self.problem, self.places
        low, high = np.full(places.size, -np.inf), np.full(places.size, np.inf)
        stage_t = self.t[:-1, None] + self.h[:, None] * self.tableau.c[self.own]
        N, own = stage_t.shape
        for bound, side in ((low, 0), (high, 1)):
            bound[places.u] = problem.coefficient_box(self.depth)[side]
            bound[places.p] = problem.parameter_box[side]
            bound[places.x] = problem.state_box_at(self.t)[side][:, None]
            bound[places.stages] = problem.state_box_at(stage_t.ravel())[side].reshape(N, 1, own, problem.n)
            bound[places.x[-1]] = problem.final_box[side]
            bound[places.x[0]] = problem.x0
        for k, place in enumerate(problem.free_initial, start=problem.own_parameters):
            at = places.x[0][place]
            low[at], high[at] = (box[k] for box in problem.parameter_box)
        return low, high

    def row_bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of g: zero but for path, infinite where it is not imposed, and boundary."""
        problem, s = self.problem, self.tableau.stages
        low, high = np.zeros(self._constraints), np.zeros(self._constraints)
        stage_t = (self.t[:-1, None] + self.h[:, None] * self.tableau.c).ravel()
        for bound, side in ((low, 0), (high, 1)):
            if problem.path is not None:
                ends = problem.interval_at("path", stage_t)[side].reshape(self.h.size, s, 1, -1)
                held = np.where(self.imposed, ends, (-np.inf, np.inf)[side]).swapaxes(1, 2)
                layers = bound[: self._layer_rows].reshape(self.h.size, problem.samples, -1)
                layers[:, :, -s * problem.rows("path") :] = held.reshape(*layers.shape[:2], -1)
            if problem.boundary is not None:
                rows = slice(self._layer_rows, self._layer_rows + self._boundary_rows)
                bound[rows] = np.tile(problem.interval_at("boundary", np.zeros(1))[side].ravel(), problem.samples)
        return low, high

    @property
    def control_depths(self) -> Array:
        return self.depth.controls.depths(self.t, self.tableau.c)

    def guess(self, start: Start) -> Array:
        """w from controls and parameters: the states given, else those of ``_states``, and the lift there."""
        return self.point(start, *self._states(start))

    def point(self, start: Start, x: Array, stages: Array) -> Array:
        """w from the controls and parameters of ``start`` and states at nodes (N+1, S, n) and stages (N, S, s, n)."""
        places = self.places
        w = np.zeros(places.size)
        w[places.x], w[places.u], w[places.p] = x, start.u, start.p
        w[places.stages] = stages[:, :, self.own]
        if self.problem.lifted and self.lifted_stages:
            w[places.z] = self._lift(stages, start)
        return w

    def _states(self, start: Start) -> tuple[Array, Array]:
        """States at nodes (N+1, S, n) and stages (N, S, s, n).

        Those that the start gives; a start carried over from another grid gives way to its own sweep where only
        controls are bounded and the two stay close. Without any the sweep's, constant where that fails or explodes; a
        line to the end where that is prescribed.
        """
        problem, x = self.problem, start.x
        if x is None or (start.costate is not None and not problem.constraints):
            swept = self._swept(start)
            if swept is not None and not problem.constraints:
                return swept.x, swept.stages.swapaxes(1, 2)
            if x is None:
                held = np.broadcast_to(problem.initial_states(start.p), self.places.x.shape)
                x = held if swept is None else swept.x
        if start.x is None and problem.final is not None:
            x = self._towards_the_end(x)
        inner = x[:-1, :, None] + self.tableau.c[:, None] * np.diff(x, axis=0)[:, :, None]
        return x, inner

    def _swept(self, start: Start) -> Trajectory | None:
        """The sweep of the start's controls; None where it fails, explodes, or leaves the states carried over."""
        try:
            trajectory = Sweeper(self.problem, self.depth).state(start.u, start.p)
        except SweepFailed:
            return None
        begin = 1.0 + np.max(np.abs(trajectory.x[0]))
        if start.x is None:
            return trajectory if np.max(np.abs(trajectory.x)) <= EXPLODED * begin else None
        away = np.max(np.abs(trajectory.x - start.x), initial=0.0)
        return trajectory if away <= CLOSE * (1.0 + np.max(np.abs(start.x))) else None

    def _towards_the_end(self, x: Array) -> Array:
        low, high = self.problem.final_box
        end = np.clip(x[-1], low, high)
        line = x[0] + (self.t / self.t[-1])[:, None, None] * (end - x[0])
        return np.where(low == high, line, x)

    @once
    def _lift_function(self) -> ca.Function:
        sym = self.problem.symbols()
        return ca.Function("lift", list(sym.values()), [ca.densify(self.problem.evaluate("lift", **sym))])

    def _lift(self, stages: Array, start: Start) -> Array:
        """z at the stages, (N, S, s, q)."""
        problem, (N, S, s, n) = self.problem, stages.shape
        t = (self.t[:-1, None] + self.h[:, None] * self.tableau.c)[:, None, :]
        controls = self.shape_weights @ start.u[self.shape_columns]  # (N, s, m)
        (z,) = evaluated(
            self._lift_function.map(N * S * s),
            np.broadcast_to(t, (N, S, s)).reshape(1, -1),
            stages.reshape(-1, n).T,
            np.repeat(controls, S, axis=0).reshape(N * S * s, -1).T,
            np.tile(start.p[:, None], N * S * s),
            np.tile(np.repeat(np.asarray(problem.data), s, axis=0).T, (1, N)),
        )
        return z.T.reshape(self.places.z.shape)

    def controls(self, w: Array) -> tuple[Array, Array]:
        """Controls u (Q, m) and parameters p (P,) of w, brought into their boxes against rounding."""
        u, p = w[self.places.u], w[self.places.p]
        return np.clip(u, *self.problem.coefficient_box(self.depth)), np.clip(p, *self.problem.parameter_box)

    def trajectory(self, w: Array) -> tuple[Array, Array | None]:
        """States of w at nodes (N+1, S, n) and stages (N, s, S, n), no stages where the scheme has none of its own."""
        x = w[self.places.x]
        if self.depth.condensed:
            return x, None
        (N, S, n), s = x[1:].shape, self.tableau.stages
        stages = np.empty((N, s, S, n))
        stages[:, self.at_start], stages[:, self.at_end] = x[:-1, None], x[1:, None]
        stages[:, self.own] = w[self.places.stages].swapaxes(1, 2)
        return x, stages

    def costates(self, w: Array, multipliers: Array) -> tuple[Array, Array]:
        """Euclidean costates from the multipliers: nodes p (N+1, S, n), behind a jump, and stages Λ (N, s, S, n).

        NaN at the stages of a condensed scheme, whose equations are no rows of the NLP.
        """
        N, S, n, s = self.h.size, self.problem.samples, self.problem.n, self.tableau.stages
        eta = multipliers[: self._layer_rows].reshape(N, S, self._rows_per_layer)[:, :, : (len(self.own) + 1) * n]
        eta = eta.reshape(N, S, len(self.own) + 1, n)
        rows = np.concatenate([self.tableau.A[self.own], self.tableau.b[None, :]])
        with np.errstate(divide="ignore", invalid="ignore"):
            stages = -np.einsum("ij,ksin->kjsn", rows, eta) / self.tableau.b[:, None, None]
        stages[:, self.tableau.b == 0.0] = np.nan
        if self.depth.condensed:
            stages[:] = np.nan
        assert stages.shape == (N, s, S, n)
        starts = self._start_gradient(w, multipliers).reshape(N, S, n)
        return np.concatenate([starts, self._end_costate(w, multipliers)]), stages

    def constraint_multipliers(self, w: Array, multipliers: Array) -> Multipliers:
        """Multipliers of state boxes, final states, path and boundary; those of boxes by stationarity."""
        problem, found = self.problem, Multipliers.zeros(self.problem, self.depth)
        if not problem.constraints:
            return found
        N, S, s = self.h.size, problem.samples, self.tableau.stages
        low, high = self.bounds()
        pressing = _pressing(-self.stationarity(w, multipliers), low, high)
        found.nodes[1:] = pressing[self.places.x[1:]]
        found.stages[:, self.own] = pressing[self.places.stages].swapaxes(1, 2)
        rows = _pressing(multipliers, *self.row_bounds())
        if problem.path is not None:
            path = rows[: self._layer_rows].reshape(N, S, -1)[:, :, -s * problem.rows("path") :]
            found.path[:] = path.reshape(N, S, s, -1).swapaxes(1, 2)
        if problem.boundary is not None:
            found.boundary[:] = rows[self._layer_rows :][: self._boundary_rows].reshape(S, -1)
        return found

    def budget_multipliers(self, multipliers: Array) -> dict[str, float]:
        """ν of every budget, by the name of its control."""
        rows = multipliers[multipliers.size - len(self.problem.budgets) :]
        return {str(one.control): float(nu) for one, nu in zip(self.problem.budgets, rows, strict=True)}

    def stationarity(self, w: Array, multipliers: Array) -> Array:
        """∇f + ∇gᵀ λ in every variable, in the problem's own units."""
        total = np.zeros(self.places.size)
        for kind in self._kinds:
            values = self._lagrangian_gradient(kind, w, multipliers)
            np.add.at(total, kind.variables, values)
        return total

    def _lagrangian_gradient(self, kind: Elements, w: Array, multipliers: Array) -> Array:
        """∂(cost + λ·residual)/∂local of every element of ``kind``, (local, K)."""
        return kind.lagrangian_gradient(w[kind.variables], kind.values, multipliers[kind.rows])[0]

    def _start_gradient(self, w: Array, multipliers: Array) -> Array:
        return self._lagrangian_gradient(self._layer, w, multipliers)[: self.problem.n].T

    def _end_costate(self, w: Array, multipliers: Array) -> Array:
        """p(T): the gradient of terminal losses and of what is measured there, and the pull of boundary and final
        states, (1, S, n).
        """
        n, N, S = self.problem.n, self.h.size, self.problem.samples
        costate = self._lagrangian_gradient(self._terminal, w, multipliers)[:n].T
        if self.measured.size and self.measured[-1] == N:
            costate = costate + self._lagrangian_gradient(self._misfit, w, multipliers)[:n, -S:].T
        if self.problem.boundary is not None:
            costate = costate + self._lagrangian_gradient(self._boundary, w, multipliers)[n : 2 * n].T
        return (costate + self.constraint_multipliers(w, multipliers).nodes[-1])[None]


def _pressing(multipliers: Array, low: Array, high: Array) -> Array:
    """Multipliers without the rounding that would press against a bound that does not exist."""
    absent = ((multipliers > 0.0) & np.isposinf(high)) | ((multipliers < 0.0) & np.isneginf(low))
    return np.where(absent, 0.0, multipliers)


def _combine(weights: Any, slopes: list[Any]) -> Any:
    terms = [
        slope if weight == 1.0 else float(weight) * slope
        for weight, slope in zip(weights, slopes, strict=True)
        if weight
    ]
    return sum(terms[1:], terms[0]) if terms else ca.SX(0)
