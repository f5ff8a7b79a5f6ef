"""Conditions of second order along the arcs of an answer, by control: Legendre and Clebsch, and Kelley where H_uu = 0.

    on a bound that presses   ±H_u > 0 strictly: of the first order, and enough where all controls are so (bang-bang);
    between bounds            H_uu ≥ 0, least on all controls that are free in a layer (Legendre and Clebsch);
    singular, H affine        (−1)^k ∂/∂u d^{2k}/dt^{2k} H_u ≥ 0 for the order k (``kelley``);
    flat                      H_u = 0 and H_uu = 0 though H is not affine: no condition says anything.

Flat is what the selection dynamics of one sample is where the costate vanishes: H = Σ_i p_i σ(a_i − (Bf)_i) is
bang-bang in the controls of neuron i where r_i ≠ 0, and where r_i = 0 it does not depend on them at all.
Source: Bryson and Ho, "Applied Optimal Control" (1975), sections 6.3 and 8.4; Liu and Markowich, "Selection dynamics
for deep neural networks", section 4.2. Derivatives in controls that are functions are taken in function space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.optimality.kelley import Brackets
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.referee.hamiltonian import Hamiltonian
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem, discretised
from ocdl.statement.noise import refuse_noise
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid
from ocdl.tables import plain_table, plain_text

NEGLIGIBLE = 1e-6  # of 1 + |J|: what a control could win to first order, moved all the way over the whole depth
STRICT = 1e-8  # of the largest H_uu: a curvature that small is none
MISSED = 1e-3  # of the terms of a condition of Kelley or Goh: what the answer's own errors leave open
ENDS = 5  # layers of an arc from which on the first and the last, which it shares, are left out
LOWER, UPPER, FLAT, SINGULAR, INTERIOR = "lower", "upper", "flat", "singular", "interior"
HELD, STRICTLY, WEAKLY, VIOLATED, SILENT = "held", "strict", "weak", "violated", "silent"
NECESSARY = "necessary conditions of second order (Legendre and Clebsch; Kelley; Goh)"
STRENGTHENED = "strengthened conditions of second order (Bryson and Ho 1975, sections 6.3 and 8.4)"


@dataclass(frozen=True, eq=False)
class ArcCondition:
    """``control`` is ``kind`` from ``begin`` to ``end``, true times. ``values`` (K,): its condition at ``times`` (K,)
    on the arc, positive where it holds strictly, none without one; ``slack``: what rounding and the answer's errors may
    make of 0; ``order``: of a singular arc, None where the control does not appear. ``verdict``: "strict", "weak",
    "violated"; "held" by a fixed value or an active constraint; "silent" where no condition says anything.
    """

    control: str
    kind: str
    begin: float
    end: float
    times: Array
    values: Array
    slack: float
    verdict: str
    order: int | None = None

    @property
    def least(self) -> float:
        """NaN without a condition."""
        return float(np.min(self.values)) if self.values.size else np.nan

    @property
    def hypothesis(self) -> Hypothesis:
        """The condition in its necessary form."""
        said = {
            LOWER: "H_u ≥ 0 on the lower bound",
            UPPER: "−H_u ≥ 0 on the upper bound",
            INTERIOR: "H_uu ≥ 0",
            SINGULAR: f"(−1)^k ∂/∂u d^2k/dt^2k H_u ≥ 0, k = {self.order}",
        }
        where = f"{self.control} from {self.begin:.4g} to {self.end:.4g}"
        return Hypothesis(f"{said[self.kind]}, {where}", self.least, slack=self.slack)


@dataclass(frozen=True, eq=False)
class SecondOrderConditions:
    """``arcs`` of all controls; ``depths`` (N,), the middles of the layers, and ``curvature`` (N,), the least
    eigenvalue of H_uu on the controls that are free in each, NaN where none is; ``size``, the largest |H_uu|; ``goh``,
    of every pair of controls that are singular together.
    """

    arcs: tuple[ArcCondition, ...]
    depths: Array
    curvature: Array
    size: float
    goh: tuple[Hypothesis, ...]

    def of(self, verdict: str) -> tuple[ArcCondition, ...]:
        """The arcs of a verdict."""
        return tuple(arc for arc in self.arcs if arc.verdict == verdict)

    @property
    def necessary(self) -> Finding:
        """Whether the answer can be a minimum. Arcs that are held or silent take no part."""
        told = tuple(arc.hypothesis for arc in self.arcs if arc.verdict not in (HELD, SILENT))
        silent = len(self.of(SILENT))
        rest = f"; on {silent} arcs H is flat in the control, and no condition speaks" if silent else ""
        said = "nothing of second order excludes that the answer is a minimum"
        return Finding(NECESSARY, (*told, self._legendre(0.0), *self.goh), said + rest)

    @property
    def strengthened(self) -> Finding:
        """Whether all conditions hold strictly: enough with no point conjugate to T, which is not looked for here."""
        strict = Hypothesis.declared("strict on every arc", all(arc.verdict in (STRICTLY, HELD) for arc in self.arcs))
        said = "a strict local minimum where, besides, no point is conjugate to T"
        return Finding(STRENGTHENED, (strict, self._legendre(STRICT * self.size), *self.goh), said)

    def _legendre(self, least: float) -> Hypothesis:
        told = self.curvature[np.isfinite(self.curvature)]
        slack = STRICT * self.size if least == 0.0 else 0.0
        if not told.size:
            return Hypothesis("H_uu ≥ 0 on all controls that are free in a layer (none is)", least, least)
        return Hypothesis("H_uu ≥ 0 on all controls that are free in a layer", float(told.min()), least, slack)

    def __str__(self) -> str:
        table = plain_table()
        for name in ("control", "arc", "from", "to", "order", "condition", "verdict"):
            table.add_column(name, justify="left" if name in ("control", "arc", "verdict") else "right")
        for arc in self.arcs:
            order = "" if arc.order is None else str(arc.order)
            figures = f"{arc.begin:.6g}", f"{arc.end:.6g}", order, f"{arc.least:.4g}"
            table.add_row(arc.control, arc.kind, *figures, arc.verdict)
        return plain_text([table, f"says: {self.necessary.says}"])


def second_order(problem: Problem, grid: Grid | DepthScheme, solution: Solution) -> SecondOrderConditions:
    """The conditions of second order along a solution of any route, on the arcs of its summary.

    Raises NotSupported for discrete layers, of which H need not be minimal, and where a file does not tell its arcs.
    """
    core, depth = discretised(problem, grid)
    refuse_noise("second_order", core)
    if core.discrete:
        raise NotSupported("second_order: the layers are the statement; its conditions are of equations in depth.")
    summary = solution.summary()
    if core.m and not summary.arcs:
        raise NotSupported("second_order: this file was saved without its bounds, which tell arcs; solve again.")
    points = _Points.of(core, depth, solution)
    arcs = tuple(arc for i, own in enumerate(summary.arcs.items()) for arc in points.conditions(i, *own))
    curvature, size = points.curvature(summary.arcs)
    return SecondOrderConditions(arcs, points.times, curvature, size, tuple(points.goh(arcs)))


@dataclass(frozen=True, eq=False)
class _Points:
    """A solution in the middles of its N layers: true ``times`` and core depths t (N,), ``ends`` (N+1,), x and
    Euclidean costates (N, S, n), u (N, m), p (P,); ``metric`` (m,) of the controls, and in it H_u (N, m), and
    H_uu (N, G, size, size) by ``groups`` (G, size) of controls. ``scale``: true time in a unit of core depth.
    """

    problem: ControlProblem
    scale: float
    cost: float
    times: Array
    ends: Array
    t: Array
    x: Array
    costate: Array
    u: Array
    p: Array
    metric: Array
    slope: Array
    hessian: Array
    groups: Any
    brackets: Brackets

    @classmethod
    def of(cls, problem: ControlProblem, depth: DepthScheme, solution: Solution) -> _Points:
        _, p = coefficients(problem, depth, solution)
        mesh = depth.mesh(problem.span)
        t, ends = 0.5 * (mesh[1:] + mesh[:-1]), solution.state["t"].values
        times, N = 0.5 * (ends[1:] + ends[:-1]), mesh.size - 1
        found = solution.sample(times)
        shape = N, problem.samples, problem.n
        x, costate = (found[name].values.reshape(shape) for name in ("states", "costate"))
        costate = costate * np.asarray(problem.state_metric)
        assert problem.layout is not None
        controls = {name: found[name].values for name in solution.controls}
        u, law = problem.layout.pack(problem.layout.controls, controls, (N,)), Hamiltonian(problem).separated
        at = np.broadcast_to(t[:, None], shape[:2])
        _, slopes, hessian = law.derivatives(at, x, costate, np.asarray(problem.weights, dtype=float), u, p)
        metric, scale = np.asarray(problem.control_metric, dtype=float), float(problem.times.scale(p))
        slope, roots = np.empty(u.shape), np.sqrt(metric[law.groups])
        slope[:, law.groups] = slopes
        bends = hessian / (roots[:, :, None] * roots[:, None, :])
        parts = metric, slope / (scale * metric), bends / scale, law.groups, Brackets(problem)
        return cls(problem, scale, solution.cost, times, ends, t, x, costate, u, p, *parts)

    # -- arcs ---------------------------------------------------------------------------------------

    def conditions(self, i: int, name: str, arcs: Any) -> Iterator[ArcCondition]:
        """Of control i, arc by arc."""
        for arc in arcs:
            at = self._inside(arc.start, arc.end)
            kind = FLAT if arc.kind in (LOWER, UPPER, INTERIOR) and self._flat(i, at) else arc.kind
            values, slack, order = self._measured(i, kind, at)
            verdict = _verdict(kind, values, slack)
            times = self.times[at][: values.size]
            yield ArcCondition(name, kind, arc.start, arc.end, times, values, slack, verdict, order)

    def _inside(self, begin: float, end: float) -> Any:
        """The layers of an arc, the one in its middle where it has none of its own."""
        at = np.flatnonzero((self.ends[:-1] >= begin - 1e-9) & (self.ends[1:] <= end + 1e-9))
        if at.size >= ENDS:
            return at[1:-1]
        return at if at.size else np.array([int(np.abs(self.times - 0.5 * (begin + end)).argmin())])

    def _flat(self, i: int, at: Any) -> bool:
        """H neither falls nor bends in control i."""
        low, high = self.problem.control_box_at(self.t[at])
        width = np.where(np.isfinite(high - low), high - low, 1.0)[:, i]
        won = np.abs(self.slope[at, i]) * width, np.abs(self._bend(i)[at]) * width**2
        span = self.metric[i] * (self.ends[-1] - self.ends[0])
        return bool(span * max(float(np.max(part)) for part in won) <= NEGLIGIBLE * (1.0 + abs(self.cost)))

    def _bend(self, i: int) -> Array:
        """∂²H/∂u_i² (N,)."""
        g, place = (int(part[0]) for part in np.nonzero(self.groups == i))
        return self.hessian[:, g, place, place]

    def _measured(self, i: int, kind: str, at: Any) -> tuple[Array, float, int | None]:
        """The condition, its slack, and the order of a singular arc."""
        if kind in (LOWER, UPPER):
            sign = 1.0 if kind == LOWER else -1.0
            return sign * self.slope[at, i], STRICT * float(np.max(np.abs(self.slope[:, i]))), None
        if kind == INTERIOR:
            return self._bend(i)[at], STRICT * float(np.max(np.abs(self.hessian))), None
        if kind != SINGULAR:
            return np.zeros(0), 0.0, None
        found = self.brackets.appears(i, *self._given(at))
        if found.order is None:
            return np.zeros(0), 0.0, None
        scale = self.metric[i] * self.scale ** (2 * found.order + 1)
        return found.value / scale, MISSED * float(np.max(found.size)) / scale, found.order

    def _given(self, at: Any) -> tuple[Array, ...]:
        return self.t[at], self.x[at], self.costate[at], self.u[at], self.p

    # -- together -----------------------------------------------------------------------------------

    def curvature(self, arcs: Mapping[str, Any]) -> tuple[Array, float]:
        """The least eigenvalue (N,) of H_uu on the controls that are interior in each layer, NaN where none is; and the
        size of H_uu.
        """
        free = np.stack([self._within(own) for own in arcs.values()] or [np.zeros(0, dtype=bool)], axis=-1)
        least = np.full(self.times.size, np.nan)
        for k in np.flatnonzero(free.any(axis=-1)):
            blocks = [H[np.ix_(f, f)] for H, f in zip(self.hessian[k], free[k][self.groups], strict=True) if f.any()]
            least[k] = min(float(np.linalg.eigvalsh(block)[0]) for block in blocks)
        return least, float(np.max(np.abs(self.hessian), initial=0.0))

    def _within(self, arcs: Any) -> Any:
        """In which layers a control is interior, (N,)."""
        return np.any([(a.start <= self.times) & (self.times <= a.end) & (a.kind == INTERIOR) for a in arcs], axis=0)

    def goh(self, arcs: tuple[ArcCondition, ...]) -> Iterator[Hypothesis]:
        """Of every two controls that are singular together."""
        names = list(dict.fromkeys(arc.control for arc in arcs))
        singular = [arc for arc in arcs if arc.kind == SINGULAR]
        for one in singular:
            for other in singular:
                begin, end = max(one.begin, other.begin), min(one.end, other.end)
                if names.index(one.control) < names.index(other.control) and begin < end:
                    i, j = names.index(one.control), names.index(other.control)
                    value, size = self.brackets.goh(i, j, *self._given(self._inside(begin, end)))
                    said = f"∂/∂{other.control} d/dt H_u of {one.control} = 0 from {begin:.4g} to {end:.4g}"
                    unit = np.sqrt(self.metric[i] * self.metric[j]) * self.scale**2
                    yield Hypothesis(
                        said, -float(np.max(np.abs(value))) / unit, slack=MISSED * float(np.max(size)) / unit
                    )


def _verdict(kind: str, values: Array, slack: float) -> str:
    if not values.size:
        return SILENT if kind in (FLAT, SINGULAR) else HELD
    least = float(np.min(values))
    return STRICTLY if least > slack else WEAKLY if least >= -slack else VIOLATED
