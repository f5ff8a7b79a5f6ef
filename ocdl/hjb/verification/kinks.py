"""Kinks of V, which side they are on, and whether a viscosity solution may have them.

At a kink q = (∂_tV, ∇V) jumps from q⁻ to q⁺ across a surface. Where V is a minimum of smooth functions there (concave),
the segment between both is its super-differential; where it is a maximum (convex), its sub-differential. V is a
viscosity solution of ∂_tV + H(t, x, ∇V) = 0, H = min_u, V(·, T) = ℓ, where

    q_t + H ≥ 0  for all q in a super-differential,     q_t + H ≤ 0  for all q in a sub-differential.

H is concave in ∇V: a concave kink between solutions always passes, a convex one only where H is affine between both,
as for a kink of ℓ that is carried along. V of smooth data is semiconcave: its kinks are concave.
Found along each axis: the slopes of parabolas that end ``GAP`` cells from a node differ by a jump that a spacing twice
as large does not change (of a jump of V'' it doubles, of smooth V it grows eightfold).
Sources: Crandall and Lions, Trans. AMS 277 (1983); Bardi and Capuzzo-Dolcetta, "Optimal Control and Viscosity Solutions
of Hamilton–Jacobi–Bellman Equations" (1997), sections II.1, II.4, III.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.arrays import Array
from ocdl.hjb.feedback.value_function import ValueFunction
from ocdl.hjb.verification.differences import Differences, parabola
from ocdl.hjb.verification.least import LeastHamiltonian

GAP = 2  # cells over which a scheme smears a kink to either side
NODES = 4 * (GAP + 2) + 1  # of an axis, for parabolas on both sides of a node at twice the spacing
KEPT = 0.75  # of the jump is there at half the spacing: between 1 of a kink and 1/2 of a jump of V''
LEAST = 1e-2  # of the steepest slope: a jump less than that is none
BEYOND = 3.0  # times what the curvature on either side changes over the gap
SAMPLED = 9  # q on every segment
SHARE = 0.05  # of ∂_tV = −H beside the kink: what smearing leaves open
THEOREM = "viscosity solutions of Hamilton–Jacobi–Bellman equations (Crandall and Lions 1983)"


@dataclass(frozen=True, eq=False)
class Kinks:
    """The kinks of ``value`` at nodes: ``index``, their places in its table; ``axis`` (Q,) across which V bends;
    ``jump`` (Q,) of ∂V along it; ``before`` and ``after`` (Q, 1 + D), q on both sides; ``test`` (Q, SAMPLED), q_t + H
    from one side to the other, and ``open`` (Q,), how much of it the grid leaves open; ``proven``: every minimum was.
    """

    value: ValueFunction
    index: tuple[Any, ...]
    axis: Any
    jump: Array
    before: Array
    after: Array
    test: Array
    open: Array
    proven: bool

    @property
    def count(self) -> int:
        return self.jump.size

    @property
    def concave(self) -> Any:
        """Which are (Q,): the slope falls across the kink."""
        return self.jump < 0.0

    @property
    def margin(self) -> Array:
        """By how much the inequality of its side holds at each kink, (Q,): negative where it fails."""
        return np.where(self.concave, self.test.min(axis=1, initial=np.inf), -self.test.max(axis=1, initial=-np.inf))

    @property
    def violated(self) -> Any:
        """Where it fails by more than the grid leaves open, (Q,)."""
        return self.margin < -self.open

    @property
    def places(self) -> tuple[Array, Array]:
        """Depths (Q,) and states (Q, D)."""
        t, *x = self.index
        return self.value.t[t], np.stack([axis[i] for axis, i in zip(self.value.grid.axes, x, strict=True)], axis=-1)

    @cached_property
    def dataset(self) -> xr.Dataset:
        """Dimension kink: t, f0, f1, ..., axis, jump, concave, margin, open, violated."""
        t, x = self.places
        parts = {"t": t, **{f"f{i}": x[:, i] for i in range(x.shape[1])}, "axis": self.axis, "jump": self.jump}
        parts |= {name: getattr(self, name) for name in ("concave", "margin", "open", "violated")}
        return xr.Dataset({name: ("kink", part) for name, part in parts.items()})

    @property
    def finding(self) -> Finding:
        """Is V a viscosity solution at its kinks?"""
        return Finding(
            THEOREM,
            (self._side("q_t + H ≥ 0 between the slopes of concave kinks", self.concave),
             self._side("q_t + H ≤ 0 between the slopes of convex kinks", ~self.concave),
             Hypothesis.declared("the minima of H are proven", self.proven)),
            f"V is a viscosity solution at its kinks, as far as its grid tells: {int(np.sum(self.concave))} concave "
            f"and {int(np.sum(~self.concave))} convex places.",
        )  # fmt: skip

    def _side(self, statement: str, which: Any) -> Hypothesis:
        """The kink of that side which is the worst beside what the grid leaves open."""
        if not np.any(which):
            return Hypothesis(f"{statement} (there are none)", 0.0)
        worst = np.flatnonzero(which)[np.argmin((self.margin + self.open)[which])]
        return Hypothesis(statement, float(self.margin[worst]), slack=float(self.open[worst]))

    def __repr__(self) -> str:
        concave = int(np.sum(self.concave))
        return (
            f"<Kinks at {self.count} places of {self.value.grid}: {concave} concave, {self.count - concave} convex; "
            f"{int(np.sum(self.violated))} violate the inequality of viscosity solutions>"
        )


def kinks(value: ValueFunction, differences: Differences | None = None) -> Kinks:
    """The kinks of V's table, and the inequality of viscosity solutions there.

    None are seen along axes of fewer than ``NODES`` nodes, nearer to the edge than the parabolas are wide, or where V
    is infinite; nor those of a loss with kinks before they can have parted.
    """
    differences = Differences(value) if differences is None else differences
    found = [_along(value, differences, i) for i in range(value.grid.dimension)]
    index = tuple(np.concatenate([part[k] for part, _ in found]) for k in range(value.values.ndim))
    axis = np.concatenate([np.full(jump.size, i) for i, (_, jump) in enumerate(found)])
    jump = np.concatenate([jump for _, jump in found])
    sides = [_beside(differences, index, axis, side) for side in (-GAP, GAP)]
    return Kinks(value, index, axis, jump, sides[0][1], sides[1][1], *_tested(value, index, sides))


def _along(value: ValueFunction, differences: Differences, i: int) -> tuple[tuple[Any, ...], Array]:
    """Where V bends across axis i most sharply of all axes, and the jumps there."""
    axis, table = value.grid.axes[i], value.values
    if axis.size < NODES:
        return tuple(np.zeros(0, dtype=int) for _ in table.shape), np.zeros(0)
    jump, curved = _jump(table, axis, 1 + i, 1)
    coarse, _ = _jump(table, axis, 1 + i, 2)
    size = np.abs(jump)
    steep = max(float(np.abs(differences.gradient[..., i]).max()), np.finfo(float).tiny)
    sharp = (size > LEAST * steep) & (size >= KEPT * np.abs(coarse)) & (np.sign(jump) == np.sign(coarse))
    sharp &= (size > BEYOND * curved * GAP * value.grid.spacing[i]) & _sharpest(table, 1 + i)
    inside = np.zeros(axis.size, dtype=bool)
    inside[NODES // 2 : axis.size - NODES // 2] = True
    sharp &= inside.reshape(-1, *(1,) * (value.grid.dimension - 1 - i))
    if np.any(sharp[-1]):  # where kinks of the loss may part, and the grid does not tell one from two
        sharp[(value.t[-1] - value.t) * value.law.speeds(value.grid)[i] < (GAP + 2) * value.grid.spacing[i]] = False
    sharp[-1] = False  # V is the loss itself there, and no equation is asked of it
    index = np.nonzero(sharp)
    before, after = (_beside(differences, index, np.full(index[0].size, i), side)[1] for side in (-GAP, GAP))
    steepest = np.abs(after - before)[:, 1:].argmax(axis=1) == i
    t, x = value.t[index[0]], np.stack([a[k] for a, k in zip(value.grid.axes, index[1:], strict=True)], axis=-1)
    kept = steepest & value.viable(x, t)
    return tuple(part[kept] for part in index), jump[index][kept]


def _jump(table: Array, nodes: Array, axis: int, stride: int) -> tuple[Array, Array]:
    """Slope from the right less slope from the left, by parabolas that keep ``GAP`` cells of so many nodes away; and
    the larger of their curvatures.
    """
    gap = GAP * stride
    left, bend_left = parabola(table, nodes, axis, -gap - 2 * stride, stride)
    right, bend_right = parabola(table, nodes, axis, gap, stride)
    return right - left, 2.0 * np.maximum(np.abs(bend_left), np.abs(bend_right))


def _sharpest(table: Array, axis: int) -> Any:
    """Where the second difference along an axis is the largest of its neighbours' within the parabolas."""
    import scipy

    bend = np.abs(parabola(table, np.arange(table.shape[axis], dtype=float), axis, -1)[1])
    around = scipy.ndimage.maximum_filter1d(bend, 2 * (GAP + 2) + 1, axis=axis)
    return (bend == around) & (bend > 0.0)


def _beside(differences: Differences, index: tuple[Any, ...], axis: Any, side: int) -> tuple[tuple[Any, ...], Array]:
    """The nodes ``side`` cells along each kink's axis, and q = (∂_tV, ∇V) there (Q, 1 + D)."""
    at = [index[0], *(part + side * (axis == i) for i, part in enumerate(index[1:]))]
    place = tuple(at)
    return place, np.concatenate([differences.rate[place][:, None], differences.gradient[place]], axis=-1)


def _tested(
    value: ValueFunction, index: tuple[Any, ...], sides: list[tuple[tuple[Any, ...], Array]]
) -> tuple[Array, Array, bool]:
    """q_t + H (Q, SAMPLED) on the way from one side to the other, states and q both linear in between; what is left
    open: the residuals of both sides, and a share of ∂_tV; and whether the minima were proven.
    """
    law, Q, D = LeastHamiltonian(value), index[0].size, value.grid.dimension
    if not Q:
        return np.zeros((0, SAMPLED)), np.zeros(0), True
    states = [np.stack([a[k] for a, k in zip(value.grid.axes, place[1:], strict=True)], axis=-1) for place, _ in sides]
    s = np.linspace(0.0, 1.0, SAMPLED)[:, None]
    x, q = (a[:, None] + s * (b - a)[:, None] for a, b in (states, [q for _, q in sides]))
    t = np.repeat(value.t[index[0]], SAMPLED)
    test = q[..., 0] + law(x.reshape(-1, D), t, q[..., 1:].reshape(-1, D)).reshape(Q, SAMPLED)
    rate = np.maximum(*(np.abs(q[:, 0]) for _, q in sides))
    return test, np.abs(test[:, [0, -1]]).max(axis=1) + SHARE * rate, law.proven
