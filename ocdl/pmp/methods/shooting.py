"""Indirect shooting: the two-point boundary value problem of the maximum principle by Newton's method.

Of any smooth problem of one sample, with conditions at its ends, free horizon and parameters, it is the system of
``extremals``. For one bang-bang sample of a selection problem it is smoothed, and every layer k is a segment of its own
(multiple shooting). The unknowns are the costates p_k, θ_k ∈ [−1, 1]^M and the states x_{k+1}, and all layers are
solved together:

    x_{k+1} = x_k + h Σ_i b_i φ(X_i, u_k),   p_k = p_{k+1} + h Σ_i b_i φ_x(X_i, u_k)ᵀ Λ_i,   p_N = ∇ℓ(x_N),
    θ √(q² + ε²) + q = 0,   q_i = Σ_j b_j Λ_ji / w_i   (the smoothed synthesis θ = −q/√(q² + ε²)),
    a = a_c + θ a_r,   b_ij = b_c − θ_i v_j b_r,   v = f/√(f² + ε²),

with the stages X and Λ of the depth scheme and its symplectic adjoint: for ε → 0 and one stage a solution is an
extremal on the layers. ε falls from 1, where the problem is nearly smooth, and each solution starts the next.
Source: Bertrand and Epenoy, "New smoothing techniques for solving bang-bang optimal control problems", Optim. Control
Appl. Methods 23 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import casadi as ca
import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.batch import Batch, evaluated
from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.pmp.extremals.homotopy import Homotopy
from ocdl.pmp.extremals.system import check_one_sample
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Move, Moved, descend
from ocdl.pmp.moves.quasi_newton import Polish, ReducedControls, chart_makers
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.switching.structure import is_bang_bang
from ocdl.pmp.updates.needles import Needles, needles
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]

SLOWEST = 0.9  # factor from one ε to the next beyond which the homotopy gives up
ACCURATE = 1e-10  # of the residual relative to the size of the unknowns
HALVINGS = 12


@dataclass(frozen=True)
class IndirectShooting(Method):
    """The boundary value problem of the maximum principle for states and costates, by Newton's method.

    One sample of any smooth problem: conditions at its ends (``final``, ``boundary``), free initial states, horizon and
    parameters; NotSupported where paths are constrained in between. Bounds on states are taken as slack between the
    ends, and an answer that leaves them is a failure. Multiple shooting, layer by layer, with the controls of the depth
    scheme's shape; multipliers of the ends are unknowns. From a start with costates (the answer of any route) at once,
    else from the problem smoothed by ε, which falls from 1 to ``smallest`` by ``factor``, and by its square root after
    a failure of Newton's method.

    One sample of a selection problem with a finite box, without regulariser or readout, has the smoothed bang-bang
    synthesis, then L-BFGS-B; where a failure of Newton's method ends its homotopy it hands over from the ε it reached.

    On one-stage layers the gap is about ε at first and ε² at last, so that the polish has little or nothing to do.
    What it finds is an extremal, on coarse layers not always the best one.

    tolerance: for the maximum-principle gap. newton_iterations: for one ε. polish: without it the method ends with the
    smoothed extremal. max_iterations: shots and rounds of polish together.
    """

    any_controls: ClassVar[bool] = True

    smallest: float = 1e-6
    factor: float = 0.1
    newton_iterations: int = 25
    polish: bool = True
    max_iterations: int = 20
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        for name in ("max_iterations", "newton_iterations"):
            check_count(self.name, name, getattr(self, name))
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the gap's tolerance must be positive")
        for name in ("smallest", "factor"):
            check_number(self.name, name, getattr(self, name), 0.0, 1.0, "a number between 0 and 1 is needed")

    def check_constraints(self, problem: ControlProblem) -> None:
        check_one_sample(self.name, problem)

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        if not (is_bang_bang(problem) and isinstance(depth.controls, PiecewiseConstant)):
            self.check_constraints(problem)
            return Homotopy(self.smallest, self.factor, self.newton_iterations).solve(problem, depth, start)
        ground = Ground(problem, depth)
        moves: list[Move] = [Shot(self.smallest, self.factor, self.newton_iterations)]
        if self.polish:
            moves += [Polish(chart, 1000, 20, self.tolerance) for chart in chart_makers(ground)]
        return descend(
            self.name,
            ground,
            start,
            needles,
            moves,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )


class Shot:
    """The whole homotopy as one move, made once; None where it does not lower the cost."""

    def __init__(self, smallest: float, factor: float, newton_iterations: int) -> None:
        self.smallest, self.factor, self.newton_iterations = smallest, factor, newton_iterations
        self.made = False

    def __call__(self, iterate: Iterate, proposal: Needles) -> Moved | None:
        if self.made:
            return None
        self.made = True
        value_problem = BoundaryValueProblem(iterate.ground)
        at, epsilon, factor = value_problem.guess(iterate), 1.0, self.factor
        reached = None
        while factor <= SLOWEST:
            solved = value_problem.newton(at, epsilon, self.newton_iterations)
            if solved is None and reached is None:
                return None
            if solved is None:
                factor = np.sqrt(factor)
            else:
                at, reached = solved, epsilon
                if epsilon <= self.smallest * (1.0 + 1e-9):
                    break
            assert reached is not None
            epsilon = max(factor * reached, self.smallest)
        assert reached is not None
        try:
            found = iterate.ground.at(value_problem.controls(at, reached), iterate.p)
        except SweepFailed:
            return None
        return Moved(found) if found.cost < iterate.cost else None


class BoundaryValueProblem:
    """The equations of all layers as one sparse system.

    Unknowns: for each layer p_k, θ_k, the stages X and Λ where the scheme is implicit, x_{k+1}; at last p_N.
    """

    def __init__(self, ground: Ground) -> None:
        self.problem, self.sweeper = ground.problem, ground.sweeper
        low, high = self.problem.control_box
        self.centre, self.radius = 0.5 * (low + high), 0.5 * (high - low)
        M, self.N = self.problem.n, self.sweeper.h.size
        self.inner = 0 if self.sweeper.tableau.explicit else 2 * self.sweeper.tableau.stages * M
        self.M, self.size = M, 3 * M + self.inner

    def guess(self, iterate: Iterate) -> Array:
        """The iterate's own state and costate, with the θ that suits its controls."""
        costate, x = iterate.adjoint.costate[:, 0], iterate.trajectory.x[:, 0]
        chart = ReducedControls(iterate)
        theta = chart.start[: self.N * self.M].reshape(self.N, self.M)
        stages = [iterate.trajectory.stages[:, :, 0], iterate.adjoint.stages[:, :, 0]] if self.inner else []
        inner = [part.reshape(self.N, -1) for part in stages]
        return np.append(np.hstack([costate[:-1], theta, *inner, x[1:]]).ravel(), costate[-1])

    def controls(self, unknowns: Array, epsilon: float) -> Array:
        rows, x, _ = self._split(unknowns)
        given = (x.T, rows.T, np.array([epsilon]))
        return np.clip(self._controls(*given)[0].T, *self.problem.control_box)

    def newton(self, unknowns: Array, epsilon: float, iterations: int) -> Array | None:
        """Damped Newton's method on the norm of the residual, or None where it fails."""
        residual, jacobian = self._equations(unknowns, epsilon)
        for _ in range(iterations):
            if np.max(np.abs(residual)) <= ACCURATE * (1.0 + np.max(np.abs(unknowns))):
                return unknowns
            try:
                step = -scipy.sparse.linalg.splu(jacobian).solve(residual)
            except RuntimeError:  # singular
                return None
            length, before = 1.0, float(residual @ residual)
            for _ in range(HALVINGS):
                trial = unknowns + length * step
                following, slopes = self._equations(trial, epsilon)
                if following @ following <= (1.0 - 0.2 * length) * before:
                    break
                length *= 0.5
            else:
                return None
            unknowns, residual, jacobian = trial, following, slopes
        return None

    def _split(self, unknowns: Array) -> tuple[Array, Array, Array]:
        """Unknowns by layer (N, size), x_k and p_{k+1} of every layer (N, M)."""
        rows, last = unknowns[: -self.M].reshape(self.N, self.size), unknowns[-self.M :]
        x = np.vstack([self.problem.x0, rows[:-1, -self.M :]])
        return rows, x, np.vstack([rows[1:, : self.M], last])

    def _equations(self, unknowns: Array, epsilon: float) -> tuple[Array, Any]:
        rows, x, after = self._split(unknowns)
        t, h, e = self.sweeper.t[None, :-1], self.sweeper.h[None], np.array([epsilon])
        residual, slopes = self._layer(t, h, x.T, rows.T, after.T, e)
        end, end_slope = self._end(rows[-1, -self.M :], unknowns[-self.M :])
        values = np.concatenate([slopes.T.ravel(), end_slope.ravel(order="F")])
        keep, i, j = self._pattern
        matrix = scipy.sparse.csc_matrix((values[keep], (i, j)), shape=(unknowns.size, unknowns.size))
        return np.append(residual.T.ravel(), end), matrix

    @cached_property
    def _pattern(self) -> tuple[Any, Any, Any]:
        """Which of the listed derivatives belong to unknowns, and their rows and columns."""
        M, size, N = self.M, self.size, self.N
        row, column = (np.array(index) for index in self._symbolic[-1].get_triplet())
        first = size * np.arange(N)[:, None]
        # columns of a layer: x_k, which are the last unknowns of layer k − 1, its own, and p_{k+1}
        columns = np.where(column < M + size, first - M + column, first + size + column - size - M)
        end_i, end_j = np.tile(np.arange(M), 2 * M), np.repeat(np.arange(2 * M), M)
        i = np.concatenate([(first + row).ravel(), N * size + end_i])
        j = np.concatenate([columns.ravel(), N * size - M + end_j])
        keep = np.flatnonzero(j >= 0)
        return keep, i[keep], j[keep]

    @cached_property
    def _symbolic(self) -> tuple[list[Any], Any, Any, Any, Any]:
        """Symbols (t, h, x, rows, p⁺, ε), the controls, the residual of a layer, its derivatives and their pattern."""
        M, tableau, s = self.M, self.sweeper.tableau, self.problem.symbols()
        t, h, epsilon = ca.SX.sym("t"), ca.SX.sym("h"), ca.SX.sym("epsilon")
        x, row, after = ca.SX.sym("x", M), ca.SX.sym("row", self.size), ca.SX.sym("after", M)
        before, theta, following = row[:M], row[M : 2 * M], row[self.size - M :]
        middle = x if tableau.explicit else 0.5 * (x + following)
        v = middle / ca.sqrt(middle**2 + epsilon**2)
        u = self.centre + self.radius * ca.vertcat(theta, -ca.kron(theta, v))
        costate = ca.SX.sym("costate", M)
        pull = ca.gradient(ca.dot(self.problem.rate(*s.values()), costate), s["x"])
        pull = ca.Function("pull", [s["t"], s["x"], s["u"], costate], [ca.densify(pull)])
        rate = ca.Function("rate", [s["t"], s["x"], s["u"]], [self.problem.rate(*s.values())])
        X, L, stage_residual = self._stages(t, h, x, row, after, u, rate, pull)
        times = [t + c * h for c in tableau.c]
        rates = [rate(ti, Xi, u) for ti, Xi in zip(times, X, strict=True)]
        pulls = [pull(ti, Xi, u, Li) for ti, Xi, Li in zip(times, X, L, strict=True)]
        q = sum((b * Li for b, Li in zip(tableau.b, L, strict=True)), ca.SX(0)) / np.asarray(self.problem.state_metric)
        residual = ca.vertcat(
            before - after - h * sum((b * pi for b, pi in zip(tableau.b, pulls, strict=True)), ca.SX(0)),
            theta * ca.sqrt(q**2 + epsilon**2) + q,
            *stage_residual,
            following - x - h * sum((b * ri for b, ri in zip(tableau.b, rates, strict=True)), ca.SX(0)),
        )
        jacobian = ca.jacobian(residual, ca.vertcat(x, row, after))
        return [t, h, x, row, after, epsilon], u, residual, jacobian, jacobian.sparsity()

    def _stages(self, t: Any, h: Any, x: Any, row: Any, after: Any, u: Any, rate: Any, pull: Any) -> tuple[Any, ...]:
        """X, Λ and what is left of their equations: Λ_i = p⁺ + h Σ_j (b_j a_ji/b_i) φ_xᵀΛ_j."""
        tableau, M = self.sweeper.tableau, self.M
        A, b, c, s = tableau.A, tableau.b, tableau.c, tableau.stages
        adjoint = np.divide(b[None, :] * A.T, b[:, None], out=np.zeros((s, s)), where=b[:, None] != 0.0)
        if tableau.explicit:
            X: list[Any] = []
            for i in range(s):
                X.append(x + h * sum((A[i, j] * rate(t + c[j] * h, X[j], u) for j in range(i)), ca.SX(0)))
            L: list[Any] = [None] * s
            for i in reversed(range(s)):
                later = (adjoint[i, j] * pull(t + c[j] * h, X[j], u, L[j]) for j in range(i + 1, s))
                L[i] = after + h * sum(later, ca.SX(0))
            return X, L, []
        X = [row[(2 + i) * M : (3 + i) * M] for i in range(s)]
        L = [row[(2 + s + i) * M : (3 + s + i) * M] for i in range(s)]
        rates = [rate(t + c[j] * h, X[j], u) for j in range(s)]
        pulls = [pull(t + c[j] * h, X[j], u, L[j]) for j in range(s)]
        left = [X[i] - x - h * sum((A[i, j] * rates[j] for j in range(s)), ca.SX(0)) for i in range(s)]
        left += [L[i] - after - h * sum((adjoint[i, j] * pulls[j] for j in range(s)), ca.SX(0)) for i in range(s)]
        return X, L, left

    @cached_property
    def _layer(self) -> Batch:
        """(t, h, x, row, p⁺, ε) → residual and the nonzeros of its Jacobian."""
        symbols, _, residual, jacobian, pattern = self._symbolic
        nonzeros = jacobian.nz[:] if pattern.nnz() else ca.SX()
        return Batch(ca.Function("layer", symbols, [ca.densify(residual), nonzeros]), shared=(5,))

    @cached_property
    def _controls(self) -> Batch:
        """(x, row, ε) → u."""
        (_, _, x, row, _, epsilon), u, *_ = self._symbolic
        return Batch(ca.Function("controls", [x, row, epsilon], [ca.densify(u)]), shared=(2,))

    def _end(self, x: Array, p: Array) -> tuple[Array, Array]:
        """p_N − ∇ℓ(x_N) and its Jacobian in (x_N, p_N), (M, 2M)."""
        residual, slope = evaluated(self._terminal, x, p, np.asarray(self.problem.data)[0])
        return residual.ravel(), slope

    @cached_property
    def _terminal(self) -> ca.Function:
        s, p = self.problem.symbols(), ca.SX.sym("p_N", self.M)
        loss = self.problem.evaluate("terminal", x=s["x"], p=s["p"], d=s["d"], t=ca.SX(self.problem.horizon))
        residual = ca.densify(p - ca.gradient(loss, s["x"]))
        slope = ca.densify(ca.jacobian(residual, ca.vertcat(s["x"], p)))
        return ca.Function("terminal", [s["x"], p, s["d"]], [residual, slope])
