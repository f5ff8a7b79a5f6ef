"""The Hamiltonian and its minimum over the controls: in closed form where there is one, else by L-BFGS-B.

    H(u) = Σ_c ⟨Λ_c, φ(t_c, x_c, u)⟩ + ω_c L(t_c, x_c, u) + E(t, u),

summed over the columns c (the samples of a stage, or all stages of a layer with their weights in Λ and ω).
"""

from __future__ import annotations

from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ocdl.batch import Batch
from ocdl.problem import ControlProblem

Array = NDArray[np.float64]


class Hamiltonian:
    """H of one problem. Points come as t (K,), x and Λ (K, C, n), ω (C,), u (K, m)."""

    def __init__(self, problem: ControlProblem) -> None:
        self.problem = problem

    @property
    def closed_form(self) -> bool:
        """One sample of a selection problem with increasing σ, a finite box and no running cost."""
        return self.problem.velocity_box is not None and not self.problem.has_running_cost

    def value(self, t: float, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> tuple[float, Array]:
        """H and its gradient in u (m,) at one point; x and Λ (C, n), ω (C,)."""
        data = self._data(len(x))
        times = np.full((1, len(x)), t)
        value, gradient = self._columns(times, x.T, u, p, data, costate.T, omega[None, :])
        effort, effort_gradient = self._effort(t, u, p)
        total = float(np.sum(omega) / np.sum(self.problem.weights))
        return float(value[0] + total * effort), gradient + total * effort_gradient.full().ravel()

    def minimum(
        self, t: Array, x: Array, costate: Array, omega: Array, u: Array, p: Array
    ) -> tuple[Array, Array | None]:
        """min_u H at every point, (K,), and where it is attained (K, m).

        The closed form is global and returns no argument; otherwise L-BFGS-B from the current u and
        from the box's corners nearest to and farthest along −∇H: a local minimum, so that the gap it gives
        is a lower bound of the true one.
        """
        box = self.problem.velocity_box
        if box is not None and self.closed_form:
            return box.minimum(x, costate).sum(axis=-1), None
        pairs = [self._search(*point, omega, v, p) for *point, v in zip(t, x, costate, u, strict=True)]
        return np.array([value for value, _ in pairs]), np.array([argument for _, argument in pairs])

    def _search(self, t: float, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> tuple[float, Array]:
        low, high = self.problem.control_box
        best = self.value(t, x, costate, omega, u, p)[0], u
        for start in self._starts(t, x, costate, omega, u, p):
            found = minimize(
                lambda v: self.value(t, x, costate, omega, v, p),
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=np.stack([low, high], axis=1),
                options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 200},
            )
            best = min(best, (float(found.fun), found.x), key=lambda pair: pair[0])
        return best

    def _starts(self, t: float, x: Array, costate: Array, omega: Array, u: Array, p: Array) -> list[Array]:
        low, high = self.problem.control_box
        slope = self.value(t, x, costate, omega, u, p)[1]
        corner = np.where(slope > 0, low, high)
        return [u, np.where(np.isfinite(corner), corner, u)]

    def _data(self, columns: int) -> Array:
        data = np.asarray(self.problem.data).T
        return np.tile(data, (1, columns // self.problem.samples))

    @cached_property
    def _columns(self) -> Batch:
        s = self.problem.symbols()
        costate, omega = ca.SX.sym("costate", self.problem.n), ca.SX.sym("omega")
        value = ca.dot(costate, self.problem.rate(*s.values())) + omega * self.problem.evaluate("running", **s)
        parts = [value, ca.densify(ca.gradient(value, s["u"]))]
        return Batch(ca.Function("hamiltonian", [*s.values(), costate, omega], parts), shared=(2, 3), summed=(0, 1))

    @cached_property
    def _effort(self) -> ca.Function:
        s = self.problem.symbols()
        value = self.problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
        return ca.Function("effort", [s["t"], s["u"], s["p"]], [value, ca.densify(ca.gradient(value, s["u"]))])
