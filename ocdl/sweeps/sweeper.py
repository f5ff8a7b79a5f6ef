"""One sweep forward for the state, one backward for the costate, for any Runge–Kutta scheme.

State:    X_i = x_k + h Σ_j a_ij φ(t_j, X_j, u_j),   x_{k+1} = x_k + h Σ_i b_i φ(t_i, X_i, u_i).
Costate:  K_i = h b_i p_{k+1} + h Σ_j a_ji G_j,      p_k = p_{k+1} + Σ_j G_j,
          G_j = φ_x(X_j)ᵀ K_j + h b_j ω_s L_x(X_j),   Λ_i = K_i / (h b_i).

Controls u (Q, m) are the coefficients of the scheme's control shape; u_j are their values at the stages. Forces, the
multipliers of state and path constraints and the gradient of measurements at their nodes, are added to p_k, to the
stages' h b_j ω_s L_x, and to the gradients.
With b_i ≠ 0 this is the symplectic partitioned pair of the scheme, so the costate sweep *is* the
gradient of the discrete cost: ∂J/∂u_k = Σ_i φ_uᵀ K_i + h b_i (ω L_u + E_u).
Sources: Hager, Numer. Math. 87 (2000), section 2; Sanz-Serna, SIAM Review 58 (2016), section 3.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch, Direct, evaluated
from ocdl.depth.control_shapes import Basis, PiecewiseConstant
from ocdl.depth.schemes import Layers, Tableau
from ocdl.errors import OcdlError
from ocdl.once import once
from ocdl.statement.effort import effort_formula
from ocdl.statement.measurements import nodes_at
from ocdl.statement.noise import refuse_noise
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps import matrix_free
from ocdl.sweeps.fused.dense_cost import DenseCost
from ocdl.sweeps.fused.dense_sweeps import DenseSweeps
from ocdl.sweeps.fused.mesh import DenseMesh, dense_mesh
from ocdl.sweeps.matrix_free import MatrixFreeLayers

Array = NDArray[np.float64]

BLOCK = 4_000_000  # entries of a batch of Jacobians held at once
OF_SAMPLES = ("dense_cost", "_dense")  # cached
NESTED = 4  # marches inside a march: building them is quick for a few at a time, and slow for tens


class SweepFailed(OcdlError, ArithmeticError):
    """A sweep met NaN, infinity or stage equations without a solution: says where.

    ``states`` (k + 1, S, n): as far as the sweep got.
    """

    def __init__(self, message: str, states: Array | None = None) -> None:
        super().__init__(message)
        self.states = states


@dataclass(frozen=True, eq=False)
class Trajectory:
    """t (N+1,), h (N,), stage depths (N, s), states x (N+1, S, n) and stages X (N, s, S, n)."""

    t: Array
    h: Array
    stage_t: Array
    x: Array
    stages: Array


@dataclass(frozen=True, eq=False)
class Adjoint:
    """Euclidean costates p (N+1, S, n) and stage costates Λ (N, s, S, n) (NaN where b_i = 0),
    with the gradient of the discrete cost in u (N, m) and in the parameters (P,), and K = h b Λ, ``weighted``.
    """

    costate: Array
    stages: Array
    gradient_u: Array
    gradient_p: Array
    weighted: Array


@dataclass(frozen=True, eq=False)
class Defects:
    """What a trajectory misses of its equations: x_0 − x^0 and x_{k+1} − x_k − h Σ_i b_i φ_i at the nodes (N+1, S, n),
    X_i − x_k − h Σ_j a_ij φ_j at the stages (N, s, S, n).
    """

    nodes: Array
    stages: Array


@dataclass(frozen=True, eq=False)
class Given:
    """The adjoint equation at costates p (N+1, S, n) that somebody claims: what p_k misses of one layer's sweep from
    p_{k+1} (and p_N of the terminal losses), and G = φ_xᵀ K + h b ω L_x at the stages (N, s, S, n), the costates of the
    stage equations.
    """

    missed: Array
    pulled: Array


@dataclass(frozen=True, eq=False)
class Forces:
    """What constraints add to the stationarity of the cost, in Euclidean coordinates: to x at the nodes (N+1, S, n) and
    at the stages (N, s, S, n), to u at the stages (N·s, m), and to p (P,).
    """

    nodes: Array
    stages: Array
    controls: Array
    parameters: Array


@dataclass(frozen=True, eq=False)
class _Backward:
    """What a sweep back starts each layer from (``after``, its own ``costate`` unless others are given) and fills."""

    after: Array
    costate: Array
    K: Array
    pulled: Array | None = None


class Sweeper:
    """The compiled sweeps of one problem on one depth scheme; build once, run for many controls.

    It holds functions, never a trajectory.
    """

    def __init__(self, problem: ControlProblem, depth: Layers) -> None:
        refuse_noise("a sweep of the state equation", problem)
        self.problem, self.depth, self.tableau = problem, depth, depth.tableau
        self.t = depth.mesh(problem.span)
        self.h = np.diff(self.t)
        self.stage_t = self.t[:-1, None] + self.h[:, None] * self.tableau.c
        self.shape = depth.controls
        self.constant = isinstance(depth.controls, PiecewiseConstant)
        self.copies = 1 if self.constant else self.tableau.stages  # of the controls in a layer
        self._data = np.asarray(problem.data)
        self._steps = (*self.tableau.key, self.copies)  # what tells the steps of one problem apart

    def for_samples(self, problem: ControlProblem) -> Sweeper:
        """The same compiled sweeps for other samples, weights and data of the same problem."""
        other = copy(self)
        for name in OF_SAMPLES:
            vars(other).pop(name, None)
        other.problem, other._data = problem.with_formulas_of(self.problem), np.asarray(problem.data)
        return other

    # -- dense layers ----------------------------------------------------------------------------

    @cached_property
    def _mesh(self) -> DenseMesh | None:
        return dense_mesh(self.problem, self.depth, self.stage_t, self.h, None if self.constant else self.basis)

    @cached_property
    def dense_cost(self) -> DenseCost | None:
        """The cost without trajectories, where the layers are dense and nothing else looks at the states."""
        if self.problem.running is not None or self.problem.measurements is not None or self._mesh is None:
            return None
        return DenseCost(self.problem, self._mesh)

    @cached_property
    def _dense(self) -> DenseSweeps | None:
        """The sweeps of dense layers, where there are enough samples or states for them to pay."""
        few = self.problem.n * self.tableau.stages * self.problem.samples < matrix_free.WIDE
        return None if few or self.dense_cost is None else DenseSweeps(self.dense_cost)

    # -- forward ---------------------------------------------------------------------------------

    @property
    def _step(self) -> ca.Function:
        """(x, t, h, u, p, d) → x⁺, the stages, the residual of the stage equations, and the running cost, of one sample
        over one layer.

        u is what the stages share, or the controls of all stages one after the other.
        """

        def step() -> ca.Function:
            build = _explicit_step if self.tableau.explicit else _implicit_step
            return build(self.problem, self.tableau, self.copies)

        return self.problem.built.recent("step", self._steps, step)

    def _march(self, samples: int) -> Direct:
        """The steps of all samples over all layers in one call; every argument but x side by side, layer by layer."""

        def march() -> Direct:
            step = self._step.map(f"step_{samples}", "serial", samples, [1, 2, 3, 4], [])
            return Direct(step.mapaccum(f"march_{samples}", self.h.size, {"base": NESTED}))

        return self.problem.built.recent("march", (self._steps, samples, self.h.size), march)

    def state(self, u: Array, p: Array, x0: Array | None = None) -> Trajectory:
        """States for controls u (Q, m) and parameters p (P,), from x^0 (S, n) or the problem's own."""
        x0 = self.problem.initial_states(p) if x0 is None else x0
        trajectory = self._quick_state(u, p, x0)
        return self._marched(u, p, x0)[0] if trajectory is None else trajectory

    def ends(self, u: Array, p: Array) -> Array:
        """x_N (S, n) from the problem's own x^0; of dense layers nothing else is kept. Raises SweepFailed."""
        if self._dense is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                x_N = self._dense.ends(u, p, self.problem.initial_states(p))
            if np.all(np.isfinite(x_N)):
                return x_N
        return self.state(u, p).x[-1]

    def integral(self, u: Array, p: Array) -> tuple[Trajectory, float]:
        """The states from the problem's own x^0 and their discrete cost, in one sweep."""
        x0 = self.problem.initial_states(p)
        trajectory = self._quick_state(u, p, x0)
        if trajectory is not None:
            return trajectory, self.cost(trajectory, u, p)
        trajectory, running = self._marched(u, p, x0)
        return trajectory, self._cost(trajectory, float(np.sum(running @ self.problem.weights)), u, p)

    def _marched(self, u: Array, p: Array, x0: Array) -> tuple[Trajectory, Array]:
        """The states layer after layer, and ∫ L of every layer and sample, (N, S)."""
        N, s, (S, n) = self.h.size, self.tableau.stages, x0.shape
        data = np.broadcast_to(self._data.T, (self._data.shape[1], S))  # one sample's data go with every state
        layers = self._at_stages(u).reshape(N, self.copies * self.problem.m)
        given = (x0.T, self.t[None, :-1], self.h[None, :], layers.T, np.tile(p[:, None], N), np.tile(data, N))
        ends, inner, residual, running = self._march(S)(*given)
        x = np.concatenate([x0[None], ends.T.reshape(N, S, n)])
        self._check(x, residual.reshape(N, S))
        trajectory = Trajectory(self.t, self.h, self.stage_t, x, inner.T.reshape(N, S, s, n).swapaxes(1, 2))
        return trajectory, running.reshape(N, S)

    def restarted(self, x: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """Ends (N, S, n) and stages (N, s, S, n) of every layer, each from its own start x (N, S, n)."""
        N, S, n = x.shape
        layers = np.repeat(self._at_stages(u).reshape(N, self.copies * self.problem.m), S, axis=0)
        step = Direct(self._step.map(N * S))
        t, h = np.repeat(self.t[None, :-1], S, axis=1), np.repeat(self.h[None], S, axis=1)
        data = np.tile(self._data.T, (1, N))
        ends, inner, residual, _ = step(x.reshape(-1, n).T, t, h, layers.T, np.tile(p[:, None], N * S), data)
        reached = np.concatenate([x[:1], ends.T.reshape(N, S, n)])
        self._check(reached, residual.reshape(N, S))
        return reached[1:], inner.T.reshape(N, S, self.tableau.stages, n).swapaxes(1, 2)

    def along(self, x0: ca.MX, u: Array, p: ca.MX, data: Array) -> ca.MX:
        """States at the nodes, (n, N+1), of one sample with ``data`` (k,), as an expression of x0 (n,) and p (P,)."""
        N = self.h.size
        layers = self._at_stages(u).reshape(N, self.copies * self.problem.m)
        given = self.t[None, :-1], self.h[None, :], layers.T, ca.repmat(p, 1, N), np.tile(data[:, None], N)
        return ca.horzcat(x0, self._step.mapaccum("along", N)(x0, *given)[0])

    @cached_property
    def basis(self) -> Basis:
        """Controls at the stages (N·s, m) from the coefficients (Q, m)."""
        return self.shape.basis(self.h.size, self.tableau.c)

    @property
    def _suits_matrix_free(self) -> bool:
        return self.constant and matrix_free.suits(self.problem, self.tableau)

    def _at_stages(self, u: Array) -> Array:
        """The controls as columns of the batches take them: one row a layer where they are constant, else a stage."""
        return u if self.constant else self.basis @ u

    def stage_controls(self, u: Array) -> Array:
        """The controls at the stages, (N·s, m), from the coefficients u (Q, m)."""
        return u.repeat(self.tableau.stages, axis=0) if self.constant else self.basis @ u

    def _wide_layers(self, samples: int) -> MatrixFreeLayers:
        def layers() -> MatrixFreeLayers:
            return MatrixFreeLayers(self.problem, self.tableau, samples)

        return self.problem.built.recent("wide", (self._steps, samples), layers)

    def _quick_state(self, u: Array, p: Array, x0: Array) -> Trajectory | None:
        """The states without CasADi's march, where the layers are dense or wide."""
        if self._dense is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                x, stages = self._dense.states(u, p, x0)
            self._check(x, np.zeros((self.h.size, len(x0))))
            return Trajectory(self.t, self.h, self.stage_t, x, stages)
        return self._matrix_free_state(u, p, x0) if self._suits_matrix_free else None

    def _matrix_free_state(self, u: Array, p: Array, x0: Array) -> Trajectory | None:
        layers = self._wide_layers(len(x0))
        N = self.h.size
        x, stages = np.empty((N + 1, *x0.shape)), np.empty((N, self.tableau.stages, *x0.shape))
        x[0] = x0
        for k, (h, controls) in enumerate(zip(self.h, u, strict=True)):
            passed = layers.forward(x[k], h, controls, p)
            if passed is None:
                return None
            x[k + 1], stages[k] = passed
        self._check(x, np.zeros((N, len(x0))))
        return Trajectory(self.t, self.h, self.stage_t, x, stages)

    def _matrix_free_costate(self, trajectory: Trajectory, u: Array, p: Array, back: _Backward) -> bool:
        """Fill K and p without Jacobians; False where Picard's iteration does not contract."""
        layers = self._wide_layers(trajectory.x.shape[1])
        for k in reversed(range(self.h.size)):
            passed = layers.backward(trajectory.stages[k], back.after[k + 1], self.h[k], u[k], p)
            if passed is None:
                return False
            back.costate[k], back.K[k], pulled = passed
            if back.pulled is not None:
                back.pulled[k] = pulled
        return True

    def _check(self, x: Array, residual: Array) -> None:
        """Raise SweepFailed for the first layer that ends in NaN or infinity or leaves its stage equations unsolved."""
        lost = ~np.all(np.isfinite(x[1:]), axis=(1, 2))
        scale = 1.0 + np.max(np.abs(x[1:]), axis=(1, 2))
        failed = lost | (np.max(residual, axis=1) > 1e-9 * scale)
        if not np.any(failed):
            return
        k = int(np.argmax(failed))
        if lost[k]:
            sample, i = (int(v) for v in np.argwhere(~np.isfinite(x[k + 1]))[0])
            names = self.problem.states or ()
            raise SweepFailed(
                f"the state became {x[k + 1, sample, i]} in layer {k} (t = {self.t[k]:g}), state {names[i]}, "
                f"sample {sample}; there it came from {x[k, sample, i]:g}. Shorten the layers or bound the controls.",
                x[: k + 1],
            )
        raise SweepFailed(
            f"the stage equations of layer {k} (t = {self.t[k]:g}, h = {self.h[k]:g}) have no solution near the "
            f"state: residual {np.max(residual[k]):.1e}. Use more layers.",
            x[: k + 1],
        )

    def cost(self, trajectory: Trajectory, u: Array, p: Array) -> float:
        """The discrete cost: terminal losses, running costs by the scheme's own quadrature, penalty."""
        running = 0.0
        if self.problem.running is not None:
            weights = self._stage_weights()[:, :, None] * self.problem.weights
            running = float(np.sum(weights * self.running(trajectory, u, p)))
        return self._cost(trajectory, running, u, p)

    def costs(self, trajectory: Trajectory, u: Array, p: Array) -> Array:
        """ℓ + ∫ L dt of every sample, (S,); effort, penalty and measurements are no single sample's."""
        own: Array = self._terminal(trajectory.x[-1].T, p, self._data.T)[0][0]
        if self.problem.running is None:
            return own
        return np.asarray(own + np.einsum("ki,kis->s", self._stage_weights(), self.running(trajectory, u, p)))

    def _cost(self, trajectory: Trajectory, running: float, u: Array, p: Array) -> float:
        """With ``running``, the running costs of all samples."""
        total = self._loss(trajectory.x[-1], p) + running
        if self.problem.effort is not None:
            total += float(np.sum(self._stage_weights() * self.effort(u, p)))
        if self.problem.measurements is not None:
            total += float(np.sum(self._residuals(trajectory, p)[1]))
        return total + float(self._penalty(p)[0])

    def _loss(self, x: Array, p: Array) -> float:
        """Σ_s ω_s ℓ of states x (S, n) at the end."""
        if self._dense is not None:
            return self._dense.loss(x, p, self._data)
        return float(np.dot(self.problem.weights, self._terminal(x.T, p, self._data.T)[0][0]))

    def running(self, trajectory: Trajectory, u: Array, p: Array) -> Array:
        """L at the stages, (N, s, S)."""
        t, x, d = self._columns(trajectory)
        return self._running(t, x, self._at_stages(u).T, p, d)[0].reshape(trajectory.stages.shape[:3])

    def effort(self, u: Array, p: Array) -> Array:
        """E at the stages, (N, s)."""
        if self.problem.effort is None:
            return np.zeros(self.stage_t.shape)
        return self._effort(self.stage_t.reshape(1, -1), self._at_stages(u).T, p)[0].reshape(self.stage_t.shape)

    def rates(self, trajectory: Trajectory, u: Array, p: Array) -> Array:
        """φ at the stages, (N, s, S, n)."""
        if self._dense is not None:
            return self._dense.rates(trajectory.stages, u, p)
        if self._suits_matrix_free:
            layers = self._wide_layers(trajectory.x.shape[1])
            return np.array([layers.rates(stages, v, p) for stages, v in zip(trajectory.stages, u, strict=True)])
        t, x, d = self._columns(trajectory)
        return self._rate(t, x, self._at_stages(u).T, p, d)[0].T.reshape(trajectory.stages.shape)

    def residuals(self, trajectory: Trajectory, p: Array) -> Array:
        """(h − y)/σ of the problem's measurements, (K, S, r); 0 where nothing was measured."""
        return np.asarray(self._residuals(trajectory, p)[0].T.reshape(self.measured.size, len(trajectory.x[0]), -1))

    @cached_property
    def measured(self) -> NDArray[np.int64]:
        """The nodes at which the problem has measurements, (K,). Raises InvalidInput where the mesh has none there."""
        return nodes_at(self.problem.measured_depths, self.t)

    def _residuals(self, trajectory: Trajectory, p: Array) -> list[Array]:
        """The residuals of every measured depth and sample, χ², and its gradients in x and p, as columns."""
        x, measurements = trajectory.x[self.measured], self.problem.measurements
        assert measurements is not None
        K, S, n = x.shape
        t, d = np.repeat(self.t[self.measured], S)[None, :], np.tile(self._data.T, (1, K))
        return self._misfit(t, x.reshape(-1, n).T, p, d, measurements.columns)

    def with_measurements(self, trajectory: Trajectory, p: Array, forces: Forces | None) -> Forces | None:
        """``forces``, and those of the measurements: the gradient of their χ² at the nodes."""
        if self.problem.measurements is None:
            return forces
        (N, s, S, n), m = trajectory.stages.shape, self.problem.m
        nothing = Forces(
            np.zeros((N + 1, S, n)), np.zeros((N, s, S, n)), np.zeros((N * s, m)), np.zeros(self.problem.P)
        )
        given = nothing if forces is None else forces
        _, _, in_x, in_p = self._residuals(trajectory, p)
        nodes, parameters = given.nodes.copy(), given.parameters + in_p.sum(axis=1)
        nodes[self.measured] += in_x.T.reshape(-1, S, n)
        if self.measured[0] == 0:  # the first node is no end of a layer: its force moves what is free there
            for k, place in enumerate(self.problem.free_initial, start=self.problem.own_parameters):
                parameters[k] += in_x.T[place]
        return replace(given, nodes=nodes, parameters=parameters)

    # -- backward --------------------------------------------------------------------------------

    def costate(self, trajectory: Trajectory, u: Array, p: Array, forces: Forces | None = None) -> Adjoint:
        """The costate sweep and the gradient of the discrete cost, along ``trajectory``; of the Lagrangian where
        ``forces`` are given. A costate at a node is the one just behind it (at T, the one just before it).
        """
        (N, s, S, n) = trajectory.stages.shape
        if self._dense is not None and forces is None:
            found = self._dense.back(trajectory.stages, trajectory.x[-1], u, p)
            return self._with_shared(u, p, found.costate, found.K, found.u, found.p)
        forces = self.with_measurements(trajectory, p, forces)
        costate, K = np.empty((N + 1, S, n)), np.empty((N, s, S, n))
        self._sweep_back(trajectory, u, p, forces, _Backward(costate, costate, K))
        return self._adjoint(trajectory, u, p, forces, costate, K)

    def given_costate(
        self, trajectory: Trajectory, u: Array, p: Array, costate: Array, forces: Forces | None = None
    ) -> tuple[Adjoint, Given]:
        """The adjoint of given nodal costates (N+1, S, n): those of the stages, and the gradient, follow from them
        layer by layer; and what they miss of the adjoint equation.
        """
        if self._dense is not None and forces is None:
            found = self._dense.claimed(trajectory.stages, trajectory.x[-1], u, p, costate)
            adjoint = self._with_shared(u, p, costate, found.K, found.u, found.p)
            return adjoint, Given(costate - found.costate, found.pulled)
        forces = self.with_measurements(trajectory, p, forces)
        predicted, K, pulled = (
            np.empty(costate.shape),
            np.empty(trajectory.stages.shape),
            np.empty(trajectory.stages.shape),
        )
        self._sweep_back(trajectory, u, p, forces, _Backward(costate, predicted, K, pulled))
        return self._adjoint(trajectory, u, p, forces, costate, K), Given(costate - predicted, pulled)

    def defects(self, trajectory: Trajectory, u: Array, p: Array) -> Defects:
        """What the states of a trajectory, at its nodes and stages, miss of the state equation."""
        x, h = trajectory.x, self.h[:, None, None]
        rates = self.rates(trajectory, u, p)
        first = x[:1] - self.problem.initial_states(p)
        ends = np.diff(x, axis=0) - h * np.einsum("i,kisn->ksn", self.tableau.b, rates)
        inner = trajectory.stages - x[:-1, None] - h[:, None] * np.einsum("ij,kjsn->kisn", self.tableau.A, rates)
        return Defects(np.concatenate([first, ends]), inner)

    def costate_rates(self, trajectory: Trajectory, u: Array, p: Array, costates: Array) -> Array:
        """−∂H/∂x = −φ_xᵀ Λ − ω L_x at the stages, for costates Λ there; both (N, s, S, n)."""
        rates, weights = np.empty(costates.shape), self._stage_weights()[:, :, None, None]
        for layers in self._blocks(len(costates), costates[0].size * costates.shape[-1]):
            block = slice(layers.start, layers.stop)
            jacobian, source = self._linearised(trajectory, u, p, layers)
            rates[block] = -np.einsum("kisa,kisab->kisb", costates[block], jacobian) - source / weights[block]
        return rates

    def transitions(self, trajectory: Trajectory, u: Array, p: Array) -> Array:
        """∂x_{k+1}/∂x_k of every layer and sample, (N, S, n, n)."""
        (N, s, S, n), (A, b) = trajectory.stages.shape, (self.tableau.A, self.tableau.b)
        jacobian, _ = self._linearised(trajectory, u, p, range(N))
        system = -np.einsum("k,ij,kjSab->kSiajb", self.h, A, jacobian, optimize=True).reshape(N, S, s * n, s * n)
        inner = np.linalg.solve(system + np.eye(s * n), np.tile(np.eye(n), (s, 1)))
        slopes = np.einsum("k,j,kjSab,kSjbc->kSac", self.h, b, jacobian, inner.reshape(N, S, s, n, n), optimize=True)
        return np.asarray(np.eye(n) + slopes)

    def _sweep_back(self, trajectory: Trajectory, u: Array, p: Array, forces: Forces | None, back: _Backward) -> None:
        """Fill p_k and K, each layer from ``back.after`` at its end."""
        (N, s, S, n) = trajectory.stages.shape
        back.costate[N] = self.problem.weights[:, None] * self._terminal(trajectory.x[-1].T, p, self._data.T)[1].T
        if forces is not None:
            back.costate[N] += forces.nodes[N]
        wide = self._suits_matrix_free and forces is None
        if wide and self._matrix_free_costate(trajectory, u, p, back):
            return
        kicks = np.zeros((N + 1, S, n)) if forces is None else forces.nodes
        for layers in self._blocks(N, s * S * n * n * (s if not self.tableau.explicit else 1)):
            jacobian, source = self._linearised(trajectory, u, p, layers)
            source = source if forces is None else source + forces.stages[layers.start : layers.stop]
            sweep = self._explicit_backward if self.tableau.explicit else self._implicit_backward
            sweep(layers, jacobian, source, back, kicks)

    def _adjoint(
        self, trajectory: Trajectory, u: Array, p: Array, forces: Forces | None, costate: Array, K: Array
    ) -> Adjoint:
        terminal_p = self._terminal(trajectory.x[-1].T, p, self._data.T)[2]
        gradient_u, gradient_p = self._gradients(trajectory, u, p, K)
        if forces is not None:
            gradient_u = gradient_u + self.basis.gathered(forces.controls)
            gradient_p = gradient_p + forces.parameters
        return self._with_shared(u, p, costate, K, gradient_u, gradient_p + terminal_p @ self.problem.weights)

    def _with_shared(
        self, u: Array, p: Array, costate: Array, K: Array, gradient_u: Array, gradient_p: Array
    ) -> Adjoint:
        """The adjoint, whose gradients gain those of effort, penalty and free initial states."""
        problem, weights = self.problem, self._stage_weights()
        if problem.effort is not None:
            _, in_u, in_p = self._effort(self.stage_t.reshape(1, -1), self._at_stages(u).T, p)
            in_u *= weights.ravel()
            gradient_u = gradient_u + self.basis.gathered(in_u.T)
            gradient_p = gradient_p + in_p @ weights.ravel()
        gradient_p = gradient_p + self._penalty(p)[1]
        for k, (sample, i) in enumerate(problem.free_initial):
            gradient_p[problem.own_parameters + k] += costate[0, sample, i]
        with np.errstate(divide="ignore", invalid="ignore"):
            stages = K / weights[:, :, None, None]
            stages[:, self.tableau.b == 0.0] = np.nan
        return Adjoint(costate, stages, gradient_u, gradient_p, K)

    def _explicit_backward(self, layers: range, jacobian: Array, source: Array, back: _Backward, kicks: Array) -> None:
        """The stages from last to first: K_i = h b_i p⁺ + h Σ_{j>i} a_ji G_j; jacobian φ_x and source h b_j ω_s L_x at
        the stages, ``kicks`` jumps of p.
        """
        A, b = self.tableau.A, self.tableau.b
        s = b.size
        later = [[(j, A[j, i]) for j in range(i + 1, s) if A[j, i]] for i in range(s)]
        for k in reversed(layers):
            J, g, h = jacobian[k - layers.start], source[k - layers.start], self.h[k]
            at = back.after[k + 1] + kicks[k + 1] if k + 1 < self.h.size else back.after[k + 1]
            G: list[Any] = [None] * s
            for i in reversed(range(s)):
                back.K[k, i] = h * sum((a * G[j] for j, a in later[i]), b[i] * at)
                G[i] = (back.K[k, i, :, None, :] @ J[i])[:, 0] + g[i]
            back.costate[k] = sum(G, at)
            if back.pulled is not None:
                back.pulled[k] = G

    def _implicit_backward(self, layers: range, jacobian: Array, source: Array, back: _Backward, kicks: Array) -> None:
        """(I − h Aᵀ ⊗ φ_xᵀ) K = h b ⊗ p⁺ + h Aᵀ g: all systems are solved for K's dependence on p⁺ and g at once, or,
        where every p⁺ is given, for K.
        """
        A, b = self.tableau.A, self.tableau.b
        h = self.h[layers.start : layers.stop]
        L, s, S, n, _ = jacobian.shape
        system = np.einsum("lji,ljSba->lSiajb", -h[:, None, None] * A, jacobian).reshape(L, S, s * n, s * n)
        system += np.eye(s * n)
        if back.pulled is not None:
            self._implicit_given(layers, jacobian, source, back, kicks, system)
            return
        right = np.empty((L, S, s * n, n + 1))
        right[..., :n] = h[:, None, None, None] * np.kron(b[:, None], np.eye(n))
        right[..., n] = np.einsum("l,ji,ljSa->lSia", h, A, source).reshape(L, S, s * n)
        solved = np.linalg.solve(system, right)
        for k in reversed(layers):
            J, g = jacobian[k - layers.start], source[k - layers.start]
            at = back.after[k + 1] + kicks[k + 1] if k + 1 < self.h.size else back.after[k + 1]
            K = (solved[k - layers.start, ..., :n] @ at[..., None])[..., 0] + solved[k - layers.start, ..., n]
            back.K[k] = K.reshape(S, s, n).swapaxes(0, 1)
            G = (back.K[k, :, :, None, :] @ J)[:, :, 0] + g
            back.costate[k] = at + G.sum(axis=0)

    def _implicit_given(
        self, layers: range, jacobian: Array, source: Array, back: _Backward, kicks: Array, system: Array
    ) -> None:
        """The same of layers that do not wait for each other."""
        (L, s, S, n), part = source.shape, slice(layers.start, layers.stop)
        at = back.after[layers.start + 1 : layers.stop + 1].copy()
        inner = slice(0, self.h.size - 1 - layers.start)  # no jump behind the last layer
        at[inner] += kicks[layers.start + 1 : layers.stop + 1][inner]
        pulls = np.einsum("ji,ljSa->liSa", self.tableau.A, source) + self.tableau.b[:, None, None] * at[:, None]
        right = (self.h[part, None, None, None] * pulls).swapaxes(1, 2).reshape(L, S, s * n, 1)
        K = np.linalg.solve(system, right).reshape(L, S, s, n).swapaxes(1, 2)
        G = (K[..., None, :] @ jacobian)[..., 0, :] + source
        assert back.pulled is not None
        back.K[part], back.pulled[part], back.costate[part] = K, G, at + G.sum(axis=1)

    def _linearised(self, trajectory: Trajectory, u: Array, p: Array, layers: range) -> tuple[Array, Array]:
        """φ_x (layers, s, S, n, n) and h b ω L_x (layers, s, S, n)."""
        n = trajectory.x.shape[-1]
        t, x, d = self._columns(trajectory, layers)
        controls = self._at_stages(u)[layers.start * self.copies : layers.stop * self.copies]
        jacobian, running_x = self._jacobian(t, x, controls.T, p, d)
        shape = (len(layers), *trajectory.stages.shape[1:])
        weights = self._stage_weights()[layers.start : layers.stop, :, None] * self.problem.weights
        # the columns of one Jacobian lie side by side
        jacobian = jacobian.reshape(n, -1, n).swapaxes(0, 1).reshape(*shape, n)
        return jacobian, weights[..., None] * running_x.T.reshape(shape)

    def _gradients(self, trajectory: Trajectory, u: Array, p: Array, K: Array) -> tuple[Array, Array]:
        N, _, _, n = K.shape
        if self._suits_matrix_free:
            layers = self._wide_layers(K.shape[2])
            gradient_u, parts = np.empty(u.shape), np.empty((N, p.size))
            for k in range(N):
                gradient_u[k], parts[k] = layers.gradients(trajectory.stages[k], u[k], p, K[k])
            gradient_p = parts.sum(axis=0)
        else:
            weights = self._stage_weights()[:, :, None] * self.problem.weights
            t, x, d = self._columns(trajectory)
            in_u, in_p = self._pullback(t, x, self._at_stages(u).T, p, d, K.reshape(-1, n).T, weights.reshape(1, -1))
            gradient_u, gradient_p = self._to_coefficients(in_u.T), in_p.sum(axis=1)
        return gradient_u, gradient_p

    def _to_coefficients(self, gradient: Array) -> Array:
        """A gradient in the controls of the batches, pulled back to the coefficients u."""
        return gradient if self.constant else self.basis.gathered(gradient)

    # -- the compiled pieces -----------------------------------------------------------------------

    @once
    def _rate(self) -> Batch:
        return Batch(self.problem.rate, shared=(3,), layered=(2,))

    @once
    def _running(self) -> Batch:
        s = self.problem.symbols()
        return Batch(
            ca.Function("running", list(s.values()), [self.problem.evaluate("running", **s)]), shared=(3,), layered=(2,)
        )

    @once
    def _jacobian(self) -> Batch:
        """(t, x, u, p, d) → φ_x with its columns side by side, and L_x."""
        s = self.problem.symbols()
        rate, running = self.problem.rate(*s.values()), self.problem.evaluate("running", **s)
        parts = [ca.densify(ca.jacobian(rate, s["x"])), ca.densify(ca.gradient(running, s["x"]))]
        return Batch(ca.Function("jacobian", list(s.values()), parts), shared=(3,), layered=(2,))

    @once
    def _pullback(self) -> Batch:
        """(t, x, u, p, d, K, weight) → φ_uᵀK + weight L_u and the same in p, summed over the columns of a layer."""
        s = self.problem.symbols()
        K, weight = ca.SX.sym("K", self.problem.n), ca.SX.sym("weight")
        value = ca.dot(self.problem.rate(*s.values()), K) + weight * self.problem.evaluate("running", **s)
        parts = [ca.densify(ca.gradient(value, s[name])) for name in ("u", "p")]
        return Batch(ca.Function("pullback", [*s.values(), K, weight], parts), shared=(3,), summed=(0, 1), layered=(2,))

    @once
    def _effort(self) -> Batch:
        s, value = effort_formula(self.problem)
        parts = [value, ca.densify(ca.gradient(value, s["u"])), ca.densify(ca.gradient(value, s["p"]))]
        return Batch(ca.Function("effort", [s["t"], s["u"], s["p"]], parts), shared=(2,), layered=(1,))

    @once
    def _terminal(self) -> Batch:
        return Batch(self.problem.terminal_function, shared=(1,))

    @once
    def _misfit(self) -> Batch:
        return Batch(self.problem.residual_function, shared=(2,))

    def _penalty(self, p: Array) -> tuple[float, Array]:
        if self.problem.penalty is None:
            return 0.0, np.zeros(self.problem.P)
        value, gradient = evaluated(self._penalty_function, p)
        return float(value[0, 0]), gradient.ravel()

    @once
    def _penalty_function(self) -> ca.Function:
        p = ca.SX.sym("p", self.problem.P)
        value = self.problem.evaluate("penalty", p=p)
        return ca.Function("penalty", [p], [value, ca.densify(ca.gradient(value, p))])

    # -- shapes ------------------------------------------------------------------------------------

    def _stage_weights(self) -> Array:
        """h_k b_i, (N, s)."""
        return self.h[:, None] * self.tableau.b

    def _columns(self, trajectory: Trajectory, layers: range | None = None) -> tuple[Array, Array, Array]:
        """t, x, d of every (layer, stage, sample) as columns."""
        layers = range(self.h.size) if layers is None else layers
        _, s, S, n = trajectory.stages.shape
        part = slice(layers.start, layers.stop)
        t = np.repeat(self.stage_t[part].ravel(), S)[None, :]
        return t, trajectory.stages[part].reshape(-1, n).T, np.tile(self._data.T, (1, len(layers) * s))

    @staticmethod
    def _blocks(N: int, entries: int) -> list[range]:
        """The layers from last to first in blocks of at most BLOCK Jacobian entries."""
        size = max(1, BLOCK // max(entries, 1))
        return [range(max(0, end - size), end) for end in range(N, 0, -size)]


def _explicit_step(problem: ControlProblem, tableau: Tableau, copies: int) -> ca.Function:
    x, t, h, u, p, d = _step_symbols(problem, ca.SX, copies)
    controls = _of_stages(u, problem.m, tableau.stages)
    slopes: list[Any] = []
    stages: list[Any] = []
    places = []
    for row, c, v in zip(tableau.A.tolist(), tableau.c.tolist(), controls, strict=True):  # numpy's own floats are slow
        stages.append(x + h * _weighted(row, slopes))
        places.append((t + c * h, stages[-1], v, p, d))
        slopes.append(problem.rate(*places[-1]))
    end = x + h * _weighted(tableau.b.tolist(), slopes)
    running = _running_cost(problem, tableau, h, places)
    return ca.Function("step", [x, t, h, u, p, d], [end, ca.vertcat(*stages), ca.SX(0), running])


def _weighted(weights: list[float], terms: list[Any]) -> ca.SX:
    """Σ weight · term; zero weights, and those beyond the terms, count for nothing. One product: many take longer."""
    used = [(weight, term) for weight, term in zip(weights, terms, strict=False) if weight]
    return ca.mtimes(ca.horzcat(*[term for _, term in used]), [weight for weight, _ in used]) if used else ca.SX(0)


def _running_cost(problem: ControlProblem, tableau: Tableau, h: Any, places: list[Any]) -> ca.SX:
    """h Σ b_i L at the stages (t, x, u, p, d)."""
    if problem.running is None:
        return ca.SX(0)
    names = "t", "x", "u", "p", "d"
    values = [problem.evaluate("running", **dict(zip(names, place, strict=True))) for place in places]
    return h * _weighted(tableau.b.tolist(), values)


def _of_stages(u: ca.SX, m: int, s: int) -> list[ca.SX]:
    """The controls of each stage, from those all stages share or from all of them one after the other."""
    return [u[i * m : (i + 1) * m] for i in range(s)] if u.numel() == m * s else [u] * s


def _implicit_step(problem: ControlProblem, tableau: Tableau, copies: int) -> ca.Function:
    """Newton's method on the stage equations, started from a constant state."""
    n, s = problem.n, tableau.stages
    arguments = _step_symbols(problem, ca.SX, copies)
    x, t, h, u, p, d = arguments
    stages = ca.SX.sym("X", n * s)
    controls = _of_stages(u, problem.m, s)
    at = [(t + c * h, stages[i * n : (i + 1) * n], controls[i], p, d) for i, c in enumerate(tableau.c.tolist())]
    slopes = [problem.rate(*place) for place in at]
    sums = [_weighted(row, slopes) for row in tableau.A.tolist()]
    residual = ca.vertcat(*[stages[i * n : (i + 1) * n] - x - h * total for i, total in enumerate(sums)])
    end = x + h * _weighted(tableau.b.tolist(), slopes)
    given = ca.vertcat(*arguments)
    options: dict[str, Any] = {
        "linear_solver": "lapacklu",
        "abstol": 1e-15,
        "abstolStep": 1e-14,
        "max_iter": 30,
        "error_on_fail": False,
        "show_eval_warnings": False,
    }
    newton = ca.rootfinder("stages", "newton", {"x": stages, "p": given, "g": residual}, options)
    close = ca.Function("close", [stages, given], [end, ca.norm_inf(residual), _running_cost(problem, tableau, h, at)])
    symbols = _step_symbols(problem, ca.MX, copies)
    packed = ca.vertcat(*symbols)
    solved = newton(ca.repmat(symbols[0], s, 1), packed)
    end_value, error, running = close(solved, packed)
    return ca.Function("step", list(symbols), [end_value, solved, error, running])


def _step_symbols(problem: ControlProblem, kind: Any, copies: int) -> tuple[Any, ...]:
    s = problem.symbols(kind)
    return s["x"], s["t"], kind.sym("h"), kind.sym("u", copies * problem.m), s["p"], s["d"]
