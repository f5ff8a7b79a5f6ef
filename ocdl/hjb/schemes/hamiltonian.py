"""The Hamiltonian of the upwind scheme: affine in controls in a box, minimised (and maximised) in closed form.

    H(x, p) = Σ_i p_i f_i(x) + L(x) + Σ_j opt { s_j u_j + ½ r_j u_j² : low_j ≤ u_j ≤ high_j },   s_j = Σ_i p_i g_ij(x),

opt the minimum, or the maximum where control j is a disturbance. Every control has a term of its own, so that lower
and upper value of the game are one (Isaacs' condition). L is the row i = D of f, with p_D = 1; the linear part of the
cost of controls likewise. Tables of f and g at the nodes are all that the march needs: for a dynamics without t they
are made once. A velocity box is a case of it: one control in [−1, 1] for every neuron.
Sources: Isaacs, "Differential games" (1965); Evans and Souganidis, Indiana Univ. Math. J. 33 (1984).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Protocol

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.hjb.schemes.control_structure import control_structure
from ocdl.hjb.schemes.flux import optimal
from ocdl.hjb.schemes.lookahead import Lookahead
from ocdl.statement.velocity_box import VelocityBox

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Controls:
    """Entry e of g belongs to ``axis[e]`` (D: the cost) and ``control[e]``, both (E,); bounds ``low`` and ``high``,
    ``weight`` (r) and ``sign`` (1: minimised, −1: maximised) of every control, (m,).
    """

    axis: Index
    control: Index
    low: Array
    high: Array
    weight: Array
    sign: Array


@dataclass(frozen=True, eq=False)
class Tables(Controls):
    """f ``drift`` (D + 1, N) and the entries g ``columns`` (E, N) at N states."""

    drift: Array
    columns: Array

    @classmethod
    def of(cls, controls: Controls, drift: Array, columns: Array) -> Tables:
        return cls(**{f.name: getattr(controls, f.name) for f in fields(Controls)}, drift=drift, columns=columns)

    @cached_property
    def speeds(self) -> Array:
        """The largest |ẋ_i| that any controls can give, (D, N)."""
        D = len(self.drift) - 1
        ends = [self.drift[:D].copy(), self.drift[:D].copy()]
        for g, i, j in zip(self.columns, self.axis, self.control, strict=True):
            if i < D:
                ways = g * self.low[j], g * self.high[j]
                ends[0][i] += np.minimum(*ways)
                ends[1][i] += np.maximum(*ways)
        return np.maximum(np.abs(ends[0]), np.abs(ends[1]))

    @cached_property
    def movers(self) -> tuple[Index, Index, NDArray[np.bool_]]:
        """For every axis the entry of the one control that moves it and nothing else, −1 where none moves it, −2 where
        controls move several axes or meet (D,); the entry of that control's cost, or −1 (D,); and which controls are
        left (m,).
        """
        D, m = len(self.drift) - 1, self.low.size
        moved, left = self.axis < D, np.ones(m, dtype=bool)
        entries, costs = np.full(D, -1, dtype=np.int64), np.full(D, -1, dtype=np.int64)
        for i in range(D):
            here = np.flatnonzero(self.axis == i)
            if here.size:
                j = self.control[here[0]]
                mine = self.control == j
                alone = here.size == 1 and np.count_nonzero(moved & mine) == 1
                entries[i] = here[0] if alone else -2
                costs[i] = max(np.flatnonzero(mine & ~moved), default=-1)
                left[j] &= not alone
        return entries, costs, left

    def extremal(self, p: Array) -> Array:
        """The controls (N, m) of the minima and maxima at gradients p (N, D)."""
        slope = np.zeros((len(p), self.low.size))
        for g, i, j in zip(self.columns, self.axis, self.control, strict=True):
            slope[:, j] += g * (p[:, i] if i < p.shape[1] else 1.0)
        return optimal(self.sign * slope, self.low, self.high, np.abs(self.weight))


class Hamiltonian(Protocol):
    """What the upwind scheme asks of a Hamiltonian."""

    @property
    def time_dependent(self) -> bool: ...

    def at(self, t: float, x: Array) -> Tables:
        """The tables at states x (N, D)."""


@dataclass(frozen=True, eq=False)
class BoxHamiltonian:
    """That of one sample with a velocity box."""

    box: VelocityBox
    time_dependent: bool = False

    def at(self, t: float, x: Array) -> Tables:
        slow, fast = (part.T for part in self.box.velocities(x))
        M, one = len(slow), np.ones(len(slow))
        drift = np.concatenate([0.5 * (slow + fast), np.zeros((1, slow.shape[1]))])
        return Tables(np.arange(M), np.arange(M), -one, one, 0.0 * one, one, drift, 0.5 * (fast - slow))


@dataclass(frozen=True, eq=False)
class AffineHamiltonian:
    """That of a problem with bounded controls, its formulas affine in them but for squares in the cost."""

    function: Batch
    controls: Controls
    time_dependent: bool

    def at(self, t: float, x: Array) -> Tables:
        drift, columns = self.function(np.full((1, len(x)), t), x.T)
        return Tables.of(
            self.controls, *(np.ascontiguousarray(part) for part in (drift, columns[: self.controls.axis.size]))
        )

    @classmethod
    def of(cls, law: Lookahead, maximising: Sequence[int] = ()) -> AffineHamiltonian | None:
        """None where the controls are unbounded or enter in another way."""
        (t, x, u), m = law.symbols(), law.problem.m
        low, high = law.problem.control_box
        if not np.all(np.isfinite([low, high])):
            return None
        rate, cost = law.rates(t, x, u)
        sign = np.where(np.isin(np.arange(m), maximising), -1.0, 1.0)
        weight = _weights(rate, cost, [t, x, ca.SX.sym("p", x.numel()), u])
        if weight is None or np.any(sign * weight < 0.0):
            return None
        rows, none = ca.vertcat(rate, cost), np.zeros(m)
        drift, columns = ca.substitute([rows, ca.jacobian(rows, u)], [u], [ca.SX(none)])
        columns = ca.sparsify(columns)
        axis, control = (np.array(index, dtype=np.int64) for index in columns.sparsity().get_triplet())
        entries = ca.vertcat(*columns.nonzeros(), 0)
        function = Batch(ca.Function("affine", [t, x], [ca.densify(drift), ca.densify(entries)]))
        depends = bool(ca.depends_on(ca.vertcat(drift, entries), t))
        return cls(function, Controls(axis, control, low, high, weight, sign), depends)


def _weights(rate: Any, cost: Any, symbols: list[Any]) -> Array | None:
    """The constant second derivatives (m,) of the cost in the controls; None where H is not affine but for those."""
    u = symbols[-1]
    if not control_structure(ca.dot(symbols[2], rate), symbols).affine:
        return None
    structure, (hessian, _) = control_structure(cost, symbols), ca.hessian(cost, u)
    if structure.affine:
        return np.zeros(u.numel())
    if not structure.smooth or ca.depends_on(hessian, ca.veccat(*symbols)):
        return None
    found = np.asarray(ca.DM(ca.evalf(hessian)))
    off = found - np.diag(np.diag(found))
    return None if np.any(np.abs(off) > 1e-12 * np.abs(found).max()) else np.diag(found).copy()
