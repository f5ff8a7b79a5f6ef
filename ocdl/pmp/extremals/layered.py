"""The extremal on the layers of a depth scheme: the boundary value problem with the controls of its shape.

The controls u_q of a layer, node or stage minimise the H that they are in,

    u_q = Π(u_q − g_q),   g_q = Σ_ki h b_i w_q(c_i) H_u / Σ_ki h b_i w_q(c_i) + ε (u_q − u°),

with the w_q of the control shape: H_u = 0 where u is free, and the right sign where a bound holds it. ε > 0 makes H
strictly convex in u where it is affine (Bertrand and Epenoy's homotopy), u° the centre of the box; ε = 0 is the
maximum principle itself. Newton's method on the projection is the active set method of Bergounioux, Ito and Kunisch.
"""

from __future__ import annotations

from functools import cached_property

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.pmp.extremals.newton import Equations
from ocdl.pmp.extremals.system import Unknowns, local_function, local_symbols, projected, system
from ocdl.referee.outcome import Multipliers
from ocdl.solving.method import Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, SweepFailed

EXPLODED = 1e3  # times the initial state: a sweep that is no guess


class LayeredExtremal:
    """The system of one problem on one depth scheme: equations, a guess, and what their solution is."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self.problem, self.depth, self.t = problem, depth, depth.mesh(problem.span)
        self.h, self.shape = np.diff(self.t), (depth.control_rows, problem.m)
        self.unknowns = Unknowns.symbols(problem, depth.count, depth.tableau.stages)

    @cached_property
    def equations(self) -> Equations:
        """In the unknowns and the controls' coefficients; ε is given."""
        problem, depth, (Q, m) = self.problem, self.depth, self.shape
        u, epsilon = ca.MX.sym("u", m, Q), ca.MX.sym("epsilon")
        basis = depth.controls.basis(depth.count, depth.tableau.c).matrix()
        t, h = ca.DM(self.t[:-1]).T, ca.DM(self.h).T
        made = system(problem, depth.tableau, self.unknowns, ca.MX(t), ca.MX(h), u @ basis.T)
        gradient = (made.control_gradient * ca.repmat(made.weights, m, 1)) @ basis
        gradient = gradient / ca.repmat(made.weights @ basis, m, 1)
        low, high = (end.T for end in problem.coefficient_box(depth))
        gradient = gradient + epsilon * (u - ca.DM(_centre(low, high)))
        flat = ca.vec(u)
        law = flat - projected(flat - ca.vec(gradient), low.ravel("F"), high.ravel("F"))
        return Equations([*self.unknowns.flat(), flat], epsilon, [*made.rows, law])

    def guess(self, start: Start) -> Array:
        """Unknowns near the start's, and its controls."""
        return np.append(near(self.problem, self.depth, start).packed(), start.u.ravel())

    def answer(self, w: Array) -> tuple[Unknowns, Array]:
        """The numbers of the system, and the controls (Q, m) in their box against rounding."""
        numbers, rest = self.unknowns.split(w)
        return numbers, np.clip(rest.reshape(self.shape), *self.problem.coefficient_box(self.depth))

    def curvature(self, w: Array) -> float:
        """The least eigenvalue of H_uu in the controls that are on no bound, averaged over each layer, relative to the
        largest: below 0 where the controls do not minimise H (Legendre and Clebsch's condition).
        """
        problem, depth, (numbers, u) = self.problem, self.depth, self.answer(w)
        tableau, m, N = depth.tableau, problem.m, depth.count
        symbols, _, H = local_symbols(problem)
        bend = local_function("bend", symbols, [ca.hessian(H, symbols["u"])[0]])
        t = (self.t[:-1, None] + self.h[:, None] * tableau.c).ravel()
        controls = depth.controls.basis(N, tableau.c) @ u
        p = np.tile(numbers.p, (1, t.size))
        values = bend.map(t.size)(t[None], numbers.X, controls.T, p, numbers.L).full()
        layers = np.einsum("i,acki->kac", tableau.b, values.reshape(m, N, tableau.stages, m).transpose(0, 3, 1, 2))
        low, high = problem.control_box
        free = np.all((controls > low) & (controls < high), axis=1).reshape(N, -1).all(axis=1)
        if not m or not np.any(free):
            return 0.0
        return float(np.min(np.linalg.eigvalsh(layers[free]))) / max(float(np.max(np.abs(layers))), 1e-300)


def near(problem: ControlProblem, depth: DepthScheme, start: Start) -> Unknowns:
    """States and costates of the start; else the sweep of its controls, or a line to a prescribed end, and 0."""
    x = _states(problem, depth, start)
    costate = np.zeros(x.shape) if start.costate is None else start.costate[:, 0]
    c = depth.tableau.c[:, None]
    X, L = ((part[:-1, None] + c * np.diff(part, axis=0)[:, None]).reshape(-1, problem.n).T for part in (x, costate))
    loss = problem.terminal_function(x[-1], start.p, np.asarray(problem.data)[0])[1].full().ravel()
    held = np.any(np.isfinite(problem.final_box), axis=0)[0]
    nu = np.where(held & (start.costate is not None), costate[-1] - loss, 0.0)
    pulled = _pulled(problem, depth, start, X, L)
    return Unknowns(x.T, costate.T, X, L, pulled, start.p, nu, np.zeros(problem.rows("boundary")))


def _pulled(problem: ControlProblem, depth: DepthScheme, start: Start, X: Array, L: Array) -> Array:
    """∫_0^{t_k} H_p dt, (P, N+1), from states and costates at the stages."""
    symbols, _, H = local_symbols(problem)
    slope = local_function("slope", symbols, [ca.gradient(H, symbols["p"])])
    mesh, c = depth.mesh(problem.span), depth.tableau.c
    t = (mesh[:-1, None] + np.diff(mesh)[:, None] * c).ravel()
    u = depth.controls.basis(depth.count, c) @ start.u
    values = slope.map(t.size)(t[None], X, u.T, np.tile(start.p[:, None], t.size), L).full()
    layers = values.reshape(problem.P, depth.count, c.size) @ depth.tableau.b * np.diff(mesh)
    return np.concatenate([np.zeros((problem.P, 1)), np.cumsum(layers, axis=1)], axis=1)


def _states(problem: ControlProblem, depth: DepthScheme, start: Start) -> Array:
    if start.x is not None:
        return start.x[:, 0]
    t, begin = depth.mesh(problem.span), problem.initial_states(start.p)[0]
    x = np.tile(begin, (t.size, 1))
    try:
        swept = Sweeper(problem, depth).state(start.u, start.p).x[:, 0]
    except SweepFailed:
        swept = x
    x = swept if np.max(np.abs(swept)) <= EXPLODED * (1.0 + np.max(np.abs(begin))) else x
    low, high = (end[0] for end in problem.final_box)
    line = begin + (t / t[-1])[:, None] * (np.clip(x[-1], low, high) - begin)
    return np.where(low == high, line, x)


def end_multipliers(problem: ControlProblem, depth: DepthScheme, numbers: Unknowns) -> Multipliers:
    """Multipliers of the ends, without rounding against bounds that do not exist."""
    found = Multipliers.zeros(problem, depth)
    found.nodes[-1] = _pressing(numbers.nu.T, *problem.final_box)
    if problem.rows("boundary"):
        found.boundary[:] = _pressing(numbers.mu.T, *problem.interval_at("boundary", np.zeros(1)))
    return found


def _pressing(multipliers: Array, low: Array, high: Array) -> Array:
    """Multipliers, 0 where they would press against a bound that does not exist."""
    absent = ((multipliers > 0.0) & np.isposinf(high)) | ((multipliers < 0.0) & np.isneginf(low))
    return np.where(absent, 0.0, multipliers)


def _centre(low: Array, high: Array) -> Array:
    """Midpoints of finite intervals, else the point of the interval nearest to 0."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(low) & np.isfinite(high), 0.5 * (low + high), np.clip(0.0, low, high))
