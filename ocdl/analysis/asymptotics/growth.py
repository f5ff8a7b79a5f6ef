"""How fast the solutions of ∂t f = σ(a − Bf) can grow and part, against how fast they do.

With ℓ = sup |σ'|, u = a − Bf, and all that depends on t constant in each layer:

    Gronwall, σ(0) = 0:        ∫|f| ≤ (∫|f_I| + ℓ ∫_0^t ∫|a|) exp(ℓ |Y| ∫_0^t sup |b|),
    Proposition 3.5, B_s ≥ 0:  ‖f‖ ≤ ‖f_I‖ + Σ_k √(2ℓ ∫Σ(u(t_k))) (t − t_k),
    bounded σ:                 ‖f‖ ≤ ‖f_I‖ + sup |σ| √|Y| t,
    (3.1):                     ‖f_1 − f_2‖ ≤ exp(L t) ‖f_1 − f_2‖(0),  L t = ℓ ∫_0^t ‖B‖.

The first is printed for σ(s) = max(s, 0) and without |Y|, which is 1 for the unit cube; all it needs is |σ(s)| ≤ ℓ|s|.
The second is printed for ReLU, without constants. It holds wherever σ(0) = 0 and σ does not decrease, as then
σ² ≤ 2ℓΣ, and ∫Σ(u) falls in every layer: ‖∂t f‖² = ∫σ(u)² ≤ 2ℓ ∫Σ(u(t_k)).
Source: Liu and Markowich, "Selection dynamics for deep neural networks", Theorem 3.1 and section 3.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.hypotheses import equations, from_start, lipschitz, non_negative, zero_at_zero
from ocdl.analysis.operators import KernelOperator
from ocdl.arrays import Array
from ocdl.errors import InvalidInput
from ocdl.statement.activations import Activation

SOURCE = "Liu and Markowich"


@dataclass(frozen=True, eq=False)
class Growth:
    """``measured`` (K, S), the norm ``name`` at depths t (K,), and what the theorem lets it be, ``bound`` (K, S)."""

    name: str
    t: Array
    measured: Array
    bound: Array
    finding: Finding

    @property
    def sharpness(self) -> Array:
        """measured/bound (K, S): at most 1 where the theorem applies, 1 where the bound is attained."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(self.bound > 0.0, self.measured / self.bound, 1.0))

    def holds(self, slack: float = 1e-10) -> bool:
        """No measured norm is above its bound by more than slack, relative and absolute, of the integrator."""
        return bool(np.all(self.measured <= self.bound + slack * (1.0 + np.abs(self.bound))))


def gronwall(evolution: Evolution) -> Growth:
    """∫|f| against Gronwall's bound."""
    operators, activation = _asked("gronwall", evolution)
    weights = evolution.flow.weights
    ell, area = activation.lipschitz, float(weights.sum())
    sup_b = _until(evolution, [float(np.abs(B.kernel).max()) for B in operators])
    norm_a = _until(evolution, [float(np.abs(evolution.flow.bias(k)) @ weights) for k in range(len(operators))])
    measured = np.abs(evolution.x) @ weights
    with np.errstate(invalid="ignore", over="ignore"):
        bound = (measured[0] + ell * norm_a[:, None]) * np.exp(ell * area * sup_b)[:, None]
    hypotheses = (lipschitz(activation), zero_at_zero(activation))
    return Growth(
        "∫|f| dy",
        evolution.t,
        measured,
        _or_infinite(bound),
        Finding(f"{SOURCE}, section 3.4, Gronwall's inequality", hypotheses, "∫|f| is at most the bound, for all t"),
    )


def linear_growth(evolution: Evolution) -> Growth:
    """‖f‖ against the linear bound of Proposition 3.5, its constants explicit; see ``growth_constants``."""
    operators, activation = _asked("linear_growth", evolution)
    slopes = growth_constants(evolution)
    measured = evolution.flow.norm(evolution.x)
    bound = measured[0] + np.stack([_until(evolution, column) for column in slopes.T], axis=1)
    hypotheses = (lipschitz(activation), zero_at_zero(activation), _non_decreasing(evolution), non_negative(*operators))
    return Growth(
        "‖f‖",
        evolution.t,
        measured,
        _or_infinite(bound),
        Finding(f"{SOURCE}, Proposition 3.5", hypotheses, "‖f‖ grows at most linearly in t"),
    )


def growth_constants(evolution: Evolution) -> Array:
    """C_2 = √(2ℓ ∫Σ(u(t_k))) of every layer and sample (N, S), in ‖f(t)‖ ≤ ‖f(t_k)‖ + C_2 (t − t_k).

    For σ(s) = max(s, 0) it is ‖u⁺(t_k)‖.
    """
    _asked("growth_constants", evolution)
    flow, activation = evolution.flow, evolution.flow.activation
    begins = evolution.x[:1] if flow.autonomous else flow.evolve(evolution.x[0], times=flow.times[:-1]).x
    u = np.stack([flow.layer(k).preactivation(x) for k, x in enumerate(begins)])
    with np.errstate(invalid="ignore"):
        return np.sqrt(2.0 * activation.lipschitz * np.fmax(activation.primitive(u) @ flow.weights, 0.0))


def bounded_growth(evolution: Evolution) -> Growth:
    """‖f‖ against the linear bound of bounded activations, whatever B."""
    _, activation = _asked("bounded_growth", evolution)
    largest = max(abs(limit) for limit in activation.limits)
    measured = evolution.flow.norm(evolution.x)
    t = evolution.t - evolution.t[0]
    speed = largest * math.sqrt(float(evolution.flow.weights.sum()))
    bound = measured[0] + (speed * t if math.isfinite(speed) else np.where(t > 0.0, math.inf, 0.0))[:, None]
    hypothesis = Hypothesis("σ is bounded: −sup |σ|", -largest, least=-np.finfo(float).max)
    finding = Finding(f"{SOURCE}, section 3.4", (hypothesis,), "‖f‖ grows at most linearly in t, whatever B")
    return Growth("‖f‖", evolution.t, measured, bound, finding)


def stability_constants(flow: Flow) -> Array:
    """L = ℓ‖B‖ of every layer (N,), ‖B‖ in L²(Y), in ‖f_1 − f_2‖(t) ≤ exp(L (t − t_k)) ‖f_1 − f_2‖(t_k)."""
    return flow.activation.lipschitz * np.array([B.spectral_norm for B in equations(flow)])


def separation(evolution: Evolution) -> Growth:
    """‖f_s − f_r‖ of every pair s < r of samples, (K, S(S−1)/2), against the bound (3.1)."""
    _, activation = _asked("separation", evolution)
    S = evolution.x.shape[1]
    if S < 2:
        raise InvalidInput("separation: an evolution of two samples or more is needed; got 1.")
    first, second = np.triu_indices(S, 1)
    measured = evolution.flow.norm(evolution.x[:, first] - evolution.x[:, second])
    with np.errstate(invalid="ignore", over="ignore"):
        bound = measured[0] * np.exp(_until(evolution, stability_constants(evolution.flow)))[:, None]
    finding = Finding(f"{SOURCE}, Theorem 3.1, (3.1)", (lipschitz(activation),), "solutions part at most like e^{Lt}")
    return Growth("‖f₁ − f₂‖", evolution.t, measured, _or_infinite(bound), finding)


def _asked(said: str, evolution: Evolution) -> tuple[list[KernelOperator], Activation]:
    from_start(said, evolution)
    return equations(evolution.flow), evolution.flow.activation


def _until(evolution: Evolution, rates: Any) -> Array:
    """∫_0^t of rates (N,) that are constant in each layer, (K,)."""
    times = evolution.flow.times
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(rates) * np.diff(times))])
    with np.errstate(invalid="ignore"):
        return np.interp(evolution.t, times, sums)


def _or_infinite(bound: Array) -> Array:
    """No bound, where a product with sup |σ'| = ∞ is no number."""
    return np.where(np.isnan(bound), np.inf, bound)


def _non_decreasing(evolution: Evolution) -> Hypothesis:
    return Hypothesis.declared("σ does not decrease", evolution.flow.activation.increasing)
