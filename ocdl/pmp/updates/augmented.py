"""The layer problems of extended MSA: the Hamiltonian of one layer, with both feasibility errors held down.

    K(w) = H(w) + ρ/2 Σ_c ω_c ‖φ_c(w) − φ_c(u)‖² + ρ/2 Σ_c ‖∇_x H_c(w) − ∇_x H_c(u)‖² / ω_c,

minimised over the box, layer by layer, from the controls u in force; c runs over the samples and stages of a layer,
whose weights ω are in Λ and H too. Norms are those of function space.
Source: Li, Chen, Tai and E, J. Mach. Learn. Res. 18 (2018), (7) and algorithms 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from queue import SimpleQueue
from typing import Any, Literal, Protocol

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.pmp.iterate import Iterate
from ocdl.pmp.updates.boxed import descended
from ocdl.referee.dense import DenseHamiltonian, dense, weighted, weighted_products
from ocdl.referee.lockstep import projected_newton
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]
Minimiser = Literal["lbfgs", "newton"]


class Layer(Protocol):
    """K of one layer as a function of its controls w (m,), from those in force ``u``."""

    u: Array

    def __call__(self, w: Array) -> tuple[float, Array]:
        """K and its gradient."""

    def curved(self, w: Array) -> tuple[float, Array, Array]:
        """K, its gradient and its Hessian."""

    def hamiltonian(self, w: Array) -> float: ...


class LayerProblems:
    """K on every layer, by L-BFGS-B or projected Newton, each layer alone: the same bits for any number of workers."""

    def __init__(self, problem: ControlProblem, iterations: int, workers: int, minimiser: Minimiser = "lbfgs") -> None:
        self.problem, self.iterations, self.workers = problem, iterations, workers
        self.minimise: Callable[[Layer], Array] = self._lbfgs if minimiser == "lbfgs" else self._newton
        self._dense = dense(problem)
        self._sets: list[Columns | DenseHamiltonian] = []

    def argmin(self, iterate: Iterate, penalty: float) -> tuple[Array, Array]:
        """The best w found on every layer, (N, m), and H(u) − H(w) there, (N,)."""
        free: SimpleQueue[Columns | DenseHamiltonian] = SimpleQueue()
        for compiled in self._compiled(iterate, penalty):
            free.put(compiled)

        def solve(layer: int) -> tuple[Array, float]:
            compiled = free.get()
            try:
                return self._solve(_layer(compiled, iterate, layer, penalty))
            finally:
                free.put(compiled)

        layers = range(len(iterate.u))
        if self.workers == 1:
            found = [solve(layer) for layer in layers]
        else:
            with ThreadPoolExecutor(self.workers) as pool:
                found = list(pool.map(solve, layers))
        return np.array([w for w, _ in found]), np.array([gain for _, gain in found])

    def _compiled(self, iterate: Iterate, penalty: float) -> list[Columns | DenseHamiltonian]:
        """The compiled functions, once for each worker, all built here by a first use: CasADi builds in one thread at
        a time only, and its buffers are not for several at once.
        """
        while len(self._sets) < self.workers:
            compiled = Columns(self.problem) if self._dense is None else self._dense.copy()
            layer = _layer(compiled, iterate, 0, penalty)
            layer.hamiltonian(self.minimise(layer))
            self._sets.append(compiled)
        return self._sets

    def _solve(self, layer: Layer) -> tuple[Array, float]:
        w, before = self.minimise(layer), layer(layer.u)[0]  # K = H there
        if not layer(w)[0] < before:
            return layer.u, 0.0
        return w, before - layer.hamiltonian(w)

    def _lbfgs(self, layer: Layer) -> Array:
        metric = np.asarray(self.problem.control_metric)
        return descended(layer, layer.u, self.problem.control_box, metric, maxiter=self.iterations)

    def _newton(self, layer: Layer) -> Array:
        def derivatives(_: Any, w: Array) -> tuple[Array, Array, Array]:
            value, slope, hessian = layer.curved(w[0])
            return np.array([value]), slope[None], hessian[None]

        low, high = self.problem.control_box
        return projected_newton(derivatives, layer.u[None], low[None], high[None], self.iterations)[1][0]


def _layer(compiled: Columns | DenseHamiltonian, iterate: Iterate, layer: int, penalty: float) -> Layer:
    if isinstance(compiled, Columns):
        return AnyLayer(compiled, iterate, layer, penalty)
    return DenseLayer(compiled, iterate, layer, penalty)


class AnyLayer:
    """K column by column, for any problem."""

    def __init__(self, compiled: Columns, iterate: Iterate, layer: int, penalty: float) -> None:
        sweeper, problem = iterate.ground.sweeper, iterate.ground.problem
        used = np.flatnonzero(sweeper.tableau.b)
        S, n = problem.samples, problem.n
        self.u, self.p, self.penalty, self.compiled = iterate.u[layer], iterate.p, np.array([penalty]), compiled
        self.t = np.repeat(sweeper.stage_t[layer, used], S)[None, :]
        self.x = iterate.trajectory.stages[layer, used].reshape(-1, n).T
        self.d = np.tile(np.asarray(problem.data).T, (1, used.size))
        self.costate = iterate.stage_costates[layer, used].reshape(-1, n).T
        self.omega = np.outer(sweeper.tableau.b[used], problem.weights).ravel()[None, :]
        _, self.rate, self.pull = self._force(self.u)

    def _force(self, w: Array) -> list[Array]:
        return self.compiled.force(self.t, self.x, w, self.p, self.d, self.costate, self.omega)

    def hamiltonian(self, w: Array) -> float:
        return float(np.sum(self._force(w)[0]))

    def _given(self, w: Array) -> tuple[Array, ...]:
        return self.t, self.x, w, self.p, self.d, self.costate, self.omega, self.rate, self.pull, self.penalty

    def __call__(self, w: Array) -> tuple[float, Array]:
        value, gradient = self.compiled.augmented(*self._given(w))
        return float(value[0]), gradient

    def curved(self, w: Array) -> tuple[float, Array, Array]:
        value, gradient, hessian = self.compiled.curved(*self._given(w))
        return float(value[0]), gradient, hessian.reshape(w.size, w.size)


class DenseLayer:
    """K by matrix products over the columns, for dense layers.

    With F the features, B_ij = ∂z_i/∂x_j, α = Λ∘φ', β = Λ∘φ'', e = φ − φ(u), r = αB − (the same at u),
    v_cj = r_cj/(m_j ω_c):

        K = Σ Λ∘φ + ρ/2 Σ m ω e² + ρ/2 Σ r∘v,   ∂K/∂z = α + ρ (m ω e φ' + β (v Bᵀ)),
        ∂K/∂u_il = Σ_c (∂K/∂z)_ci F_cl + ρ Σ_cj α_ci v_cj F¹_lj,   ∂r_cj/∂u_il = β_ci F_cl B_ij + α_ci F¹_lj.
    """

    def __init__(self, dense: DenseHamiltonian, iterate: Iterate, layer: int, penalty: float) -> None:
        sweeper, problem = iterate.ground.sweeper, iterate.ground.problem
        used = np.flatnonzero(sweeper.tableau.b)
        self.u, self.p, self.rho, self.dense = iterate.u[layer], iterate.p, penalty, dense
        self.order, self.metric = dense.groups.ravel(), np.asarray(problem.state_metric)
        self.t, self.b = sweeper.stage_t[layer, used], sweeper.tableau.b[used]
        self.omega = np.outer(self.b, problem.weights).ravel()[:, None]
        self.x = iterate.trajectory.stages[layer, used].reshape(-1, problem.n)
        self.costate = iterate.stage_costates[layer, used].reshape(-1, problem.n)
        self.features = dense.features(self.x)
        self.rate, first = self._responses(self.u, 1)
        self.pull = (self.costate * first) @ self._by_x(self.u)

    def _responses(self, w: Array, order: int) -> list[Array]:
        z = self.dense.lifted(self.x[None], w[None], self.features[None])
        return [part[0] for part in self.dense.responses(self.x[None], self.p, z, order)]

    def _by_x(self, w: Array) -> Array:
        """B (n, n)."""
        return self.dense.affine.E + w[self.dense.groups] @ self.dense.affine.F1

    def _errors(self, w: Array, rate: Array, alpha: Array) -> tuple[Array, Array, Array]:
        """e, r and v."""
        r = alpha @ self._by_x(w) - self.pull
        return rate - self.rate, r, r / (self.metric * self.omega)

    def hamiltonian(self, w: Array) -> float:
        effort, _ = self.dense.layer_effort(self.t, self.b, w, self.p)
        return float(np.sum(self.costate * self._responses(w, 0)[0])) + effort

    def __call__(self, w: Array) -> tuple[float, Array]:
        return self._first_order(w, self._responses(w, 2))

    def _first_order(self, w: Array, responses: list[Array]) -> tuple[float, Array]:
        rate, first, second = responses[:3]
        alpha = self.costate * first
        e, r, v = self._errors(w, rate, alpha)
        held = self.metric * self.omega * e
        effort, gradient = self.dense.layer_effort(self.t, self.b, w, self.p)
        value = np.sum(self.costate * rate) + 0.5 * self.rho * (np.sum(held * e) + np.sum(r * v)) + effort
        by_z = alpha + self.rho * (held * first + self.costate * second * (v @ self._by_x(w).T))
        slope = by_z.T @ self.features + self.rho * (alpha.T @ v) @ self.dense.affine.F1.T
        gradient[self.order] += slope.ravel()
        return float(value), gradient

    def curved(self, w: Array) -> tuple[float, Array, Array]:
        responses = self._responses(w, 3)
        value, gradient = self._first_order(w, responses)
        rate, first, second, third = responses
        F, F1, rho, (n, size) = self.features, self.dense.affine.F1, self.rho, self.dense.groups.shape
        alpha, beta, B = self.costate * first, self.costate * second, self._by_x(w)
        e, _, v = self._errors(w, rate, alpha)
        in_z = beta + rho * (self.metric * self.omega * (first**2 + e * second) + self.costate * third * (v @ B.T))
        mixed = rho * (weighted(F, beta).swapaxes(1, 2) @ (v @ F1.T))
        hessian = self._gauss_newton(alpha, beta, B)
        hessian[np.arange(n), :, np.arange(n)] += weighted_products(F, in_z) + mixed + mixed.swapaxes(1, 2)
        ordered = self.dense.layer_effort_hessian(self.t, self.b, w, self.p)
        ordered[self.order[:, None], self.order] += hessian.reshape(n * size, n * size)
        return value, gradient, ordered

    def _gauss_newton(self, alpha: Array, beta: Array, B: Array) -> Array:
        """ρ Σ_cj (∂r_cj/∂u_il)(∂r_cj/∂u_km) / (m_j ω_c), (n, size, n, size); the sums over c and over j factor."""
        n, size = self.dense.groups.shape
        P = weighted(self.features, beta / np.sqrt(self.omega)).swapaxes(0, 1).reshape(-1, n * size)
        Q, F1 = alpha / np.sqrt(self.omega), self.dense.affine.F1
        B_m, F1_m = B / self.metric, F1 / self.metric
        half = 0.5 * (P.T @ P).reshape(n, size, n, size) * (B_m @ B.T)[:, None, :, None]
        half += (P.T @ Q).reshape(n, size, n)[..., None] * (B_m @ F1.T)[:, None, None, :]
        half += 0.5 * (Q.T @ Q)[:, None, :, None] * (F1_m @ F1.T)[None, :, None, :]
        return self.rho * (half + half.transpose(2, 3, 0, 1))


class Columns:
    """The compiled functions of one column, summed over those of a layer."""

    def __init__(self, problem: ControlProblem) -> None:
        self.problem = problem

    @cached_property
    def force(self) -> Batch:
        """(t, x, u, p, d, Λ, ω) → H, φ and ∇_x H."""
        arguments, rate, H, pull = self._formulas()
        parts = [ca.densify(part) for part in (H, rate, pull)]
        return Batch(ca.Function("force", list(arguments.values()), parts), shared=(2, 3))

    @cached_property
    def augmented(self) -> Batch:
        """(t, x, u, p, d, Λ, ω, φ₀, q₀, ρ) → K and its gradient in u."""
        given, value, gradient = self._augmented()
        return Batch(ca.Function("augmented", given, [value, gradient]), shared=(2, 3, 9), summed=(0, 1))

    @cached_property
    def curved(self) -> Batch:
        """The same with the Hessian of K in u."""
        given, value, gradient = self._augmented()
        hessian = ca.vec(ca.densify(ca.jacobian(gradient, given[2])))
        return Batch(ca.Function("curved", given, [value, gradient, hessian]), shared=(2, 3, 9), summed=(0, 1, 2))

    def _augmented(self) -> tuple[list[Any], Any, Any]:
        arguments, rate, H, pull = self._formulas()
        n, metric = self.problem.n, ca.DM(np.asarray(self.problem.state_metric))
        rate_0, pull_0, rho = ca.SX.sym("rate", n), ca.SX.sym("pull", n), ca.SX.sym("rho")
        omega = arguments["omega"]
        errors = omega * ca.dot(metric, (rate - rate_0) ** 2) + ca.dot(1.0 / metric, (pull - pull_0) ** 2) / omega
        value = H + 0.5 * rho * errors
        given = [*arguments.values(), rate_0, pull_0, rho]
        return given, ca.densify(value), ca.densify(ca.gradient(value, arguments["u"]))

    def _formulas(self) -> tuple[dict[str, Any], Any, Any, Any]:
        problem, s = self.problem, self.problem.symbols()
        costate, omega = ca.SX.sym("costate", problem.n), ca.SX.sym("omega")
        rate = problem.rate(*s.values())
        share = omega / float(np.sum(problem.weights))  # the effort is paid once, not for every sample
        H = ca.dot(costate, rate) + omega * problem.evaluate("running", **s)
        H += share * problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
        return {**s, "costate": costate, "omega": omega}, rate, H, ca.gradient(H, s["x"])
