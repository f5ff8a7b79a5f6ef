"""Layers of a wide problem without Jacobians: matrix products and Picard's iteration on the stage equations.

The stage equations X = x ⊗ 1 + h φ(X) Aᵀ and their adjoint K = h (p⁺ ⊗ b) + h φ_xᵀ(K) A are contractions for layers
short against the Lipschitz constant of φ: error factor about h |A| |φ_x| a round, and exact after s rounds for the
adjoint of an explicit scheme, whose state goes stage by stage. Where they do not contract the answer is None, and
Newton's method has to do it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Direct
from ocdl.depth.schemes import Tableau
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

ROUNDS = 60
CONTRACTION = 0.5
WIDE = 128  # unknowns of one sample's stage equations from which this is the faster way
MANY = 300  # the same for all samples' together


def suits(problem: ControlProblem, tableau: Tableau) -> bool:
    """A wide problem, or one of many samples, whose formulas take many columns at once."""
    unknowns = problem.n * tableau.stages
    wide = unknowns >= WIDE or unknowns * problem.samples >= MANY
    return problem.columnwise and problem.running is None and wide


class MatrixFreeLayers:
    """φ of one layer and its products with vectors, for C columns (stage by stage, sample by sample) at once."""

    def __init__(self, problem: ControlProblem, tableau: Tableau, samples: int) -> None:
        self.problem, self.tableau = problem, tableau
        self.columns = tableau.stages * samples

    def forward(self, x: Array, h: float, u: Array, p: Array) -> tuple[Array, Array] | None:
        """x⁺ (S, n) and the stages (s, S, n) from x (S, n), or None."""
        if self.tableau.explicit:
            return self._stage_by_stage(x, h, u, p)
        slopes = np.zeros((self.tableau.stages, *x.shape))

        def advance(stages: Array) -> Array:
            slopes[:] = self.rates(stages, u, p)
            return np.asarray(x + h * np.tensordot(self.tableau.A, slopes, axes=1))

        stages = _fixed_point(advance, np.broadcast_to(x, slopes.shape))
        if stages is None:
            return None
        return x + h * np.tensordot(self.tableau.b, slopes, axes=1), stages

    def _stage_by_stage(self, x: Array, h: float, u: Array, p: Array) -> tuple[Array, Array]:
        A, b = self.tableau.A, self.tableau.b
        stages, slopes = np.empty((2, b.size, *x.shape))
        for i in range(b.size):
            stages[i] = x + h * np.tensordot(A[i, :i], slopes[:i], axes=1)
            slopes[i] = self._one_rate(stages[i].T, u, p)[0].T
        return x + h * np.tensordot(b, slopes, axes=1), stages

    def backward(self, stages: Array, after: Array, h: float, u: Array, p: Array) -> tuple[Array, Array, Array] | None:
        """p_k (S, n), K and φ_xᵀK (s, S, n) from the stages (s, S, n) and p_{k+1} (S, n), or None."""
        pulled = np.zeros_like(stages)
        source = h * self.tableau.b[:, None, None] * after

        def advance(K: Array) -> Array:
            pulled[:] = self._shaped(self._pullback(self._flat(stages), u, p, self._flat(K))[0], stages.shape)
            return np.asarray(source + h * np.tensordot(self.tableau.A.T, pulled, axes=1))

        K = _fixed_point(advance, source)
        return None if K is None else (after + pulled.sum(axis=0), K, pulled)

    def rates(self, stages: Array, u: Array, p: Array) -> Array:
        """φ at the stages (s, S, n)."""
        return self._shaped(self._rate(self._flat(stages), u, p)[0], stages.shape)

    def gradients(self, stages: Array, u: Array, p: Array, K: Array) -> tuple[Array, Array]:
        """φ_uᵀK (m,) and φ_pᵀK (P,), summed over stages and samples."""
        in_u, in_p = self._gradient(self._flat(stages), u, p, self._flat(K))
        return in_u.ravel(), in_p.ravel()

    def _flat(self, stages: Array) -> Array:
        return stages.reshape(-1, self.problem.n).T

    def _shaped(self, columns: Array, shape: tuple[int, ...]) -> Array:
        return np.asarray(columns.T.reshape(shape))

    def _symbols(self, columns: int) -> tuple[ca.MX, ca.MX, ca.MX, ca.MX]:
        sizes = {"x": (self.problem.n, columns), "u": (self.problem.m, 1), "p": (self.problem.P, 1)}
        x, u, p = (ca.MX.sym(name, *size) for name, size in sizes.items())
        return x, u, p, self.problem.evaluate("dynamics", ca.MX, x=x, u=u, p=p)

    @cached_property
    def _rate(self) -> Direct:
        x, u, p, rate = self._symbols(self.columns)
        return Direct(ca.Function("rates", [x, u, p], [rate]))

    @cached_property
    def _one_rate(self) -> Direct:
        """Of one stage."""
        x, u, p, rate = self._symbols(self.columns // self.tableau.stages)
        return Direct(ca.Function("rates", [x, u, p], [rate]))

    @cached_property
    def _pullback(self) -> Direct:
        x, u, p, rate = self._symbols(self.columns)
        K = ca.MX.sym("K", *x.shape)
        return Direct(ca.Function("pullback", [x, u, p, K], [ca.gradient(ca.dot(rate, K), x)]))

    @cached_property
    def _gradient(self) -> Direct:
        x, u, p, rate = self._symbols(self.columns)
        K = ca.MX.sym("K", *x.shape)
        value = ca.dot(rate, K)
        parts = [ca.densify(ca.gradient(value, u)), ca.densify(ca.gradient(value, p))]
        return Direct(ca.Function("gradients", [x, u, p, K], parts))


def _fixed_point(advance: Callable[[Array], Array], start: Array) -> Array | None:
    """The fixed point of ``advance`` to rounding, or None where it does not contract."""
    at, before = start, np.inf
    for _ in range(ROUNDS):
        new = advance(at)
        step = float(np.max(np.abs(new - at)))
        at = new
        if step <= 4e-16 * (1.0 + float(np.max(np.abs(at)))):
            return at
        if not np.isfinite(step) or (step > CONTRACTION * before and step > 1e-13 * (1.0 + float(np.max(np.abs(at))))):
            return None
        before = step
    return at
