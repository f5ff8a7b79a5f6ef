"""The feedback of a value function rolled out on the user's own layers, as controls for any other route."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ocdl.depth import DepthScheme, Kutta4
from ocdl.hjb.value_function import ValueFunction
from ocdl.problem import ControlProblem
from ocdl.sweeps import Sweeper

Array = NDArray[np.float64]


def closed_loop(value: ValueFunction, depth: DepthScheme, feedback: str) -> tuple[Array, Array]:
    """Controls u (N, m) of the feedback on the user's layers, and the states x (N+1, S·n) of the user's scheme."""
    problem = value.problem
    tableau = depth.tableau if depth.tableau.explicit else Kutta4.tableau
    mesh = depth.mesh(problem.span)
    layers = _AnyLayers(problem, depth) if value.law.time_dependent else _Layers(problem, depth)
    u: list[Array] = []
    states = [problem.x0.reshape(-1)]
    for now, h in zip(mesh[:-1], np.diff(mesh), strict=True):
        inside = np.clip(states[-1], value.grid.lower, value.grid.upper)[None]
        u.append(value.steer(inside, now, h, feedback=feedback, tableau=tableau)[0])
        states.append(layers.advance(states[-1], float(h), u))
    return np.array(u), np.array(states)


class _Layers:
    """Single layers of the user's scheme by the referee's own sweep, for a dynamics without t."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self._problem, self._depth = problem, depth
        self._sweepers: dict[float, Sweeper] = {}

    def advance(self, x: Array, h: float, u: list[Array]) -> Array:
        """x (S·n,) after a layer of width h with the last of the controls u."""
        width = float(f"{h:.12g}")
        if width not in self._sweepers:
            self._sweepers[width] = Sweeper(replace(self._problem, horizon=width), replace(self._depth, layers=1))
        start = x.reshape(self._problem.samples, -1)
        return self._sweepers[width].state(u[-1][None], np.zeros(0), start).x[-1].reshape(-1)


class _AnyLayers:
    """The same for a dynamics with t: the referee's sweep from t = 0, of which all but the last layer is known."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self._sweeper, self._count = Sweeper(problem, depth), depth.count

    def advance(self, x: Array, h: float, u: list[Array]) -> Array:
        """x (S·n,) after the layer of the last of the controls u."""
        controls = np.array([*u, *[u[-1]] * (self._count - len(u))])
        return self._sweeper.state(controls, np.zeros(0)).x[len(u)].reshape(-1)
