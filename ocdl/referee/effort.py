"""The effort by groups of controls that do not meet: Ω E_g is Ω E with the other groups at 0, up to a constant.

Of a quadratic E only the gradient is needed, whose size is that of the controls: E_g(u) − E_g(0) = ½ (∇E(u) + ∇E(0))·u
over the group; where it depends on nothing else it is Q u + q, with a sparse Q.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.arrays import Array
from ocdl.batch import Batch
from ocdl.once import once
from ocdl.statement.effort import effort_formula
from ocdl.statement.problem import ControlProblem
from ocdl.statement.structure import affine_in, kinked_in, numeric_quadratic, quadratic_in, second

Indices = NDArray[np.intp]


class GroupedEffort:
    """Ω E of the ``groups`` (G, size) of a problem's controls, at K points: t (K, C), ω (C,), u (K, m), p (P,).

    ``variant`` tells one division into groups from another.
    """

    def __init__(self, problem: ControlProblem, groups: Indices, variant: str) -> None:
        self.problem, self.groups, self.variant = problem, groups, variant

    def values(self, t: Array, omega: Array, u: Array, p: Array) -> Array:
        """Ω E_g (K, G)."""
        if self.quadratic:
            return self.slopes(t, omega, u, p)[0]
        shares = self._shares(t, omega)
        return np.asarray(sum(share * self._terms(depths[None], u.T, p)[0].T for depths, share in shares))

    def slopes(self, t: Array, omega: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """The same with its gradient (K, G, size)."""
        if self._steady is not None:
            (Q, q), total = self._steady, float(np.sum(omega) / np.sum(self.problem.weights))
            z = u.take(self.groups, axis=1)
            slope = np.ascontiguousarray((Q @ z.reshape(len(z), -1).T).T).reshape(z.shape) + q
            return 0.5 * total * np.einsum("kgi,kgi->kg", slope + q, z), total * slope
        value, gradient = np.zeros((len(t), len(self.groups))), np.zeros((len(t), *self.groups.shape))
        for depths, share in self._shares(t, omega):
            slope = self._gradient(depths[None], u.T, p)[0].T[:, self.groups]
            if self.quadratic:
                at_zero = self._gradient(depths[None], np.zeros(u.T.shape), p)[0].T[:, self.groups]
                value += 0.5 * share * self._along(slope + at_zero, u)
            else:
                value += share * self._terms(depths[None], u.T, p)[0].T
            gradient += share * slope
        return value, gradient

    def _along(self, slope: Array, u: Array) -> Array:
        return np.einsum("kgi,kgi->kg", slope, u.take(self.groups, axis=1))

    def derivatives(self, t: Array, omega: Array, u: Array, p: Array) -> tuple[Array, Array, Array]:
        """The same with its Hessian (K, G, size, size)."""
        G, size = self.groups.shape
        hessian = np.zeros((len(t), G, size, size))
        for depths, share in self._shares(t, omega):
            hessian += share * self._blocks(depths[None], u.T, p)[0].T.reshape(hessian.shape)
        return *self.slopes(t, omega, u, p), hessian

    def _shares(self, t: Array, omega: Array) -> Iterator[tuple[Array, float]]:
        """The different depths (K,) at which E is counted, with their shares of Ω."""
        total = float(np.sum(self.problem.weights))
        if np.all(t == t[:, :1]):
            yield t[:, 0], float(np.sum(omega)) / total
            return
        for c in np.unique(np.array([t[0], omega]), axis=1, return_index=True)[1]:
            count = np.count_nonzero((t[0] == t[0, c]) & (omega == omega[c]))
            yield t[:, c], float(omega[c]) * count / total

    @once
    def quadratic(self) -> bool:
        """The Hessian of E does not depend on u."""
        s, value = self._formula
        return quadratic_in(value, s["u"])

    @once
    def _steady(self) -> tuple[Any, Array] | None:
        """Q and q (G, size) of ∇E = Q u + q, u and ∇E group by group, where both are numbers, None where not."""
        s, value = self._formula
        found = numeric_quadratic(value, s["u"])
        if found is None:
            return None
        (Q, q, _), order = found, self.groups.ravel()
        return scipy.sparse.csr_array(Q)[order][:, order], q[self.groups]

    @once
    def kinked(self) -> bool:
        """E is not smooth in u."""
        s, value = self._formula
        return kinked_in(value, s["u"])

    @once
    def affine(self) -> bool:
        """E is affine in u."""
        s, value = self._formula
        return affine_in(value, s["u"])

    @once
    def _formula(self) -> tuple[dict[str, Any], Any]:
        return effort_formula(self.problem)

    @once
    def _terms(self) -> Batch:
        """(t, u, p) → E of every group with the other groups at 0, (G,)."""
        s, value = self._formula
        terms = []
        for members in self.groups:
            alone, rows = type(value).zeros(self.problem.m), members.tolist()
            alone[rows] = s["u"][rows]
            terms.append(ca.substitute(value, s["u"], alone))
        return self._batch("effort_terms", ca.vertcat(*terms))

    @once
    def _gradient(self) -> Batch:
        s, value = self._formula
        return self._batch("effort_gradient", ca.gradient(value, s["u"]))

    @once
    def _blocks(self) -> Batch:
        """(t, u, p) → the diagonal blocks of the Hessian of E, one after the other."""
        s, value = self._formula
        hessian, groups = second(value, s["u"]), [members.tolist() for members in self.groups]
        return self._batch("effort_blocks", ca.vertcat(*[ca.vec(ca.densify(hessian[i, i])) for i in groups]))

    def _batch(self, name: str, part: Any) -> Batch:
        s, _ = self._formula
        return Batch(ca.Function(name, [s["t"], s["u"], s["p"]], [ca.densify(part)]), shared=(2,))
