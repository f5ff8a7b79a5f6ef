"""Depth derivatives of the switching functions along extremals, in which a singular control finally appears.

With S_i = ∂H/∂u_i, H = Σ_s ⟨p_s, φ_s⟩ + ω_s L_s + E affine in u_i, and the other controls held,

    S_i^{(q+1)} = Σ_s ⟨∂S_i^{(q)}/∂x_s, φ_s⟩ − ⟨∂S_i^{(q)}/∂p_s, ∂H/∂x_s⟩ + ∂S_i^{(q)}/∂t.

The control appears first in an even derivative, q = 2k, k the order of the singular arc; minimal it is only if

    (−1)^k ∂S_i^{(2k)}/∂u_i ≥ 0     (Kelley; generalised Legendre and Clebsch),

and of two controls that are singular together ∂S_i'/∂u_j = 0 (Goh). All S^{(q)} are affine in p, so that a sum of
terms that cancel can be told from one that is of their size.
Sources: Kelley, Kopp and Moyer, in "Topics in Optimization" (1967), chapter 3; Robbins, IBM J. Res. Dev. 11 (1967);
Goh, SIAM J. Control 4 (1966); Bell and Jacobson, "Singular Optimal Control Problems" (1975).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.batch import evaluated
from ocdl.statement.problem import ControlProblem

HIGHEST = 3  # order of an arc that is looked for
ABSENT = 1e-3  # of the terms it is the sum of: what so little is left of vanishes on the arc


@dataclass(frozen=True, eq=False)
class Appearance:
    """Of one control on a singular arc: its ``order`` k, None where it does not appear up to ``HIGHEST``; (−1)^k
    ∂S^{(2k)}/∂u (K,), and how large its terms are, (K,).
    """

    order: int | None
    value: Array
    size: Array


class Brackets:
    """S of the controls of a problem and their depth derivatives at K points: t (K,), x and p (K, S, n), u (K, m),
    parameters (P,), in core depths.
    """

    def __init__(self, problem: ControlProblem) -> None:
        self._problem = problem
        self._derivatives: dict[int, list[Any]] = {}

    def appears(self, i: int, t: Array, x: Array, costate: Array, u: Array, p: Array) -> Appearance:
        """Where control i appears first; H is affine in it."""
        value = size = np.zeros(len(t))
        for k in range(1, HIGHEST + 1):
            slope = ca.gradient(self._derivative(i, 2 * k), self._symbols["u"][i])
            value, size = self._measured(slope, t, x, costate, u, p)
            if np.max(np.abs(value), initial=0.0) > ABSENT * np.max(size, initial=0.0):
                return Appearance(k, (-1) ** k * value, size)
        return Appearance(None, value, size)

    def goh(self, i: int, j: int, t: Array, x: Array, costate: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """∂S_i'/∂u_j (K,), and how large its terms are."""
        return self._measured(ca.gradient(self._derivative(i, 1), self._symbols["u"][j]), t, x, costate, u, p)

    def _measured(self, expression: Any, t: Array, x: Array, costate: Array, u: Array, p: Array) -> tuple[Array, Array]:
        """Something affine in p, (K,), and the sum of the sizes of its terms."""
        s = self._symbols
        by_costate = ca.gradient(expression, s["costate"])
        terms = ca.vertcat(ca.fabs(by_costate * s["costate"]), ca.fabs(expression - ca.dot(by_costate, s["costate"])))
        function = ca.Function("bracket", list(s.values()), [ca.densify(expression), ca.densify(ca.sum1(terms))])
        K = len(t)
        given = t[None], x.reshape(K, -1).T, u.T, np.tile(p[:, None], K), costate.reshape(K, -1).T
        value, size = evaluated(function.map(K), *given)
        return value[0], size[0]

    def _derivative(self, i: int, q: int) -> Any:
        """S_i^{(q)}."""
        known = self._derivatives.setdefault(i, [ca.gradient(self._hamiltonian, self._symbols["u"])[i]])
        while len(known) <= q:
            known.append(self._along(known[-1]))
        return known[q]

    def _along(self, value: Any) -> Any:
        s = self._symbols
        falls = ca.gradient(self._hamiltonian, s["x"])
        moved = ca.jtimes(value, s["x"], self._rates) - ca.jtimes(value, s["costate"], falls)
        return moved + ca.jtimes(value, s["t"], ca.SX(1))

    @cached_property
    def _symbols(self) -> dict[str, Any]:
        """t, x and costate of all samples one after the other, u, p."""
        problem = self._problem
        D, own = problem.samples * problem.n, problem.symbols()
        return {
            "t": own["t"], "x": ca.SX.sym("x", D), "u": own["u"], "p": own["p"], "costate": ca.SX.sym("costate", D)
        }  # fmt: skip

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        problem, s, n = self._problem, self._symbols, self._problem.n
        given = {name: s[name] for name in ("t", "u", "p")}
        rates, H = [], ca.SX(problem.evaluate("effort", **given))
        for k, weight in enumerate(np.asarray(problem.weights)):
            own = {**given, "x": s["x"][k * n : (k + 1) * n], "d": ca.DM(np.asarray(problem.data)[k])}
            rates.append(problem.evaluate("dynamics", **own))
            H += float(weight) * problem.evaluate("running", **own)
        rates = ca.vertcat(*rates)
        return rates, H + ca.dot(s["costate"], rates)

    @property
    def _rates(self) -> Any:
        return self._parts[0]

    @property
    def _hamiltonian(self) -> Any:
        return self._parts[1]
