"""The responses of dense layers in numbers: φ = V σ(z) + S x + r and its derivatives in z, σ evaluated once.

Offered where the recogniser proves this form of a problem, with V one or a factor, and its z is the problem's lift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused.form import DenseForm
from ocdl.sweeps.fused.recognise import dense_form

Array = NDArray[np.float64]

HIGHEST = 2  # derivatives that an activation offers
ROUNDING = 1e-12  # of the entries of the lift


@dataclass(frozen=True, eq=False)
class Responses:
    """Of one form; ``plain``: φ = σ(z). V, S and r do not depend on the controls, which z alone sees."""

    form: DenseForm
    controls: Array
    plain: bool

    def __call__(self, x: Array, p: Array, z: Array, order: int) -> list[Array]:
        """φ and its derivatives in z up to ``order``, each of the shape (..., n) of x and z."""
        sigma = self.form.activation
        value = np.asarray(sigma(z))
        found = [value]
        found += [slope(z, value) for slope in (sigma.derivative, sigma.curvature)[:order]]
        if self.plain:
            return found
        _, _, V, S, r = self.form.coefficients.arrays(self.controls, p)
        if V is not None:
            found = [float(V[0]) * part for part in found]
        if S is not None:
            found[0] = found[0] + (S[0] * x if S.ndim == 1 else x @ S[0].T)
        return found if r is None else [found[0] + r[0], *found[1:]]


def numeric_responses(problem: ControlProblem, W: Array, v: Array, u: Array, p: Array) -> Responses | None:
    """Those of a problem whose lift is W x + v at controls u (m,) and parameters p; None where none are proven.

    All are affine in the controls: that both z agree at drawn ones, and V, S and r are there what they are at zero,
    says that they do at all.
    """
    form = dense_form(problem)
    if form is None or form.k != form.n or not form.coefficients.linear:
        return None
    still = np.zeros((1, problem.m))
    drawn, at_zero = (form.coefficients.arrays(at, p) for at in (u[None], still))
    if drawn.V is not None and drawn.V.ndim > 1:
        return None
    pairs: list[tuple[Any, Any]] = [(drawn.W[0], W), (drawn.v[0], v)]
    pairs += [(one, other) for one, other in zip(drawn[2:], at_zero[2:], strict=True) if one is not None]
    if not all(np.allclose(one, other, rtol=ROUNDING, atol=ROUNDING) for one, other in pairs):
        return None
    return Responses(form, still, all(entry is None for entry in drawn[2:]))
