"""The feedback of a value function rolled out on the user's own layers, as controls for any other route.

Bounds on states are kept at the nodes and stages of the user's scheme, which the feedback, looking at the end of an
explicit step, does not know: where the layer leaves them, it is steered again with a margin. Where the table does not
know to a fraction of a cell who can stay, the whole rollout is repeated with a margin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme, Kutta4
from ocdl.hjb.feedback.margins import widened_margins
from ocdl.hjb.feedback.value_function import ValueFunction
from ocdl.hjb.schemes.lookahead import Lookahead
from ocdl.hjb.schemes.state_bounds import ROLLOUTS
from ocdl.referee.outcome import Multipliers
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Forces, Sweeper

Array = NDArray[np.float64]

LEFT = 1e-9  # by how much a layer may leave the bounds on states, in their own units
AGAIN = 8
ACTIVE = 0.05  # cells from a bound within which it has a multiplier


def closed_loop(value: ValueFunction, depth: DepthScheme, feedback: str) -> tuple[Array, Array, Array]:
    """Controls u (N, m) of the feedback on the user's layers, and the states of the user's scheme: x (N+1, S·n) at the
    nodes and (N, s, S·n) at the stages.
    """
    problem = value.problem
    layers = _AnyLayers(problem, depth) if value.law.time_dependent else _Layers(problem, depth)
    rollout = _Rollout(value, depth, feedback, layers)
    viable = value.viable(problem.x0.reshape(1, -1), np.zeros(1))[0]
    most = ROLLOUTS if viable else 1
    return widened_margins(rollout.with_margin, kept=LEFT, most=most, cell=rollout.cell)[1]


@dataclass(frozen=True, eq=False)
class _Rollout:
    """The feedback on the user's layers, each steered by a step of the user's own scheme where that is explicit."""

    value: ValueFunction
    depth: DepthScheme
    feedback: str
    layers: _Layers | _AnyLayers

    @property
    def cell(self) -> float:
        return float(np.min(self.value.grid.spacing))

    @cached_property
    def mesh(self) -> Array:
        return self.depth.mesh(self.value.problem.span)

    @cached_property
    def law(self) -> Lookahead:
        if self.depth.tableau.explicit:
            return self.value.law.by(self.depth.tableau)
        return self.value.law.by(Kutta4.tableau).accurate(self.value.grid, float(np.max(np.diff(self.mesh))))

    def with_margin(self, least: float) -> tuple[float, tuple[Array, Array, Array]]:
        """By how much a rollout with a margin of ``least`` cells or more leaves the bounds; its controls, and its
        states at the nodes and at the stages.
        """
        u: list[Array] = []
        states, inner, worst = [self.value.problem.x0.reshape(-1)], [], 0.0
        for now, h in zip(self.mesh[:-1], np.diff(self.mesh), strict=True):
            steered = partial(self._layer, states[-1], float(now), float(h), u)
            over, (control, end, stages) = widened_margins(
                steered, kept=LEFT, most=AGAIN, cell=self.cell, margin=least, while_falling=True
            )
            worst = max(worst, over)
            u.append(control)
            states.append(end)
            inner.append(stages)
        return worst, (np.array(u), np.array(states), np.array(inner))

    def _layer(
        self, x: Array, now: float, h: float, u: list[Array], margin: float
    ) -> tuple[float, tuple[Array, Array, Array]]:
        """By how much one layer from x (S·n,) after the controls u leaves the bounds; its control, end and stages."""
        value = self.value
        inside = value.grid.inside(x)[None]
        control = value.steer(inside, now, h, feedback=self.feedback, law=self.law, margin=margin)[0]
        end, stages = self.layers.advance(x, h, [*u, control])
        return _violation(value, self.depth, now, h, end, stages), (control, end, stages)


def multipliers(value: ValueFunction, depth: DepthScheme, u: Array, x: Array, costate: Array) -> Multipliers | None:
    """Multipliers of the bounds on states, estimated from ∇V along a rollout: controls u (N, m), states x and costates
    ∇V, both (N+1, S·n); None where states are not bounded.

    Backwards, the multiplier at a node makes up, in the states on a bound and with the sign of the bound, for what the
    referee's costate a layer before lacks of ∇V, to first order in the layer.
    """
    if value.bounds is None:
        return None
    problem, sweeper = value.problem, Sweeper(value.problem, depth)
    none = np.zeros(0)
    trajectory, found = sweeper.state(u, none), Multipliers.zeros(problem, depth)
    shape = trajectory.x.shape
    low, high = (end[:, None] for end in problem.state_box_at(sweeper.t))
    near = ACTIVE * value.grid.spacing.reshape(shape[1:])
    upper, lower = trajectory.x >= high - near, trajectory.x <= low + near
    forces = Forces(found.nodes, found.stages, np.zeros((sweeper.stage_t.size, problem.m)), none)
    for k in reversed(range(1, depth.count + 1)):
        if np.any(upper[k] | lower[k]):
            lacking = costate[k - 1].reshape(shape[1:]) - sweeper.costate(trajectory, u, none, forces).costate[k - 1]
            found.nodes[k] = np.maximum(lacking, 0.0) * upper[k] + np.minimum(lacking, 0.0) * lower[k]
    return found


def _violation(value: ValueFunction, depth: DepthScheme, now: float, h: float, end: Array, stages: Array) -> float:
    """By how much a layer leaves the bounds on states at its end (S·n,) and, where the referee looks, at its stages."""
    if value.bounds is None:
        return 0.0
    problem = value.problem
    t = now + h * (np.ones(1) if depth.condensed else np.append(depth.tableau.c, 1.0))
    x = end[None] if depth.condensed else np.vstack([stages, end])
    low, high = (np.tile(side, (1, problem.samples)) for side in problem.state_box_at(t))
    return float(np.max(np.maximum(low - x, x - high)))


class _Layers:
    """Single layers of the user's scheme by the referee's own sweep, for a dynamics without t."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self._problem, self._depth = problem, depth
        self._sweepers: dict[float, Sweeper] = {}

    def advance(self, x: Array, h: float, u: list[Array]) -> tuple[Array, Array]:
        """x (S·n,) after a layer of width h with the last of the controls u, and at its stages (s, S·n)."""
        width = float(f"{h:.12g}")
        if width not in self._sweepers:
            self._sweepers[width] = Sweeper(replace(self._problem, horizon=width), replace(self._depth, layers=1))
        start = x.reshape(self._problem.samples, -1)
        trajectory = self._sweepers[width].state(u[-1][None], np.zeros(0), start)
        return trajectory.x[-1].reshape(-1), trajectory.stages[0].reshape(-1, x.size)


class _AnyLayers:
    """The same for a dynamics with t: the referee's sweep from t = 0, of which all but the last layer is known."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self._sweeper, self._count = Sweeper(problem, depth), depth.count

    def advance(self, x: Array, h: float, u: list[Array]) -> tuple[Array, Array]:
        """x (S·n,) after the layer of the last of the controls u, and at its stages (s, S·n)."""
        controls = np.array([*u, *[u[-1]] * (self._count - len(u))])
        trajectory = self._sweeper.state(controls, np.zeros(0))
        return trajectory.x[len(u)].reshape(-1), trajectory.stages[len(u) - 1].reshape(-1, x.size)
