"""What a problem with noise says at many states and controls at once: φ, σ, running cost and terminal loss."""

from __future__ import annotations

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


class Coefficients:
    """Of a problem of one sample whose controls alone are free; depths are those of the core."""

    def __init__(self, problem: ControlProblem) -> None:
        self._problem = problem
        s = problem.symbols()
        running = problem.evaluate("running", **s) + problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
        phi, sigma = (ca.densify(problem.evaluate(role, **s)) for role in ("dynamics", "noise"))
        self.processes = int(sigma.shape[1])
        self.controlled_noise = bool(ca.depends_on(sigma, s["u"]))
        self.varying_noise = bool(ca.depends_on(sigma, s["t"]))
        parts = [phi, ca.vec(sigma), ca.densify(running)]
        self._batch = Batch(ca.Function("coefficients", [s["t"], s["x"], s["u"], s["p"], s["d"]], parts), (0, 3, 4))

    def __call__(self, t: float, x: Array, u: Array) -> tuple[Array, Array, Array]:
        """φ (q, n), σ (q, n, k) and L (q,) at depth t, states x (q, n) and controls u (q, m)."""
        phi, sigma, running = self._batch(np.array([t]), x.T, u.T, np.zeros(0), np.asarray(self._problem.data)[0])
        return phi.T, sigma.T.reshape(len(x), self.processes, -1).transpose(0, 2, 1), running[0]

    def terminal(self, x: Array) -> Array:
        """ℓ at states x (q, n)."""
        return np.broadcast_to(self._problem.terminal_loss(x), len(x)).astype(float)

    def box(self, t: float) -> tuple[Array, Array]:
        """Lower and upper bounds of the controls, (m,) each."""
        low, high = self._problem.control_box_at(np.array([t]))
        return low[0], high[0]
