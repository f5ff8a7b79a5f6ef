"""``simulate``: what a plant does under given controls or a feedback, integrated with error control.

The equations are the problem's own, ẋ_s = φ, with the running cost as one more state; from jump to jump of the controls
as ``ocdl.depth.integration`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import casadi as ca
import numpy as np

from ocdl import xr
from ocdl.arrays import Array, finite_array, is_real, shown
from ocdl.batch import Batch
from ocdl.depth.control_shapes import PerStage
from ocdl.depth.fine_mesh import FineMesh
from ocdl.depth.integration import NotFollowed, integrated
from ocdl.depth.schemes import Tableau
from ocdl.errors import InvalidInput
from ocdl.once import once
from ocdl.referee.constraints import Constraints
from ocdl.solving.laws import Law, law_of, parameters_of
from ocdl.solving.simulation import Simulation
from ocdl.statement.discrete import refuse_discrete
from ocdl.statement.noise import refuse_noise
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.statement.width import Width
from ocdl.sweeps.sweeper import Sweeper, SweepFailed, Trajectory

PARTS = np.linspace(0.0, 1.0, 5)[1:]  # of every step: where states and constraints are looked at
ENDS = Tableau(np.array([[0.0, 0.0], [1.0, 0.0]]), np.full(2, 0.5), np.array([0.0, 1.0]), 1)  # only its places are used


def simulate(
    problem: ControlProblem | SelectionProblem,
    controls: Any,
    *,
    parameters: Mapping[str, Any] | None = None,
    initial: Any = None,
    grid: Grid | Width | None = None,
    times: Any = None,
    tolerance: float = 1e-9,
) -> Simulation:
    """What ``problem`` does, and costs, under ``controls`` from its initial state to its horizon.

    controls: a Solution; by name, such as {"thrust": ...} or {"a": ..., "b": ...}, numbers, functions of t (of a
        network's functions also of y, z), pairs (times, values), labelled arrays; a function of those it needs of t, x,
        p and the names of states and parameters, u(t) or a feedback u(t, x), with x (n,) for one sample, (S, n) for
        several; one row u (m,), rows (N, m) for N equal layers, or (times, rows). They are taken as they are, outside
        their box too. In a pair values are linear between as many times, constant in between where one fewer.
    parameters: values by name, "x0" and "horizon" for what is free there; those of the Solution, or guesses, elsewhere.
    initial: another x^0. grid: the width of a SelectionProblem. times: depths at which to report; by default the
    integrator's own and three between. tolerance: of a step, relative and absolute, in states and running cost.

    A disturbed plant is another problem: ``simulate(other, feedback)``. One with noise is simulated by the rollouts of
    its ``StochasticValueIteration``. Raises NotSupported for it, InvalidInput for controls, names and
    values that do not fit, SweepFailed where the states escape or cannot be followed.
    """
    if not is_real(tolerance) or not 1e-14 <= tolerance < 1.0:
        raise InvalidInput(f"simulate(tolerance={tolerance!r}): a number from 1e-14 to 1 is needed.")
    core = _core(problem, grid)
    core = core if initial is None else core.with_numbers(initial=initial)
    p = parameters_of(core, parameters or {}, controls)
    t0, T = float(core.times.begin(p)), float(core.times.end(p))
    plant = _Plant(core, p, law_of(core, controls, p[: core.own_parameters], (t0, T)))
    asked = np.zeros(0) if times is None else plant.depth(_within(times, t0, T))
    flown = plant.flown(float(tolerance), asked)
    return plant.labelled(flown, slice(None) if times is None else np.searchsorted(flown.t, asked))


def _within(times: Any, t0: float, T: float) -> Array:
    t = finite_array("simulate(times=...)", times)
    slack = (T - t0) * 1e-12
    if t.ndim != 1 or t.size == 0 or np.any(np.diff(t) <= 0.0) or t[0] < t0 - slack or t[-1] > T + slack:
        raise InvalidInput(f"simulate(times=...): depths that increase are needed, in [{t0:g}, {T:g}]; got {shown(t)}.")
    return np.clip(t, t0, T)


def _core(problem: Any, grid: Any) -> ControlProblem:
    if isinstance(problem, SelectionProblem):
        width = grid.width if isinstance(grid, Grid) else grid
        if not isinstance(width, Width):
            raise InvalidInput(f"simulate(grid={grid!r}): a SelectionProblem needs a width, such as Midpoint(8).")
        return problem.discretise(width)
    if not isinstance(problem, ControlProblem):
        raise InvalidInput(f"simulate({problem!r}): give a SelectionProblem or a ControlProblem.")
    refuse_noise("simulate", problem)
    refuse_discrete("simulate", problem.discrete, "the states of a solution are the network's own")
    if grid is not None:
        raise InvalidInput(
            f"simulate(grid={grid!r}): a ControlProblem needs none; its steps are chosen by their error."
        )
    return problem


@dataclass(frozen=True, eq=False)
class _Flown:
    """At depths t (K,) of the core: states and cost so far y (K, S·n + 1), controls before and after a jump (K, m)."""

    t: Array
    y: Array
    before: Array
    after: Array


@dataclass(frozen=True, eq=False)
class _Plant:
    """The problem's equations under a law; depths are those of the core, t/T where the horizon is free."""

    problem: ControlProblem
    p: Array
    law: Law
    variant = ()

    def flown(self, tolerance: float, asked: Array) -> _Flown:
        """From jump to jump of the controls, and at the depths asked for."""
        span, x0 = self.problem.span, self.problem.initial_states(self.p)
        jumps = self.depth(self.law.breaks)
        ends = np.unique([0.0, *jumps[(jumps > 0.0) & (jumps < span)], span])
        y, pieces = np.append(x0.ravel(), 0.0), []
        for a, b in pairwise(ends):
            pieces.append(self._piece(float(a), float(b), y, tolerance, asked))
            y = pieces[-1].y[-1]
        first = [slice(1 if k else 0, None) for k in range(len(pieces))]  # the end of a piece begins the next
        t, y = (np.concatenate([getattr(one, name)[s] for one, s in zip(pieces, first, strict=True)]) for name in "ty")
        before = np.concatenate([one.before[s] for one, s in zip(pieces, first, strict=True)])
        after = np.concatenate([*(one.after[:-1] for one in pieces), pieces[-1].after[-1:]])
        return _Flown(t, y, before, after)

    def _piece(self, a: float, b: float, y: Array, tolerance: float, asked: Array) -> _Flown:
        """One piece, in which the controls at b are those before a jump."""
        last = float(np.nextafter(b, a))
        try:
            found = integrated(lambda t, y: self.rate(t, y, self.control(t, y)), a, b, y, tolerance)
        except NotFollowed as error:
            at = self.problem.times.at(error.reached, self.p)
            raise SweepFailed(
                f"simulate: from t = {at:g} on the states escape or change too fast to be followed."
            ) from None
        steps = found.t[:-1, None] + np.diff(found.t)[:, None] * PARTS
        t = np.unique(np.concatenate([[a], steps[:, :-1].ravel(), found.t[1:], asked[(asked > a) & (asked < b)]]))
        y = found.sol(t).T
        y[0], y[-1] = found.y[:, 0], found.y[:, -1]
        u = np.array([self.control(min(depth, last), row) for depth, row in zip(t, y, strict=True)])
        return _Flown(t, y, u, u)

    def depth(self, t: Array) -> Array:
        """The core's depths at the true times t (K,)."""
        times, span = self.problem.times, self.problem.span
        return np.minimum((t - times.begin(self.p)) / times.scale(self.p), span)

    def control(self, t: float, y: Array) -> Array:
        """u (m,) at a depth of the core."""
        x = y[:-1].reshape(self.problem.samples, -1)
        return self.law.at(self.problem.times.at(t, self.p), x)

    def rate(self, t: float, y: Array, u: Array) -> Array:
        """(ẋ, running cost)."""
        problem = self.problem
        x = y[:-1].reshape(problem.samples, -1)
        rate, running, effort = self._rates(np.array([t]), x.T, u, self.p, np.asarray(problem.data).T)
        return np.append(rate.T.ravel(), running[0] @ np.asarray(problem.weights) + effort[0, 0])

    @once
    def _rates(self) -> Batch:
        s = self.problem.symbols()
        parts = [self.problem.rate(*s.values()), self.problem.evaluate("running", **s)]
        parts += [self.problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])]
        return Batch(ca.Function("plant", list(s.values()), [ca.densify(part) for part in parts]), shared=(0, 2, 3))

    def violations(self, flown: _Flown) -> dict[str, float]:
        """Of every family of constraints the largest, at all depths, before and after jumps."""
        problem, N = self.problem, flown.t.size - 1
        fine = FineMesh(ENDS, flown.t, np.arange(N), PerStage())
        sweeper, constraints = Sweeper(problem, fine), Constraints(problem, fine, Sweeper(problem, fine))
        x = flown.y[:, :-1].reshape(N + 1, problem.samples, -1)
        trajectory = Trajectory(flown.t, sweeper.h, sweeper.stage_t, x, np.stack([x[:-1], x[1:]], axis=1))
        u = np.stack([flown.after[:-1], flown.before[1:]], axis=1).reshape(2 * N, -1)
        low, high = problem.control_box_at(sweeper.stage_t.ravel())
        families = constraints.families(trajectory, u, self.p, constraints.no_multipliers(), everywhere=True)
        found = {"controls": np.maximum(np.maximum(low - u, u - high), 0.0)}
        found |= {family.name: family.violation for family in families if family.name != "state at the stages"}
        return {name: float(np.max(violation, initial=0.0)) for name, violation in found.items()}

    def labelled(self, flown: _Flown, kept: Any) -> Simulation:
        """The record of a flight, at the depths ``kept`` of it."""
        problem, layout = self.problem, self.problem.layout
        assert layout is not None
        t = {"t": self.problem.times.at(flown.t[kept], self.p)}
        x = flown.y[:, :-1].reshape(flown.t.size, problem.samples, *layout.state.shape)
        samples = {**t, "sample": np.arange(problem.samples)}
        arrays = {"states": layout.label(layout.state, x[kept], samples, **layout.units_of(layout.state))}
        for role, parts, flat, leading in (
            ("control", layout.controls, flown.after[kept], t),
            ("parameter", layout.parameters, self.p, {}),
        ):
            for part, values in zip(parts, layout.unpack(parts, flat).values(), strict=True):
                arrays[part.name] = layout.label(part, values, leading, role=role, **layout.units_of(part))
        arrays["running"] = xr.DataArray(flown.y[kept, -1], dims="t", coords=t)
        end = x[-1].reshape(problem.samples, -1)
        terminal = [problem.terminal_loss(one, self.p, s) for s, one in enumerate(end)]
        penalty = float(problem.evaluate("penalty", ca.DM, p=ca.DM(self.p)))
        worth = float(np.dot(problem.weights, terminal))
        return Simulation(xr.Dataset(arrays), float(flown.y[-1, -1]), worth, penalty, self.violations(flown))
