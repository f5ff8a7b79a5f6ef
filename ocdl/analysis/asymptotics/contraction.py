"""The contractive variant ∂t f = B*σ(a − Bf): its energy estimate along pairs of samples, and that of its steps.

    ½ d/dt ‖f₁ − f₂‖² = −(σ(u₁) − σ(u₂), u₁ − u₂) ≤ 0,   u = a − Bf,   where σ' ≥ 0,

B* the adjoint. A step f⁺ = f + hB*σ(u) has, with |σ(u₁) − σ(u₂)|² ≤ L (σ(u₁) − σ(u₂))(u₁ − u₂) and L = sup σ',

    ‖f₁⁺ − f₂⁺‖² ≤ ‖f₁ − f₂‖² − h (2 − h ‖B‖² L) (σ(u₁) − σ(u₂), u₁ − u₂),

so that no distance grows where h ‖B‖² L ≤ 2.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 3.5, where σ' ≤ 0 is a slip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.operators import KernelOperator
from ocdl.arrays import Array
from ocdl.errors import InvalidInput
from ocdl.statement.activations import Activation
from ocdl.sweeps.fused.form import LayerArrays

EPS = float(np.finfo(float).eps)
TINY = float(np.finfo(float).tiny)


def contractive_flow(
    activation: Activation, bias: Callable[[Array], Any] | Any, operator: KernelOperator, horizon: float
) -> Flow:
    """∂t f = B*σ(a − Bf) on [0, horizon]; arguments as those of ``Flow.selection``."""
    plain = Flow.selection(activation, bias, operator, horizon)
    adjoint = (operator.kernel.T * operator.weights)[None]
    return Flow(activation, LayerArrays(*plain.layers[:2], V=adjoint), plain.times, plain.weights, nodes=plain.nodes)


@dataclass(frozen=True, eq=False)
class EnergyEstimate:
    """Of P pairs of samples at depths t (K,): ``distance`` ‖f₁ − f₂‖, ``rate`` (f₁ − f₂, φ(f₁) − φ(f₂)), and
    ``dissipation`` (σ(u₁) − σ(u₂), u₁ − u₂), each (K, P); ``pairs`` (P, 2).

    rounding (K, P): what rounding alone can make of rate + dissipation, which is zero for contractive layers.
    """

    t: Array
    pairs: Any
    distance: Array
    rate: Array
    dissipation: Array
    rounding: Array
    finding: Finding

    @property
    def residual(self) -> float:
        """max |rate + dissipation|, in units of its rounding: the identity holds where this is at most 1."""
        return float(np.max(np.abs(self.rate + self.dissipation) / np.maximum(self.rounding, TINY)))

    @property
    def growth(self) -> float:
        """The largest ‖f₁ − f₂‖(t) / ‖f₁ − f₂‖(s) − 1 over consecutive depths s < t; negative where all fall."""
        return float(np.max(self.distance[1:] / self.distance[:-1], initial=0.0) - 1.0)


def energy_estimate(evolution: Evolution) -> EnergyEstimate:
    """The estimate along all pairs of the evolution's samples, of a flow or of a network's explicit steps.

    Raises InvalidInput where there is one sample only, or two are the same.
    """
    flow, x, u = evolution.flow, evolution.x, evolution.preactivation
    first, second = np.triu_indices(x.shape[1], 1)
    apart = x[:, first] - x[:, second]
    distance = flow.norm(apart)
    if not distance.size or np.any(distance[0] == 0.0):
        raise InvalidInput("energy_estimate(evolution): at least two samples are needed, and no two the same.")
    c = _metric(flow)
    value = np.stack([flow.layer(k)(at) for k, at in zip(evolution.layer, x, strict=True)])
    sigma = flow.activation(u)
    of_values, of_sigma, of_u = (a[:, first] - a[:, second] for a in (value, sigma, u))
    least, largest = _slopes(of_sigma, of_u)
    return EnergyEstimate(
        evolution.t,
        np.stack([first, second], axis=1),
        distance,
        flow.inner(apart, of_values),
        np.sum(c * of_sigma * of_u, axis=-1),
        _rounding(evolution, sigma, max(1.0, largest, -least))[:, first, second],
        _finding(flow, least),
    )


def _metric(flow: Flow) -> Array:
    """c (k,): the inner product Σ c_i u_i v_i of pre-activations, that of states where they are as many."""
    k = flow.layers.W.shape[1]
    return flow.weights if k == flow.weights.size else np.ones(k)


def _slopes(of_sigma: Array, of_u: Array) -> tuple[float, float]:
    """The least and the largest (σ(u₁) − σ(u₂)) / (u₁ − u₂) that was met."""
    met = np.abs(of_u) > np.sqrt(EPS)
    slopes = of_sigma[met] / of_u[met]
    return float(np.min(slopes, initial=np.inf)), float(np.max(slopes, initial=-np.inf))


def _rounding(evolution: Evolution, sigma: Array, steep: float) -> Array:
    """(K, S, S): 2ε (n + k + 2) ‖u‖ (‖σ‖ + L‖u‖) of both samples, with ‖B‖‖f‖ + ‖a‖ for ‖u‖, whose errors σ carries."""
    flow, c = evolution.flow, _metric(evolution.flow)
    norms, bias = _norms(flow), np.sqrt(np.sum(c * flow.layers.v**2, axis=-1))
    size = norms[evolution.layer][:, None] * flow.norm(evolution.x) + bias[evolution.layer][:, None]
    made = np.sqrt(np.sum(c * sigma**2, axis=-1)) + steep * size
    of_u, of_sigma = (a[:, :, None] + a[:, None, :] for a in (size, made))
    return np.asarray(2.0 * EPS * (flow.weights.size + c.size + 2) * of_u * of_sigma)


def _norms(flow: Flow) -> Array:
    """‖B_k‖ (N,), from states to pre-activations."""
    scaled = np.sqrt(_metric(flow))[:, None] * flow.layers.W / np.sqrt(flow.weights)
    return np.asarray(np.linalg.norm(scaled, 2, axis=(1, 2)))


def _asymmetry(flow: Flow) -> float:
    """max_k ‖V_k − B_k*‖ + ‖S_k‖, relative to ‖B_k‖."""
    W, _, V, S, _ = flow.layers
    adjoint = -np.swapaxes(W, 1, 2) * _metric(flow) / flow.weights[:, None]
    identity = np.eye(flow.weights.size)
    full = identity if V is None else V[:, None, None] * identity if V.ndim == 1 else V
    more = 0.0 if S is None else np.abs(S).reshape(len(W), -1).max(axis=1)
    error = np.abs(full - adjoint).max(axis=(1, 2)) + more
    return float(np.max(error / np.maximum(np.abs(adjoint).max(axis=(1, 2)), EPS)))


def _finding(flow: Flow, slope: float) -> Finding:
    hypotheses = [
        Hypothesis("the layers are B*σ(a − Bf): −‖V − B*‖/‖B‖", -_asymmetry(flow), slack=4.0 * EPS),
        Hypothesis.declared("σ is non-decreasing, as declared", flow.activation.increasing),
        Hypothesis("σ' ≥ 0: the least slope met", slope, slack=np.sqrt(EPS)),
    ]
    if flow.scheme is not None:
        least = float(np.min(2.0 - np.diff(flow.times) * _norms(flow) ** 2 * flow.activation.lipschitz))
        rounding = 8.0 * EPS * (flow.count + flow.weights.size)
        hypotheses += [
            Hypothesis.declared("the steps are explicit Euler's", flow.scheme.stages == 1),
            Hypothesis("h‖B‖² sup σ' ≤ 2: the least 2 − h‖B‖² sup σ'", least, slack=rounding),
        ]
    return Finding(
        "Contractive variant (Liu and Markowich, section 3.5)",
        tuple(hypotheses),
        "no distance between two solutions grows: ½ d/dt ‖f₁ − f₂‖² = −(σ(u₁) − σ(u₂), u₁ − u₂) ≤ 0",
    )
