"""The minimum of H over one control between one-sided derivatives.

The formulas are arithmetic alone, so that numpy evaluates them on arrays and numba compiles the same text for numbers.
Source: Godunov's flux for Hamilton–Jacobi equations, Bardi and Osher, SIAM J. Math. Anal. 22 (1991).
"""

from __future__ import annotations

from typing import Any

from ocdl.hjb.grids.arithmetic import choose, larger, smaller


def optimal(s: Any, low: Any, high: Any, weight: Any) -> Any:
    """argmin { s u + ½ weight u² : low ≤ u ≤ high }."""
    inner = smaller(larger(-s / choose(weight > 0.0, weight, 1.0), low), high)
    return choose(weight > 0.0, inner, choose(s > 0.0, low, high))


def upwinded(u: Any, f: Any, g: Any, c: Any, weight: Any, left: Any, right: Any) -> Any:
    """v⁺ D⁺ + v⁻ D⁻ + c u + ½ weight u² with the velocity v = f + g u of an axis."""
    v = f + g * u
    return larger(v, 0.0) * right + smaller(v, 0.0) * left + (c + 0.5 * weight * u) * u


def least_straight(f: Any, g: Any, c: Any, low: Any, high: Any, left: Any, right: Any) -> Any:
    """min { upwinded(u) : low ≤ u ≤ high } without weight: at an end, or where v = 0."""
    rest = smaller(larger(-f / choose(g == 0.0, 1.0, g), low), high)
    best = smaller(upwinded(low, f, g, c, 0.0, left, right), upwinded(high, f, g, c, 0.0, left, right))
    return smaller(best, upwinded(rest, f, g, c, 0.0, left, right))


def least_curved(f: Any, g: Any, c: Any, low: Any, high: Any, weight: Any, left: Any, right: Any) -> Any:
    """The same with a weight: also where one of two parabolas has its vertex."""
    rest = smaller(larger(-f / choose(g == 0.0, 1.0, g), low), high)
    ahead, behind = optimal(g * right + c, low, high, weight), optimal(g * left + c, low, high, weight)
    one, other = upwinded(ahead, f, g, c, weight, left, right), upwinded(behind, f, g, c, weight, left, right)
    return smaller(smaller(one, other), upwinded(rest, f, g, c, weight, left, right))
