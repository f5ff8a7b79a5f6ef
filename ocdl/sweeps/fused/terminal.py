"""The terminal losses of blocks of samples in numbers: by NumPy where the formula is a known one, else by CasADi.

Known are a ``ReadoutLoss`` whose loss and link bring their derivatives, and what the graph shows to be a sum of squares
of affine functions of the state and the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.once import once
from ocdl.statement.problem import ControlProblem
from ocdl.statement.readout_loss import ReadoutLoss
from ocdl.statement.structure import numeric_quadratic
from ocdl.sweeps.fused.form import Terminal

Array = NDArray[np.float64]

SEARCHED = 400  # states and data of a sample up to which a formula is looked at for squares
ROUNDING = 1e-13


def terminal_form(problem: ControlProblem) -> Terminal:
    """The terminal losses of a problem, evaluated as fast as what is proven of them allows."""
    given = problem.terminal
    if type(given) is ReadoutLoss and given.known:
        return ReadoutTerminal(given, problem.P)
    squares = problem.built.of("terminal squares", lambda: _squares(problem))
    return AnyTerminal(problem) if squares is None else squares


@dataclass(frozen=True, eq=False)
class ReadoutTerminal:
    """Σ ω loss(h(O), d) with O = R(p) x + μ(p), or O = x."""

    given: ReadoutLoss
    P: int

    def value(self, x: Array, p: Array, d: Array, omega: Array) -> float:
        return float(omega @ self._losses(self.given.output.values(x, p), d)[0])

    def slopes(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[float, Array, Array]:
        losses, pull = self._losses(self.given.output.values(x, p), d)
        pull = omega[:, None] * pull
        if self._still:
            return float(omega @ losses), pull, np.zeros(self.P)
        R, _ = self.given.output.arrays(p)
        return float(omega @ losses), pull @ R, self._in_p(pull.T @ x, pull)

    def products(
        self, x: Array, p: Array, d: Array, omega: Array, dx: Array, dp: Array, *, gauss_newton: bool = False
    ) -> tuple[Array, Array]:
        """The bilinear part of O in (x, p) belongs to the Hessian alone, as does h'' of squares."""
        given, weights = self.given, self.given.output.weights
        output = given.output.values(x, p)
        if self._still:
            bent = given.loss.curvature(output, d, weights, given.link, dx, gauss_newton=gauss_newton)
            return omega[:, None] * bent, np.zeros(self.P)
        (R, _), (dR, dmu) = given.output.arrays(p), given.output.tangent(dp)
        along = dx @ R.T + x @ dR.T + dmu
        bent = omega[:, None] * given.loss.curvature(output, d, weights, given.link, along, gauss_newton=gauss_newton)
        in_x, in_R = bent @ R, bent.T @ x
        if not gauss_newton:
            pull = omega[:, None] * self._losses(output, d)[1]
            in_x += pull @ dR
            in_R += pull.T @ dx
        return in_x, self._in_p(in_R, bent)

    @property
    def residuals(self) -> bool:
        return self.given.loss.squares

    def rows(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[Array, Array, Array]:
        """ρ = √(ω w) (h(O) − d); ρᵀρ'' is what Gauss–Newton neglects, h'' and the bilinear part of O in it."""
        given, output = self.given, self.given.output
        root = np.sqrt(omega)[:, None]
        rho, slope = given.loss.residuals(output.values(x, p), d, output.weights, given.link)
        slope = root * slope
        in_p = np.zeros((*slope.shape, self.P))
        if self._still:
            return root * rho, slope[:, :, None] * np.eye(x.shape[1]), in_p
        if output.size:
            K, r = output.shape
            k, seen = np.arange(K), output.seen(x)
            W = in_p[:, :, output.place : output.place + K * r].reshape(len(x), K, K, r)
            W[:, k, k] = slope[:, :, None] * seen[:, None]
            in_p[:, :, output.place : output.place + K * r] = W.reshape(len(x), K, K * r)
            in_p[:, k, output.place + K * r + k] = slope
        return root * rho, slope[:, :, None] * output.arrays(p)[0], in_p

    @property
    def _still(self) -> bool:
        """O = x."""
        return self.given.output.features is None

    def _losses(self, output: Array, d: Array) -> tuple[Array, Array]:
        return self.given.loss.slopes(output, d, self.given.output.weights, self.given.link)

    def _in_p(self, in_R: Array, pull: Array) -> Array:
        if not self.given.output.size:
            return np.zeros(self.P)
        return self.given.output.pulled_back(in_R, pull.sum(axis=0), self.P)


@dataclass(frozen=True, eq=False)
class SquaresTerminal:
    """Σ ω (½ |ρ|² + c) with ρ = A x + B d + e; A (r, n), B (r, k), e (r,)."""

    A: Array
    B: Array
    e: Array
    c: float
    P: int

    def value(self, x: Array, p: Array, d: Array, omega: Array) -> float:
        rho = self._rho(x, d)
        return 0.5 * float(np.einsum("s,sr,sr->", omega, rho, rho)) + self.c * float(np.sum(omega))

    def slopes(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[float, Array, Array]:
        rho = self._rho(x, d)
        pull = omega[:, None] * rho
        value = 0.5 * float(np.einsum("sr,sr->", pull, rho)) + self.c * float(np.sum(omega))
        return value, pull @ self.A, np.zeros(self.P)

    def products(
        self, x: Array, p: Array, d: Array, omega: Array, dx: Array, dp: Array, *, gauss_newton: bool = False
    ) -> tuple[Array, Array]:
        return omega[:, None] * (dx @ self.A.T) @ self.A, np.zeros(self.P)

    @property
    def residuals(self) -> bool:
        return self.c == 0.0

    def rows(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[Array, Array, Array]:
        root = np.sqrt(omega)[:, None]
        in_x = root[:, :, None] * self.A
        return root * self._rho(x, d), in_x, np.zeros((*in_x.shape[:2], self.P))

    def _rho(self, x: Array, d: Array) -> Array:
        return np.asarray(x @ self.A.T + d @ self.B.T + self.e)


@dataclass(frozen=True, eq=False)
class AnyTerminal:
    """Any formula, differentiated by CasADi. Its outputs are x and p themselves, so that the Gauss–Newton part of the
    Hessian is all of it, and may be indefinite.
    """

    problem: ControlProblem

    def value(self, x: Array, p: Array, d: Array, omega: Array) -> float:
        return float(self._slopes(x.T, p, d.T, omega[None])[0][0])

    def slopes(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[float, Array, Array]:
        value, in_x, in_p = self._slopes(x.T, p, d.T, omega[None])
        return float(value[0]), in_x.T, in_p

    def products(
        self, x: Array, p: Array, d: Array, omega: Array, dx: Array, dp: Array, *, gauss_newton: bool = False
    ) -> tuple[Array, Array]:
        in_x, in_p = self._products(x.T, p, d.T, omega[None], dx.T, dp)
        return in_x.T, in_p

    @property
    def residuals(self) -> bool:
        return False

    def rows(self, x: Array, p: Array, d: Array, omega: Array) -> tuple[Array, Array, Array]:
        raise NotImplementedError("terminal: nothing shows it to be a sum of squares.")

    @once
    def _slopes(self) -> Batch:
        """(x, p, d, ω) → Σ ω ℓ, ω ∇ₓℓ, Σ ω ∇ₚℓ."""
        (x, p, d, omega), value = self._weighed()
        parts = [value, *(ca.densify(ca.gradient(value, v)) for v in (x, p))]
        return Batch(ca.Function("terminal_slopes", [x, p, d, omega], parts), shared=(1,), summed=(0, 2))

    @once
    def _products(self) -> Batch:
        (x, p, d, omega), value = self._weighed()
        dx, dp = ca.SX.sym("dx", x.numel()), ca.SX.sym("dp", p.numel())
        along = ca.jtimes(value, x, dx) + ca.jtimes(value, p, dp)
        parts = [ca.densify(ca.gradient(along, v)) for v in (x, p)]
        function = ca.Function("terminal_products", [x, p, d, omega, dx, dp], parts)
        return Batch(function, shared=(1, 5), summed=(1,))

    def _weighed(self) -> tuple[tuple[Any, Any, Any, Any], Any]:
        (x, p, d), loss = _formula(self.problem)
        omega = ca.SX.sym("omega")
        return (x, p, d, omega), omega * loss


def _formula(problem: ControlProblem) -> tuple[tuple[Any, Any, Any], Any]:
    s = problem.symbols()
    loss = problem.evaluate("terminal", **{**s, "t": ca.SX(problem.span)})
    return (s["x"], s["p"], s["d"]), loss


def _squares(problem: ControlProblem) -> SquaresTerminal | None:
    """ℓ as ½ |A x + B d + e|² + c, where its Hessian in (x, d) is constant, nowhere negative, and p is not in it."""
    (x, _, d), loss = _formula(problem)
    n, y = problem.n, ca.vertcat(x, d)
    found = numeric_quadratic(loss, y) if y.numel() <= SEARCHED else None
    if found is None:
        return None
    H, g, c = found[0].toarray(), *found[1:]
    there = np.diag(H) > 0.0
    if np.any(H[~there]) or np.any(g[~there]):
        return None
    scale = np.sqrt(np.diag(H)[there])
    L, pull = _factor(H[np.ix_(there, there)] / np.outer(scale, scale)), g[there] / scale
    if L is None:
        return None
    e: Array = np.asarray(np.linalg.lstsq(L.T, pull, rcond=None)[0], dtype=float)
    if np.any(np.abs(L.T @ e - pull) > ROUNDING * np.abs(pull).max(initial=0.0)):
        return None
    completed = 0.5 * float(e @ e)
    rest = 0.0 if abs(c - completed) <= ROUNDING * (abs(c) + completed) else c - completed
    rows = np.zeros((len(L), y.numel()))
    rows[:, there] = L * scale
    return SquaresTerminal(rows[:, :n], rows[:, n:], e, rest, problem.P)


def _factor(C: Array) -> Array | None:
    """L (r, size) with C = LᵀL of unit diagonal, by Cholesky's method with pivots, which keeps what is sparse; None
    where C is not nowhere negative.
    """
    rest, rows = C.copy(), np.zeros((0, len(C)))
    while len(rows) < len(C):
        i = int(np.argmax(np.diag(rest)))
        if not rest[i, i] > ROUNDING:
            break
        row = rest[i] / np.sqrt(rest[i, i])
        rows, rest = np.vstack([rows, row]), rest - np.outer(row, row)
    return rows if np.all(np.abs(rest) <= ROUNDING) else None
