"""How good a mesh of layers is, layer by layer, and the mesh to try next.

Each layer is integrated anew from its own start x_k by Gauss collocation of higher order. With x̃_{k+1} its end, L̃ its
running cost, and p the costate, layer k is wrong to first order by

    integration error  η_k = | Σ_s ⟨p_s,k+1, x̃_s,k+1 − x_s,k+1⟩ + ∫_k (L̃ − L) dt | + |λ|_k v_k   (in units of J),
    control error      γ_k = Σ_i h_k b_i [H(u) − min_u H]                              (its share of the gap),
    state error        ε_k = max |x̃_k+1 − x_k+1| / (1 + max |x|), or v_k,

where v_k is the largest violation of a constraint inside the layer and |λ|_k the multipliers of its rows.

Σ η_k estimates what the cost misses of the same controls in continuous depth, Σ γ_k bounds to first order what other
controls could gain. Source of the dual weighting: Becker and Rannacher, Acta Numerica 10 (2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import Collocation, DepthScheme
from ocdl.referee.labels import coefficients
from ocdl.referee.local_errors import LocalErrors, local_errors
from ocdl.referee.solution import Solution
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Sweeper, Trajectory

Array = NDArray[np.float64]

HIGHEST_DEGREE = 5
SHARE = 0.9  # of the error estimate that the layers to be cut make up
SLIVER = 0.05  # half the layer, relative, that is left around a switch: with a node on it multipliers are not unique
CLOSE = 1e-3  # of its interval: a control this near its bound counts as being there


@dataclass(frozen=True, eq=False)
class LayerErrors:
    """The estimates of every layer, each (N,): ``integration`` and ``control`` in units of J, ``state`` relative;
    ``missing``: what J of the same controls in continuous depth lies above the discrete J, to first order.
    """

    integration: Array
    control: Array
    state: Array
    missing: float

    @property
    def cost(self) -> float:
        """Σ η_k + Σ γ_k."""
        return float(self.integration.sum() + self.control.sum())

    @classmethod
    def of_all(cls, phases: Sequence[LayerErrors]) -> LayerErrors:
        """Those of several phases, one after another."""
        integration, control, state = (
            np.concatenate([getattr(one, name) for one in phases]) for name in ("integration", "control", "state")
        )
        return cls(integration, control, state, sum(one.missing for one in phases))


def layer_errors(problem: ControlProblem, depth: DepthScheme, solution: Solution) -> LayerErrors:
    """The error estimates of a solution on its own mesh. Raises SweepFailed where a layer cannot be integrated."""
    u, p = coefficients(problem, depth, solution)
    x = solution.state.values
    costate = solution.costate.values * np.asarray(problem.state_metric)
    own = Sweeper(problem, depth)
    inside = solution.group("stages")
    trajectory = Trajectory(own.t, own.h, own.stage_t, x, inside["stage_state"].values)
    local = local_errors(problem, depth, own, trajectory, costate, u, p)
    state = np.max(np.abs(local.ends), axis=(1, 2)) / (1.0 + np.max(np.abs(x)))
    violation = _violations(local)
    state = np.maximum(state, violation / (1.0 + np.max(np.abs(x))))
    weights = solution.group("layers")["width"].values[:, None] * depth.tableau.b
    control = np.maximum(np.sum(weights * inside["excess"].values, axis=1), 0.0)
    return LayerErrors(
        np.abs(local.cost) + violation * _pressure(problem, solution, own.h.size),
        control,
        state,
        float(local.cost.sum()),
    )


def _pressure(problem: ControlProblem, solution: Solution, N: int) -> Array:
    """Σ |λ| of state bounds and path constraints over the rows in and at the ends of every layer, (N,)."""
    found = solution.multipliers
    if not found:
        return np.zeros(N)
    metric = np.asarray(problem.state_metric)
    nodes = np.abs(found["multiplier"].values * metric).sum(axis=(1, 2))
    nodes[-1] = 0.0  # of what is prescribed at the end
    inner = np.abs(found["stage_multiplier"].values * metric).sum(axis=(1, 2, 3))
    return np.asarray(nodes[:-1] + nodes[1:] + inner + np.abs(found["path_multiplier"].values).sum(axis=(1, 2, 3)))


def _violations(local: LocalErrors) -> Array:
    """The largest violation of state bounds and path constraints inside every layer, (N,)."""
    worst = np.zeros(local.ends.shape[0])
    for family in local.anew.constraints():
        worst = np.maximum(worst, family.violation.max(axis=(1, 2, 3), initial=0.0))
    return worst


# -- the next mesh -----------------------------------------------------------------------------------------


def refined(
    problem: ControlProblem, depth: DepthScheme, u: Array, errors: LayerErrors, cost: float, state: float
) -> DepthScheme:
    """The scheme to try next for an error of the cost below ``cost`` and of the state below ``state``."""
    return next_mesh(problem, depth, u, errors, marked_layers(errors, cost, state), errors.cost <= cost)


def next_mesh(
    problem: ControlProblem,
    depth: DepthScheme,
    u: Array,
    errors: LayerErrors,
    marked: NDArray[np.bool_],
    cost_met: bool,
) -> DepthScheme:
    """The scheme to try next where the layers ``marked`` are too coarse.

    A higher degree where most layers of a collocation are integrated too coarsely; else layers are cut: around the
    switch where a bang-bang control held constant had to round one, in halves elsewhere.
    """
    if not np.any(marked):
        return depth
    coarse = errors.integration[marked].sum() > errors.control[marked].sum() or cost_met
    if isinstance(depth, Collocation) and depth.degree < HIGHEST_DEGREE and coarse and marked.mean() > 0.5:
        return replace(depth, degree=depth.degree + 1)
    mesh = depth.mesh(problem.span)
    cuts = [_cuts(problem, depth, u, k, errors) if marked[k] else np.zeros(0) for k in range(marked.size)]
    nodes = [np.concatenate([[t], t + h * c]) for t, h, c in zip(mesh[:-1], np.diff(mesh), cuts, strict=True)]
    widths = np.diff(np.append(np.concatenate(nodes), mesh[-1]))
    return depth.with_layers(tuple(widths * (problem.span / widths.sum())))


def marked_layers(errors: LayerErrors, cost: float, state: float) -> NDArray[np.bool_]:
    """The fewest layers that make up ``SHARE`` of the error of the cost, and those whose state is too coarse."""
    each = errors.integration + errors.control
    marked = errors.state > state
    if errors.cost > cost:
        order = np.argsort(-each)
        reached = np.cumsum(each[order]) >= SHARE * each.sum()
        marked[order[: int(np.argmax(reached)) + 1]] = True
    return marked


def _cuts(problem: ControlProblem, depth: DepthScheme, u: Array, k: int, errors: LayerErrors) -> Array:
    """Relative depths at which layer k is cut."""
    switches = (
        _switches(problem, u, k)
        if isinstance(depth.controls, PiecewiseConstant) and errors.control[k] > errors.integration[k]
        else np.zeros(0)
    )
    if switches.size == 0 or switches.size > 3:
        return np.array([0.5])
    around = np.unique(np.concatenate([switches - SLIVER, switches + SLIVER]))
    return around[(around > 0.5 * SLIVER) & (around < 1.0 - 0.5 * SLIVER)]


def _switches(problem: ControlProblem, u: Array, k: int) -> Array:
    """Where in layer k controls switch that lie at opposite bounds before and behind it: their mean tells, (q,)."""
    if not 0 < k < len(u) - 1:
        return np.zeros(0)
    low, high = (end[0] for end in problem.control_box_at(np.zeros(1)))
    if problem.bounds.varies("u") or not np.all(np.isfinite(low) & np.isfinite(high)):
        return np.zeros(0)
    width = np.where(high > low, high - low, 1.0)
    before, share, behind = ((row - low) / width for row in u[k - 1 : k + 2])
    inside = (share > CLOSE) & (share < 1.0 - CLOSE) & (high > low)
    falls = inside & (before > 1.0 - CLOSE) & (behind < CLOSE)
    rises = inside & (before < CLOSE) & (behind > 1.0 - CLOSE)
    depths = np.concatenate([share[falls], 1.0 - share[rises]])
    return np.unique(np.round(depths, 3))
