"""The two-point boundary value problem of the maximum principle for one sample, collocated.

With H = ⟨λ, φ⟩ + L + E, on every layer k of width h the stages X_i, Λ_i of a tableau and its symplectic adjoint

    X_i = x_k + h Σ_j a_ij φ_j,                x_{k+1} = x_k + h Σ_i b_i φ_i,
    Λ_i = λ_{k+1} + h Σ_j (b_j a_ji/b_i) H_x,j,   λ_k = λ_{k+1} + h Σ_i b_i H_x,i,

and at the ends, with multipliers ν of the final box and μ of the boundary rows B,

    x_0 = x^0(p),   λ_N = ∂ℓ/∂x + ν + B_xTᵀ μ,   x_N = Π(x_N + ν),   B = Π(B + μ),   p = Π(p − ∂J/∂p),
    ∂J/∂p = Σ h b_i H_p,i + ∂ℓ/∂p + ∂P/∂p + B_pᵀ μ, to which a free initial state adds its λ_0 + B_x0ᵀ μ.

Π projects on the interval: an end that is given fixes x and frees ν, one that is free has ν = 0, one in an interval is
either. A free horizon is the parameter whose row says that H vanishes at T up to ∂ℓ/∂T. Where h is no number but an
unknown, depths follow from it: that is how switching times move.
Source: Hager, "Runge–Kutta methods in optimal control and the transformed adjoint system", Numer. Math. 87 (2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import Tableau
from ocdl.errors import NotSupported
from ocdl.statement.discrete import refuse_discrete
from ocdl.statement.noise import refuse_noise
from ocdl.statement.problem import ControlProblem


def local_symbols(problem: ControlProblem) -> tuple[dict[str, ca.SX], ca.SX, ca.SX]:
    """Symbols t, x, u, p, costate of one sample, its rate φ and its H."""
    s = problem.symbols()
    data = ca.DM(np.asarray(problem.data)[0])
    costate, given = ca.SX.sym("costate", problem.n), {**s, "d": data}
    rate = problem.evaluate("dynamics", **given)
    effort = problem.evaluate("effort", t=s["t"], u=s["u"], p=s["p"])
    hamiltonian = ca.dot(costate, rate) + problem.evaluate("running", **given) + effort
    del s["d"]
    return s | {"costate": costate}, rate, hamiltonian


def local_function(name: str, symbols: Mapping[str, ca.SX], outputs: list[Any]) -> ca.Function:
    """(t, x, u, p, costate) → outputs."""
    return ca.Function(name, list(symbols.values()), [ca.densify(output) for output in outputs])


@dataclass(frozen=True, eq=False)
class Unknowns:
    """What the system is solved for, as symbols or as numbers: states and costates at the N + 1 nodes, (n, N+1), and at
    the stages, (n, N·s), ∫_0^{t_k} H_p dt (P, N+1), parameters (P,), multipliers of the ends ν and boundary rows μ.
    """

    x: Any
    costate: Any
    X: Any
    L: Any
    pulled: Any
    p: Any
    nu: Any
    mu: Any

    @classmethod
    def symbols(cls, problem: ControlProblem, N: int, s: int) -> Unknowns:
        n = problem.n
        shapes = {"x": (n, N + 1), "costate": (n, N + 1), "X": (n, N * s), "L": (n, N * s)}
        shapes |= {"pulled": (problem.P, N + 1), "p": (problem.P, 1), "nu": (n, 1), "mu": (problem.rows("boundary"), 1)}
        return cls(**{name: ca.MX.sym(name, *shape) for name, shape in shapes.items()})

    def flat(self) -> list[Any]:
        return [ca.vec(part) for part in vars(self).values()]

    def packed(self) -> Array:
        """Numbers as one vector, in the order of ``flat``."""
        return np.concatenate([np.ravel(part, order="F") for part in vars(self).values()])

    def split(self, values: Array) -> tuple[Unknowns, Array]:
        """Numbers of these symbols' shapes from a vector that begins with them, and the rest of it."""
        parts, at = {}, 0
        for name, symbol in vars(self).items():
            size = symbol.numel()
            parts[name] = values[at : at + size].reshape(symbol.shape, order="F")
            at += size
        return Unknowns(**parts), values[at:]


@dataclass(frozen=True, eq=False)
class System:
    """Residuals of the state, costate and end equations; H_u at the stages (m, N·s), and h b_i there (1, N·s)."""

    unknowns: Unknowns
    rows: list[Any]
    control_gradient: Any
    weights: Any
    t: Any


def system(problem: ControlProblem, tableau: Tableau, unknowns: Unknowns, t: Any, h: Any, controls: Any) -> System:
    """The equations on N layers from depths t (1, N), of widths h (1, N), under controls (m, N·s) at the stages."""
    w, (N, s) = unknowns, (h.shape[1], tableau.stages)
    symbols, rate, H = local_symbols(problem)
    slopes = [ca.gradient(H, symbols[name]) for name in ("x", "u", "p")]
    local = local_function("local", symbols, [rate, *slopes])
    layers = ca.kron(ca.DM.eye(N), ca.DM.ones(1, s))  # repeats what a layer has at all its stages
    widths = h @ layers
    depths = t @ layers + widths * ca.DM(np.tile(tableau.c, N)).T
    F, H_x, H_u, H_p = local.map(N * s)(depths, w.X, controls, ca.repmat(w.p, 1, N * s), w.L)
    wide = ca.repmat(widths, problem.n, 1)
    F, H_x = F * wide, H_x * wide
    A, b = tableau.A, tableau.b
    adjoint = b[:, None] * A / b[None, :]
    within = [ca.kron(ca.DM.eye(N), ca.DM(matrix)) for matrix in (A.T, adjoint, b[:, None])]
    weights = widths * ca.DM(np.tile(b, N)).T
    rows = [
        w.X - w.x[:, :-1] @ layers - F @ within[0],
        w.L - w.costate[:, 1:] @ layers - H_x @ within[1],
        w.x[:, 1:] - w.x[:, :-1] - F @ within[2],
        w.costate[:, :-1] - w.costate[:, 1:] - H_x @ within[2],
        w.pulled[:, 1:] - w.pulled[:, :-1] - (H_p * ca.repmat(widths, problem.P, 1)) @ within[2],
        w.pulled[:, 0],
        *_ends(problem, w, w.pulled[:, -1]),
    ]
    return System(w, rows, H_u, weights, t)


def _ends(problem: ControlProblem, w: Unknowns, along: Any) -> list[Any]:
    """The rows of the ends and of the parameters, whose ∂H/∂p has the integral ``along``."""
    own, span, data = problem.own_parameters, ca.MX(problem.span), ca.DM(np.asarray(problem.data)[0])
    x0, xT = w.x[:, 0], w.x[:, -1]
    begin = ca.MX(ca.DM(problem.x0[0]))
    for k, (_, i) in enumerate(problem.free_initial):
        begin[i] = w.p[own + k]
    s = [ca.MX.sym(name, size) for name, size in (("a", problem.n), ("z", problem.n), ("q", problem.P))]
    mu = ca.MX.sym("mu", problem.rows("boundary"))
    boundary = ca.MX(0, 1)
    if problem.rows("boundary"):
        boundary = problem.evaluate("boundary", ca.MX, x0=s[0], xT=s[1], t=span, p=s[2], d=data)
    loss = problem.evaluate("terminal", ca.MX, x=s[1], p=s[2], d=data, t=span)
    total = loss + problem.evaluate("penalty", ca.MX, p=s[2]) + ca.dot(mu, boundary)
    pulls = [ca.densify(ca.gradient(total, part)) for part in s]
    rows, in_x0, in_xT, in_p = ca.Function("ends", [*s, mu], [boundary, *pulls])(x0, xT, w.p, w.mu)
    gradient = along + in_p
    for k, (_, i) in enumerate(problem.free_initial):
        gradient[own + k] += w.costate[i, 0] + in_x0[i]
    low, high = (end[0] for end in problem.final_box)
    between = problem.interval_at("boundary", np.zeros(1)) if problem.rows("boundary") else (np.zeros(0),) * 2
    return [
        x0 - begin,
        w.costate[:, -1] - in_xT - w.nu,
        xT - projected(xT + w.nu, low, high),
        rows - projected(rows + w.mu, *(end.ravel() for end in between)),
        w.p - projected(w.p - gradient, *problem.parameter_box),
    ]


def projected(values: Any, low: Any, high: Any) -> Any:
    """Π(values) on [low, high], entry by entry."""
    return ca.fmin(ca.fmax(values, ca.DM(low)), ca.DM(high)) if values.numel() else values


def check_one_sample(what: str, problem: ControlProblem) -> None:
    """NotSupported where the boundary value problem of one smooth sample is not that of ``problem``."""
    refuse_noise(what, problem)
    refuse_discrete(what, problem.discrete, "there is no boundary value problem of continuous depth")
    if problem.samples > 1:
        raise NotSupported(
            f"{what}: the boundary value problem is that of one sample, and this problem has {problem.samples}; use "
            "Ipopt, or state the samples as states of one."
        )
    along = ("path", "conditions", "measurements", "budgets")
    between = [f"{name}=..." for name in along if getattr(problem, name)]
    if between:
        raise NotSupported(
            f"{what}: it takes conditions at the ends (final, boundary) and bounds, not {', '.join(between)} in "
            "between; use Ipopt."
        )
    if problem.control_set is not None:
        raise NotSupported(f"{what}: controls in a box are needed, not in {problem.control_set!r}; use Ipopt.")
    if problem.bounds.varies("u"):
        raise NotSupported(f"{what}: bounds of the controls that depend on depth; use Ipopt.")
