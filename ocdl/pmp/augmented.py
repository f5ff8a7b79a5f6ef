"""The layer problems of extended MSA: the Hamiltonian of one layer, with both feasibility errors held down.

    K(w) = H(w) + ρ/2 Σ_c ω_c ‖φ_c(w) − φ_c(u)‖² + ρ/2 Σ_c ‖∇_x H_c(w) − ∇_x H_c(u)‖² / ω_c,

minimised over the box, layer by layer, from the controls u in force; c runs over the samples and stages of a layer,
whose weights ω are in Λ and H too. Norms are those of function space.
Source: Li, Chen, Tai and E, J. Mach. Learn. Res. 18 (2018), (7) and algorithms 2 and 3.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ocdl.batch import Batch
from ocdl.pmp.iterate import Iterate
from ocdl.problem import ControlProblem

Array = NDArray[np.float64]


class LayerProblems:
    """K on every layer by L-BFGS-B, each layer alone, so that the answer is the same for any number of workers."""

    def __init__(self, problem: ControlProblem, iterations: int, workers: int) -> None:
        self.problem, self.iterations, self.workers = problem, iterations, workers
        self._local = threading.local()

    def argmin(self, iterate: Iterate, penalty: float) -> tuple[Array, Array]:
        """The best w found on every layer, (N, m), and H(u) − H(w) there, (N,)."""

        def solve(layer: int) -> tuple[Array, float]:
            return self._solve(_Layer(self._compiled(), iterate, layer, penalty))

        layers = range(len(iterate.u))
        if self.workers == 1:
            found = [solve(layer) for layer in layers]
        else:
            with ThreadPoolExecutor(self.workers) as pool:
                found = list(pool.map(solve, layers))
        return np.array([w for w, _ in found]), np.array([gain for _, gain in found])

    def _solve(self, layer: _Layer) -> tuple[Array, float]:
        low, high = self.problem.control_box
        scale = np.sqrt(np.asarray(self.problem.control_metric))

        def scaled(z: Array) -> tuple[float, Array]:
            value, slope = layer(np.clip(z / scale, low, high))
            return value, slope / scale

        found = minimize(
            scaled,
            layer.u * scale,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low * scale, high * scale], axis=1),
            options={"maxiter": self.iterations},
        )
        w = np.clip(found.x / scale, low, high)
        if not layer(w)[0] < layer(layer.u)[0]:
            return layer.u, 0.0
        return w, layer.hamiltonian(layer.u) - layer.hamiltonian(w)

    def _compiled(self) -> _Columns:
        """One copy a thread: CasADi's buffers are not for several at once."""
        if not hasattr(self._local, "compiled"):
            self._local.compiled = _Columns(self.problem)
        compiled: _Columns = self._local.compiled
        return compiled


class _Layer:
    """K of one layer as a function of its controls."""

    def __init__(self, compiled: _Columns, iterate: Iterate, layer: int, penalty: float) -> None:
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

    def __call__(self, w: Array) -> tuple[float, Array]:
        given = (self.t, self.x, w, self.p, self.d, self.costate, self.omega, self.rate, self.pull, self.penalty)
        value, gradient = self.compiled.augmented(*given)
        return float(value[0]), gradient


class _Columns:
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
        arguments, rate, H, pull = self._formulas()
        n, metric = self.problem.n, ca.DM(np.asarray(self.problem.state_metric))
        rate_0, pull_0, rho = ca.SX.sym("rate", n), ca.SX.sym("pull", n), ca.SX.sym("rho")
        omega = arguments["omega"]
        errors = omega * ca.dot(metric, (rate - rate_0) ** 2) + ca.dot(1.0 / metric, (pull - pull_0) ** 2) / omega
        value = H + 0.5 * rho * errors
        parts = [ca.densify(value), ca.densify(ca.gradient(value, arguments["u"]))]
        function = ca.Function("augmented", [*arguments.values(), rate_0, pull_0, rho], parts)
        return Batch(function, shared=(2, 3, 9), summed=(0, 1))

    def _formulas(self) -> tuple[dict[str, Any], Any, Any, Any]:
        problem, s = self.problem, self.problem.symbols()
        costate, omega = ca.SX.sym("costate", problem.n), ca.SX.sym("omega")
        rate = problem.rate(*s.values())
        share = omega / float(np.sum(problem.weights))  # the effort is paid once, not for every sample
        H = ca.dot(costate, rate) + omega * problem.evaluate("running", **s)
        H += share * problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
        return {**s, "costate": costate, "omega": omega}, rate, H, ca.gradient(H, s["x"])
