"""Phase portraits of two neurons: where f = (f(y_1), f(y_2)) rests, of what kind that is, and the manifolds of it.

    ∂t f = σ(a − Bf):   f∞ + N(B), a point, a line or nothing;   exponents λ = −ω of σ'(0)B.

An invariant curve is tangent to every eigenvector of a saddle, where it is the stable or the unstable manifold, and to
the one of the larger |λ| of a node or of a line of steady states. All others of a node are tangent to the other one.
Source: Liu and Markowich, section 3.2; Guckenheimer and Holmes, "Nonlinear Oscillations, Dynamical Systems, and
Bifurcations of Vector Fields" (1983), section 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.asymptotics.stability import NONE, LinearStability, linear_stability
from ocdl.analysis.flow import Flow
from ocdl.arrays import Array, finite_array
from ocdl.depth.integration import NotFollowed, integrated
from ocdl.errors import InvalidInput

Curve = Array  # points (K, 2)

BESIDE = 1e-4  # of the size of the box: where a manifold is taken for its tangent
PIECES, POINTS = 40, 40  # a curve is followed for so many times 1/|λ|, with so many points in each


@dataclass(frozen=True, eq=False)
class PhasePortrait:
    """Of a box of the plane, ``limits`` ((low, high), (low, high)) of f(y_1) and f(y_2).

    rest: f∞ (2,), or None where it is not steady; ``kind`` of it in words. line: the ends (2, 2) of a line of steady
    states in the box, or None. stable, unstable: curves (K, 2) that run into rest and out of it.
    """

    limits: Array
    rest: Array | None
    kind: str
    line: Array | None
    stable: tuple[Curve, ...]
    unstable: tuple[Curve, ...]
    linear: LinearStability


def phase_portrait(flow: Flow, *, limits: Any = None, layer: int = -1, tolerance: float = 1e-10) -> PhasePortrait:
    """Of a layer σ(a − Bf) of two neurons. limits: a pair (low, high) for each; by default a box of side 4 about f∞.

    tolerance: of the integrator that follows the curves.
    """
    if flow.weights.size != 2:
        raise InvalidInput(f"phase_portrait: two neurons span a plane; this flow has {flow.weights.size}.")
    linear = linear_stability(flow, layer=layer)
    rest, null = linear.steady.least_norm, linear.steady.null_space
    box = np.stack([rest - 2.0, rest + 2.0], axis=1) if limits is None else _box(limits)
    if not linear.steady.exist:
        return PhasePortrait(box, None, kind_of(linear), None, (), (), linear)
    line = _across(box, rest, null[:, 0]) if null.shape[1] == 1 else None
    stable, unstable = _manifolds(flow, layer, box, rest, linear, tolerance)
    return PhasePortrait(box, rest, kind_of(linear), line, stable, unstable, linear)


def kind_of(linear: LinearStability) -> str:
    """Of the steady states of two neurons, in words."""
    if linear.steady.none:
        return "no steady state"
    if linear.verdict == NONE:
        return "not linearised"
    omega, spectrum = linear.eigenvalues, linear.spectrum
    if linear.steady.null_space.shape[1]:
        return f"{'plane' if linear.steady.system.rank == 0 else 'line'} of steady states, {linear.verdict}"
    if np.all(spectrum.on_axis):
        return "centre"
    if omega[0].real < 0.0 < omega[1].real:
        return "saddle"
    side = "unstable" if linear.verdict == "unstable" else "stable"
    return f"{side} {'focus' if omega[0].imag else 'node'}"


def _manifolds(
    flow: Flow, layer: int, box: Array, rest: Array, linear: LinearStability, tolerance: float
) -> tuple[tuple[Curve, ...], tuple[Curve, ...]]:
    """The stable and the unstable curves; none of a focus, a centre, or where there is no linearisation."""
    omega, found = linear.eigenvalues, ([], [])  # type: tuple[Any, tuple[list[Curve], list[Curve]]]
    if linear.verdict == NONE or np.any(omega.imag) or linear.spectrum.defective:
        return (), ()
    lead = np.abs(omega.real) >= np.max(np.abs(omega.real)) * (1.0 - 1e-9)
    saddle = omega[0].real < 0.0 < omega[1].real
    unique = np.sum(lead) == 1  # equal exponents of a node leave no direction before others
    for j in np.flatnonzero((lead & unique) | saddle):
        direction, exponent = linear.modes[:, j].real, -float(omega[j].real)
        if exponent:
            found[exponent > 0.0].extend(
                _followed(flow, layer, box, rest, side * direction, exponent, tolerance) for side in (1.0, -1.0)
            )
    return tuple(found[0]), tuple(found[1])


def _followed(
    flow: Flow, layer: int, box: Array, rest: Array, direction: Array, exponent: float, tolerance: float
) -> Curve:
    """From beside rest to the end of the box: forwards in t of an unstable manifold, backwards of a stable one."""
    field, sign = flow.layer(layer), np.sign(exponent)
    size = float(np.max(np.diff(box, axis=1)))
    points = [rest[None], (rest + BESIDE * size * direction / np.linalg.norm(direction))[None]]
    span = 1.0 / abs(exponent)
    for _ in range(PIECES):
        try:
            piece = integrated(lambda _, x: sign * field(x), 0.0, span, points[-1][-1], tolerance)
        except NotFollowed:
            break
        points.append(piece.sol(np.linspace(0.0, span, POINTS + 1)[1:]).T)
        if np.any((points[-1][-1] < box[:, 0]) | (points[-1][-1] > box[:, 1])):
            break
    return np.concatenate(points)


def _across(box: Array, point: Array, direction: Array) -> Array | None:
    """Where the line through ``point`` enters and leaves the box, (2, 2); None where it passes by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.sort((box - point[:, None]) / direction[:, None], axis=1)
    first, last = np.nanmax(steps[:, 0]), np.nanmin(steps[:, 1])
    return np.stack([point + first * direction, point + last * direction]) if first < last else None


def _box(limits: Any) -> Array:
    box = finite_array("phase_portrait(limits)", limits)
    if box.shape != (2, 2) or not np.all(box[:, 0] < box[:, 1]):
        raise InvalidInput(f"phase_portrait(limits={limits!r}): two pairs (low, high) with low < high are needed.")
    return box
