"""What does not depend on the samples, in numbers: the effort Σ_q w_q E(t_q, u_q, p) and the penalty P(p).

A quadratic with a constant Hessian, proven from the graph, by NumPy: ½ uᵀQu + q·u + c. All others by CasADi.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.batch import Batch, Direct
from ocdl.once import once
from ocdl.statement.effort import effort_formula
from ocdl.statement.problem import ControlProblem
from ocdl.statement.structure import numeric_quadratic

Array = NDArray[np.float64]


class Effort(Protocol):
    """Σ_q w_q E(t_q, u_q, p): depths t (Q,), controls u (Q, m), weights w (Q,), such as h_k b_i of the stages."""

    def value(self, t: Array, u: Array, p: Array, w: Array) -> float: ...

    def slopes(self, t: Array, u: Array, p: Array, w: Array) -> tuple[float, Array, Array]:
        """The value, its gradient in u (Q, m), and in p (P,)."""
        ...

    def products(self, t: Array, u: Array, p: Array, w: Array, du: Array, dp: Array) -> tuple[Array, Array]:
        """The Hessian in (u, p) times (du (Q, m), dp (P,))."""
        ...


class Penalty(Protocol):
    """P(p) of parameters p (P,)."""

    def value(self, p: Array) -> float: ...

    def slopes(self, p: Array) -> tuple[float, Array]:
        """The value and its gradient (P,)."""
        ...

    def products(self, p: Array, dp: Array) -> Array:
        """The Hessian times dp (P,)."""
        ...


def effort_form(problem: ControlProblem) -> Effort:
    """The effort of a problem, evaluated as fast as what is proven of it allows."""

    def form() -> Effort:
        s, value = effort_formula(problem)
        proven = _quadratic(value, s["u"])
        return AnyEffort(problem) if proven is None else QuadraticEffort(proven)

    return problem.built.of("effort form", form)


def penalty_form(problem: ControlProblem) -> Penalty:
    """The penalty of a problem, likewise."""

    def form() -> Penalty:
        p = ca.SX.sym("p", problem.P)
        proven = _quadratic(problem.evaluate("penalty", p=p), p)
        return AnyPenalty(problem) if proven is None else QuadraticPenalty(proven)

    return problem.built.of("penalty form", form)


@dataclass(frozen=True, eq=False)
class Quadratic:
    """½ uᵀQu + q·u + c of rows u (..., m), Q the diagonal (m,) or sparse (m, m)."""

    Q: Any
    q: Array
    c: float

    def curved(self, u: Array) -> Array:
        """Q u."""
        return u * self.Q if isinstance(self.Q, np.ndarray) else np.asarray((self.Q @ u.T).T)


@dataclass(frozen=True, eq=False)
class QuadraticEffort:
    """E is one quadratic of the controls at every depth, whatever the parameters."""

    form: Quadratic

    def value(self, t: Array, u: Array, p: Array, w: Array) -> float:
        return self._value(u, self.form.curved(u), w)

    def slopes(self, t: Array, u: Array, p: Array, w: Array) -> tuple[float, Array, Array]:
        curved = self.form.curved(u)
        return self._value(u, curved, w), w[:, None] * (curved + self.form.q), np.zeros(p.size)

    def products(self, t: Array, u: Array, p: Array, w: Array, du: Array, dp: Array) -> tuple[Array, Array]:
        return w[:, None] * self.form.curved(du), np.zeros(p.size)

    def _value(self, u: Array, curved: Array, w: Array) -> float:
        linear = float(w @ (u @ self.form.q)) + self.form.c * float(w.sum())
        return 0.5 * float(w @ np.einsum("qm,qm->q", u, curved)) + linear


@dataclass(frozen=True, eq=False)
class QuadraticPenalty:
    """P is a quadratic."""

    form: Quadratic

    def value(self, p: Array) -> float:
        return self.slopes(p)[0]

    def slopes(self, p: Array) -> tuple[float, Array]:
        curved = self.form.curved(p)
        return float(p @ (0.5 * curved + self.form.q)) + self.form.c, curved + self.form.q

    def products(self, p: Array, dp: Array) -> Array:
        return self.form.curved(dp)


@dataclass(frozen=True, eq=False)
class AnyEffort:
    """Any formula, differentiated by CasADi; where it has a kink, by one of the slopes beside it or their mean."""

    problem: ControlProblem

    def value(self, t: Array, u: Array, p: Array, w: Array) -> float:
        return float(self._slopes(t[None], u.T, p, w[None])[0][0])

    def slopes(self, t: Array, u: Array, p: Array, w: Array) -> tuple[float, Array, Array]:
        value, in_u, in_p = self._slopes(t[None], u.T, p, w[None])
        return float(value[0]), in_u.T, in_p

    def products(self, t: Array, u: Array, p: Array, w: Array, du: Array, dp: Array) -> tuple[Array, Array]:
        in_u, in_p = self._products(t[None], u.T, p, w[None], du.T, dp)
        return in_u.T, in_p

    @once
    def _slopes(self) -> Batch:
        """(t, u, p, w) → Σ w E, w ∇ᵤE, Σ w ∇ₚE."""
        s, w, value = self._weighed()
        parts = [value, *(ca.densify(ca.gradient(value, s[name])) for name in ("u", "p"))]
        return Batch(ca.Function("effort_slopes", [s["t"], s["u"], s["p"], w], parts), shared=(2,), summed=(0, 2))

    @once
    def _products(self) -> Batch:
        s, w, value = self._weighed()
        du, dp, along = _along(value, s["u"], s["p"])
        parts = [ca.densify(ca.gradient(along, s[name])) for name in ("u", "p")]
        function = ca.Function("effort_products", [s["t"], s["u"], s["p"], w, du, dp], parts)
        return Batch(function, shared=(2, 5), summed=(1,))

    def _weighed(self) -> tuple[dict[str, Any], Any, Any]:
        s, value = effort_formula(self.problem)
        w = type(value).sym("w")
        return s, w, w * value


@dataclass(frozen=True, eq=False)
class AnyPenalty:
    """Any formula, differentiated by CasADi."""

    problem: ControlProblem

    def value(self, p: Array) -> float:
        return self.slopes(p)[0]

    def slopes(self, p: Array) -> tuple[float, Array]:
        value, gradient, _ = self._function(p, np.zeros(p.size))
        return float(value[0, 0]), gradient[:, 0]

    def products(self, p: Array, dp: Array) -> Array:
        return self._function(p, dp)[2][:, 0]

    @once
    def _function(self) -> Direct:
        """(p, dp) → P, ∇P, ∇²P dp."""
        p = ca.SX.sym("p", self.problem.P)
        value, dp = self.problem.evaluate("penalty", p=p), ca.SX.sym("dp", self.problem.P)
        gradient = ca.gradient(value, p)
        return Direct(ca.Function("penalty", [p, dp], [value, gradient, ca.jtimes(gradient, p, dp)]))


def _along(value: Any, u: Any, p: Any) -> tuple[Any, Any, Any]:
    """du, dp, and the slope of ``value`` along them."""
    du, dp = type(value).sym("du", u.numel()), type(value).sym("dp", p.numel())
    return du, dp, ca.jtimes(value, u, du) + ca.jtimes(value, p, dp)


def _quadratic(value: Any, u: Any) -> Quadratic | None:
    """A scalar as one quadratic of u alone; None where it is none or holds other symbols."""
    found = numeric_quadratic(value, u)
    if found is None:
        return None
    Q = scipy.sparse.coo_array(found[0])
    return Quadratic(Q.diagonal() if np.array_equal(Q.row, Q.col) else Q.tocsr(), *found[1:])
