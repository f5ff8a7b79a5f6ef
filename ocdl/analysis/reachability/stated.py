"""The one sample whose reachable set is asked for: its velocity box, start and horizon, and how to check controls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ocdl.analysis.reachability.extremes import Extremes
from ocdl.analysis.reachability.search import Steps
from ocdl.arrays import Array, finite_array
from ocdl.callables import called
from ocdl.errors import InvalidInput, NotSupported
from ocdl.solving.compile import Problem
from ocdl.solving.simulate import simulate
from ocdl.statement.noise import refuse_noise
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import SelectionProblem
from ocdl.statement.velocity_box import VelocityBox
from ocdl.statement.width import Width

TOLERANCE = 1e-11  # of simulations
PIECES, FINER = 6, 6  # of a layer of ϑ, and Runge–Kutta steps of each


@dataclass(frozen=True, eq=False)
class Sample:
    """A problem of one sample, on its width; ``points`` are the nodes y where it has some."""

    problem: ControlProblem
    box: VelocityBox
    points: Array | None

    @cached_property
    def extremes(self) -> Extremes:
        return Extremes(self.box)

    @property
    def x0(self) -> Array:
        return np.asarray(self.problem.x0[0])

    @property
    def horizon(self) -> float:
        return float(self.problem.span)

    def target(self, given: Any) -> Array:
        """(M,), of a function of the nodes, an array or a number; that of the problem where None."""
        if callable(given):
            if self.points is None:
                raise InvalidInput("target: these states are no function of y; give an array.")
            given = called("target", "the width nodes y", given, self.points.copy())
        values = finite_array("target", np.asarray(self.problem.data)[0] if given is None else given)
        if values.ndim > 1 or values.size not in (1, self.box.width):
            raise InvalidInput(f"target: a number or shape ({self.box.width},) is needed; got shape {values.shape}.")
        return np.broadcast_to(values, (self.box.width,)).copy()

    def simulated(self, controls: tuple[Array, Array]) -> Array:
        """x(T) (M,) under (times, rows), by error control."""
        flown = simulate(self.problem, controls, tolerance=TOLERANCE)
        return np.asarray(flown.state.values[-1]).reshape(-1)

    def pieces(self, theta: Array) -> tuple[Array, Array]:
        """Rank-one controls near ϑ (layers, M) as times (K+1,) and rows (K, m), constant on each piece; another piece
        begins where a state crosses 0. The velocities in the middle of the pieces are those of ϑ.
        """
        steps = Steps(self.extremes, self.x0, self.horizon, len(theta), PIECES * FINER)
        t, y = steps.times, steps.states(theta[None])[:, 0]
        k, j = np.nonzero(y[:-1] * y[1:] < 0.0)
        crossings = t[k] + y[k, j] / (y[k, j] - y[k + 1, j]) * (t[k + 1] - t[k])
        every = np.unique(np.concatenate([t[::FINER], crossings]))
        middles = 0.5 * (every[:-1] + every[1:])
        f = np.stack([np.interp(middles, t, row) for row in y.T], axis=1)
        share = theta[np.minimum((middles / self.horizon * len(theta)).astype(int), len(theta) - 1)]
        slow, fast = self.box.velocities(f)
        v = 0.5 * (1.0 - share) * slow + 0.5 * (1.0 + share) * fast
        a, b = self.box.controls(f, self.extremes.theta(f, v))
        return every, np.concatenate([a, b.reshape(len(b), -1)], axis=1)


def one_sample(said: str, problem: Problem, width: Width | None) -> Sample:
    """What is asked about; raises InvalidInput for no problem or no width, NotSupported without a velocity box."""
    points = None
    if isinstance(problem, SelectionProblem):
        if not isinstance(width, Width):
            raise InvalidInput(f"{said}(width={width!r}): a SelectionProblem needs a width, such as Midpoint(2).")
        points, problem = width.on(problem.domain).points, problem.discretise(width)
    if not isinstance(problem, ControlProblem):
        raise InvalidInput(f"{said}({problem!r}): give a SelectionProblem or a ControlProblem.")
    refuse_noise(said, problem)
    box = problem.velocity_box
    if problem.samples != 1:
        raise NotSupported(f"{said}: one sample has a velocity box; this problem has {problem.samples}.")
    if box is None or not box.of_a_box:
        raise NotSupported(f"{said}: increasing σ and a finite, constant Box(a=..., b=...) of controls are needed.")
    if any(np.isfinite(ends).any() for ends in problem.state_box_at(np.linspace(0.0, problem.span, 2))):
        raise NotSupported(f"{said}: bounds on the state are not taken into account; leave f out of the Box.")
    return Sample(problem, box, points)
