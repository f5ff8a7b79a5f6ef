"""Controls that just stay within the bounds on states, where the minimiser of the Hamiltonian leads out of them.

Sources: the multiplier rule for state constraints of first order, Hartl, Sethi and Vickson, SIAM Review 37 (1995);
Hildreth, "A quadratic programming procedure" (Naval Research Logistics Quarterly 4, 1957).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.hjb.schemes.state_bounds import Excess, Within, farthest
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

MULTIPLIERS = 10  # bisections of the one multiplier
PROJECTIONS = 8  # linearisations of the bounds
HILDRETH = 12  # rounds of coordinate ascent for each
DIFFERENCE = 1e-6  # of half the box of controls, for the derivative of a step's end


class Law(Protocol):
    """What is needed of the step and its minimisation (``lookahead``): see there."""

    @property
    def problem(self) -> ControlProblem: ...

    def flow(self, t: Any, h: Any, x: Array, u: Array) -> tuple[Array, Array]: ...

    def extremal(self, t: Any, x: Array, p: Array, u: Array) -> Array: ...


def rows_of(depth: Any, rows: Any) -> Any:
    """The entries ``rows`` of a depth for each state, (q,), or the one depth of all."""
    return depth[rows] if np.ndim(depth) else depth


def staying(law: Law, u: Array, within: Within, t: Any, h: Any, x: Array, p: Array) -> list[Array]:
    """The minimisers u (q, m) of H at p (q, S·n), and where they lead out of K controls that just stay.

    One bound: the minimisers at p + λ ∂W/∂X with the least multiplier λ ≥ 0 that keeps them in, then the farthest
    towards those of a smaller one. Several bounds, with a multiplier each: the admissible controls nearest to u.
    """
    end = law.flow(t, h, x, u)[0]
    rows = np.flatnonzero(~(within.excess(end, t + h) <= within.allowed))
    if rows.size == 0:
        return [u]
    t, h = (rows_of(depth, rows) for depth in (t, h))
    x, p, outer, safe, allowed = x[rows], p[rows], u[rows], within.safe[rows], within.allowed[rows]

    def over(u: Array, part: Any = slice(None)) -> Array:
        now, step = (rows_of(depth, part) for depth in (t, h))
        return within.excess(law.flow(now, step, x[part], u)[0], rows_of(t + h, part)) - allowed[part]

    found, inner = [], safe
    if outer.shape[1] > 1:
        nearest = _nearest(law, outer, within.excess, allowed, t, h, x)
        found.append(farthest(over, safe, nearest - safe))
        normal = within.excess.slope(end[rows], t + h)
        size = np.linalg.norm(p, axis=1) / np.maximum(np.linalg.norm(normal, axis=1), 1e-300)
        low, high = np.zeros(rows.size), np.ones(rows.size)
        for _ in range(MULTIPLIERS):
            share = 0.5 * (low + high)
            trial = law.extremal(t, x, p + (size * share / (1.0 - share))[:, None] * normal, outer)
            stays = over(trial) <= 0.0
            inner, outer = (np.where(stays[:, None], *pair) for pair in ((trial, inner), (outer, trial)))
            low, high = np.where(stays, low, share), np.where(stays, share, high)
    found.append(farthest(over, inner, outer - inner))
    whole = [u.copy() for _ in found]
    for candidate, part in zip(whole, found, strict=True):
        candidate[rows] = part
    return whole


def _nearest(law: Law, u: Array, excess: Excess, allowed: Array, t: Any, h: Any, x: Array) -> Array:
    """The controls nearest to u (q, m), scaled by their box, whose step ends within all bounds, to first order.

    Linearised ``PROJECTIONS`` times, each problem solved by coordinate ascent in its multipliers (Hildreth 1957).
    """
    low, high = law.problem.control_box
    scale = np.where(np.isfinite(high - low) & (high > low), 0.5 * (high - low), 1.0)
    v = u
    for k in range(PROJECTIONS):
        end = law.flow(t, h, x, v)[0]
        shifts = np.diag(np.where(high > low, DIFFERENCE * scale, 0.0))
        columns = [(law.flow(t, h, x, v + shift)[0] - end) / DIFFERENCE for shift in shifts]
        value, normal = excess.linear(end, t + h)
        value[:, -1] -= allowed
        slope = normal @ np.stack(columns, axis=-1)
        near = np.flatnonzero(np.any(value > -1.0, axis=0))
        multiplier, origin, v = np.zeros(value.shape), v, u
        for j in np.tile(near, HILDRETH):
            free = (v > low) & (v < high)
            size = np.sum(np.where(free, slope[:, j] ** 2, 0.0), axis=1)
            size = np.where(size > 0.0, size, np.sum(slope[:, j] ** 2, axis=1))
            gap = value[:, j] + np.sum(slope[:, j] * (v - origin) / scale, axis=1)
            step = gap / np.where(size > 0.0, size, np.inf)
            multiplier[:, j] = np.maximum(multiplier[:, j] + step, 0.0)
            v = np.clip(u - scale * np.einsum("qk,qkm->qm", multiplier, slope), low, high)
        v = 0.5 * (v + origin) if k else v  # undamped it may go to and fro
    return v
