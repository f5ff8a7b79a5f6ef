"""H(t, x, p) = min_u { Σ_s ⟨p_s, φ(t, x_s, u)⟩ + ω_s L + E }, the Hamiltonian of the equation of V, by the referee."""

from __future__ import annotations

import numpy as np

from ocdl.arrays import Array
from ocdl.errors import NotSupported
from ocdl.hjb.feedback.value_function import ValueFunction
from ocdl.referee.hamiltonian import Hamiltonian

BLOCK = 1 << 16  # points at once


def check_least_cost(value: ValueFunction) -> None:
    """Raise NotSupported where V is not the least cost of its problem on axes that end, of which all else here speaks.

    The V of a tube, a game or a discount solves another equation, and differences do not go around a circle.
    """
    names = [str(name) for name in value.problem.states or ()] * value.problem.samples
    circles = [names[i] for i in np.flatnonzero(value.grid.periodic)]
    if circles:
        raise NotSupported(
            f"{value!r}: differences of V do not go around the periodic axis of {', '.join(circles)}; "
            "compute V without periodic=... on a domain of more than once around."
        )
    if not value.plain or value.disturbance or value.discount:
        raise NotSupported(
            f"{value!r}: V of a terminal table, target, obstacle, disturbance, discount or settled horizon is not the "
            "least cost of its problem, whose equation ∂_tV + min_u H = 0 is verified; compute V without them."
        )


class LeastHamiltonian:
    """min_u H at states x (q, D), depths t (q,) and gradients p (q, D) of V: values (q,); ``proven`` says whether every
    minimum so far was: in closed form, at a vertex, or of convex parabolas.
    """

    def __init__(self, value: ValueFunction) -> None:
        check_least_cost(value)
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
