"""Bang-bang flows in continuous depth: arc by arc between switches, by Gauss collocation of order 12.

One sample of a selection problem with increasing σ, neuron i driven at its fastest (θ_i = 1) or slowest (θ_i = −1):

    f_i' = σ(a_i − Σ_j w_j b_ij f_j),   a_i = a_c + θ_i a_r,   b_ij = b_c − θ_i v_j b_r,   v_j = sign f_j.

θ_i flips at given depths; v_j flips where f_j passes through 0, which is located to rounding. Between two flips a and
b are constant and the field is as smooth as σ. It is continuous across f_j = 0, and so the costate is as well.
Collocation is symplectic: the costate of the same scheme is the gradient of the cost it integrates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.batch import Direct, evaluated
from ocdl.callables import numpy_on_casadi
from ocdl.depth.schemes import gauss_tableau
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

DEGREE = 6
LONGEST = 0.2  # of a step, times the Lipschitz constant of the field: the truncation error is then below rounding
TABLEAU = gauss_tableau(DEGREE)


@dataclass(frozen=True, eq=False)
class Schedule:
    """Who flips when: θ(0) (M,) of ±1, and K flips of neurons (K,) at depths (K,), in any order."""

    theta: Array
    depths: Array
    neurons: NDArray[np.intp]

    def __post_init__(self) -> None:
        order = np.argsort(self.depths, kind="stable")
        object.__setattr__(self, "depths", self.depths[order])
        object.__setattr__(self, "neurons", self.neurons[order])

    @property
    def count(self) -> int:
        return int(self.depths.size)

    def at(self, depths: Array) -> Schedule:
        """The same flips at other depths (K,), in this schedule's order."""
        return Schedule(self.theta, depths, self.neurons)


@dataclass(frozen=True, eq=False)
class Flow:
    """One run of a schedule over L layers: t (L+1,), f and Euclidean costate p (L+1, M); θ, v (L, M) and the stages."""

    field: Field
    schedule: Schedule
    t: Array
    theta: Array
    v: Array
    x: Array
    stages: Array
    cost: float
    terminal: Array

    @property
    def h(self) -> Array:
        return np.diff(self.t)

    @cached_property
    def _costates(self) -> tuple[Array, Array]:
        p, stages = np.empty_like(self.x), np.empty_like(self.stages)
        p[-1] = self.terminal
        for k in reversed(range(len(self.h))):
            arc = self.field.arc(self.theta[k], self.v[k])
            p[k], stages[k] = arc.back(self.stages[k], p[k + 1], self.t[k + 1] - self.t[k])
        return p, stages

    @property
    def p(self) -> Array:
        return self._costates[0]

    @property
    def stage_costates(self) -> Array:
        """Λ at the stages, (L, s, M)."""
        return self._costates[1]

    @property
    def stage_depths(self) -> Array:
        return self.t[:-1, None] + self.h[:, None] * TABLEAU.c

    @cached_property
    def gradient(self) -> Array:
        """∂J/∂τ (K,) = jump of H at the flips = p_i (rate of i before − rate of i after)."""
        gradient = np.zeros(self.schedule.count)
        for k, (depth, i) in enumerate(zip(self.schedule.depths, self.schedule.neurons, strict=True)):
            layer = int(np.searchsorted(self.t, depth, side="right")) - 1
            if 0 <= depth <= self.t[-1]:
                slow, fast = self.field.velocities(self.x[layer])
                after = self._after(k, int(i))
                gradient[k] = self.p[layer, i] * (slow[i] - fast[i]) * after
        return gradient

    def _after(self, k: int, neuron: int) -> float:
        """θ of the neuron after its flip k."""
        flips = np.count_nonzero(self.schedule.neurons[: k + 1] == neuron)
        return float(self.schedule.theta[neuron] * (-1.0) ** flips)

    @cached_property
    def excess(self) -> Array:
        """p_i (f_i' − its best velocity) ≥ 0 at the stages, (L, s, M): what the maximum principle still asks for."""
        slow, fast = self.field.velocities(self.stages)
        costate, theta = self.stage_costates, self.theta[:, None, :]
        return np.where(costate * theta > 0.0, np.abs(costate) * (fast - slow), 0.0)

    @property
    def gap(self) -> float:
        """∫ H − min H dt."""
        return float(np.einsum("k,i,kim->", self.h, TABLEAU.b, self.excess))

    def at(self, t: Array) -> tuple[Array, Array]:
        """f and p at depths t (n,), each (n, M), as accurate as at the nodes."""
        layer = np.clip(np.searchsorted(self.t, t, side="right") - 1, 0, len(self.h) - 1)
        f, p = np.empty((t.size, self.x.shape[1])), np.empty((t.size, self.x.shape[1]))
        for n, k in enumerate(layer):
            arc, ahead, left = self.field.arc(self.theta[k], self.v[k]), t[n] - self.t[k], self.t[k + 1] - t[n]
            f[n] = arc.step(self.x[k], ahead)[0]
            p[n] = arc.back(arc.step(f[n], left)[1], self.p[k + 1], left)[0]
        return f, p


@dataclass(frozen=True, eq=False)
class Arc:
    """Constant a (M,) and b∘w (M, M)."""

    sigma: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    a: Array
    kernel: Array

    def rate(self, f: Array) -> Array:
        return self.sigma(self.a - f @ self.kernel.T)

    def step(self, f: Array, h: float) -> tuple[Array, Array]:
        """f(t + h) and the stages (s, M), the stage equations iterated to rounding."""
        stages, rates = np.tile(f, (DEGREE, 1)), np.tile(self.rate(f), (DEGREE, 1))
        for _ in range(100):
            last, stages = stages, f + h * (TABLEAU.A @ rates)
            rates = self.rate(stages)
            if np.max(np.abs(stages - last)) <= 1e-16 * (1.0 + np.max(np.abs(stages))):
                break
        return f + h * (TABLEAU.b @ rates), stages

    def back(self, stages: Array, p: Array, h: float) -> tuple[Array, Array]:
        """p(t) from p(t + h), and Λ at the stages: K = h b p⁺ + h Aᵀ G, G_j = φ_xᵀ K_j, p = p⁺ + Σ G; Λ = K/(h b)."""
        slopes = self.slope(self.a - stages @ self.kernel.T)
        weight = (TABLEAU.A * TABLEAU.b[:, None] / TABLEAU.b).T  # Λ_i = p⁺ + h Σ_j (b_j a_ji / b_i) φ_xᵀ Λ_j
        costates = pulled = np.tile(p, (DEGREE, 1))
        for _ in range(100):
            last, pulled = costates, -(slopes * costates) @ self.kernel
            costates = p + h * (weight @ pulled)
            if np.max(np.abs(costates - last)) <= 1e-16 * (np.max(np.abs(costates)) + 1e-300):
                break
        return p + h * (TABLEAU.b @ pulled), costates


class Field:
    """The bang-bang fields of one problem, and its terminal loss."""

    def __init__(self, problem: ControlProblem) -> None:
        box = problem.velocity_box
        assert box is not None
        self.problem, self.box = problem, box
        self.horizon = float(problem.span)
        largest = np.max(np.maximum(np.abs(box.b_lower), np.abs(box.b_upper)) @ box.weights)
        steepest = float(np.max(self.slope(np.linspace(-8.0, 8.0, 1601))))
        self.longest = min(self.horizon / 4, LONGEST / max(largest * steepest, 1e-12))

    @cached_property
    def _slopes(self) -> dict[tuple[int, ...], Direct]:
        return {}

    def slope(self, s: Array) -> Array:
        """σ'(s)."""
        if s.shape not in self._slopes:
            symbol = ca.SX.sym("s", s.size)
            with numpy_on_casadi():
                value = ca.gradient(ca.sum1(self.box.activation(symbol)), symbol)
            self._slopes[s.shape] = Direct(ca.Function("slope", [symbol], [ca.densify(value)]))
        return self._slopes[s.shape](s.ravel())[0].reshape(s.shape)

    def velocities(self, f: Array) -> tuple[Array, Array]:
        return self.box.velocities(f)

    def arc(self, theta: Array, v: Array) -> Arc:
        a, b = self.box.controls(v, theta, v)
        return Arc(self.box.activation, self.slope, a, b * self.box.weights)

    def run(self, schedule: Schedule) -> Flow:
        theta, f, t = schedule.theta.copy(), self.problem.x0[0].copy(), 0.0
        v = np.where(f < 0.0, -1.0, 1.0)
        nodes, states, stages, thetas, vs = [t], [f], [], [], []
        stops = np.append(np.clip(schedule.depths, 0.0, self.horizon), self.horizon)
        for k, stop in enumerate(stops):
            for mark in np.linspace(t, stop, 1 + int(np.ceil((stop - t) / self.longest)))[1:]:
                while t < mark:
                    v = self._signs(f, theta, v)
                    arc = self.arc(theta, v)
                    f, h, inside = self._to_zero(arc, f, v, mark - t)
                    t = mark if h == mark - t else t + h
                    nodes.append(t)
                    states.append(f)
                    stages.append(inside)
                    thetas.append(theta.copy())
                    vs.append(v)
            if k < schedule.count:
                theta[schedule.neurons[k]] *= -1.0
        terminal = self.problem.terminal_function
        loss, slope, _ = evaluated(terminal, states[-1], np.zeros(0), np.asarray(self.problem.data)[0])
        arrays = (np.array(nodes), np.array(thetas), np.array(vs), np.array(states), np.array(stages))
        return Flow(self, schedule, *arrays, cost=float(loss[0, 0]), terminal=slope.ravel())

    def _signs(self, f: Array, theta: Array, v: Array) -> Array:
        """sign f; where f = 0 the sign it is about to take."""
        if np.all(f != 0.0):
            return np.sign(f)
        rate = self.arc(theta, v).rate(f)  # does not depend on v_j where f_j = 0
        return np.where(f != 0.0, np.sign(f), np.where(rate == 0.0, v, np.sign(rate)))

    def _to_zero(self, arc: Arc, f: Array, v: Array, h: float) -> tuple[Array, float, Array]:
        """One step of length h, or up to the first f_j = 0 on its way."""
        end, stages = arc.step(f, h)
        ahead = np.vstack([stages, end]) * v
        crossing = (ahead < 0.0) & (f != 0.0)
        if not np.any(crossing):
            return end, h, stages
        mark = int(np.argmax(np.any(crossing, axis=1)))
        limit = h * np.append(TABLEAU.c, 1.0)[mark]
        zero, first = min((self._zero(arc, f, int(j), limit), int(j)) for j in np.flatnonzero(crossing[mark]))
        end, stages = arc.step(f, zero)
        end[first] = 0.0
        return end, zero, stages

    @staticmethod
    def _zero(arc: Arc, f: Array, j: int, limit: float) -> float:
        return float(scipy.optimize.brentq(lambda h: arc.step(f, h)[0][j], 0.0, limit, xtol=1e-16, rtol=1e-15))
