"""Reduced-space transcription: controls and parameters are the variables of an NLP that has bounds and nothing else.

    min J(w),  w = (p, u_0, ..., u_{N−1}) in its box,

with J, ∇J and ∇²J from the oracle's sweeps. The variables are measured in function space: v = D w with
D² = (metric × layer width) / (mean h · mean w), so that the Euclidean product of v is the L² product of controls
up to a factor, whatever the grid. Costates are the sweep's own.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.nlp.assembly import NonlinearProgram
from ocdl.nlp.oracle import Oracle
from ocdl.solving.method import Start
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


def not_in_reduced_space(problem: ControlProblem, depth: DepthScheme) -> str:
    """Why a problem has to be solved in full space; empty where it need not."""
    if problem.constraints:
        constraints = ", ".join(problem.constraints)
        return f"it sees controls and parameters only, and this problem is constrained by {constraints}"
    if problem.budgets:
        return f"it has no rows, and this problem has {', '.join(map(repr, problem.budgets))}"
    if problem.measurements is not None:
        return "its second derivatives do not see measurements"
    if problem.free_initial:
        return "its second derivatives do not see free initial states"
    if problem.bounds.varies("u"):
        return "its bounds do not depend on depth"
    if not isinstance(depth.controls, PiecewiseConstant):
        return f"it takes controls constant in a layer, not {depth.controls}"
    return ""


class Reduced:
    """The reduced NLP of one problem on one depth scheme, and the way back from its solution."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self.problem, self.depth = problem, depth
        self.oracle = Oracle(problem, depth)
        self.h = self.oracle.sweeper.h
        self.scale = np.sqrt(self.oracle.metric / (np.mean(self.h) * np.mean(np.asarray(problem.state_metric))))

    @cached_property
    def program(self) -> NonlinearProgram:
        """What IPOPT is given; it must live as long as the solver."""
        return NonlinearProgram(
            self.oracle.size,
            0,
            0,
            _Evaluation("nlp", self, ["f", "g"]),
            _Evaluation("grad_f", self, ["f", "grad_f_x"]),
            _Evaluation("jac_g", self, ["g", "jac_g_x"]),
            _Evaluation("hess_lag", self, ["triu_hess_gamma_x_x"]),
        )

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of v."""
        low, high = (
            self.oracle.join(u, p) for u, p in zip(self.problem.control_box, self.problem.parameter_box, strict=True)
        )
        return low * self.scale, high * self.scale

    def guess(self, start: Start) -> Array:
        return self.oracle.join(start.u, start.p) * self.scale

    def controls(self, v: Array) -> tuple[Array, Array]:
        """Controls u (N, m) and parameters p (P,) of v, brought into their boxes against rounding."""
        u, p = self.oracle.split(v / self.scale)
        return np.clip(u, *self.problem.control_box), np.clip(p, *self.problem.parameter_box)

    def costates(self, v: Array, multipliers: Array) -> tuple[Array, Array]:
        """Euclidean costates of the sweep: nodes (N+1, S, n) and stages (N, s, S, n); NaN where there is none."""
        adjoint = self.oracle.point(v / self.scale).adjoint
        if adjoint is None:
            N, s, S, n = self.h.size, self.depth.tableau.stages, self.problem.samples, self.problem.n
            return np.full((N + 1, S, n), np.nan), np.full((N, s, S, n), np.nan)
        return adjoint.costate, adjoint.stages

    # -- what IPOPT asks for; NaN makes it shorten the step ---------------------------------------

    def value(self, name: str, v: Array, factor: float) -> Array | float:
        point = self.oracle.point(v / self.scale)
        if name == "f":
            return point.cost
        if name == "grad_f_x":
            return point.gradient / self.scale
        scaled = point.hessian / self.scale
        scaled *= (factor / self.scale)[:, None]
        return scaled[self._lower]  # row by row, which of a symmetric matrix is the upper triangle column by column

    @cached_property
    def triangle(self) -> ca.Sparsity:
        """The Hessian's pattern."""
        return ca.Sparsity.upper(self.oracle.size)

    @cached_property
    def _lower(self) -> NDArray[np.bool_]:
        return np.tri(self.oracle.size, dtype=bool)


class _Evaluation(ca.Callback):
    """One of the functions that ``nlpsol`` takes, answered by the oracle."""

    def __init__(self, name: str, reduced: Reduced, results: list[str]) -> None:
        ca.Callback.__init__(self)
        self.reduced, self.results = reduced, results
        self.arguments = ["x", "p"] + (["lam_f", "lam_g"] if name == "hess_lag" else [])
        self.construct(name, {})

    def get_n_in(self) -> int:
        return len(self.arguments)

    def get_n_out(self) -> int:
        return len(self.results)

    def get_name_in(self, i: int) -> str:
        return self.arguments[i]

    def get_name_out(self, i: int) -> str:
        return self.results[i]

    def get_sparsity_in(self, i: int) -> ca.Sparsity:
        size = {"x": self.reduced.oracle.size, "lam_f": 1}.get(self.arguments[i], 0)
        return ca.Sparsity.dense(size, 1)

    def get_sparsity_out(self, i: int) -> ca.Sparsity:
        size = self.reduced.oracle.size
        return {
            "f": ca.Sparsity.dense(1, 1),
            "g": ca.Sparsity(0, 1),
            "grad_f_x": ca.Sparsity.dense(size, 1),
            "jac_g_x": ca.Sparsity(0, size),
            "triu_hess_gamma_x_x": self.reduced.triangle,
        }[self.results[i]]

    def has_eval_buffer(self) -> bool:
        return True

    def eval_buffer(self, arguments: Any, results: Any) -> int:
        """Reads and writes CasADi's own memory: converting a dense Hessian would cost more than computing it."""
        v = np.frombuffer(arguments[0])
        factor = float(np.frombuffer(arguments[2])[0]) if len(self.arguments) > 2 else 1.0
        for name, result in zip(self.results, results, strict=True):
            if result is not None and name not in ("g", "jac_g_x"):
                np.frombuffer(result)[:] = self.reduced.value(name, v, factor)
        return 0
