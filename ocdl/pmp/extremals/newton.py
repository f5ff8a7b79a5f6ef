"""Damped Newton's method for sparse systems that are smooth but for projections (semi-smooth)."""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np
import scipy

from ocdl.arrays import Array

ACCURATE = 1e-11  # of the residual, relative to the size of the unknowns
DENSE = 800  # unknowns up to which a system that is not square or singular is solved by least squares
HALVINGS = 14
SHORTEST = 1e-4  # share of its first-order decrease that a step must keep


class Equations:
    """F(w, e) = 0 in w for given numbers e, with its sparse Jacobian."""

    def __init__(self, unknowns: list[Any], given: Any, rows: list[Any]) -> None:
        residual = ca.vertcat(*[ca.vec(row) for row in rows])
        inner = ca.Function("inner", [*unknowns, given], [residual])
        w = ca.MX.sym("w", sum(part.numel() for part in unknowns))
        ends = np.cumsum([0, *(part.numel() for part in unknowns)]).tolist()
        value = inner(*ca.vertsplit(w, ends), given)
        self._value = ca.Function("value", [w, given], [value])
        self._slope = ca.Function("slope", [w, given], [ca.jacobian(value, w)])

    def __call__(self, w: Array, given: Any) -> Array:
        return np.asarray(self._value(w, given).full().ravel())

    def jacobian(self, w: Array, given: Any) -> Any:
        return self._slope(w, given).sparse()


@np.errstate(over="ignore", invalid="ignore")  # trial points may be anywhere; they are not accepted
def newton(equations: Equations, w: Array, given: Any, iterations: int) -> tuple[Array, bool]:
    """The last point, and whether it solves the equations."""
    residual = equations(w, given)
    for _ in range(iterations):
        size = float(np.max(np.abs(residual), initial=0.0))
        if size <= ACCURATE * (1.0 + float(np.max(np.abs(w), initial=0.0))):
            return w, True
        step = _step(equations.jacobian(w, given), residual) if np.isfinite(size) else None
        if step is None:
            return w, False
        length = 1.0
        for _ in range(HALVINGS):
            trial = w + length * step
            following = equations(trial, given)
            if np.linalg.norm(following) <= (1.0 - SHORTEST * length) * np.linalg.norm(residual):
                break
            length *= 0.5
        else:
            return w, False
        w, residual = trial, following
    return w, False


def _step(jacobian: Any, residual: Array) -> Array | None:
    """The Newton step; of least squares where the system is not square or singular, None where it is lost."""
    if not np.all(np.isfinite(jacobian.data)):
        return None
    if jacobian.shape[0] == jacobian.shape[1]:
        try:
            step = -scipy.sparse.linalg.splu(jacobian.tocsc()).solve(residual)
            if np.all(np.isfinite(step)):
                return np.asarray(step)
        except RuntimeError:  # singular
            pass
    if jacobian.shape[1] > DENSE:
        return None
    return np.asarray(-scipy.linalg.lstsq(jacobian.toarray(), residual, lapack_driver="gelsy")[0])
