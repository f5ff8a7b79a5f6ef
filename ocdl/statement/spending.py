"""What controls spend of their budgets, and the controls next to given ones that spend what they are to.

The scalar product is that of function space, Σ_k w_k u_k v_k with w_k the integral of the basis function of coefficient
k; of each control with a budget

    Π(u) = argmin { |v − u|² : l ≤ v ≤ h, Σ_k w_k v_k = c } = clip(u − ν, l, h),

with one number ν, the multiplier. Source: Duchi, Shalev-Shwartz, Singer and Chandra, ICML (2008), for the simplex.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import Layers
from ocdl.statement.bounds import Box
from ocdl.statement.names import Whole
from ocdl.statement.problem import ControlProblem
from ocdl.statement.restated import own, total


def measure(problem: ControlProblem, depth: Layers) -> Array:
    """w (Q,): the integrals of the basis functions of the controls."""
    tableau = depth.tableau
    return depth.controls.measure(np.diff(depth.mesh(problem.span)), tableau.b, tableau.c)


def spent(problem: ControlProblem, depth: Layers, u: Array) -> Array:
    """∫ u_j dt of every budget, (B,), for coefficients u (Q, m)."""
    return np.asarray(measure(problem, depth) @ u[:, problem.budgeted])


def check_attainable(problem: ControlProblem, depth: Layers) -> None:
    """Raise InvalidInput where the bounds of the coefficients on these layers do not allow a budget."""
    if problem.budgets:
        least, most = (spent(problem, depth, end) for end in problem.coefficient_box(depth))
        for k, budget in enumerate(problem.budgets):
            budget.check(least[k], most[k], "on these layers")


def within(problem: ControlProblem, depth: Layers, u: Array) -> tuple[Array, Array]:
    """Π(u), the controls (Q, m) in their box that keep the budgets, next to u; and ν (B,)."""
    low, high = problem.coefficient_box(depth)
    inside, multipliers = np.clip(u, low, high), np.zeros(len(problem.budgets))
    for k, (j, budget) in enumerate(zip(problem.budgeted, problem.budgets, strict=True)):
        column = u[:, j], measure(problem, depth), low[:, j], high[:, j], budget.total
        multipliers[k] = shift(*column)
        inside[:, j] = np.clip(u[:, j] - multipliers[k], low[:, j], high[:, j])
    return inside, multipliers


def lagrangian_gradient(problem: ControlProblem, depth: Layers, gradient: Array, prices: Array) -> Array:
    """∂/∂u of J + Σ ν_j (∫ u_j dt − c_j), (Q, m), from that of J; prices ν (B,)."""
    if not problem.budgets:
        return gradient
    whole = gradient.copy()
    whole[:, problem.budgeted] += np.outer(measure(problem, depth), prices)
    return whole


def priced(problem: ControlProblem, depth: Layers, prices: Array) -> ControlProblem:
    """The problem whose effort has Σ ν_j u_j more, prices ν (B,), and that has no budgets: a budget at the right price.

    The bounds of these controls are what their budgets leave them: with u ≥ l no layer gets more than all the rest.
    """
    own_effort = [("effort", own(problem, "effort"))] if problem.effort is not None else []
    price = Whole(("u",), Price(problem.budgeted, tuple(prices.tolist())))
    changes: dict[str, Any] = {"effort": total(*own_effort, ("effort", price)), "budgets": ()}
    changes |= {"velocity_box": None, "sample_box": None}
    if not problem.bounds.varies("u"):
        bounds = {name: problem.bounds.given(name) for name in problem.bounds.names}
        changes["bounds"] = Box(**bounds | {"u": _left(problem, depth)})
    return replace(problem, **changes)


@dataclass(frozen=True)
class Price:
    """Σ ν_j u_j."""

    controls: tuple[int, ...]
    prices: tuple[float, ...]

    def __call__(self, u: Any) -> Any:
        return sum(price * u[j] for j, price in zip(self.controls, self.prices, strict=True))


def _left(problem: ControlProblem, depth: Layers) -> tuple[Array, Array]:
    """The bounds of u, each (m,), as tight as the budgets make them in the layer where they leave most."""
    low, high = (end.copy() for end in problem.control_box)
    weights = measure(problem, depth)
    whole, least = float(weights.sum()), float(np.min(weights[weights > 0.0]))
    for j, budget in zip(problem.budgeted, problem.budgets, strict=True):
        with np.errstate(invalid="ignore"):  # NaN where there is no bound
            above, below = (end[j] + (budget.total - whole * end[j]) / least for end in (low, high))
        low[j], high[j] = np.fmax(low[j], below), np.fmin(high[j], above)
    return low, high


def shift(u: Array, weights: Array, low: Array, high: Array, total: float) -> float:
    """ν with Σ weights · clip(u − ν, low, high) = ``total``, which falls with ν and is linear between its kinks."""
    kinks = np.concatenate([u - high, u - low])
    kinks = np.unique(kinks[np.isfinite(kinks)])
    before, behind = 0, kinks.size  # the root is not before kinks[before − 1], and before kinks[behind]
    while before < behind:
        middle = (before + behind) // 2
        enough = weights @ np.clip(u - kinks[middle], low, high) >= total
        before, behind = (middle + 1, behind) if enough else (before, middle)
    inside = _between(kinks, before)
    at = np.clip(u - inside, low, high)
    free = (low < at) & (at < high) & (weights > 0.0)
    if not np.any(free):
        return inside
    return float(inside + (weights @ at - total) / np.sum(weights[free]))


def _between(kinks: Array, k: int) -> float:
    """A point between kinks[k − 1] and kinks[k]."""
    ends = np.concatenate([kinks[:1] - 1.0, kinks, kinks[-1:] + 1.0]) if kinks.size else np.zeros(2)
    return float(0.5 * (ends[k] + ends[k + 1]))
