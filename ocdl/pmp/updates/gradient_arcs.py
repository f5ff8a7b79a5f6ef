"""Arcs of projected gradients in function space: what a gradient method proposes at an iterate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.pmp.iterate import Iterate
from ocdl.pmp.loop import Trial

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GradientArc:
    """The arc τ ↦ Π((u, p) − τ ∇J) from one iterate."""

    iterate: Iterate
    suggested: float | None = None
    largest: float = float("inf")

    @cached_property
    def gap(self) -> float:
        """‖(u, p) − Π((u, p) − ∇J)‖ in function space."""
        u, p = self._point(1.0)
        in_u, in_p = self.iterate.ground.metric
        return float(np.sqrt(np.sum(in_u * (u - self.iterate.u) ** 2) + np.sum(in_p * (p - self.iterate.p) ** 2)))

    def trial(self, size: float) -> Trial | None:
        u, p = self._point(size)
        iterate, adjoint = self.iterate, self.iterate.adjoint
        predicted = np.sum(adjoint.gradient_u * (iterate.u - u)) + np.sum(adjoint.gradient_p * (iterate.p - p))
        rounding = np.finfo(float).eps * abs(iterate.cost)
        return Trial(u, p, float(predicted)) if predicted > rounding else None

    def _point(self, size: float) -> tuple[Array, Array]:
        iterate, problem = self.iterate, self.iterate.ground.problem
        in_u, in_p = iterate.ground.metric
        u = np.clip(iterate.u - size * iterate.adjoint.gradient_u / in_u, *problem.control_box)
        return u, np.clip(iterate.p - size * iterate.adjoint.gradient_p / in_p, *problem.parameter_box)


class SpectralArcs:
    """Gradient arcs that suggest the spectral step of the last change, where J was convex along it."""

    def __init__(self) -> None:
        self.last: Iterate | None = None

    def __call__(self, iterate: Iterate) -> GradientArc:
        last, self.last = self.last, iterate
        return GradientArc(iterate, None if last is None else _spectral_step(last, iterate))


def _spectral_step(last: Iterate, now: Iterate) -> float | None:
    in_u, in_p = now.ground.metric
    s_u, s_p = now.u - last.u, now.p - last.p
    y_u = now.adjoint.gradient_u - last.adjoint.gradient_u
    y_p = now.adjoint.gradient_p - last.adjoint.gradient_p
    curvature = float(np.sum(s_u * y_u) + np.sum(s_p * y_p))
    if curvature <= 0.0:
        return None
    return float((np.sum(in_u * s_u**2) + np.sum(in_p * s_p**2)) / curvature)
