"""Needle steps inside a convex compact control set for the pairs (a_i, b_ij): Liu and Markowich, (4.9) and (4.10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.iterate import Ground, Iterate, Trial
from ocdl.pmp.loop import Moved, descend
from ocdl.pmp.moves.steps import Armijo
from ocdl.pmp.options import check_controls_only, check_count, check_number
from ocdl.pmp.updates.needles import Needles, best_of
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.control_set import ControlSet, PairSet, Polygon, SetVelocities
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ControlSetNeedleSteps(Method):
    """Needle steps with (a_i, b_ij) in the problem's own control set, or in a convex compact one inside it.

    controls: a ``Disc`` or ``Polygon``; by default the problem's own set, or its box where that is one interval of a
        and one of b.

    For one sample of a selection problem with increasing σ. The start is the set's centre, whatever start is given. The
    needles are the extreme controls (4.10); as many are flipped as lower the cost by Armijo's rule, and where none are,
    the controls go part of the way to them, which keeps them in the set. The gap is that over the set, also the
    referee's. Several stages a layer, regularisers and readouts are NotSupported.
    """

    control_sets: ClassVar[tuple[type[ControlSet], ...]] = (PairSet,)

    controls: PairSet | None = None
    max_iterations: int = 500
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        if self.controls is not None and not isinstance(self.controls, PairSet):
            raise InvalidInput(f"{self.name}(controls={self.controls!r}): give a set such as Disc(radius=1.0).")
        check_count(self.name, "max_iterations", self.max_iterations)
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the tolerance must be positive")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        check_controls_only(self.name, problem)
        ground = Ground(problem, depth)
        if not ground.law.closed_form or depth.tableau.stages > 1:
            raise NotSupported(
                f"{self.name}: one sample, increasing σ, a finite box and layers of one stage are needed."
            )
        M, set_ = problem.n, self._set(problem)
        a, b = set_.centre
        u = problem.pack(a=np.full((depth.count, M), a), b=np.full((depth.count, M, M), b))
        rule = {"sufficient": 0.1, "shrink": 0.5}
        assert problem.velocity_box is not None
        velocities = SetVelocities.within(problem.velocity_box, set_)
        outcome = descend(
            self.name,
            ground,
            replace(start, u=u),
            lambda iterate: _needles(iterate, set_),
            [Armijo(size=1.0, grow=4.0, least=0.1, **rule), PartWay(Armijo(size=1.0, grow=2.0, **rule))],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
        own = self.controls is None or self.controls == problem.control_set
        return outcome if own else replace(outcome, judge=replace(problem, control_set=set_, velocity_box=velocities))

    def _set(self, problem: ControlProblem) -> PairSet:
        """The method's set; by default the problem's own. Raises InvalidInput where it is no part of that."""
        own = problem.control_set if isinstance(problem.control_set, PairSet) else None
        box = problem.unpack(np.stack(problem.control_box))
        if self.controls is None:
            return own or _polygon(self.name, box["a"], box["b"])
        corners = self.controls.outline
        if any(
            np.any(points.min() < ends[0] - 1e-12) or np.any(points.max() > ends[1] + 1e-12)
            for ends, points in zip(box.values(), corners.T, strict=True)
        ):
            raise InvalidInput(f"{self.name}(controls={self.controls!r}): the set leaves the problem's box.")
        if own is not None and not self.controls.within(own):
            raise InvalidInput(f"{self.name}(controls={self.controls!r}): the set leaves the problem's own, {own!r}.")
        return self.controls


def _polygon(name: str, a: Array, b: Array) -> Polygon:
    """The box of a and b, each (2, ...), as a polygon."""
    ends = [(np.unique(part[0]), np.unique(part[1])) for part in (a, b)]
    if any(end.size != 1 for pair in ends for end in pair):
        raise InvalidInput(f"{name}(): the bounds differ from node to node; give a set, controls=ocdl.Disc(...).")
    (a_low, a_high), (b_low, b_high) = ((float(low[0]), float(high[0])) for low, high in ends)
    return Polygon(((a_low, b_low), (a_high, b_low), (a_high, b_high), (a_low, b_high)))


def _needles(iterate: Iterate, set_: PairSet) -> Needles:
    problem = iterate.ground.problem
    f, weights = iterate.trajectory.stages[:, 0, 0], np.asarray(problem.state_metric)
    N, M = f.shape

    def controls(sign: float) -> Array:
        a, b = set_.synthesis(f, weights, sign)
        rows = np.broadcast_to(b[:, None, :], (N, M, M))
        return problem.pack(a=np.broadcast_to(a[:, None], (N, M)), b=rows)

    return best_of(iterate, [controls(1.0), controls(-1.0)])


@dataclass(frozen=True)
class PartWay:
    """Armijo's rule on the segment from the controls in force to the needles' controls."""

    rule: Armijo

    def __call__(self, iterate: Iterate, proposal: Needles) -> Moved | None:
        return self.rule(iterate, Segment(iterate, proposal.best, proposal.gap))


@dataclass(frozen=True, eq=False)
class Segment:
    """λ ↦ u + λ (u* − u)."""

    iterate: Iterate
    best: Array
    gap: float
    suggested: float | None = None
    largest: float = 1.0

    def trial(self, size: float) -> Trial | None:
        at = self.iterate
        predicted = -size * float(np.sum(at.adjoint.gradient_u * (self.best - at.u)))
        if predicted <= np.finfo(float).eps * abs(at.cost):
            return None
        return Trial(at.u + size * (self.best - at.u), at.p, predicted)
