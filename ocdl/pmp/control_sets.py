"""Compact control sets A ⊂ R² for (a, b), and needle steps inside them.

(a_i, b_ij) ∈ A for every j, with one a_i for all of them. The pre-activation a_i − Σ_j w_j b_ij f_j is largest where

    a − F⁺ β⁻(a) + F⁻ β⁺(a),   F± = Σ_j w_j max(±f_j, 0),   β± the ends of the slice of A at a,

is; b_ij = β⁻(a) where f_j > 0 and β⁺(a) where f_j < 0. Where all f_j have one sign, (a, β) is the point of A that is
extreme in the direction (1, −∫f). The smallest pre-activation is minus the largest over −A.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", (4.9) and (4.10).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import finite_array
from ocdl.depth import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.method import Method, Outcome, Start
from ocdl.pmp.iterate import Ground, Iterate, Trial
from ocdl.pmp.loop import Moved, descend
from ocdl.pmp.moves import Armijo
from ocdl.pmp.needles import Needles, best_of
from ocdl.pmp.options import check_controls_only, check_count, check_number
from ocdl.problem import ControlProblem
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ControlSet:
    """A convex compact A ⊂ R². A new one answers two questions: which ``slice`` it has at a, and ``highest``."""

    def slice(self, a: Array) -> tuple[Array, Array]:
        """β⁻(a) and β⁺(a)."""
        raise NotImplementedError(f"{type(self).__name__} has no slices")

    def extreme(self, minus: Array, plus: Array, sign: float) -> Array:
        """a of the largest sign·(a − F⁺ β(a) + F⁻ β'(a)), for F⁺ = ``plus`` and F⁻ = ``minus`` ≥ 0."""
        raise NotImplementedError(f"{type(self).__name__} has no extreme points")

    @property
    def centre(self) -> tuple[float, float]:
        raise NotImplementedError(f"{type(self).__name__} has no centre")

    def synthesis(self, f: Array, weights: Array, sign: float) -> tuple[Array, Array]:
        """a (...,) and b (..., M) of the largest (sign 1) or smallest (−1) pre-activation at f (..., M)."""
        plus, minus = np.maximum(f, 0.0) @ weights, np.maximum(-f, 0.0) @ weights
        a = self.extreme(minus, plus, sign)
        low, high = (end[..., None] for end in self.slice(a))
        return a, np.where(sign * f > 0.0, low, np.where(f == 0.0, 0.5 * (low + high), high))


@dataclass(frozen=True)
class Disc(ControlSet):
    """(a − a₀)² + (b − b₀)² ≤ R²."""

    middle: tuple[float, float] = (0.0, 0.0)
    radius: float = 1.0

    def __post_init__(self) -> None:
        if finite_array("Disc(middle=...)", self.middle).shape != (2,):
            raise InvalidInput(f"Disc(middle={self.middle!r}): the centre is a pair (a, b).")
        check_number("Disc", "radius", self.radius, 0.0, float("inf"), "the radius must be positive")

    @property
    def centre(self) -> tuple[float, float]:
        return self.middle

    def slice(self, a: Array) -> tuple[Array, Array]:
        half = np.sqrt(np.maximum(self.radius**2 - (a - self.middle[0]) ** 2, 0.0))
        return self.middle[1] - half, self.middle[1] + half

    def extreme(self, minus: Array, plus: Array, sign: float) -> Array:
        """The point of the disc in the direction (±1, F⁺ + F⁻)."""
        return np.asarray(self.middle[0] + sign * self.radius / np.sqrt(1.0 + (plus + minus) ** 2))


@dataclass(frozen=True)
class Polygon(ControlSet):
    """The convex hull of ``vertices`` (V, 2), pairs (a, b)."""

    vertices: Any = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))

    def __post_init__(self) -> None:
        points = finite_array("Polygon(vertices=...)", self.vertices)
        if points.ndim != 2 or points.shape[1] != 2 or np.linalg.matrix_rank(points - points[0]) < 2:
            raise InvalidInput("Polygon(vertices=...): at least three points (a, b), not on one line, are needed.")

    @property
    def _points(self) -> Array:
        return np.unique(np.asarray(self.vertices, dtype=float), axis=0)

    @property
    def centre(self) -> tuple[float, float]:
        a, b = self._points.mean(axis=0)
        return float(a), float(b)

    def slice(self, a: Array) -> tuple[Array, Array]:
        """The lower and upper hull at a: least and largest b of the segments between any two vertices."""
        points = self._points
        low, high = np.full(np.shape(a), np.inf), np.full(np.shape(a), -np.inf)
        for one in points:
            for other in points:
                if other[0] < one[0]:
                    continue
                inside = (a >= one[0] - 1e-12) & (a <= other[0] + 1e-12)
                width = other[0] - one[0]
                share = np.clip((a - one[0]) / width, 0.0, 1.0) if width > 0.0 else np.zeros(np.shape(a))
                b = one[1] + share * (other[1] - one[1])
                low, high = np.where(inside & (b < low), b, low), np.where(inside & (b > high), b, high)
        return low, high

    def extreme(self, minus: Array, plus: Array, sign: float) -> Array:
        """The objective is concave and piecewise linear in a: it is largest at a vertex."""
        corners = np.unique(self._points[:, 0])
        low, high = self.slice(corners)
        first, second = (low, high) if sign > 0.0 else (high, low)
        values = sign * (corners - plus[..., None] * first + minus[..., None] * second)
        return np.asarray(corners[np.argmax(values, axis=-1)])


@dataclass(frozen=True, eq=False)
class SetVelocities(VelocityBox):
    """The attainable velocities where (a_i, b_ij) ranges over a control set: a box of extreme pre-activations."""

    controls_in: ControlSet

    @classmethod
    def within(cls, box: VelocityBox, controls: ControlSet) -> SetVelocities:
        return cls(**{f.name: getattr(box, f.name) for f in fields(box)}, controls_in=controls)

    @property
    def of_a_box(self) -> bool:
        return False

    def preactivations(self, f: Array) -> tuple[Array, Array]:
        ends = []
        for sign in (-1.0, 1.0):
            a, b = self.controls_in.synthesis(f, self.weights, sign)
            ends.append(np.repeat((a - np.sum(b * self.weights * f, axis=-1))[..., None], self.width, axis=-1))
        return ends[0], ends[1]


@dataclass(frozen=True)
class ControlSetNeedleSteps(Method):
    """Needle steps with (a_i, b_ij) in a convex compact set ``controls`` ⊂ R² inside the problem's box.

    For one sample of a selection problem with increasing σ. The start is the set's centre, whatever start is given. The
    needles are the extreme controls (4.10); as many are flipped as lower the cost by Armijo's rule, and where none are,
    the controls go part of the way to them, which keeps them in the set. The gap is that over the set, also the
    referee's. Several stages a layer, regularisers and readouts are NotSupported.
    """

    controls: ControlSet = Disc()
    max_iterations: int = 500
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        if not isinstance(self.controls, ControlSet):
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
        M = problem.n
        a, b = self.controls.centre
        u = problem.pack(a=np.full((depth.count, M), a), b=np.full((depth.count, M, M), b))
        for ends in (self.controls.synthesis(f, np.ones(1), s) for s in (1.0, -1.0) for f in _directions()):
            corner = problem.pack(a=np.full((1, M), ends[0]), b=np.full((1, M, M), ends[1][0]))
            low, high = problem.control_box
            if np.any(corner < low - 1e-12) or np.any(corner > high + 1e-12):
                raise InvalidInput(f"{self.name}(controls={self.controls!r}): the set leaves the problem's box.")
        rule = {"sufficient": 0.1, "shrink": 0.5}
        assert problem.velocity_box is not None
        judge = replace(problem, velocity_box=SetVelocities.within(problem.velocity_box, self.controls))
        outcome = descend(
            self.name,
            ground,
            replace(start, u=u),
            self._needles,
            [Armijo(size=1.0, grow=4.0, least=0.1, **rule), PartWay(Armijo(size=1.0, grow=2.0, **rule))],
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
        return replace(outcome, judge=judge)

    def _needles(self, iterate: Iterate) -> Needles:
        problem = iterate.ground.problem
        f, weights = iterate.trajectory.stages[:, 0, 0], np.asarray(problem.state_metric)
        N, M = f.shape

        def controls(sign: float) -> Array:
            a, b = self.controls.synthesis(f, weights, sign)
            rows = np.broadcast_to(b[:, None, :], (N, M, M))
            return problem.pack(a=np.broadcast_to(a[:, None], (N, M)), b=rows)

        return best_of(iterate, [controls(1.0), controls(-1.0)])


def _directions() -> list[Array]:
    """States whose extreme controls are the outermost points of a set in a, and nearly so in b."""
    return [np.array([0.0]), np.array([1e8]), np.array([-1e8])]


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
