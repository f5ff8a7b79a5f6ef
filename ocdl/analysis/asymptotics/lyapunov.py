"""Lyapunov functionals along an evolution of ∂t f = σ(u), u = a − Bf, B independent of t.

    d/dt ∫Σ(u) dy = −(B_s σ(u), σ(u)),   Σ(s) = ∫_0^s σ,
    d/dt [½(Bf, f) − (a, f)] = −∫σ(u) u dy   where Bᵀ = B.

The integrals over t of what is dissipated are integrated with the states, under the same error control.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", Theorem 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution
from ocdl.analysis.hypotheses import autonomous, from_start, non_negative, sign, symmetric
from ocdl.analysis.operators import KernelOperator
from ocdl.arrays import Array
from ocdl.depth.integration import NotFollowed, integrated
from ocdl.statement.activations import Activation
from ocdl.sweeps.sweeper import SweepFailed

SOURCE = "Liu and Markowich, Theorem 3.2"
EPS = float(np.finfo(float).eps)
LOCAL = 100.0  # steps' worth of the integrator's tolerance that an integral over all depths may have lost


@dataclass(frozen=True, eq=False)
class Functional:
    """``values`` E (K, S) at depths t (K,), for every sample, with the identity dE/dt = −D.

    dissipation: D (K, S). spent: ∫_0^t D (K, S). rounding: what errors of the states can change of E (K, S).
    """

    name: str
    t: Array
    values: Array
    dissipation: Array
    spent: Array
    rounding: Array
    finding: Finding

    @property
    def rise(self) -> Array:
        """The largest growth of E from one depth to the next, beyond rounding, (S,); not above 0 where E falls."""
        steps = np.diff(self.values, axis=0) - self.rounding[1:] - self.rounding[:-1]
        return np.asarray(steps.max(axis=0, initial=-np.inf))

    @property
    def falls(self) -> bool:
        """E is monotone to rounding, for all samples."""
        return bool(np.all(self.rise <= 0.0))

    @property
    def residual(self) -> Array:
        """The largest |E(t) − E(0) + ∫_0^t D| by which the identity fails, (S,)."""
        return np.asarray(np.abs(self.values - self.values[0] + self.spent).max(axis=0))

    @property
    def rate(self) -> Array:
        """D/E (K, S), at which E decays; where E is quadratic in u, that of u is half of it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.dissipation / self.values


@dataclass(frozen=True, eq=False)
class Estimate:
    """``values`` (K, S) at depths t (K,) that the theorem bounds by ``bound`` (S,) for all times."""

    name: str
    t: Array
    values: Array
    bound: Array
    rounding: Array
    finding: Finding

    @property
    def holds(self) -> bool:
        """No value is above its bound, to rounding."""
        return bool(np.all(self.values <= self.bound + self.rounding))


@dataclass(frozen=True, eq=False)
class Lyapunov:
    """The four parts of Theorem 3.2.

    potential: (i) ∫Σ(u) falls. velocity: (ii) ∫_0^t ‖B_s^{½}σ(u)‖² is bounded by ∫Σ(u_I). energy: ½‖B^{½}f‖² − (a, f)
    falls, and (iii) size: ‖B^{½}f‖ + |(a, f)| ≤ K. work: (iv) ∫_0^t∫σ(u)u is bounded.
    """

    potential: Functional
    velocity: Estimate
    energy: Functional
    size: Estimate
    work: Estimate


def lyapunov(evolution: Evolution, *, tolerance: float = 1e-12) -> Lyapunov:
    """The functionals of Theorem 3.2 along an evolution of an autonomous flow, for all its samples.

    tolerance: of the integrator that gave the states, relative and absolute. Of a theorem whose hypotheses fail the
    functionals are given all the same. Raises InvalidInput where the flow has several layers or the first depth is
    missing, NotSupported where it is not ∂t f = σ(a − Bf).
    """
    autonomous("lyapunov", evolution.flow)
    from_start("lyapunov", evolution)
    along = _Along(evolution, tolerance)
    potential, energy = _potential(along), _energy(along)
    velocity = Estimate(
        "∫‖B_s^½ σ(u)‖² dt",
        along.t,
        potential.spent,
        potential.values[0],
        potential.rounding + along.integrals,
        Finding(
            f"{SOURCE} (ii)",
            (non_negative(along.B), sign(along.activation)),
            "∫‖B_s^½ σ(u)‖² dt is at most ∫Σ(u_I), for all times",
        ),
    )
    return Lyapunov(potential, velocity, energy, *_estimates(along, energy))


@dataclass(frozen=True, eq=False)
class _Along:
    """What the functionals share: f, u, σ(u) (K, S, M), errors of f and u, and the dissipated (2, K, S)."""

    evolution: Evolution
    tolerance: float

    @property
    def activation(self) -> Activation:
        return self.evolution.flow.activation

    @property
    def t(self) -> Array:
        return self.evolution.t

    @property
    def f(self) -> Array:
        return self.evolution.x

    @cached_property
    def B(self) -> KernelOperator:
        return self.evolution.flow.kernel_operator()

    @cached_property
    def a(self) -> Array:
        return self.evolution.flow.bias()

    @cached_property
    def u(self) -> Array:
        return self.evolution.preactivation

    @cached_property
    def sigma(self) -> Array:
        return np.asarray(self.activation(self.u))

    @cached_property
    def errors(self) -> tuple[Array, Array]:
        """Of f, by the tolerance, and of u, by those of f and rounding."""
        of_f = self.tolerance * (1.0 + np.abs(self.f))
        size = KernelOperator(np.abs(self.B.kernel), self.B.nodes)
        return of_f, size(of_f) + self.f.shape[-1] * EPS * (np.abs(self.a) + size(np.abs(self.f)))

    @cached_property
    def spent(self) -> Array:
        """∫_0^t (B_s σ, σ) and ∫_0^t ∫σ(u) u, (2, K, S)."""
        x0, flow, B = self.f[0], self.evolution.flow, self.B
        layer, (S, M) = flow.layer(0), x0.shape

        def rate(_: float, y: Array) -> Array:
            f = y[: S * M].reshape(S, M)
            u, velocity = layer.preactivation(f), np.asarray(layer(f))
            return np.concatenate([velocity.ravel(), B.inner(B(velocity), velocity), B.inner(velocity, u)])

        begin = np.concatenate([x0.ravel(), np.zeros(2 * S)])
        try:
            found = integrated(rate, float(flow.times[0]), float(flow.times[-1]), begin, self.tolerance)
        except NotFollowed as error:
            raise SweepFailed(f"lyapunov: from t = {error.reached:g} on the states change too fast.") from None
        return np.moveaxis(found.sol(self.t)[S * M :].reshape(2, S, -1), -1, 1)

    @property
    def integrals(self) -> Array:
        """What ∫_0^t may be wrong by, (K, S)."""
        return LOCAL * self.tolerance * (1.0 + np.abs(self.spent).max(axis=0))


def _potential(along: _Along) -> Functional:
    """(i)."""
    primitive, u, d = along.activation.primitive, along.u, along.errors[1]
    values = primitive(u)
    around = np.maximum(np.abs(primitive(u + d) - values), np.abs(primitive(u - d) - values))
    w = along.B.weights
    finding = Finding(f"{SOURCE} (i)", (non_negative(along.B),), "∫Σ(a − Bf) never grows")
    dissipation = along.B.inner(along.B(along.sigma), along.sigma)
    return Functional("∫Σ(a − Bf)", along.t, values @ w, dissipation, along.spent[0], around @ w, finding)


def _energy(along: _Along) -> Functional:
    """½(Bf, f) − (a, f)."""
    B, a, f, u = along.B, along.a, along.f, along.u
    d = along.errors[0]
    quadratic, linear = 0.5 * B.inner(B(f), f), B.inner(a, f)
    rounding = B.inner(np.abs(u), d) + 0.5 * B.spectral_norm * B.norm(d) ** 2
    rounding = rounding + f.shape[-1] * EPS * (np.abs(quadratic) + B.inner(np.abs(a), np.abs(f)))
    hypotheses = (sign(along.activation), symmetric(B), non_negative(B))
    finding = Finding(f"{SOURCE} (iii), its proof", hypotheses, "½‖B^½ f‖² − (a, f) never grows")
    dissipation = B.inner(along.sigma, u)
    return Functional("½‖B^½ f‖² − (a, f)", along.t, quadratic - linear, dissipation, along.spent[1], rounding, finding)


def _estimates(along: _Along, energy: Functional) -> tuple[Estimate, Estimate]:
    """(iii) and (iv), with α = ‖B^{−½}a‖ and the energy E: X = ‖B^{½}f‖ obeys ½X² − αX ≤ E(0), thus
    X ≤ R = α + √(α² + 2E(0)), |(a, f)| ≤ αR, and E ≥ −½α² whatever f.
    """
    B, a, f = along.B, along.a, along.f
    ranged, alpha = _in_root_range(B, a)
    hypotheses = (sign(along.activation), symmetric(B), non_negative(B), ranged)
    above = np.fmax(energy.values[0] + 0.5 * alpha**2, 0.0)
    reach = alpha + np.sqrt(2.0 * above)
    quadratic = np.fmax(B.inner(B(f), f), 0.0)
    size = Estimate(
        "‖B^½ f‖ + |(a, f)|",
        along.t,
        np.sqrt(quadratic) + np.abs(B.inner(a, f)),
        (1.0 + alpha) * reach,
        np.sqrt(2.0 * energy.rounding) + energy.rounding,
        Finding(f"{SOURCE} (iii)", hypotheses, "‖B^½ f‖ + |(a, f)| is at most K, for all times"),
    )
    work = Estimate(
        "∫∫σ(u) u dy dt",
        along.t,
        energy.spent,
        above,
        energy.rounding + along.integrals,
        Finding(f"{SOURCE} (iv)", hypotheses, "∫∫σ(u) u dy dt is bounded, for all times"),
    )
    return size, work


def _in_root_range(B: KernelOperator, a: Array) -> tuple[Hypothesis, float]:
    """Whether a ∈ R(B^{½}), by −‖a − Pa‖, and ‖B^{−½}Pa‖, P the projection onto R(B_s)."""
    root, symmetric_part = np.sqrt(B.weights), B.symmetric_part.matrix
    values, vectors = scipy.linalg.eigh(symmetric_part)
    kept = values > B.rounding
    parts = vectors.T @ (root * a)
    outside = float(np.linalg.norm(parts[~kept]))
    least = float(values[kept].min(initial=np.inf))
    slack = float(np.linalg.norm(parts)) * (a.size * EPS + (B.rounding / least if kept.any() else 0.0))
    inverse = float(np.sqrt(np.sum(parts[kept] ** 2 / values[kept])))
    return Hypothesis("a ∈ R(B^½)", -outside, slack=slack), inverse
