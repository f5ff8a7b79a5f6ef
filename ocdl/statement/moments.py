"""``moments``: the control problem of mean and covariance, where the equations of these close.

dx = φ dt + σ dW with φ = A x + b and σσᵀ at most quadratic in x, under controls that depend on time alone:

    ṁ = φ(m),   Ṗ = A P + P Aᵀ + E σσᵀ,   E q(x) = q(m) + ½ tr(∇²q P)  for every q at most quadratic,

so that means of such costs are functions of m and P too. A deterministic problem, for every method.
Source: Åström (1970), "Introduction to stochastic control theory", chapter 3.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array, finite_array
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.degree import degree
from ocdl.statement.names import Whole
from ocdl.statement.problem import ControlProblem

TAKEN = ("t", "x", "u", "p", "d")
COSTS = ("running", "terminal")
HIGHEST = {"dynamics": 1, "noise": 2, "running": 2, "terminal": 2}  # degrees for which the moments close
KINDS = {1: "affine in the states", 2: "at most quadratic in the states"}


def moments(problem: ControlProblem, covariance: Any = None) -> ControlProblem:
    """The problem of the mean m (n,) and the covariance P of the states, under controls of time alone.

    Its states are those of the problem, which stand for m, and n(n + 1)/2 more, ``var_x`` and ``cov_x_y`` (the upper
    triangle of P by rows). Bounds on controls and parameters, effort and penalty are as they were.
    covariance: of the initial states, (n, n), of every sample; 0 by default.

    Raises NotSupported where φ is not affine, σσᵀ or a cost not at most quadratic in x, as their graphs show, and for
    constraints, measurements, risk and free times.
    """
    if not isinstance(problem, ControlProblem):
        raise InvalidInput(f"moments({problem!r}): give a ControlProblem.")
    _refuse(problem)
    triangle = list(combinations_with_replacement(range(problem.n), 2))
    formulas = _Moments(problem, triangle)
    names = list(problem.states or ())
    more = [f"var_{names[i]}" if i == j else f"cov_{names[i]}_{names[j]}" for i, j in triangle]
    costs: dict[str, Any] = {
        role: Whole(TAKEN, formulas.mean(role)) for role in COSTS if getattr(problem, role) is not None
    }
    return ControlProblem(
        dynamics=Whole(TAKEN, formulas.rate()),
        **costs,
        effort=problem.effort,
        penalty=problem.penalty,
        initial=_initial(problem, covariance, triangle),
        horizon=problem.horizon,
        t0=problem.t0,
        bounds=problem.bounds,
        states=[*names, *more],
        controls=problem.controls,
        parameters=problem.parameters,
        data=problem.data,
        weights=problem.weights,
        control_set=problem.control_set,
        budgets=problem.budgets,
    )


def _refuse(problem: ControlProblem) -> None:
    if problem.noise is None:
        raise InvalidInput("moments: the problem has no noise=..., so that its states are their own means.")
    if problem.times.free:
        raise NotSupported(f"moments: {', '.join(problem.times.free)} is free; give it by a number.")
    for said, given in (("risk=...", problem.risk), ("measurements=...", problem.measurements)):
        if given is not None:
            raise NotSupported(f"moments: {said} is no mean of a quadratic function of the states.")
    if problem.constraints:
        raise NotSupported(
            f"moments: {', '.join(problem.constraints)} holds of random states; state it of the means and variances "
            "that moments returns."
        )
    s = problem.symbols()
    others = [symbol for name, symbol in s.items() if name != "x"]
    for role, highest in HIGHEST.items():
        value = problem.evaluate(role, **s)
        value = value @ value.T if role == "noise" else value
        if degree(value, s["x"], others) > highest:
            said = "noise: σσᵀ" if role == "noise" else f"{role}: it"
            raise NotSupported(
                f"{said} is not shown to be {KINDS[highest]} by its formula, so that the moment equations do not "
                "close; use StochasticValueIteration."
            )


def _initial(problem: ControlProblem, covariance: Any, triangle: list[tuple[int, int]]) -> Any:
    n, rows = problem.n, np.asarray(problem.initial)
    P: Array = np.zeros((n, n)) if covariance is None else finite_array("moments(covariance=...)", covariance)
    if P.shape != (n, n) or np.any(P != P.T) or np.linalg.eigvalsh(P).min() < -1e-12 * np.abs(P).max():
        raise InvalidInput(f"moments(covariance=...): a symmetric non-negative matrix ({n}, {n}) is needed; got {P}.")
    behind = np.broadcast_to([P[place] for place in triangle], (problem.samples, len(triangle)))
    return np.concatenate([rows, behind], axis=1)


class _Moments:
    """The formulas, as functions of t, y = (m, the triangle of P), u, p, d."""

    def __init__(self, problem: ControlProblem, triangle: list[tuple[int, int]]) -> None:
        self._problem, self._triangle, n = problem, triangle, problem.n
        self._s = problem.symbols() | {"p": ca.SX.sym("p", problem.own_parameters)}
        self._y = ca.SX.sym("y", n + len(triangle))
        self._m, self._P = self._y[:n], ca.SX(n, n)
        for k, (i, j) in enumerate(triangle):
            self._P[i, j] = self._P[j, i] = self._y[n + k]

    def mean(self, role: str) -> Any:
        """E of a cost."""
        s = self._s if role == "running" else self._s | {"t": ca.SX(self._problem.span)}
        return self._function(self._expected(self._problem.evaluate(role, **s)))

    def rate(self) -> Any:
        """(ṁ, Ṗ)."""
        phi, sigma = (self._problem.evaluate(role, **self._s) for role in ("dynamics", "noise"))
        A, D = ca.jacobian(phi, self._s["x"]), sigma @ sigma.T
        change = A @ self._P + self._P @ A.T
        rates = [change[i, j] + self._expected(D[i, j]) for i, j in self._triangle]
        return self._function(ca.vertcat(ca.substitute(phi, self._s["x"], self._m), *rates))

    def _expected(self, q: Any) -> Any:
        """E q(x) = q(m) + ½ tr(∇²q P)."""
        curvature = ca.hessian(q, self._s["x"])[0]
        return ca.substitute(q, self._s["x"], self._m) + 0.5 * ca.trace(curvature @ self._P)

    def _function(self, value: Any) -> Any:
        given = {"t": self._s["t"], "x": self._y} | {name: self._s[name] for name in ("u", "p", "d")}
        function = ca.Function("moments", list(given.values()), [ca.densify(value)])
        t0 = self._problem.t0
        return lambda t, x, u, p, d: function(t - t0 if t0 else t, x, u, p, d)  # evaluate takes depths from t0
