"""Lipschitz constants of steps, networks and flows, from the slopes that σ can have: bounds on how far two trajectories
come apart, whatever they are.

    ‖1 + h(V D W + S)‖ of a step, exp(h m(V D W + S)) of a flow,   D diagonal with entries in σ'(R), or in part of it,

with the logarithmic norm m. Sources: Dahlquist (1958); Hairer, Nørsett and Wanner (1993), I.10.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ocdl.analysis.conditioning.slopes import slope_range
from ocdl.analysis.flow import Flow
from ocdl.analysis.steps import Factors, Step, steps_of
from ocdl.arrays import Array
from ocdl.solving.layered import LayeredNetwork

SYMMETRIC = 1e-12  # V is a multiple of Wᵀ up to this share


@dataclass(eq=False)
class Growth:
    """Lipschitz constants of x + h Σ_j c_j φ_j(X_j), one stage after the other; ``norms``: those of φ_j(X_j)."""

    step: Step
    norms: list[Any] = field(default_factory=list)
    first: Any = None

    def add(self, factors: Factors, low: Array, high: Array) -> None:
        """The next stage, whose slopes go from low to high (S, k)."""
        if not self.norms:
            self.first = factors, low, high
        within = self.of(self.step.tableau.A[len(self.norms)])
        self.norms.append(within * _norm_bound(factors.S, factors, low, high) if self.step.tableau.stages > 1 else None)

    def of(self, weights: Array) -> Any:
        """For h c = h weights: the step's own b, or a row of A for a stage."""
        used = np.flatnonzero(weights[: len(self.norms)])
        if used.size == 0:
            return 1.0
        if used[-1] > 0:
            return 1.0 + self.step.h * sum(abs(c) * s for c, s in zip(weights, self.norms, strict=False))
        (F, low, high), c = self.first, self.step.h * weights[0]  # the norm of 1 + hφ', and no sum of norms
        return _norm_bound(np.eye(F.W.shape[1]) + c * F.S, Factors(c * F.V, F.W, F.S), low, high)


def network_bound(network: LayeredNetwork) -> float:
    """A Lipschitz constant of inputs ↦ x_N in Euclid's norm, the product of those of the steps."""
    steps = steps_of(network.activation, network.layers, network.tableau, network.widths)
    end = _of_steps(steps, slope_range(network.activation), 1.0)[-1]
    return float(end * np.linalg.norm(network.entrance.weight, 2))


def flow_bounds(flow: Flow) -> Array:
    """Lipschitz constants of x_0 ↦ x(t_k) in the norm of the flow, (N+1,): of any two trajectories, however far apart.

    Products of those of the steps; of a continuous flow exp Σ_k h_k max_D m(V_k D W_k + S_k).
    """
    slopes, root = slope_range(flow.activation), np.sqrt(flow.weights)
    if flow.scheme is not None:
        return _of_steps(flow.steps(), slopes, root)
    rates = [_rate_bound(Factors.of(flow.layer(k), root), *slopes) for k in range(flow.count)]
    return np.exp(np.append(0.0, np.cumsum(np.diff(flow.times) * rates)))


def _of_steps(steps: Iterable[Step], slopes: tuple[float, float], root: Array | float) -> Array:
    found = [1.0]
    for step in steps:
        growth = Growth(step)
        for layer in step.layers:
            growth.add(Factors.of(layer, root), *(np.full((1, len(layer.v)), end) for end in slopes))
        found.append(found[-1] * float(growth.of(step.tableau.b)[0]))
    return np.array(found)


def _rate_bound(factors: Factors, low: float, high: float) -> float:
    """max m(V D W + S) over diagonal D from low to high, from above; as ``_norm_bound`` does for norms."""
    V, W, S = factors.V, factors.W, 0.5 * (factors.S + factors.S.T)
    c, rest = _multiple(V, W)
    if rest <= SYMMETRIC * np.linalg.norm(V):
        ends = [np.linalg.eigvalsh(S + c * end * W.T @ W)[-1] for end in (low, high)]
        return float(max(ends) + rest * np.linalg.norm(W) * max(abs(low), abs(high)))
    middle = 0.5 * (low + high) * V @ W
    left = 0.5 * (high - low) * np.linalg.norm(V, 2) * np.linalg.norm(W, 2)
    return float(np.linalg.eigvalsh(S + 0.5 * (middle + middle.T))[-1] + left)


def _norm_bound(base: Array, factors: Factors, low: Array, high: Array) -> Array:
    """max ‖base + V D W‖ over diagonal D from low to high (S, k), from above, (S,).

    By its middle and what is left; where V = cWᵀ and the base is symmetric it is monotone in D, and D = low or high.
    """
    V, W = factors.V, factors.W
    c, rest = _multiple(V, W)
    if rest <= SYMMETRIC * np.linalg.norm(V) and np.array_equal(base, base.T):
        ends = np.maximum(*(spectral_norm(base + c * (W.T * end[:, None]) @ W) for end in (low, high)))
        return np.asarray(ends + rest * np.linalg.norm(W) * np.maximum(np.abs(low), np.abs(high)).max(axis=1))
    left = np.linalg.norm(V, 2) * np.linalg.norm(W, 2) * 0.5 * (high - low).max(axis=1)
    return np.asarray(spectral_norm(base + (V * (0.5 * (low + high))[:, None]) @ W) + left)


def _multiple(V: Array, W: Array) -> tuple[float, float]:
    """c and ‖V − cWᵀ‖ of the multiple of Wᵀ that is nearest to V."""
    c = float(np.sum(V * W.T) / max(float(np.sum(W * W)), np.finfo(float).tiny))
    return c, float(np.linalg.norm(V - c * W.T))


def spectral_norm(A: Array) -> Array:
    """Spectral norms of matrices (..., m, n), by the smaller of their two Gram matrices."""
    gram = A @ A.swapaxes(-1, -2) if A.shape[-2] <= A.shape[-1] else A.swapaxes(-1, -2) @ A
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[..., -1], 0.0))
