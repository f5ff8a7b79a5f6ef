"""Damped Newton's method for sparse systems that are smooth but for projections (semi-smooth)."""

from __future__ import annotations

from collections.abc import Callable
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
    """The last point, and whether it solves the equations.

    Steps are damped until the residual falls; where that fails, once more from w until the step that would follow with
    the same Jacobian is shorter, which no scaling of the equations changes (Deuflhard, "Newton methods for nonlinear
    problems", 2004, section 3.1). From different points each succeeds where the other does not.
    """
    last, solved = _damped(equations, w, given, iterations, _residual)
    return (last, solved) if solved else _damped(equations, w, given, iterations, _following_step)


def _residual(values: Array, w: Array, solve: Callable[[Array], Array]) -> float:
    return float(np.linalg.norm(values))


def _following_step(values: Array, w: Array, solve: Callable[[Array], Array]) -> float:
    return float(np.linalg.norm(solve(values) / (1.0 + np.abs(w))))


def _damped(
    equations: Equations,
    w: Array,
    given: Any,
    iterations: int,
    merit: Callable[[Array, Array, Callable[[Array], Array]], float],
) -> tuple[Array, bool]:
    residual = equations(w, given)
    for _ in range(iterations):
        size = float(np.max(np.abs(residual), initial=0.0))
        if size <= ACCURATE * (1.0 + float(np.max(np.abs(w), initial=0.0))):
            return w, True
        solve = _inverse(equations.jacobian(w, given)) if np.isfinite(size) else None
        if solve is None:
            return w, False
        step, length = -solve(residual), 1.0
        before = merit(residual, w, solve)
        for _ in range(HALVINGS):
            trial = w + length * step
            following = equations(trial, given)
            if merit(following, w, solve) <= (1.0 - SHORTEST * length) * before:
                break
            length *= 0.5
        else:
            return w, False
        w, residual = trial, following
    return w, False


def _inverse(jacobian: Any) -> Callable[[Array], Array] | None:
    """F ↦ J⁻¹ F; by least squares where the system is not square or singular, None where it is lost."""
    if not np.all(np.isfinite(jacobian.data)):
        return None
    if jacobian.shape[0] == jacobian.shape[1]:
        try:
            factors = scipy.sparse.linalg.splu(jacobian.tocsc())
            return lambda values: np.asarray(factors.solve(values))
        except RuntimeError:  # singular
            pass
    if jacobian.shape[1] > DENSE:
        return None
    inverse = np.linalg.pinv(jacobian.toarray())
    return lambda values: np.asarray(inverse @ values)
