"""The polish: L-BFGS-B on the cost, in the coordinates that suit the problem.

For one sample of a selection problem these are the reduced controls θ ∈ [−1, 1]^M of each layer,

    a_i = a_c + θ_i a_r,   b_ij = b_c − θ_i v_j b_r,   v = sign f,

in which every attainable velocity has one θ; v is refreshed from round to round. Where a layer has several stages
v is free in [−1, 1]^M, then all controls of the few layers in which f or r change sign are, and at last of all layers.
For other problems z are all controls and parameters. A variable is scaled by the square root of its quadrature
weight, so that L-BFGS-B works in the inner product of function space and does not see the grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Moved
from ocdl.pmp.updates.gradient_arcs import GradientArc
from ocdl.pmp.updates.needles import needles
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]

NEGLIGIBLE = 0.01  # share of the mean layer's gain below which a layer is left alone
WATCH = 10  # L-BFGS-B iterations from one look at the gap to the next


class Chart(Protocol):
    """Coordinates z of the controls and parameters around one iterate, with their box and metric."""

    start: Array
    low: Array
    high: Array
    metric: Array

    def controls(self, z: Array) -> tuple[Array, Array]: ...

    def gradient(self, z: Array, in_u: Array, in_p: Array) -> Array: ...


class Gains(Protocol):
    """What charts and polish ask of a proposal: the gap, and the gains (N, G) of the needles behind it."""

    @property
    def gap(self) -> float: ...

    @property
    def gains(self) -> Array: ...


@dataclass(frozen=True, eq=False)
class Stationarity(GradientArc):
    """The gap to first order: what a unit projected gradient step would gain."""

    @cached_property
    def gap(self) -> float:
        return self.iterate.control_gain + self.iterate.parameter_gain

    @property
    def gains(self) -> Array:
        return needles(self.iterate).gains


ChartMaker = Callable[[Iterate, Gains], Chart]


class AllControls:
    """z = (u, p)."""

    def __init__(self, iterate: Iterate, layers: NDArray[np.intp] | None = None) -> None:
        """``layers``: the indices of those to move, all by default."""
        problem, (in_u, in_p) = iterate.ground.problem, iterate.ground.metric
        self.u, self.layers = iterate.u, np.arange(len(iterate.u)) if layers is None else layers
        boxes = zip(problem.control_box, problem.parameter_box, strict=True)
        self.low, self.high = (np.concatenate([np.tile(u, self.layers.size), p]) for u, p in boxes)
        self.start = np.concatenate([iterate.u[self.layers].ravel(), iterate.p])
        self.metric = np.concatenate([in_u[self.layers].ravel(), in_p])

    def controls(self, z: Array) -> tuple[Array, Array]:
        size = self.layers.size * self.u.shape[1]
        u = self.u.copy()
        u[self.layers] = z[:size].reshape(self.layers.size, u.shape[1])
        return u, z[size:]

    def gradient(self, z: Array, in_u: Array, in_p: Array) -> Array:
        return np.concatenate([in_u[self.layers].ravel(), in_p])


class ReducedControls:
    """z = θ at v = sign f̄, f̄ the layer's mean state; for schemes of several stages z = (θ, v).

    θ starts where it has the pre-activations of the iterate's own controls at f̄, which for one stage keeps every
    velocity. With several stages f may change sign within a layer, and the best v there is no sign.
    """

    def __init__(self, iterate: Iterate) -> None:
        ground = iterate.ground
        problem, box = ground.problem, ground.problem.velocity_box
        assert box is not None
        self.problem, self.p = problem, iterate.p
        self.free_v = ground.sweeper.tableau.stages > 1
        mean = np.einsum("i,kim->km", ground.sweeper.tableau.b, iterate.trajectory.stages[:, :, 0])
        self.v = np.where(mean < 0.0, -1.0, 1.0)
        self.a_centre, self.b_centre = box.controls(mean, np.zeros_like(mean), self.v)
        a, b = box.controls(mean, np.ones_like(mean), np.ones_like(mean))
        self.a_radius, self.b_radius = a - self.a_centre, self.b_centre - b
        theta = self._theta(iterate.u, mean)
        self.shape = theta.shape
        self.start = theta.ravel()
        self.metric = np.outer(ground.sweeper.h, box.weights).ravel()
        if self.free_v:
            self.start, self.metric = np.append(theta, self.v), np.tile(self.metric, 2)
        self.low, self.high = -np.ones(self.start.size), np.ones(self.start.size)

    def _theta(self, u: Array, f: Array) -> Array:
        """θ with the pre-activations that controls u have at state f (N, M)."""
        box, controls = self.problem.velocity_box, self.problem.unpack(u)
        assert box is not None
        own = controls["a"] - np.einsum("kij,j,kj->ki", controls["b"], box.weights, f)
        slow, fast = box.preactivations(f)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.clip(np.where(fast > slow, (2.0 * own - fast - slow) / (fast - slow), 0.0), -1.0, 1.0)

    def _parts(self, z: Array) -> tuple[Array, Array]:
        if not self.free_v:
            return z.reshape(self.shape), self.v
        theta, v = z.reshape(2, *self.shape)
        return theta, v

    def controls(self, z: Array) -> tuple[Array, Array]:
        theta, v = self._parts(z)
        b = self.b_centre - theta[:, :, None] * v[:, None, :] * self.b_radius
        return self.problem.pack(a=self.a_centre + theta * self.a_radius, b=b), self.p

    def gradient(self, z: Array, in_u: Array, in_p: Array) -> Array:
        theta, v = self._parts(z)
        parts = self.problem.unpack(in_u)
        in_b = -parts["b"] * self.b_radius
        in_theta = parts["a"] * self.a_radius + np.einsum("kij,kj->ki", in_b, v)
        if not self.free_v:
            return in_theta.ravel()
        return np.append(in_theta, np.einsum("kij,ki->kj", in_b, theta))


def all_controls(iterate: Iterate, _: Gains) -> AllControls:
    return AllControls(iterate)


def reduced_controls(iterate: Iterate, _: Gains) -> ReducedControls:
    return ReducedControls(iterate)


def gaining_layers(iterate: Iterate, proposal: Gains) -> AllControls:
    """All controls of the layers that still gain, the others held: where rank one is too little for several stages."""
    gains = proposal.gains.sum(axis=1)
    return AllControls(iterate, np.flatnonzero(gains >= NEGLIGIBLE * gains.mean()))


def chart_makers(ground: Ground) -> list[ChartMaker]:
    """The coordinates to polish in, one after the other."""
    if ground.problem.P or not ground.law.closed_form:
        return [all_controls]
    if ground.sweeper.tableau.stages == 1:
        return [reduced_controls]
    return [reduced_controls, gaining_layers, all_controls]


@dataclass(frozen=True)
class Polish:
    """One round of L-BFGS-B in the iterate's ``chart``; None where it does not lower the cost.

    Where the gap is cheap (in closed form), it is watched and the round ends at ``tolerance``. The iterations of the
    round go into the history.
    """

    chart: ChartMaker
    max_iterations: int
    memory: int
    tolerance: float

    def __call__(self, iterate: Iterate, proposal: Gains) -> Moved | None:
        chart = self.chart(iterate, proposal)
        objective = _Objective(iterate, chart)
        count = 0

        def watch(_: Array) -> None:
            nonlocal count
            count += 1
            if objective.best is None:
                return
            watched = count % WATCH == 0 and iterate.ground.law.closed_form
            gap = needles(objective.best).gap if watched else np.nan
            iterate.ground.passed(objective.best, gap)
            if gap <= self.tolerance:
                raise StopIteration

        scipy.optimize.minimize(
            objective,
            chart.start * objective.scale,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([chart.low * objective.scale, chart.high * objective.scale], axis=1),
            callback=watch,
            options={
                "maxiter": self.max_iterations,
                "maxfun": 2 * self.max_iterations,
                "maxcor": self.memory,
                "ftol": 0.0,
                "gtol": 1e-14,
            },
        )
        found = objective.best
        return Moved(found) if found is not None and found.cost < iterate.cost else None


class _Objective:
    """Cost and gradient in the scaled coordinates √metric · z; keeps the best iterate it meets."""

    def __init__(self, iterate: Iterate, chart: Chart) -> None:
        self.ground, self.chart = iterate.ground, chart
        self.scale = np.sqrt(chart.metric)
        self.best: Iterate | None = None
        self.worst, self.slope = iterate.cost, np.zeros(chart.start.size)

    def __call__(self, scaled: Array) -> tuple[float, Array]:
        z = np.clip(scaled / self.scale, self.chart.low, self.chart.high)
        try:
            u, p = self.chart.controls(z)
            iterate = self.ground.at(np.clip(u, *self.ground.problem.control_box), p)  # rounding may leave the box
            adjoint = iterate.adjoint
        except SweepFailed:  # a step too long: worse than all so far, so that the line search comes back
            return self.worst + 1.0 + abs(self.worst), self.slope
        self.slope = self.chart.gradient(z, adjoint.gradient_u, adjoint.gradient_p) / self.scale
        self.worst = max(self.worst, iterate.cost)
        if self.best is None or iterate.cost <= self.best.cost:
            self.best = iterate
        return iterate.cost, self.slope
