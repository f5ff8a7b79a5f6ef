"""Full-space transcription: states, stages, lifted variables, controls and parameters are the variables of an NLP.

Layer k of sample s, with stages X_i, lifted z_i = g(X_i, u_k) and slopes φ_i = φ(t_i, X_i, u_k, p, d_s, z_i):

    X_i − x_k − h Σ_j a_ij φ_j = 0,   z_i − g(t_i, X_i, u_k, p, d_s) = 0,   x_{k+1} − x_k − h Σ_j b_j φ_j = 0.

A stage that is the start of the layer (a zero row of A) or its end (stiff accuracy) is no variable of its own.
Multipliers η_i, ν of the first and last rows give the costates in the scheme's own weights:

    h b_j Λ_j = −h (b_j ν + Σ_i a_ij η_i),   p_k = ∂/∂x_k of the layer's part of the Lagrangian.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.depth import DepthScheme
from ocdl.method import Start
from ocdl.nlp.assembly import Elements, Indices, NonlinearProgram, assemble
from ocdl.problem import ControlProblem
from ocdl.sweeps import Sweeper, SweepFailed

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Places:
    """Where everything lies in w, layer after layer.

    x (N+1, S, n), u (N, m), X (N, S, own stages, n), z (N, S, s, q), p (P,).
    """

    x: Indices
    u: Indices
    stages: Indices
    z: Indices
    p: Indices
    size: int

    @classmethod
    def of(cls, problem: ControlProblem, N: int, own: int, s: int) -> Places:
        S, n, m, q = problem.samples, problem.n, problem.m, problem.lifted
        blocks = (S * n, m, S * own * n, S * s * q)
        layer = np.arange(N)[:, None] * sum(blocks)
        offsets = np.concatenate([[0], np.cumsum(blocks)])

        def block(b: int, *shape: int) -> Indices:
            return (layer + offsets[b] + np.arange(blocks[b])).reshape(N, *shape)

        last = N * sum(blocks)
        final = (last + np.arange(S * n)).reshape(1, S, n)
        p = last + S * n + np.arange(problem.P)
        x = np.concatenate([block(0, S, n), final])
        return cls(x, block(1, m), block(2, S, own, n), block(3, S, s, q), p, last + S * n + problem.P)


class Transcription:
    """The NLP of one problem on one depth scheme, and the way back from its solution."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self.problem, self.depth, self.tableau = problem, depth, depth.tableau
        self.t = depth.mesh(problem.horizon)
        self.h = np.diff(self.t)
        A = self.tableau.A
        last = self.tableau.stages - 1
        self.at_start = [i for i in range(last + 1) if not np.any(A[i]) and self.tableau.c[i] == 0.0]
        self.at_end = [last] if self.tableau.stiffly_accurate and last not in self.at_start else []
        self.own = [i for i in range(last + 1) if i not in self.at_start + self.at_end]
        self.places = Places.of(problem, self.h.size, len(self.own), self.tableau.stages)

    @cached_property
    def program(self) -> NonlinearProgram:
        return assemble(self._kinds, self.places.size, self._constraints)

    # -- elements -------------------------------------------------------------------------------------

    @property
    def _rows_per_layer(self) -> int:
        stages = len(self.own) + 1  # the end of the layer, by its own equation or as the last stage
        return stages * self.problem.n + self.tableau.stages * self.problem.lifted

    @property
    def _constraints(self) -> int:
        return self.h.size * self.problem.samples * self._rows_per_layer

    @cached_property
    def _kinds(self) -> list[Elements]:
        kinds = [self._layer, self._terminal]
        if self.problem.effort is not None:
            kinds.append(self._effort)
        if self.problem.penalty is not None:
            kinds.append(self._penalty)
        return kinds

    @cached_property
    def _layer(self) -> Elements:
        problem, tableau, places = self.problem, self.tableau, self.places
        n, q, s = problem.n, problem.lifted, tableau.stages
        N, S = self.h.size, problem.samples
        sym = problem.symbols()
        x, u, p, d, t = (sym[name] for name in ("x", "u", "p", "d", "t"))
        end, h, omega = ca.SX.sym("end", n), ca.SX.sym("h"), ca.SX.sym("omega")
        X = {i: x for i in self.at_start} | {i: end for i in self.at_end}
        X |= {i: ca.SX.sym(f"X{i}", n) for i in self.own}
        z = [ca.SX.sym(f"z{i}", q) for i in range(s)]
        at = [{"t": t + c * h, "x": X[i], "u": u, "p": p, "d": d} for i, c in enumerate(tableau.c)]
        slopes = [problem.evaluate("dynamics", **at[i], z=z[i]) for i in range(s)]
        cost = sum((h * b * problem.evaluate("running", **at[i], z=z[i]) for i, b in enumerate(tableau.b)), ca.SX(0))
        rows = [X[i] - x - h * _combine(tableau.A[i], slopes) for i in self.own]
        rows.append(end - x - h * _combine(tableau.b, slopes))
        if q:
            rows += [z[i] - problem.evaluate("lift", **at[i]) for i in range(s)]

        def per_element(indices: Indices) -> Indices:
            """(N, S, ...) → (rows, N·S)."""
            return indices.reshape(N * S, -1).T

        variables = [
            per_element(places.x[:-1]),
            per_element(places.stages),
            per_element(places.z),
            per_element(places.x[1:]),
            np.repeat(places.u, S, axis=0).T,
            np.tile(places.p[:, None], N * S),
        ]
        values = [
            np.repeat(self.t[:-1], S)[None, :],
            np.repeat(self.h, S)[None, :],
            np.tile(problem.weights, N)[None, :],
            np.tile(np.asarray(problem.data).T, (1, N)),
        ]
        return Elements(
            local=ca.vertcat(x, *[X[i] for i in self.own], *z, end, u, p),
            constants=ca.vertcat(t, h, omega, d),
            cost=omega * cost,
            residual=ca.vertcat(*rows),
            variables=np.concatenate(variables),
            rows=np.arange(self._constraints).reshape(N * S, -1).T,
            values=np.concatenate(values),
        )

    @cached_property
    def _terminal(self) -> Elements:
        problem, S = self.problem, self.problem.samples
        sym = problem.symbols()
        x, p, d, omega = sym["x"], sym["p"], sym["d"], ca.SX.sym("omega")
        loss = problem.evaluate("terminal", **{**sym, "t": ca.SX(problem.horizon)})
        return Elements(
            local=ca.vertcat(x, p),
            constants=ca.vertcat(omega, d),
            cost=omega * loss,
            residual=ca.SX(0, 1),
            variables=np.concatenate([self.places.x[-1].T, np.tile(self.places.p[:, None], S)]),
            rows=np.zeros((0, S), dtype=np.int64),
            values=np.concatenate([np.asarray(problem.weights)[None, :], np.asarray(problem.data).T]),
        )

    @cached_property
    def _effort(self) -> Elements:
        problem, tableau, N = self.problem, self.tableau, self.h.size
        sym = problem.symbols()
        t, u, p, h = sym["t"], sym["u"], sym["p"], ca.SX.sym("h")
        stages = zip(tableau.b, tableau.c, strict=True)
        cost = sum((h * b * problem.evaluate("effort", t=t + c * h, u=u, p=p) for b, c in stages), ca.SX(0))
        return Elements(
            local=ca.vertcat(u, p),
            constants=ca.vertcat(t, h),
            cost=cost,
            residual=ca.SX(0, 1),
            variables=np.concatenate([self.places.u.T, np.tile(self.places.p[:, None], N)]),
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

    # -- there and back --------------------------------------------------------------------------------

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of w; the initial state is fixed."""
        low, high = np.full(self.places.size, -np.inf), np.full(self.places.size, np.inf)
        for bound, side in ((low, 0), (high, 1)):
            bound[self.places.u] = self.problem.control_box[side]
            bound[self.places.p] = self.problem.parameter_box[side]
            bound[self.places.x[0]] = self.problem.x0
        return low, high

    def guess(self, start: Start) -> Array:
        """w from controls and parameters: the state sweep's trajectory, or a constant state where that fails."""
        problem, places, s = self.problem, self.places, self.tableau.stages
        sweeper = Sweeper(problem, self.depth)
        try:
            trajectory = sweeper.state(start.u, start.p)
            x, stages = trajectory.x, trajectory.stages.swapaxes(1, 2)
        except SweepFailed:
            x = np.broadcast_to(problem.x0, places.x.shape)
            stages = np.broadcast_to(problem.x0[:, None, :], (*places.x[1:].shape[:2], s, problem.n))
        w = np.zeros(places.size)
        w[places.x], w[places.u], w[places.p] = x, start.u, start.p
        w[places.stages] = stages[:, :, self.own]
        if problem.lifted:
            w[places.z] = self._lift(stages, start)
        return w

    def _lift(self, stages: Array, start: Start) -> Array:
        """z at the stages, (N, S, s, q)."""
        problem, (N, S, s, n) = self.problem, stages.shape
        sym = problem.symbols()
        lift = ca.Function("lift", list(sym.values()), [ca.densify(problem.evaluate("lift", **sym))])
        t = (self.t[:-1, None] + self.h[:, None] * self.tableau.c)[:, None, :]
        z = lift.map(N * S * s)(
            np.broadcast_to(t, (N, S, s)).reshape(1, -1),
            stages.reshape(-1, n).T,
            np.repeat(start.u, S * s, axis=0).T,
            np.tile(start.p[:, None], N * S * s),
            np.tile(np.repeat(np.asarray(problem.data), s, axis=0).T, (1, N)),
        )
        return z.full().T.reshape(self.places.z.shape)

    def controls(self, w: Array) -> tuple[Array, Array]:
        """Controls u (N, m) and parameters p (P,) of w, brought into their boxes against rounding."""
        u, p = w[self.places.u], w[self.places.p]
        return np.clip(u, *self.problem.control_box), np.clip(p, *self.problem.parameter_box)

    def costates(self, w: Array, multipliers: Array) -> tuple[Array, Array]:
        """Euclidean costates from the multipliers: nodes p (N+1, S, n) and stages Λ (N, s, S, n)."""
        N, S, n, s = self.h.size, self.problem.samples, self.problem.n, self.tableau.stages
        eta = multipliers.reshape(N, S, self._rows_per_layer)[:, :, : (len(self.own) + 1) * n]
        eta = eta.reshape(N, S, len(self.own) + 1, n)
        rows = np.concatenate([self.tableau.A[self.own], self.tableau.b[None, :]])
        with np.errstate(divide="ignore", invalid="ignore"):
            stages = -np.einsum("ij,ksin->kjsn", rows, eta) / self.tableau.b[:, None, None]
        stages[:, self.tableau.b == 0.0] = np.nan
        assert stages.shape == (N, s, S, n)
        starts = self._start_gradient(w, multipliers).reshape(N, S, n)
        ends = self._end_gradient(w).reshape(1, S, n)
        return np.concatenate([starts, ends]), stages

    def _start_gradient(self, w: Array, multipliers: Array) -> Any:
        kind = self._layer
        multiplier = ca.SX.sym("multiplier", kind.residual.numel())
        lagrangian = kind.cost + ca.dot(multiplier, kind.residual)
        gradient = ca.gradient(lagrangian, kind.local)[: self.problem.n]
        function = kind.mapped("start", [multiplier], [gradient])
        return function(w[kind.variables], kind.values, multipliers[kind.rows]).full().T

    def _end_gradient(self, w: Array) -> Any:
        kind = self._terminal
        gradient = ca.gradient(kind.cost, kind.local)[: self.problem.n]
        return kind.mapped("end", [], [gradient])(w[kind.variables], kind.values).full().T


def _combine(weights: Any, slopes: list[Any]) -> Any:
    return sum((weight * slope for weight, slope in zip(weights, slopes, strict=True) if weight), ca.SX(0))
