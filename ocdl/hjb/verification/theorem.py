"""The verification theorem, measured: how far from optimal the feedback of a table can be.

If V is continuously differentiable, V(·, T) = ℓ and ∂_tV + H = 0, then V is the value function and its feedback is
optimal. Of a table W the hypotheses hold up to errors, and the same proof gives, along the feedback's states x and
controls u,

    J(u) = W(x_0, t_0) + ∫ (∂_tW + ⟨∇W, φ⟩ + L) dt + [ℓ − W(·, T)](x(T)),     J(v) ≥ lower for every control v

(``SubSolution``): u is optimal up to ε = J(u) − lower.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", Theorem 4.3; Fleming and Soner, "Controlled
Markov Processes and Viscosity Solutions" (2006), Theorem I.5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.arrays import Array
from ocdl.errors import NotSupported
from ocdl.hjb.bounds.lower_bound import lower_bound
from ocdl.hjb.feedback.value_function import Rollout, ValueFunction
from ocdl.hjb.verification.kinks import kinks
from ocdl.hjb.verification.residual import interpolated
from ocdl.hjb.verification.sides import SubSolution

THEOREM = "verification (Liu and Markowich, Theorem 4.3; Fleming and Soner 2006, Theorem I.5.1)"


@dataclass(frozen=True, eq=False)
class Verification:
    """``value`` W(x_0, t_0); ``rollout`` of its feedback; ``lower`` ≤ J of every control; ``along``, ∫ |R| dt of the
    least Hamiltonian on the way; ``defect``, ∫ (dW/dt + L) dt of the controls that were taken; the ``finding``.
    """

    value: float
    rollout: Rollout
    lower: float
    along: float
    defect: float
    finding: Finding

    @property
    def cost(self) -> float:
        """J of the feedback."""
        return float(self.rollout.cost)

    @property
    def suboptimality(self) -> float:
        """ε: by how much J can be above the least cost."""
        return self.cost - self.lower

    def __repr__(self) -> str:
        return f"<Verification: J = {self.cost:.8g}, optimal up to {self.suboptimality:.3g}; {self.finding.says}>"


def verified(
    value: ValueFunction,
    x: Any = None,
    t: float = 0.0,
    *,
    tolerance: float = 1e-3,
    region: Any = None,
    steps: int = 128,
) -> Verification:
    """Is the feedback of the table optimal from the state x (D,), by default the problem's own, at depth t?

    tolerance: what ∫ |∂_tV + H| dt along the feedback may be and still count for rounding of the grid, as a share of
    1 + |V|; region as in ``two_sided``. Raises NotSupported where states are bounded.
    """
    start = np.asarray(value.problem.x0.reshape(-1) if x is None else x, dtype=float)
    below = SubSolution.of(value, start, t, region=region)
    rollout, W = value.rollout(start, t, steps=steps), float(value.at(start[None], np.full(1, t))[0])
    allowed = tolerance * (1.0 + abs(W))
    inside = np.clip(rollout.x, value.grid.lower, value.grid.upper)
    R, proven = interpolated(value, inside, rollout.t)
    along = float(np.trapezoid(np.abs(R), rollout.t))
    loss, last = _loss(value, rollout.x[-1]), float(value.at(inside[-1:], value.t[-1:])[0])
    lower = _lower(value, below, start, t)
    hypotheses = (
        Hypothesis("V is differentiable on the way: cells to the nearest kink", _apart(value, inside, rollout.t), 1.0),
        Hypothesis("V(·, T) = ℓ where the feedback arrives: −|V − ℓ|", -abs(last - loss), slack=allowed),
        Hypothesis("∂_tV + H = 0 on the way: −∫ |∂_tV + H| dt", -along, slack=allowed),
        Hypothesis("the states stay where V is known: cells to the edge", _inside(value, rollout.x)),
        Hypothesis.declared("the minima of H are proven", proven and below.proven),
    )
    cost = float(rollout.cost)
    said = f"the feedback is optimal: J = {cost:.8g} is at most {cost - lower:.2g} above the least cost."
    return Verification(W, rollout, lower, along, cost - W - (loss - last), Finding(THEOREM, hypotheses, said))


def _loss(value: ValueFunction, x: Array) -> float:
    """Σ_s ω_s ℓ_s at a state x (D,)."""
    problem = value.problem
    states = x.reshape(problem.samples, problem.n)
    losses = [float(problem.terminal_loss(state, sample=s)) for s, state in enumerate(states)]
    return float(np.asarray(problem.weights) @ losses)


def _lower(value: ValueFunction, below: SubSolution, start: Array, t: float) -> float:
    """The larger of the table's lower bound and, from the problem's own start, the one that needs no table."""
    found = float(below(start[None], t)[0])
    if t != 0.0 or not np.array_equal(start, value.problem.x0.reshape(-1)):
        return found
    try:
        return max(found, float(lower_bound(value.problem, progress=False)))
    except NotSupported:
        return found


def _apart(value: ValueFunction, x: Array, t: Array) -> float:
    """Cells from states x (N+1, D) at depths t to the nearest kink of about the same depth; ∞ without one."""
    depths, places = kinks(value).places
    stored = np.diff(value.t).max()
    near = np.abs(depths[None] - t[:, None]) <= stored
    cells = np.abs((places[None] - x[:, None]) / value.grid.spacing).max(axis=2, initial=0.0)
    return float(np.min(np.where(near, cells, np.inf), initial=np.inf))


def _inside(value: ValueFunction, x: Array) -> float:
    """Cells (at the nearest) from states x (N+1, D) to the edge of the table; negative outside."""
    grid = value.grid
    return float(np.min(np.minimum(x - grid.lower, grid.upper - x) / grid.spacing))
