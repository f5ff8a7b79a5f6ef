"""The extremal of known arcs in continuous depth: the boundary value problem whose widths of arcs are unknown.

Every arc has K layers of Gauss collocation. At its stages a control on a bound is that bound, an interior one has
H_u = 0, a singular one d²/dt² H_u = 0, in which it appears where the arc is of order one:

    S = H_u,   Ṡ = S_t + S_x φ − S_λ H_x,   S̈ = Ṡ_t + Ṡ_x φ − Ṡ_λ H_x = 0.

The widths follow from what holds where a control changes its kind:

    bang to bang: H is continuous (S = 0);    interior and bang, or bang and interior: S = 0;
    into a singular arc: S = Ṡ = 0;           out of it: nothing.

Source: Maurer, "Numerical solution of singular control problems using multiple shooting techniques", J. Optim. Theory
Appl. 18 (1976); Bonnans, Martinon and Trélat, "Singular arcs in the generalized Goddard's problem", ibid. 139 (2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.depth.control_shapes import PerStage
from ocdl.depth.schemes import Gauss
from ocdl.errors import NotSupported
from ocdl.pmp.extremals.arcs import BANG, INTERIOR, LOWER, SINGULAR, UPPER
from ocdl.pmp.extremals.layered import near
from ocdl.pmp.extremals.newton import Equations
from ocdl.pmp.extremals.system import Unknowns, local_function, local_symbols, system
from ocdl.solving.method import Start
from ocdl.statement.problem import ControlProblem

DEGREE = 6
ABSENT = 1e-9  # of d²/dt² H_u: a slope in u that small is none


class ArcExtremal:
    """The equations of ``kinds`` of arcs, each with so many ``layers``."""

    def __init__(self, problem: ControlProblem, kinds: tuple[tuple[str, ...], ...], layers: int) -> None:
        self.problem, self.kinds, self.layers = problem, kinds, layers
        self.tableau = Gauss(layers=1, degree=DEGREE).tableau
        self.count = len(kinds) * layers
        self.unknowns = Unknowns.symbols(problem, self.count, DEGREE)

    def depth(self, widths: Array) -> Gauss:
        """The scheme with these widths of the arcs (A,), in which the answer is an ordinary one."""
        h = np.repeat(np.asarray(widths) / self.layers, self.layers)
        return Gauss(layers=tuple(h), degree=DEGREE, controls=PerStage())

    def guess(self, widths: Array, start: Start) -> Array:
        """Unknowns from a start on ``depth(widths)``."""
        return np.concatenate([near(self.problem, self.depth(widths), start).packed(), start.u.ravel(), widths])

    def answer(self, w: Array) -> tuple[Unknowns, Array, Array]:
        """The system's numbers, controls at the stages (N·s, m) and the widths of the arcs."""
        numbers, rest = self.unknowns.split(w)
        controls = rest[: self.count * DEGREE * self.problem.m].reshape(-1, self.problem.m)
        return numbers, controls, rest[controls.size :]

    @cached_property
    def equations(self) -> Equations:
        problem, w, s = self.problem, self.unknowns, DEGREE
        u, widths = ca.MX.sym("u", problem.m, self.count * s), ca.MX.sym("widths", len(self.kinds))
        h = widths.T @ ca.kron(ca.DM.eye(len(self.kinds)), ca.DM.ones(1, self.layers)) / self.layers
        t = h @ ca.DM(np.triu(np.ones((self.count, self.count)), 1))
        made = system(problem, self.tableau, w, t, h, u)
        stage_t = t @ ca.kron(ca.DM.eye(self.count), ca.DM.ones(1, s)) + h @ ca.kron(
            ca.DM.eye(self.count), ca.DM(self.tableau.c).T
        )
        rows = [*made.rows, *self._laws(u, stage_t, made.control_gradient)]
        rows += [*self._junctions(u, ca.horzcat(t, t[-1] + h[-1])), ca.sum1(widths) - problem.span]
        return Equations([*w.flat(), ca.vec(u), widths], ca.MX(0, 1), rows)

    # -- what determines the controls -------------------------------------------------------------

    def _laws(self, u: Any, t: Any, gradient: Any) -> Iterator[Any]:
        """One row a control and stage."""
        low, high = self.problem.control_box
        for c in range(self.problem.m):
            for kind in (LOWER, UPPER, INTERIOR, SINGULAR):
                at = self._columns(c, kind)
                if not at:
                    continue
                if kind in BANG:
                    yield u[c, at] - float((low if kind == LOWER else high)[c])
                elif kind == INTERIOR:
                    yield gradient[c, at]
                else:
                    w = self.unknowns
                    given = t[:, at], w.X[:, at], u[:, at], ca.repmat(w.p, 1, len(at)), w.L[:, at]
                    yield self._singular(c).map(len(at))(*given)[2]

    def _columns(self, c: int, kind: str) -> list[int]:
        """The stages at which control c is of this kind."""
        per_arc = self.layers * DEGREE
        arcs = [a for a, kinds in enumerate(self.kinds) if kinds[c] == kind]
        return [a * per_arc + j for a in arcs for j in range(per_arc)]

    def _singular(self, c: int) -> ca.Function:
        """(t, x, u, p, λ) → S, Ṡ, S̈ of control c, the other controls held."""
        symbols, rate, H = local_symbols(self.problem)
        x, costate, t = symbols["x"], symbols["costate"], symbols["t"]
        falls = ca.gradient(H, x)

        def along(value: Any) -> Any:
            return ca.jtimes(value, x, rate) - ca.jtimes(value, costate, falls) + ca.jtimes(value, t, ca.SX(1))

        S = ca.gradient(H, symbols["u"])[c]
        first = along(S)
        return local_function("singular", symbols, [S, first, along(first)])

    def check_orders(self, w: Array) -> None:
        """NotSupported where a singular arc is not of order one, or another control moves along it."""
        problem, (numbers, u, _) = self.problem, self.answer(w)
        names = tuple(problem.controls)  # type: ignore[arg-type]
        for c in range(problem.m):
            at = self._columns(c, SINGULAR)
            if not at:
                continue
            along = [kinds for kinds in self.kinds if kinds[c] == SINGULAR]
            moving = [k for kinds in along for k, kind in enumerate(kinds) if k != c and kind not in BANG]
            if moving:
                raise NotSupported(
                    f"polish: {names[c]} is singular while {names[moving[0]]} is on no bound; arcs on which one "
                    "control is singular and the others are on their bounds are taken."
                )
            symbols, *_ = local_symbols(problem)
            third = self._singular(c)(*symbols.values())[2]
            slope = local_function("slope", symbols, [ca.gradient(third, symbols["u"])[c], third])
            p = np.tile(numbers.p, (1, len(at)))
            given = np.zeros((1, len(at))), numbers.X[:, at], u[at].T, p, numbers.L[:, at]
            steep, size = (part.full() for part in slope.map(len(at))(*given))
            if np.max(np.abs(steep)) <= ABSENT * (1.0 + np.max(np.abs(size))):
                raise NotSupported(
                    f"polish: {names[c]} does not appear in d²/dt² H_u of its singular arc, which is of a higher order "
                    "than one; that is not taken."
                )

    # -- what determines the widths ---------------------------------------------------------------

    def _junctions(self, u: Any, t: Any) -> Iterator[Any]:
        """The rows of every place where a control changes its kind, and of a singular beginning."""
        for c in range(self.problem.m):
            for a, (before, after) in enumerate(zip((None, *self.kinds), self.kinds, strict=False)):
                left, right = None if before is None else before[c], after[c]
                if left != right:
                    yield from self._junction(c, a, left, right, u, t)

    def _junction(self, c: int, a: int, left: str | None, right: str, u: Any, t: Any) -> Iterator[Any]:
        low, high = self.problem.control_box
        bound = {LOWER: float(low[c]), UPPER: float(high[c])}
        w, k = self.unknowns, a * self.layers
        others, kept = self._end_controls(u, k, before=a > 0), ca.DM(np.arange(self.problem.m) != c)

        def at(function: ca.Function, value: float | None = None) -> Any:
            own = others if value is None else others * kept + value * (1 - kept)
            return function(t[k], w.x[:, k], own, w.p, w.costate[:, k])

        if right == SINGULAR:
            S, first, _ = at(self._singular(c))
            yield from (S, first)
        elif left in BANG and right in BANG:
            jump = bound[right] - bound[str(left)]
            yield (at(self._energy, bound[right]) - at(self._energy, bound[str(left)])) / jump
        elif left is not None and left != SINGULAR:
            yield at(self._slope(c), bound[right if right in BANG else left])

    def _end_controls(self, u: Any, k: int, *, before: bool) -> Any:
        """The controls at node k by the polynomial of the layer before it, or behind it, (m, 1)."""
        layer, c = (k - 1, 1.0) if before else (k, 0.0)
        weights = PerStage().weights(np.array([c]), self.tableau.c)
        return u[:, layer * DEGREE : (layer + 1) * DEGREE] @ ca.DM(weights).T

    @cached_property
    def _energy(self) -> ca.Function:
        symbols, _, H = local_symbols(self.problem)
        return local_function("energy", symbols, [H])

    def _slope(self, c: int) -> ca.Function:
        symbols, _, H = local_symbols(self.problem)
        return local_function("slope", symbols, [ca.gradient(H, symbols["u"])[c]])
