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
    """The arc τ ↦ Π((u, p) − τ ∇J) from one iterate; where J holds λ|u|, of its proximal map, Π S_τλ((u, p) − τ ∇f)
    with the smooth part f of J and S_c(v) = sign(v) max(|v| − c, 0).

    Source: Parikh and Boyd, "Proximal algorithms" (2014), sections 4.2 and 6.5.2.
    """

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
        iterate = self.iterate
        (in_u, in_p), (kinks_u, kinks_p) = iterate.ground.metric, iterate.ground.kinks
        slope_u, slope_p = iterate.smooth_gradient
        predicted = np.sum(slope_u * (iterate.u - u)) + np.sum(slope_p * (iterate.p - p))
        predicted += np.sum(in_u * kinks_u * (np.abs(iterate.u) - np.abs(u)))
        predicted += np.sum(in_p * kinks_p * (np.abs(iterate.p) - np.abs(p)))
        rounding = np.finfo(float).eps * abs(iterate.cost)
        return Trial(u, p, float(predicted)) if predicted > rounding else None

    def _point(self, size: float) -> tuple[Array, Array]:
        iterate, problem = self.iterate, self.iterate.ground.problem
        (in_u, in_p), (kinks_u, kinks_p) = iterate.ground.metric, iterate.ground.kinks
        slope_u, slope_p = iterate.smooth_gradient
        u, p = iterate.u - size * slope_u / in_u, iterate.p - size * slope_p / in_p
        u, p = _shrunk(u, size * kinks_u), _shrunk(p, size * kinks_p)
        return np.clip(u, *problem.control_box), np.clip(p, *problem.parameter_box)


def _shrunk(values: Array, by: Array) -> Array:
    """S of ``by`` (m,): nearer to 0, and 0 where that is passed."""
    return np.sign(values) * np.maximum(np.abs(values) - by, 0.0) if np.any(by) else values


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
    y_u, y_p = (after - before for after, before in zip(now.smooth_gradient, last.smooth_gradient, strict=True))
    curvature = float(np.sum(s_u * y_u) + np.sum(s_p * y_p))
    if curvature <= 0.0:
        return None
    return float((np.sum(in_u * s_u**2) + np.sum(in_p * s_p**2)) / curvature)
