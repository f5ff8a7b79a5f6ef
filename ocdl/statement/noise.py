"""Noise: dX = φ dt + σ dW, with independent Wiener processes W (k,) for every sample.

σ(t, x, u, p, d) is a matrix (n, k), or a list of n entries, which is its one column: one process that moves all states.
``numpy.diag`` of n entries, or ``casadi.diag`` of a column, gives every state its own.
"""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import is_real, shown
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.names import Constant


def stated_noise(given: Any) -> Any:
    """σ as it is, a matrix of numbers as a formula; NotSupported for a distribution or the name of one."""
    if isinstance(given, str) or hasattr(given, "rvs"):
        name = getattr(getattr(given, "dist", given), "name", given)
        raise NotSupported(
            f"noise={name!r}: it is σ(t, x, u, p, d) of Wiener processes, dX = φ dt + σ dW. Lévy noise jumps, so that "
            "the equation of V is an integro-differential one, which no method here solves."
        )
    if (
        isinstance(given, (list, tuple, np.ndarray))
        and np.ndim(given) == 2
        and all(is_real(v) for v in np.ravel(given))
    ):
        return Constant(tuple(tuple(float(v) for v in row) for row in given))
    return given


def matrix_of(value: Any, kind: Any) -> Any:
    """A user's σ as a matrix of ``kind``: rows of a nested list or an array, one column of a plain list."""
    rows = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
    rows = [ca.horzcat(*row) if isinstance(row, (list, tuple, np.ndarray)) else row for row in rows]
    for row in rows:
        if not (is_real(row) or isinstance(row, (kind, ca.DM))):
            raise InvalidInput(f"noise: it must return a matrix of expressions in its arguments; got {shown(row)}.")
    if len({1 if is_real(row) else row.shape[1] for row in rows}) > 1:
        raise InvalidInput("noise: the rows of its matrix have different lengths.")
    return kind(ca.vertcat(*rows))


def completed(sigma: Any, stated: int, n: int) -> Any:
    """σ (n, k) of a core that has states more than were ``stated``: no noise moves them."""
    if sigma.shape[0] != stated:
        raise InvalidInput(
            f"noise: {stated} state(s) need a matrix σ of as many rows, or as many entries for one Wiener process; got "
            f"shape {sigma.shape}."
        )
    return sigma if stated == n else ca.vertcat(sigma, type(sigma)(n - stated, sigma.shape[1]))


def refuse_noise(what: str, problem: Any) -> None:
    """Raise NotSupported where states are random, for ``what`` takes φ alone."""
    if problem.noise is not None:
        raise NotSupported(
            f"{what}: this problem has noise=..., and without it the answer would be that of another. Use "
            "StochasticValueIteration().value_function(problem), whose rollout(count, seed) simulates it; where the "
            "moments close, solve moments(problem); or state it without noise."
        )
