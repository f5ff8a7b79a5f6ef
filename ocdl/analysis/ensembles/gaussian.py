"""Expectations of activations under Gaussian pre-activations, by quadratures that know the kink at zero.

    E φ(√q z),   E φ(u₁) ψ(u₂),   (u₁, u₂) ~ N(0, q [[1, c], [c, 1]]).

In one dimension Gauss–Legendre panels on both sides of zero. In two, polar coordinates u₁ = √q r cos θ,
u₂ = √q r cos(θ − γ) with c = cos γ: the axes u₁ = 0 and u₂ = 0 are rays, between which all is smooth, also where an
activation has its kink at zero; at c = ±1 nothing is singular. Smooth integrands converge as Gauss–Hermite would.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from ocdl.arrays import Array

Function = Callable[[Array], Array]

LARGEST = 12.0  # standard deviations: beyond is 1e-32 of the mass
PANELS = 24  # of radii from 0 to LARGEST
POINTS = 12  # of Gauss in each
ANGLES = 48  # of Gauss between two rays
TINY = 1e-280  # a variance of zero is the limit from above, where a kink at zero has slopes on both sides


@cache
def _radii() -> tuple[Array, Array]:
    """Nodes and weights of ∫_0^LARGEST · dr in panels."""
    y, w = np.polynomial.legendre.leggauss(POINTS)
    h = LARGEST / PANELS
    nodes = h * (np.arange(PANELS)[:, None] + 0.5 * (1.0 + y))
    return nodes.ravel(), np.tile(0.5 * h * w, PANELS)


def expectation(function: Function, q: float) -> float:
    """E f(√q z), z ~ N(0, 1)."""
    r, w = _radii()
    s = np.sqrt(max(q, TINY)) * r
    density = w * np.exp(-0.5 * r * r) / np.sqrt(2.0 * np.pi)
    return float(density @ (function(s) + function(-s)))


def pair_expectation(first: Function, second: Function, q: float, c: float) -> float:
    """E f(u₁) g(u₂) of variances q and correlation c ∈ [−1, 1]."""
    gamma = float(np.arccos(np.clip(c, -1.0, 1.0)))
    half = 0.5 * np.pi
    rays = np.unique([-half, gamma - half, half, gamma + half, 2.0 * np.pi - half])
    y, w = np.polynomial.legendre.leggauss(ANGLES)
    widths = np.diff(rays)
    theta = (rays[:-1, None] + 0.5 * widths[:, None] * (1.0 + y)).ravel()
    weight = (0.5 * widths[:, None] * w).ravel() / (2.0 * np.pi)
    r, density = _radii()
    s = np.sqrt(max(q, TINY)) * r
    values = first(np.outer(np.cos(theta), s)) * second(np.outer(np.cos(theta - gamma), s))
    return float(weight @ values @ (density * r * np.exp(-0.5 * r * r)))
