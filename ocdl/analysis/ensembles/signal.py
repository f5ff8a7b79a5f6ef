"""Signals in wide random networks: lengths, correlations, their fixed points, and how deep anything gets through.

A layer y⁺ = φ(Ky + β) with K_ij ~ N(0, σ_w²/n) and β_i ~ N(0, σ_b²) independent acts, as n → ∞, on the length
q = E h² and the correlation c of the pre-activations h of two inputs by

    q⁺ = σ_w² E φ(√q z)² + σ_b²,       c⁺ = (σ_w² E φ(u₁) φ(u₂) + σ_b²) / q*  at the fixed point q* of lengths,

with (u₁, u₂) ~ N(0, q*[[1, c], [c, 1]]). At fixed points χ_q = ∂q⁺/∂q, χ_c = σ_w² E φ'(u₁) φ'(u₂), and what is off them
decays as e^{−l/ξ}, 1/ξ = −log χ. Where χ_1 = σ_w² E φ'(√q* z)², the χ_c at c = 1, is below 1, all inputs become alike
(ordered), above 1 neighbours part (chaotic); gradients shrink or grow by χ_1 a layer.
Sources: Liu and Theodorou (2019), "Deep learning theory review", section 3; Poole et al. (2016); Schoenholz et al.
(2017), "Deep information propagation".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from ocdl.analysis.ensembles.gaussian import expectation, pair_expectation
from ocdl.arrays import Array, finite_array, is_real, is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.activations import Activation

FARTHEST = 1e12  # a length beyond is infinite
NEAREST = 1e-14  # a length below is zero
ROUNDING = 1e-13  # of expectations
SLACK = 1e-9  # of χ from 1, within which it is 1


@dataclass(frozen=True)
class SignalTheory:
    """Signals of φ = ``activation`` at σ_w² = ``weight_variance`` > 0 and σ_b² = ``bias_variance`` ≥ 0, see the module.

    Raises InvalidInput for variances that are none.
    """

    activation: Activation
    weight_variance: float
    bias_variance: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise InvalidInput(f"SignalTheory(activation={self.activation!r}): give an instance such as ocdl.Tanh().")
        _check_variance("weight_variance", self.weight_variance, positive=True)
        _check_variance("bias_variance", self.bias_variance)

    def length(self, q: float) -> float:
        """q⁺ of q ≥ 0."""
        return self.weight_variance * expectation(_square(self.activation), q) + self.bias_variance

    def covariance(self, q: float, c: float) -> float:
        """σ_w² E φ(u₁) φ(u₂) + σ_b² of two pre-activations of length q and correlation c."""
        return self.weight_variance * pair_expectation(self.activation, self.activation, q, c) + self.bias_variance

    def lengths(self, q: float, layers: int) -> Array:
        """q_0 = q, q_1, …, q_layers."""
        _check_layers(layers)
        found = [float(q)]
        for _ in range(layers):
            found.append(self.length(found[-1]))
        return np.array(found)

    def correlations(self, c: float, layers: int) -> Array:
        """c_0 = c, …, c_layers at the fixed point of the lengths."""
        _check_layers(layers)
        found = [float(c)]
        for _ in range(layers):
            found.append(min(1.0, max(-1.0, self.covariance(self.q, found[-1]) / self._finite_length)))
        return np.array(found)

    @cached_property
    def q(self) -> float:
        """q*: the limit of the lengths from q = 1; ∞ where they grow without end, 1 where all lengths stay."""
        if abs(self.length(1.0) - 1.0) <= ROUNDING:
            return 1.0
        up, here = self.length(1.0) > 1.0, 1.0
        while NEAREST < here < FARTHEST:
            there = here * (2.0 if up else 0.5)
            if (self.length(there) > there) != up:
                low, high = sorted((here, there))
                return float(scipy.optimize.brentq(lambda q: self.length(q) - q, low, high, xtol=1e-15, rtol=1e-14))
            here = there
        return float("inf") if up else 0.0

    @cached_property
    def c(self) -> float:
        """c*: the stable fixed point of the correlations in [0, 1], the limit from any c in [0, 1)."""
        if self.chi_1 <= 1.0 + SLACK:
            return 1.0
        q = self._finite_length

        def excess(c: float) -> float:
            return self.covariance(q, c) / q - c

        return (
            0.0 if excess(0.0) <= SLACK else float(scipy.optimize.brentq(excess, 0.0, _below_one(excess), xtol=1e-14))
        )

    @cached_property
    def chi_q(self) -> float:
        """∂q⁺/∂q at q*: σ_w² E[φ'² + φφ''], which is σ_w² E φ(h) φ'(h) h / q* also where φ has a kink at zero."""
        q = self._finite_length
        if q == 0.0:
            slopes = [self._at_zero(sign) for sign in (-1.0, 1.0)]
            return self.weight_variance * float(np.mean(slopes))
        return self.weight_variance * expectation(lambda h: self.activation(h) * self._slope(h) * h, q) / q

    @cached_property
    def chi_1(self) -> float:
        """σ_w² E φ'(√q* z)²: by how much a layer multiplies small differences, and gradients, squared."""
        return self.weight_variance * expectation(lambda h: self._slope(h) ** 2, self._finite_length)

    @cached_property
    def chi_c(self) -> float:
        """∂c⁺/∂c at c*: σ_w² E φ'(u₁) φ'(u₂)."""
        if self.c == 1.0:
            return self.chi_1
        return self.weight_variance * pair_expectation(self._slope, self._slope, self._finite_length, self.c)

    @property
    def depth_q(self) -> float:
        """ξ_q in layers: lengths reach q* like e^{−l/ξ_q}."""
        return _depth(self.chi_q)

    @property
    def depth_c(self) -> float:
        """ξ_c in layers: correlations reach c* like e^{−l/ξ_c}; ∞ on the critical line."""
        return _depth(self.chi_c)

    @property
    def depth_gradient(self) -> float:
        """ξ_∇ in layers: squared gradients shrink or grow like e^{∓l/ξ_∇}; ∞ on the critical line."""
        return abs(_depth(self.chi_1))

    @property
    def phase(self) -> str:
        """ "ordered", "critical" or "chaotic"; "unbounded" where lengths grow without end."""
        if np.isinf(self.q):
            return "unbounded"
        away = self.chi_1 - 1.0
        return "critical" if abs(away) <= SLACK else "chaotic" if away > 0.0 else "ordered"

    def draw(self, width: int, layers: int, *, inputs: int | None = None, seed: int = 0) -> dict[str, Array]:
        """K (layers, n, n) and β (layers, n) of a network of ``width`` n, as a start of ``solve`` takes them by name.

        inputs: so many of the n channels are not zero in the first layer, K of which then has the variance σ_w²/inputs.
        """
        _check_layers(layers)
        for name, count in (("width", width), ("inputs", width if inputs is None else inputs)):
            if not (is_whole(count) and 1 <= count <= width):
                raise InvalidInput(f"draw({name}={count!r}): a whole number from 1 to the width is needed.")
        generator = np.random.default_rng(seed)
        K = generator.standard_normal((layers, width, width)) * np.sqrt(self.weight_variance / width)
        K[0] *= np.sqrt(width / (inputs or width))
        return {"K": K, "beta": generator.standard_normal((layers, width)) * np.sqrt(self.bias_variance)}

    @property
    def _finite_length(self) -> float:
        if np.isinf(self.q):
            raise InvalidInput(
                f"{self!r}: lengths grow without end, so that there is no fixed point to ask about; lower σ_w²."
            )
        return self.q

    def _slope(self, h: Array) -> Array:
        return self.activation.derivative(h, np.asarray(self.activation(h)))

    def _at_zero(self, sign: float) -> float:
        """φ'² + φφ'' just beside zero."""
        h = np.array([sign * np.finfo(float).tiny])
        value = np.asarray(self.activation(h))
        return float((self.activation.derivative(h, value) ** 2 + value * self.activation.curvature(h, value))[0])


def critical(activation: Activation, bias_variance: float = 0.0) -> SignalTheory:
    """The point of the critical line χ_1 = 1 with this σ_b², from which signals and gradients get through any depth.

    The line is a curve with q* as its parameter: σ_w² = 1 / E φ'(√q z)², σ_b² = q − σ_w² E φ(√q z)², so that the
    boundary of the phases is one equation in q. Raises InvalidInput where no q* has this σ_b², as for ReLU, which is
    critical at σ_w² = 2 and σ_b² = 0 alone.
    """
    _check_variance("bias_variance", bias_variance)

    def on_line(q: float) -> SignalTheory:
        at = SignalTheory(activation, 1.0)
        return SignalTheory(activation, 1.0 / expectation(lambda h: at._slope(h) ** 2, q))

    def excess(q: float) -> float:
        return q - on_line(q).length(q) - bias_variance

    grid = np.geomspace(NEAREST, 1e4, 145)
    values = np.array([excess(q) for q in grid])
    if bias_variance == 0.0 and values[0] >= -SLACK * grid[0]:
        return on_line(grid[0])
    crossing = np.flatnonzero(np.sign(values[:-1]) != np.sign(values[1:]))
    if not crossing.size:
        raise InvalidInput(
            f"critical({activation!r}, bias_variance={bias_variance!r}): no q* on the line χ_1 = 1 has this σ_b²; the "
            f"largest is {max(0.0, float(values.max()) + bias_variance):.6g}."
        )
    k = int(crossing[0])
    q = scipy.optimize.brentq(excess, grid[k], grid[k + 1], xtol=1e-15, rtol=1e-14)
    return SignalTheory(activation, on_line(q).weight_variance, float(bias_variance))


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """χ_1, q* and c* (W, B) over ``weight_variances`` (W,) and ``bias_variances`` (B,); NaN where lengths grow."""

    weight_variances: Array
    bias_variances: Array
    chi: Array
    q: Array
    c: Array


def phase_diagram(activation: Activation, weight_variances: Any, bias_variances: Any) -> PhaseDiagram:
    """The phases of networks at all pairs of variances."""
    given = {"weight_variances": weight_variances, "bias_variances": bias_variances}
    ws, bs = (np.atleast_1d(finite_array(name, values)) for name, values in given.items())
    rows = [[_figures(SignalTheory(activation, float(w), float(b))) for b in bs] for w in ws]
    chi, q, c = np.moveaxis(np.array(rows), -1, 0)
    return PhaseDiagram(ws, bs, chi, q, c)


def _figures(theory: SignalTheory) -> tuple[float, float, float]:
    if np.isinf(theory.q):
        return np.nan, np.inf, np.nan
    return theory.chi_1, theory.q, theory.c


def _square(activation: Activation) -> Any:
    return lambda h: np.asarray(activation(h)) ** 2


def _below_one(excess: Any) -> float:
    """A correlation next to 1 at which the map is below the diagonal."""
    for gap in 10.0 ** -np.arange(1.0, 13.0):
        if excess(1.0 - gap) < 0.0:
            return float(1.0 - gap)
    return 1.0


def _depth(chi: float) -> float:
    if abs(chi - 1.0) <= SLACK:
        return float("inf")
    return 0.0 if chi <= 0.0 else -1.0 / float(np.log(chi))


def _check_variance(name: str, value: Any, positive: bool = False) -> None:
    if not (is_real(value) and np.isfinite(value) and (value > 0.0 if positive else value >= 0.0)):
        raise InvalidInput(f"{name}={value!r}: a {'positive' if positive else 'non-negative'} number is needed.")


def _check_layers(layers: Any) -> None:
    if not (is_whole(layers) and layers >= 1):
        raise InvalidInput(f"layers={layers!r}: a whole number, at least 1, is needed.")
