"""The velocity box of one sample: what velocities a box of controls can produce, in closed form.

For one sample and non-decreasing σ, neuron i's pre-activation ranges over the interval

    s⁻_i(f) = a⁻_i − Σ_j w_j max(b⁻_ij f_j, b⁺_ij f_j),   s⁺_i(f) = a⁺_i − Σ_j w_j min(b⁻_ij f_j, b⁺_ij f_j),

so that the attainable velocities are the box Π_i [σ(s⁻_i), σ(s⁺_i)] and ⟨p, ḟ⟩ is minimised axis by axis.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.statement.activations import Activation

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VelocityBox:
    """Activation, quadrature weights w (M,), bounds of a (M,) and b (M, M), all finite.

    States f and costates p carry any leading axes: shape (..., M).
    """

    activation: Activation
    weights: Array
    a_lower: Array
    a_upper: Array
    b_lower: Array
    b_upper: Array

    @property
    def of_a_box(self) -> bool:
        """The controls themselves range over a box, so that each obeys its own switching function."""
        return True

    @property
    def width(self) -> int:
        return int(self.weights.size)

    def preactivations(self, f: Array) -> tuple[Array, Array]:
        """s⁻ and s⁺, shape (..., M); b f is extreme at b⁺ or b⁻ according to the sign of f_j."""
        positive, negative = np.maximum(f, 0.0) * self.weights, np.minimum(f, 0.0) * self.weights
        largest = positive @ self.b_upper.T + negative @ self.b_lower.T
        smallest = positive @ self.b_lower.T + negative @ self.b_upper.T
        return self.a_lower - largest, self.a_upper - smallest

    def velocities(self, f: Array) -> tuple[Array, Array]:
        """Slowest and fastest velocity per neuron, σ(s⁻) and σ(s⁺), shape (..., M)."""
        slow, fast = self.preactivations(f)
        return np.asarray(self.activation(slow)), np.asarray(self.activation(fast))

    def minimum(self, f: Array, p: Array) -> Array:
        """min over (a, b) ∈ A of ⟨p, σ(a − b(w∘f))⟩, p the Euclidean costate; shape (...)."""
        slow, fast = self.velocities(f)
        return np.sum(np.where(p > 0, p * slow, p * fast), axis=-1)

    def controls(self, f: Array, theta: Array, direction: Array | None = None) -> tuple[Array, Array]:
        """The rank-one controls a_i = a_c + θ_i a_r, b_ij = b_c − θ_i v_j b_r; θ ∈ [−1, 1]^M.

        v = sign f (or ``direction``), so θ_i = ±1 gives the extreme velocities and every velocity
        between them belongs to one θ_i. Returns a (..., M) and b (..., M, M).
        """
        v = np.sign(f) if direction is None else direction
        a = 0.5 * (self.a_lower + self.a_upper) + theta * 0.5 * (self.a_upper - self.a_lower)
        b_centre, b_radius = 0.5 * (self.b_lower + self.b_upper), 0.5 * (self.b_upper - self.b_lower)
        b = b_centre - theta[..., :, None] * v[..., None, :] * b_radius
        return a, b

    def synthesis(self, f: Array, p: Array) -> tuple[Array, Array]:
        """Bang-bang controls of the maximum principle: fastest where p_i < 0 (r_i > 0), slowest where p_i > 0.

        Where p_i = 0 the principle says nothing and the centre of the box is returned;
        where f_j = 0 the choice of b_ij does not matter and is the centre as well.
        """
        return self.controls(f, -np.sign(p))


@dataclass(frozen=True, eq=False)
class SplitPreactivation:
    """s⁻ or s⁺ as a sum: s_i(f) = origin_i + Σ_j (rising_ij max(f_j, 0) + falling_ij min(f_j, 0))."""

    origin: Array
    rising: Array
    falling: Array

    def term(self, i: int, j: int, f: Array) -> Array:
        """What f_j adds to s_i."""
        return self.rising[i, j] * np.maximum(f, 0.0) + self.falling[i, j] * np.minimum(f, 0.0)

    def frozen(self, i: int, axes: list[Array]) -> Array:
        """origin_i and every term but the own one, broadcast over the ``axes`` (size 1 along i)."""
        total: Array = np.full((1,) * len(axes), self.origin[i])
        for j, f in enumerate(axes):
            if j != i:
                total = total + self.term(i, j, f)
        return total


def split_preactivations(box: VelocityBox) -> tuple[SplitPreactivation, SplitPreactivation]:
    """s⁻ and s⁺ of the velocity box, each as its sum over neurons."""
    unit = np.eye(box.width)
    origins = box.preactivations(np.zeros(box.width))
    rising, falling = box.preactivations(unit), box.preactivations(-unit)
    slow, fast = (
        SplitPreactivation(origin, (up - origin).T, (origin - down).T)
        for origin, up, down in zip(origins, rising, falling, strict=True)
    )
    return slow, fast
