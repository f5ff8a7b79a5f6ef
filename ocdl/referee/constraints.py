"""Constraints along a trajectory: values, violations, and what their multipliers add to the costate.

State box at nodes and stages, final state, path c(t, x_s, u, p, d_s) at the stages where it is imposed, boundary
B(x_s(0), x_s(T), p).
With multipliers λ the Lagrangian J + Σ λ·c has the forces ∂(λ·c)/∂(x, u, p), and its duality gap over a box of
constraints is Σ λ⁺(c⁺ − c) + λ⁻(c − c⁻), zero exactly where λ and the slack are complementary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.depth.schemes import Layers
from ocdl.once import once
from ocdl.referee.equalities import imposed
from ocdl.referee.outcome import Multipliers
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Forces, Sweeper, Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Constrained:
    """One family of constraints: its values, both ends of its interval, its multipliers, and the depths of its rows."""

    name: str
    values: Array
    low: Array
    high: Array
    multipliers: Array
    depths: Array

    @property
    def violation(self) -> Array:
        """Distance from the interval, of every row."""
        with np.errstate(invalid="ignore"):  # a value that is lost violates nothing but its own equation
            return np.maximum(np.maximum(self.low - self.values, self.values - self.high), 0.0)

    @property
    def duality_gap(self) -> float:
        """Σ λ⁺(c⁺ − c) + λ⁻(c − c⁻) where λ ≠ 0; infinite for a multiplier that pushes against no bound."""
        with np.errstate(invalid="ignore"):
            pushed = np.where(self.multipliers > 0.0, self.high - self.values, self.values - self.low)
        active = self.multipliers != 0.0
        return float(np.sum(np.abs(self.multipliers[active]) * np.maximum(pushed[active], 0.0)))


class Constraints:
    """The constraints of one problem on one depth scheme."""

    def __init__(self, problem: ControlProblem, depth: Layers, sweeper: Sweeper) -> None:
        self.problem, self.depth, self.sweeper = problem, depth, sweeper

    def families(
        self, trajectory: Trajectory, u: Array, p: Array, multipliers: Multipliers, everywhere: bool = False
    ) -> Iterator[Constrained]:
        """Every family that the problem has, along a trajectory; path where it is imposed, or ``everywhere``."""
        problem, sweeper = self.problem, self.sweeper
        (N, s, S, n) = trajectory.stages.shape
        t, stage_t = (problem.times.at(depths, p) for depths in (sweeper.t, sweeper.stage_t))
        if "x" in problem.bounds.names or problem.final is not None or problem.conditions is not None:
            low, high = (np.repeat(end[:, None], S, axis=1) for end in problem.state_box_at(sweeper.t))
            low[0], high[0] = -np.inf, np.inf  # the initial state is given, or a parameter
            low[-1], high[-1] = problem.final_box
            yield Constrained("state", trajectory.x, low, high, multipliers.nodes, t)
        if "x" in problem.bounds.names and not self.depth.condensed:
            ends = problem.state_box_at(sweeper.stage_t.ravel())
            low, high = (np.broadcast_to(end.reshape(N, s, 1, n), (N, s, S, n)) for end in ends)
            yield Constrained("state at the stages", trajectory.stages, low, high, multipliers.stages, stage_t)
        if problem.path is not None:
            ends = problem.interval_at("path", sweeper.stage_t.ravel())
            values = self._path_values(trajectory, u, p)
            held = everywhere | imposed(problem, self.depth)
            free = np.array([-np.inf, np.inf])
            low, high = (np.where(held, end.reshape(N, s, 1, -1), none) for end, none in zip(ends, free, strict=True))
            yield Constrained("path", values, low, high, multipliers.path, stage_t)
        if problem.boundary is not None:
            values = self._boundary(trajectory.x[0].T, trajectory.x[-1].T, p, self._data.T)[0].T
            low, high = (np.repeat(end, S, axis=0) for end in problem.interval_at("boundary", np.zeros(1)))
            yield Constrained("boundary", values, low, high, multipliers.boundary, np.zeros(S))

    def forces(self, trajectory: Trajectory, u: Array, p: Array, multipliers: Multipliers) -> Forces:
        """∂(λ·c)/∂(x, u, p)."""
        (N, s, S, _), m = trajectory.stages.shape, self.problem.m
        nodes, stages = multipliers.nodes.copy(), multipliers.stages.copy()
        controls, parameters = np.zeros((N * s, m)), np.zeros(self.problem.P)
        if self.problem.path is not None:
            rows = multipliers.path.shape[-1]
            columns = self._path_columns(trajectory, u, p)
            in_x, in_u, in_p = self._path_pullback(*columns, multipliers.path.reshape(-1, rows).T)
            stages += in_x.T.reshape(stages.shape)
            controls += in_u.T.reshape(N * s, S, m).sum(axis=1)
            parameters += in_p.sum(axis=1)
        if self.problem.boundary is not None:
            ends = trajectory.x[0].T, trajectory.x[-1].T, p, self._data.T
            in_x0, in_xT, in_p = self._boundary_pullback(*ends, multipliers.boundary.T)
            nodes[-1] += in_xT.T
            parameters += in_p.sum(axis=1)
            for k, (sample, i) in enumerate(self.problem.free_initial):
                parameters[self.problem.own_parameters + k] += in_x0[i, sample]
        return Forces(nodes, stages, controls, parameters)

    def no_multipliers(self) -> Multipliers:
        return Multipliers.zeros(self.problem, self.depth)

    # -- the compiled pieces ---------------------------------------------------------------------------

    @property
    def _data(self) -> Array:
        return np.asarray(self.problem.data)

    def _path_columns(self, trajectory: Trajectory, u: Array, p: Array) -> tuple[Array, ...]:
        """t, x, u, p, d of every (layer, stage, sample)."""
        N, s, S, n = trajectory.stages.shape
        t = np.repeat(self.sweeper.stage_t.ravel(), S)[None, :]
        controls = np.repeat(self.sweeper.stage_controls(u), S, axis=0).T
        return t, trajectory.stages.reshape(-1, n).T, controls, p, np.tile(self._data.T, (1, N * s))

    def _path_values(self, trajectory: Trajectory, u: Array, p: Array) -> Array:
        """c at the stages, (N, s, S, rows)."""
        values = self._path(*self._path_columns(trajectory, u, p))[0]
        return np.asarray(values.T.reshape(*trajectory.stages.shape[:3], -1))

    @once
    def _path(self) -> Batch:
        s = self.problem.symbols()
        value = ca.densify(self.problem.evaluate("path", **s))
        return Batch(ca.Function("path", list(s.values()), [value]), shared=(3,))

    @once
    def _path_pullback(self) -> Batch:
        s = self.problem.symbols()
        value = self.problem.evaluate("path", **s)
        multiplier = ca.SX.sym("multiplier", value.numel())
        gradients = [ca.densify(ca.gradient(ca.dot(multiplier, value), s[name])) for name in ("x", "u", "p")]
        return Batch(ca.Function("path_pullback", [*s.values(), multiplier], gradients), shared=(3,))

    def _ends(self) -> tuple[list[ca.SX], ca.SX]:
        s = self.problem.symbols()
        x0, xT = ca.SX.sym("x0", self.problem.n), ca.SX.sym("xT", self.problem.n)
        value = self.problem.evaluate("boundary", x0=x0, xT=xT, t=ca.SX(self.problem.span), p=s["p"], d=s["d"])
        return [x0, xT, s["p"], s["d"]], value

    @once
    def _boundary(self) -> Batch:
        arguments, value = self._ends()
        return Batch(ca.Function("boundary", arguments, [ca.densify(value)]), shared=(2,))

    @once
    def _boundary_pullback(self) -> Batch:
        arguments, value = self._ends()
        multiplier = ca.SX.sym("multiplier", value.numel())
        weighted = ca.dot(multiplier, value)
        gradients = [ca.densify(ca.gradient(weighted, argument)) for argument in arguments[:3]]
        return Batch(ca.Function("boundary_pullback", [*arguments, multiplier], gradients), shared=(2,))


def missed(value: float, low: float, high: float) -> str:
    """``0.12 above its bound 0.111``."""
    distance, end = (value - high, high) if value > high else (value - low, low)
    side = "above" if distance > 0.0 else "below"
    return f"{abs(distance):.2g} {side} {'its value' if low == high else 'its bound'} {end:g}"
