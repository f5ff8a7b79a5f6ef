"""H(t, x, p) = min_u { Σ_s ⟨p_s, φ(t, x_s, u)⟩ + ω_s L + E }, the Hamiltonian of the equation of V, by the referee."""

from __future__ import annotations

import numpy as np

from ocdl.arrays import Array
from ocdl.hjb.feedback.value_function import ValueFunction
from ocdl.referee.hamiltonian import Hamiltonian

BLOCK = 1 << 16  # points at once


class LeastHamiltonian:
    """min_u H at states x (q, D), depths t (q,) and gradients p (q, D) of V: values (q,); ``proven`` says whether every
    minimum so far was: in closed form, at a vertex, or of convex parabolas.
    """

    def __init__(self, value: ValueFunction) -> None:
        self._law, self._start = Hamiltonian(value.problem), value.law.centre
        self.proven = True

    def __call__(self, x: Array, t: Array, p: Array) -> Array:
        found = np.empty(len(x))
        for k in range(0, len(x), BLOCK):
            part = slice(k, k + BLOCK)
            found[part] = self._block(x[part], t[part], p[part])
        return found

    def _block(self, x: Array, t: Array, p: Array) -> Array:
        problem, q = self._law.problem, len(x)
        shape = q, problem.samples, problem.n
        u, omega = np.tile(self._start, (q, 1)), np.asarray(problem.weights, dtype=float)
        least = self._law.least(t, x.reshape(shape), p.reshape(shape), omega, u, np.zeros(0), thorough=True)
        self.proven &= least.proven
        return least.value
