"""Neighbouring extremals: what is true near an answer, without another solve.

Along an answer (x*, u*) the second variation tells whether it is a strict local minimum, the feedback
u = u*(t) − K(t)(x − x*(t)) that is optimal for small deviations, and S(t), the curvature of the cost-to-go; the
linearised conditions of optimality tell how cost, states and controls move with x(0), parameters, ends and data.
All of it is of the discrete problem, exactly: its own Hessian and Jacobian, condensed.
Sources: Bryson and Ho, "Applied optimal control" (1975), chapter 6; Breakwell, Speyer and Bryson, SIAM J. Control 1
(1963); Fiacco (1983), chapter 3; Pesch, J. Optim. Theory Appl. 59 (1989), on repetitive correction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.arrays import finite_array, fits_memory
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.nlp.legendre import curvatures
from ocdl.nlp.linearised import Direction, Linearised, Response
from ocdl.nlp.second_variation import SecondVariation, Swept
from ocdl.nlp.transcription import Scales, Transcription, transcribed
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem, discretised
from ocdl.solving.method import Start
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid

Array = NDArray[np.float64]

EXTREMAL = 1e-4  # what the linearised conditions may miss of stationarity, as a share
ROUNDING = 1e-9
STRICT = 1e-8  # of the size of H_uu: below it H is not strictly convex
QUANTITIES = {"initial": "x(0)", "parameters": "held parameters", "final": "x(T)", "data": "data"}


def neighbouring(problem: Problem, grid: Grid | DepthScheme, solution: Solution) -> NeighbouringExtremals:
    """The neighbouring extremals of ``solution``, an answer of any route to ``problem`` on ``grid``.

    Raises InvalidInput where the solution is of another grid, has failed or is no extremal of the discrete problem
    (its free variables are not stationary).
    """
    if not isinstance(solution, Solution):
        raise InvalidInput(f"neighbouring(solution={type(solution).__name__}): a Solution is needed.")
    if solution.status.failed:
        raise InvalidInput(f"neighbouring(solution=...): it has failed. {solution.status.value}")
    core, depth = discretised(problem, grid)
    states = core.samples * core.n
    fits_memory(repr(depth), "second derivatives of all layers", depth.count * (states * 4 + core.m) ** 2, 24.0)
    transcription = transcribed(core, depth, Scales.ones(core))
    linearised = Linearised(transcription, _point(transcription, solution))
    if not linearised.residual <= EXTREMAL:
        raise InvalidInput(
            f"neighbouring(solution=<by {solution.method}>): this is no extremal of the problem on its grid: where "
            f"nothing holds a variable, {linearised.residual:.1e} of the gradient is left, and {EXTREMAL:g} may be. "
            "Solve to a tighter tolerance, or by Ipopt from this solution as start."
        )
    return NeighbouringExtremals(core, depth, solution.cost, linearised)


def _point(transcription: Transcription, solution: Solution) -> Array:
    """w of an answer: its own controls, parameters, states and stages."""
    u, p = coefficients(transcription.problem, transcription.depth, solution)
    x, stages = solution.state.values, solution.group("stages")["stage_state"].values
    N, S, n = transcription.places.x[1:].shape
    if x.size != (N + 1) * S * n:
        raise InvalidInput(
            f"neighbouring(solution=<by {solution.method}>): states of the shape {(N + 1, S, n)} are needed on this "
            f"grid; got {x.shape}."
        )
    return transcription.point(Start(u, p), x.reshape(N + 1, S, n), stages.reshape(N, -1, S, n).swapaxes(1, 2))


@dataclass(frozen=True)
class SecondOrder:
    """Is the answer a strict local minimum of its discrete problem? ``strict``: True, False, or None where its second
    variation does not tell; ``why``: in words; ``conjugate``: the last conjugate point's depth, NaN without one.
    """

    strict: bool | None
    why: str
    conjugate: float = float("nan")


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for other numbers, to first order in u, x and p and to second order in the cost J, without a solve.

    u (Q, m), clipped to its box, p (P,), x (N+1, S, n). ``crossed``: how many bounds and constraints are left or met on
    the way, by the linearised solution; where it is not 0 the prediction is of a smaller order.
    """

    cost: float
    u: Array
    p: Array
    x: Array
    crossed: int
    _problem: ControlProblem = field(repr=False)

    @property
    def start(self) -> dict[str, Array]:
        """The same by name, for ``solve(start=...)`` on the same grid."""
        layout = self._problem.layout
        assert layout is not None
        named = layout.unpack(layout.controls, self.u) | layout.unpack(layout.parameters, self.p)
        return {**named, layout.state.name: self.x.reshape(*self.x.shape[:2], *layout.state.shape)}


@dataclass(frozen=True, eq=False)
class NeighbouringExtremals:
    """An answer and its neighbourhood (``ocdl.neighbouring``). ``cost``: J of the answer."""

    problem: ControlProblem
    depth: DepthScheme
    cost: float
    _linearised: Linearised = field(repr=False)

    # -- second order -----------------------------------------------------------------------------------------

    @cached_property
    def _swept(self) -> Swept:
        return SecondVariation(self._linearised).swept()

    @cached_property
    def _convexity(self) -> tuple[Array, Array, float]:
        return curvatures(self._linearised)

    @property
    def _nodes(self) -> Array:
        """Depths of the nodes (N+1,)."""
        return self._true(self._linearised.transcription.t)

    def _true(self, depths: Array) -> Array:
        """True times of the core's depths."""
        p = self._linearised.w[self._linearised.transcription.places.p]
        return np.asarray(self.problem.times.at(depths, p))

    @cached_property
    def minimum(self) -> SecondOrder:
        """Whether the answer is a strict local minimum: H_uu > 0 on the controls that are free (strengthened Legendre
        and Clebsch), no conjugate point, and a second variation that is positive with free parameters and ends, too.
        """
        least, _, size = self._convexity
        told = np.flatnonzero(np.isfinite(least))
        if not told.size:
            return SecondOrder(None, "No control is free: all are held by bounds, and the second variation is empty.")
        k = told[np.argmin(least[told])]
        at = f"{least[k]:.2g} at t = {0.5 * (self._nodes[k] + self._nodes[k + 1]):.4g}"
        if least[k] < -STRICT * size:
            return SecondOrder(False, f"Not a minimum: H_uu has the eigenvalue {at}, against Legendre and Clebsch.")
        if least[k] <= STRICT * size:
            return SecondOrder(None, f"The second variation does not tell: {self._singular}")
        return self._by_inertia(f"the least eigenvalue of H_uu is {at}")

    def _by_inertia(self, legendre: str) -> SecondOrder:
        swept = self._swept
        if not swept.missing:
            weak = self._linearised.active.weak
            noted = f" {weak} bound(s) are met without pressure and were taken as free." if weak else ""
            return SecondOrder(True, f"A strict local minimum: {legendre}, and no point is conjugate to T.{noted}")
        failing = np.flatnonzero(~swept.tails)
        if failing.size:
            t = float(np.mean(self._nodes[failing[-1] : failing[-1] + 2]))
            if swept.excess:
                return SecondOrder(False, f"Not a minimum: a point conjugate to T lies near t = {t:.4g}.", t)
        if swept.excess:
            return SecondOrder(
                False,
                "Not a minimum: the second variation falls in a direction that moves parameters or free initial states.",
            )
        return SecondOrder(None, "The second variation vanishes in an admissible direction and does not tell.")

    @property
    def _singular(self) -> str:
        """Where the Hamiltonian is not strictly convex in free controls, in words."""
        least, _, size = self._convexity
        flat = np.flatnonzero(least <= STRICT * size)
        first, last = self._nodes[flat[0]], self._nodes[flat[-1] + 1]
        return (
            f"in {flat.size} of {least.size} layers between t = {first:.4g} and {last:.4g} the Hamiltonian is linear or "
            "flat in controls that no bound holds: switches of a bang-bang control, or a singular arc. There the answer "
            "moves by its switching times, not by a gain."
        )

    @property
    def _regular(self) -> bool:
        least, _, size = self._convexity
        return not np.any(least <= STRICT * size)

    def _gainful(self, asked: str) -> Swept:
        """The swept gains, where there are any. Raises NotSupported."""
        if not self._regular:
            raise NotSupported(f"neighbouring: no {asked}: {self._singular}")
        if self.problem.has_free_horizon and _timed(self.problem):
            raise NotSupported(
                f"neighbouring: no {asked}: the horizon is free and the formulas depend on t, so that a later start is "
                "another problem; sensitivities and predictions are those of the start at t = 0."
            )
        return self._swept

    @cached_property
    def gain(self) -> xr.DataArray:
        """K (t, control, sample, state) at the depths of the controls, u ≈ u* − K (x − x*): zero rows where a bound
        holds the control. Constant in a layer, linear or per stage as the controls are. A free horizon and end
        conditions are met anew from x (least squares where what is left of the way is too short); own parameters stay.

        Raises NotSupported on singular arcs and at the switches of bang-bang controls.
        """
        t = self._true(self._linearised.transcription.control_depths)
        values = self._gainful("gains").gains.reshape(t.size, self.problem.m, self.problem.samples, self.problem.n)
        coords = {"t": t, "control": list(self._names("controls")), "state": list(self._names("states"))}
        return xr.DataArray(values, dims=("t", "control", "sample", "state"), coords=coords, name="gain")

    @cached_property
    def riccati(self) -> xr.DataArray:
        """S at the nodes (t, sample, state, sample_, state_): δ²J of the rest of the way is ½ δxᵀ S δx; infinite where
        the end conditions cannot be met from every neighbouring state. Raises NotSupported as ``gain``.
        """
        S, n = self.problem.samples, self.problem.n
        values = self._gainful("Riccati matrix").riccati.reshape(-1, S, n, S, n)
        names = list(self._names("states"))
        coords = {"t": self._nodes, "state": names, "state_": names}
        return xr.DataArray(values, dims=("t", "sample", "state", "sample_", "state_"), coords=coords, name="riccati")

    def _names(self, role: str) -> Any:
        return getattr(self.problem, role)

    # -- the closed loop --------------------------------------------------------------------------------------

    def feedback(self, t: float, x: Any) -> Array:
        """u = u*(t) − K(t)(x − x*(t)) (m,), inside its box, at a depth t and a state x (n,), or (S, n) of all samples.

        Before 0 and beyond T the law of the nearest depth. Raises NotSupported as ``gain``.
        """
        swept = self._gainful("feedback")
        given = finite_array("feedback(x=...)", x)
        if given.size != self.problem.samples * self.problem.n:
            raise InvalidInput(
                f"feedback(x=...): {self.problem.samples} sample(s) of {self.problem.n} state(s) are needed; "
                f"got the shape {given.shape}."
            )
        k, c = self._place(float(t))
        transcription = self._linearised.transcription
        columns = transcription.shape_columns[k]
        weights = self.depth.controls.weights(np.array([c]), transcription.tableau.c)[0]
        u = weights @ self._linearised.w[transcription.places.u[columns]]
        K = np.tensordot(weights, swept.gains[columns], axes=1)
        low, high = self.problem.control_box_at(transcription.t[k] + c * transcription.h[k : k + 1])
        return np.asarray(np.clip(u - K @ (given.ravel() - self._state(k, c)), low[0], high[0]))

    def _place(self, t: float) -> tuple[int, float]:
        """The layer of a depth, and where in it, in [0, 1]."""
        nodes = self._nodes
        k = int(np.clip(np.searchsorted(nodes, t, side="right") - 1, 0, nodes.size - 2))
        return k, float(np.clip((t - nodes[k]) / (nodes[k + 1] - nodes[k]), 0.0, 1.0))

    def _state(self, k: int, c: float) -> Array:
        """x* (S·n,) in layer k, the cubic by values and rates at its ends."""
        (x, rates), c2, c3 = self._cubics, c * c, c * c * c
        before, after, h = x[k], x[k + 1], self._linearised.transcription.h[k]
        slopes = h * rates[k]
        cubic = (2 * c3 - 3 * c2 + 1) * before + (c3 - 2 * c2 + c) * slopes[0]
        return np.asarray(cubic + (3 * c2 - 2 * c3) * after + (c3 - c2) * slopes[1])

    @cached_property
    def _cubics(self) -> tuple[Array, Array]:
        """States at the nodes (N+1, S·n), and rates at both ends of every layer (N, 2, S·n)."""
        transcription, w = self._linearised.transcription, self._linearised.w
        x, t, N, S = w[transcription.places.x], transcription.t, self.depth.count, self.problem.samples
        ends = self.depth.controls.weights(np.array([0.0, 1.0]), transcription.tableau.c)
        u = ends @ w[transcription.places.u[transcription.shape_columns]]  # (N, 2, m)
        depths = np.repeat(np.stack([t[:-1], t[1:]], axis=1).ravel(), S)[None, :]
        states = np.stack([x[:-1], x[1:]], axis=1).reshape(2 * N * S, -1).T
        data, p = np.tile(np.asarray(self.problem.data).T, (1, 2 * N)), w[transcription.places.p]
        columns = np.repeat(u.reshape(2 * N, -1), S, axis=0).T
        rates = self.problem.rate.map(2 * N * S)(depths, states, columns, np.tile(p[:, None], 2 * N * S), data).full()
        return x.reshape(N + 1, -1), rates.T.reshape(N, 2, -1)

    # -- first order ------------------------------------------------------------------------------------------

    def sensitivity(self, quantity: str = "initial") -> xr.Dataset:
        """How the solution moves with x(0) ("initial"), parameters that are held ("parameters"), prescribed ends
        ("final") or the "data": ``cost`` dJ/dθ and ``cost_curvature`` d²J/dθ² along the solutions, ``states``,
        ``controls`` and ``parameters``, their derivatives. dJ/dx(0) is the costate at 0.

        θ are the numbers that are not free, in the order of the problem's own array, dimension ``theta``.

        Raises InvalidInput for other quantities and where none is given, NotSupported where the answer has no
        derivative.
        """
        response, labels = self._response(quantity), self._theta(quantity)[1]
        places, q = self._linearised.transcription.places, len(labels)
        S, n, t = self.problem.samples, self.problem.n, self._nodes
        controls_t = self._true(self._linearised.transcription.control_depths)
        moved = response.variables
        return xr.Dataset(
            {
                "cost": ("theta", response.slope),
                "cost_curvature": (("theta", "theta_"), response.curved),
                "states": (("t", "sample", "state", "theta"), moved[places.x].reshape(t.size, S, n, q)),
                "controls": (("t_control", "control", "theta"), moved[places.u]),
                "parameters": (("parameter", "theta"), moved[places.p]),
            },
            coords={
                "theta": labels,
                "theta_": labels,
                "t": t,
                "t_control": controls_t,
                "state": list(self._names("states")),
                "control": list(self._names("controls")),
            },
        )

    def _theta(self, quantity: str) -> tuple[NDArray[np.int64], list[str]]:
        """Places in w of what a quantity holds, none for data, and names of its numbers."""
        if quantity not in QUANTITIES:
            raise InvalidInput(f"sensitivity({quantity!r}): one of {', '.join(map(repr, QUANTITIES))} is needed.")
        places, (low, high) = self._linearised.transcription.places, self._linearised.transcription.bounds()
        S, names = self.problem.samples, self._names("states")
        ends = [f"{name}{f'[{s}]' if S > 1 else ''}" for s in range(S) for name in names]
        if quantity == "data":
            labels = [f"d[{s}, {j}]" for s, j in np.ndindex(*np.shape(self.problem.data))]
            every = np.zeros(len(labels), dtype=np.int64)
            held = np.ones(len(labels), dtype=bool)
        else:
            own = self.problem.own_parameters
            every, labels = {
                "initial": (places.x[0].ravel(), ends),
                "final": (places.x[-1].ravel(), ends),
                "parameters": (places.p[:own], [str(name) for name in self._names("parameters")]),
            }[quantity]
            held = low[every] >= high[every]
        if not np.any(held):
            raise InvalidInput(f"sensitivity({quantity!r}): this problem gives no numbers for {QUANTITIES[quantity]}.")
        return every[held], [label for label, one in zip(labels, held, strict=True) if one]

    def _direction(self, quantity: str) -> Direction:
        return self._linearised.by_data() if quantity == "data" else self._linearised.moving(self._theta(quantity)[0])

    def _response(self, quantity: str) -> Response:
        self._theta(quantity)
        return self._linearised.response(self._direction(quantity))

    def predicted(self, *, initial: Any = None, parameters: Any = None, data: Any = None) -> Prediction:
        """The solution for another x^0, other values of held parameters, or other data, as of ``Plan.solve``.

        Raises InvalidInput for other shapes, NotSupported where the answer has no derivative.
        """
        other = self.problem.with_numbers(initial=initial, parameters=parameters, data=data)
        lin, places = self._linearised, self._linearised.transcription.places
        moves, w, rows, cost = self._moves(other), lin.w.copy(), lin.multipliers.copy(), self.cost
        if moves:
            steps = [move for _, move in moves]
            response = lin.response(_together([self._direction(name) for name, _ in moves]))
            step = np.concatenate(steps)
            w, rows = w + response.variables @ step, rows + response.multipliers @ step
            cost += float(response.slope @ step + 0.5 * step @ response.curved @ step)
        low, high = other.coefficient_box(self.depth)
        crossed = self._crossed(w, rows)
        return Prediction(cost, np.clip(w[places.u], low, high), w[places.p], w[places.x], crossed, self.problem)

    def _moves(self, other: ControlProblem) -> list[tuple[str, Array]]:
        """What has moved, by quantity, in the order of ``_theta``."""
        lin, S = self._linearised, self.problem.samples
        moves = []
        for name, new in (("initial", other.x0.ravel()), ("parameters", other.parameter_box[0])):
            every = lin.transcription.places.x[0].ravel() if name == "initial" else lin.transcription.places.p
            step = np.zeros(lin.w.size)
            step[every] = np.where(np.isfinite(new), new, 0.0) - lin.w[every]
            known = self._theta_or_none(name)
            if known.size and np.any(step[known]):
                moves.append((name, step[known]))
        d = (np.asarray(other.data) - np.asarray(self.problem.data)).reshape(S, -1)
        return [*moves, ("data", d.ravel())] if np.any(d) else moves

    def _theta_or_none(self, quantity: str) -> NDArray[np.int64]:
        try:
            return self._theta(quantity)[0]
        except InvalidInput:
            return np.zeros(0, dtype=np.int64)

    def _crossed(self, w: Array, multipliers: Array) -> int:
        """Bounds that free variables leave, and active rows and bounds whose multipliers turn."""
        lin = self._linearised
        low, high = lin.transcription.bounds()
        below, above = lin.row_bounds
        outside = ~lin.active.held & ((w < low - ROUNDING) | (w > high + ROUNDING))
        one_sided = lin.active.rows & (below < above)
        turned = one_sided & (multipliers * lin.multipliers < 0.0)
        return int(np.sum(outside) + np.sum(turned))

    def __repr__(self) -> str:
        return f"<ocdl.NeighbouringExtremals of an answer of cost {self.cost:.10g}: {self.minimum.why}>"


def _together(directions: list[Direction]) -> Direction:
    """Directions side by side; what two of them have in common in the Lagrangian is in the mixed terms."""
    moved, mixed, rows = (
        np.concatenate([getattr(d, name) for d in directions], axis=1) for name in ("moved", "mixed", "rows")
    )
    curved = np.zeros((moved.shape[1],) * 2)
    at = 0
    for d in directions:
        curved[at : at + d.slope.size, at : at + d.slope.size] = d.curved
        at += d.slope.size
    return Direction(moved, mixed, rows, np.concatenate([d.slope for d in directions]), curved)


def _timed(problem: ControlProblem) -> bool:
    """Whether a formula along the way depends on t."""
    s = problem.symbols()
    values = [problem.evaluate(role, **s) for role in ("dynamics", "running", "effort", "path")]
    return any(bool(ca.depends_on(value, s["t"])) for value in values)
