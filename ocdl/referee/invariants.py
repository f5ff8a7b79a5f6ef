"""Rows of path that say nothing new: equalities of states alone that the dynamics keep, whatever the controls are.

Along ẋ = φ the row c(t, x, p, d) changes by ∇c·φ + ∂c/∂t. Where that vanishes on c = 0, and all samples start there, it
stays 0: a conserved total, a length of one. It is told at random points moved onto c = 0 by Newton's method.
"""

from __future__ import annotations

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

KEPT = 1e-9  # of |∇c|·|φ|: a slower change, and of 1 + |c| a smaller value, is none
NEWTON = 20  # steps onto c = 0


class Invariant:
    """One row c − value as a function (t, x, p, d) → c − value, ∇c, ∇c·φ + ∂c/∂t, |∇c|·|φ| of random controls."""

    def __init__(self, problem: ControlProblem, row: int, value: float) -> None:
        s = problem.symbols()
        c, rate = problem.evaluate("path", **s)[row] - value, problem.evaluate("dynamics", **s)
        slope = ca.densify(ca.gradient(c, s["x"]))
        change = ca.dot(slope, rate) + ca.jacobian(c, s["t"])
        outputs = [c, slope, change, ca.dot(ca.fabs(slope), ca.fabs(rate))]
        self._along = ca.Function("along", list(s.values()), outputs)
        self._size = 1.0 + abs(value)

    def holds(self, t: float, x: Array, u: Array, p: Array, d: Array) -> bool:
        """c = 0 at the state itself."""
        return abs(float(self._along(t, x, u, p, d)[0])) <= KEPT * self._size

    def kept_near(self, t: float, x: Array, u: Array, p: Array, d: Array) -> bool:
        """c does not change where it is 0, near the state."""
        for _ in range(NEWTON):
            c, slope, change, scale = (np.asarray(value).ravel() for value in self._along(t, x, u, p, d))
            if not np.all(np.isfinite(slope)) or abs(c[0]) <= KEPT * self._size:
                break
            x = x - slope * c[0] / max(float(slope @ slope), np.finfo(float).tiny)
        return bool(abs(c[0]) <= KEPT * self._size and abs(change[0]) <= KEPT * scale[0])
