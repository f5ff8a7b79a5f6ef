"""The exact rank-one reduction of one unregularised sample: 2M controls a layer instead of M + M².

Every velocity that (a, b) in the box can produce is produced by a_i = a_c + θ_i a_r, b_ij = b_c − b_r θ_i v_j with
θ, v ∈ [−1, 1]^M, so the problem in (a, b) is equivalent to

    f_i' = σ( a_c + θ_i a_r − b_c c₁ + θ_i b_r c₂ ),   c₁ = Σ_j w_j f_j,   c₂ = Σ_j w_j v_j f_j,

whose derivatives have O(M) entries a stage once c₁, c₂ are lifted. Where a layer has several stages and f_j
changes sign inside it, holding v constant is a choice within the piecewise-constant controls, of the mesh's own order.
A pair in the sense of a reduction: ``reduce`` the problem, ``lift`` its controls back to (a, b).
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.solving.method import Start
from ocdl.statement.bounds import Box
from ocdl.statement.problem import ControlProblem
from ocdl.statement.sharing import sharing
from ocdl.statement.velocity_box import VelocityBox

Array = NDArray[np.float64]


def applies(problem: ControlProblem, depth: DepthScheme) -> bool:
    """One sample, increasing σ, no cost of the controls, and the same finite interval of b for all pairs of nodes;
    controls constant in a layer, and no constraints.
    """
    box = problem.velocity_box
    if box is None or problem.has_running_cost or problem.constraints or problem.measurements is not None:
        return False
    if not isinstance(depth.controls, PiecewiseConstant):
        return False
    return not problem.budgets and bool(np.ptp(box.b_lower) == 0.0 and np.ptp(box.b_upper) == 0.0)


INSIDE = 0.9  # a cold start keeps θ and v this far from their bounds ±1, where a barrier method begins badly


@dataclass(frozen=True, eq=False)
class RankOne:
    """The reduced problem of ``original``, with controls (θ, v), and the way back."""

    original: ControlProblem
    box: VelocityBox
    problem: ControlProblem

    @classmethod
    def of(cls, original: ControlProblem) -> RankOne:
        box = original.velocity_box
        assert box is not None
        M, w = box.width, box.weights
        a_centre, a_radius = 0.5 * (box.a_lower + box.a_upper), 0.5 * (box.a_upper - box.a_lower)
        b_centre, b_radius = _interval(box)
        reduced = ControlProblem(
            dynamics=lambda u, z: box.activation(
                (a_centre + u[:M] * a_radius) + ca.mtimes(ca.horzcat(-b_centre * np.ones(M), u[:M] * b_radius), z)
            ),
            lift=lambda x, u: ca.mtimes(ca.horzcat(w, w * u[M:]).T, x),
            initial=original.x0,
            horizon=original.span,
            terminal=original.terminal,
            penalty=original.penalty,
            bounds=Box(u=(-1.0, 1.0), p=original.parameter_box),
            controls=2 * M,
            parameters=original.P,
            data=original.data,
            weights=original.weights,
            state_metric=original.state_metric,
            columnwise=True,
        )
        before = original.built.of("rank-one", lambda: reduced)
        return cls(original, box, sharing(reduced, before))

    def start(self, start: Start) -> Start:
        """(θ, v) nearest to given (a, b): θ from a, v from b by least squares, sign f_I where b says nothing."""
        controls = self.original.unpack(start.u)
        b_centre, b_radius = _interval(self.box)
        a_centre = 0.5 * (self.box.a_lower + self.box.a_upper)
        theta = _ratio(controls["a"] - a_centre, 0.5 * (self.box.a_upper - self.box.a_lower))
        beta = _ratio(controls["b"] - b_centre, np.asarray(b_radius))
        strength = np.sum(theta**2, axis=1, keepdims=True)
        v = -np.einsum("ki,kij->kj", theta, beta) / np.where(strength > 0.0, strength, 1.0)
        v = np.where(strength > 1e-12, v, np.sign(self.original.x0[0]))
        end = INSIDE if start.costate is None else 1.0  # what another grid has settled stays at its bounds
        return Start(np.clip(np.concatenate([theta, v], axis=1), -end, end), start.p, start.x, start.costate)

    def lift(self, u: Array) -> Array:
        """Controls (a, b) of the original problem, (N, M + M²), from (θ, v), (N, 2M)."""
        M = self.box.width
        a, b = self.box.controls(u[:, M:], u[:, :M], direction=u[:, M:])
        return np.clip(self.original.pack(a=a, b=b), *self.original.control_box)


def _interval(box: VelocityBox) -> tuple[float, float]:
    """Centre and radius of the one interval of b."""
    low, high = float(box.b_lower.flat[0]), float(box.b_upper.flat[0])
    return 0.5 * (low + high), 0.5 * (high - low)


def _ratio(values: Array, radius: Array) -> Array:
    return values / np.where(radius > 0.0, radius, 1.0)
