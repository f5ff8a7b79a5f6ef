"""What no cost can fall below: V(x, t) ≥ min ℓ + (T − t) min (L + E), by the ranges of the formulas on a domain.

Interpolation between nodes may undershoot it. It is −∞ where a formula has no known range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.analysis.reachability.ranges import ranges
from ocdl.hjb.grids.grid import StateGrid
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

ROUNDING = 1e-13  # of the bound: rounding in the ranges is not directed


@dataclass(frozen=True)
class LeastCost:
    """``terminal``: below the terminal loss; ``running``: below the running cost of a unit of depth."""

    terminal: float
    running: float
    horizon: float

    def __call__(self, t: Any) -> Array:
        """The bound at depths t, (...)."""
        left = np.maximum(self.horizon - np.asarray(t, dtype=float), 0.0)
        return np.asarray(self.terminal + self.running * left)


def least_cost(problem: ControlProblem, grid: StateGrid) -> LeastCost:
    """The bound of all costs of controls in their box whose states stay in the domain of the grid."""
    t, x, u = ca.SX.sym("t"), ca.SX.sym("x", grid.dimension), ca.SX.sym("u", problem.m)
    p, n, ending, running = ca.SX(0, 1), problem.n, ca.SX(0), problem.evaluate("effort", t=t, u=u, p=ca.SX(0, 1))
    for s, weight in enumerate(np.asarray(problem.weights)):
        own, data = x[s * n : (s + 1) * n], np.asarray(problem.data)[s]
        ending = ending + float(weight) * problem.terminal_function(own, np.zeros(problem.P), data)[0]
        running = running + float(weight) * problem.evaluate("running", t=t, x=own, u=u, p=p, d=ca.SX(data))
    domain = [
        (np.zeros(()), np.asarray(problem.span)),
        *zip(grid.lower, grid.upper, strict=True),
        *zip(*problem.control_box, strict=True),
    ]
    terminal, rate = (_least(value, [t, x, u], domain) for value in (ending, running))
    return LeastCost(terminal, rate, problem.span) if np.isfinite(rate) else LeastCost(-np.inf, 0.0, problem.span)


def _least(value: Any, symbols: list[Any], domain: list[tuple[Any, Any]]) -> float:
    low = float(ranges(ca.Function("cost", symbols, [ca.densify(ca.SX(value))]), *domain)[0][0])
    return low - ROUNDING * abs(low) if np.isfinite(low) else -np.inf
