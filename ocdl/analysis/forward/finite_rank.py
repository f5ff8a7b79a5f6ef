"""Selection dynamics of kernels of finite rank, reduced to as many unknowns as the rank.

    B_k = Σ_l μ_l (ψ_l, ·) φ_l,   c_l = (ψ_l, f):   ċ_l = (ψ_l, σ(u)),   u = a − Σ_l μ_l c_l φ_l,

in every layer k. It is the system (3.5) for u = Σ_l u_l φ_l + Z, where Z, the part of a outside R(B), stays:
u_l = α_l − μ_l c_l with a = Σ_l α_l φ_l + Z. No M × M kernel is formed: a right-hand side costs O(rM). What f is on the
span of the ψ_l, c says; the rest is f_I + ∫ σ(u) dt, (3.3), along the solution's own interpolant.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Flow, begun, nodal_values, reported_depths
from ocdl.analysis.forward.crossing import crossed
from ocdl.analysis.forward.finite_rank_layer import FiniteRankLayer
from ocdl.analysis.steps import ExplicitStep, stepped
from ocdl.arrays import Array, finite_array
from ocdl.depth.schemes import DepthScheme, Tableau
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.activations import Activation
from ocdl.statement.times import check_horizon
from ocdl.statement.width import Nodes, Width


@dataclass(frozen=True, eq=False)
class ReducedEvolution:
    """States x (K, S, M) at depths t (K,) of a flow of finite rank; ``layer`` (K,): that which begins or goes on.

    apart: by how much (3.3) and c disagreed on the span of ψ, where both know f: ‖·‖ of the most.
    """

    flow: FiniteRankFlow
    t: Array
    x: Array
    layer: Any
    apart: float

    @property
    def preactivation(self) -> Array:
        """u = a − Bf, (K, S, M)."""
        layers = [self.flow.layers[k] for k in self.layer]
        return np.stack([one.preactivation(one.inner(x)) for one, x in zip(layers, self.x, strict=True)])

    @cached_property
    def truncation_bound(self) -> Array:
        """E (K, S): what ‖f − f_r‖ is at most, f with the kernels before they were cut.

        ‖e‖' ≤ L(‖B‖ ‖e‖ + μ_{r+1} ‖f_r‖), and from t_j on ‖f_r − f_r(t_j)‖ ≤ ‖σ(u(t_j))‖ (e^{λ(t − t_j)} − 1)/λ with
        λ = L‖B‖.
        """
        L, flow, E = self.flow.activation.lipschitz, self.flow, [np.zeros(self.x.shape[1])]
        speed = flow.activation(self.preactivation)
        for j, h in enumerate(np.diff(self.t)):
            layer = flow.layers[self.layer[j]]
            rate = L * layer.norm
            grown = np.expm1(rate * h) / rate if rate > 0.0 else h
            largest = flow.layers[0].length(self.x[j]) + flow.layers[0].length(speed[j]) * grown
            E.append(E[-1] * np.exp(rate * h) + L * layer.dropped * largest * grown)
        return np.stack(E)

    @property
    def truncation(self) -> Finding:
        """What Gronwall's inequality says of the kernels' cut, at the depths of this evolution.

        Of Euler's steps too: 1 + hλ ≤ e^{hλ}.
        """
        flow, layers = self.flow, self.flow.layers
        followed = Hypothesis.declared(
            "the layers are the equation, or Euler's steps", flow.scheme is None or len(flow.scheme.b) == 1
        )
        begins = Hypothesis.declared("the evolution is known from depth 0 and at every jump", self._covers)
        lipschitz = Hypothesis.declared(
            "σ is Lipschitz with a known constant", bool(np.isfinite(flow.activation.lipschitz))
        )
        most = float(np.max(self.truncation_bound)) if begins.holds and lipschitz.holds else np.nan
        return Finding(
            "Gronwall's inequality for (2.8) with kernels cut at rank r (Liu and Markowich, (3.1))",
            (lipschitz, begins, followed),
            f"μ_(r+1) ≤ {max(one.dropped for one in layers):.3e} and ‖f − f_r‖ ≤ {most:.3e} up to T = {self.t[-1]:g}",
        )

    @property
    def _covers(self) -> bool:
        return bool(np.all(np.isin(self.flow.times[:-1], self.t)))


@dataclass(frozen=True, eq=False)
class FiniteRankFlow:
    """The module's equation: ``layers`` on depths ``times`` (N+1,); nodes y, where the states are a function of y.

    scheme: an explicit tableau where the layers are its steps, as in a ResNet; None where they are the equation.
    """

    activation: Activation
    layers: tuple[FiniteRankLayer, ...]
    times: Array
    nodes: Nodes | None = None
    scheme: Tableau | None = None

    @classmethod
    def selection(
        cls,
        activation: Activation,
        bias: Callable[[Array], Any] | Any,
        mu: Any,
        phi: Callable[[Array], Any] | Any,
        psi: Callable[[Array], Any] | Any,
        width: Width,
        horizon: float,
        domain: Any = (0.0, 1.0),
    ) -> FiniteRankFlow:
        """∂t f = σ(a − Bf) on [0, horizon], autonomous. mu: (r,). phi, psi: functions of the nodes with values (r, M),
        or such arrays, linearly dependent or not. bias: a, a function of the nodes, (M,), or a number.
        """
        if not isinstance(width, Width):
            raise InvalidInput(f"FiniteRankFlow.selection(width={width!r}): give a quadrature, ocdl.GaussLegendre(24).")
        check_horizon(horizon)
        nodes = width.on(domain)
        factors = (nodal_values(name, given, nodes, rows=True) for name, given in (("phi", phi), ("psi", psi)))
        p, q = (np.atleast_2d(values)[None] for values in factors)
        a = nodal_values("bias", bias, nodes)[None]
        flow = cls.layered(activation, a, [np.atleast_1d(mu)], p, q, [0.0, horizon], weights=nodes.weights)
        return cls(flow.activation, flow.layers, flow.times, nodes)

    @classmethod
    def layered(
        cls,
        activation: Activation,
        bias: Any,
        mu: Any,
        phi: Any,
        psi: Any,
        times: Any,
        *,
        weights: Any = None,
        steps: DepthScheme | None = None,
    ) -> FiniteRankFlow:
        """ẋ = σ(a − Bx) with a in the rows of ``bias`` (N, M), ``mu`` (N, r) and ``phi``, ``psi`` (N, r, M) for layers
        between the depths ``times`` (N+1,). weights: of the inner product, 1 by default. steps: the explicit scheme
        whose steps the layers are, and not the equation.

        A network of ``ocdl.LowRankKernel``, ẋ = σ(UVᵀx + β), has a = β, μ = −1, φ = Uᵀ and ψ = Vᵀ.
        """
        _check_activation("layered", activation)
        a, p, q = (finite_array(name, given) for name, given in (("bias", bias), ("phi", phi), ("psi", psi)))
        t, m = finite_array("times", times), finite_array("mu", mu)
        if p.ndim != 3 or q.shape != p.shape or a.shape != (len(p), p.shape[2]) or p.shape[1] == 0:
            raise InvalidInput(
                "FiniteRankFlow: φ and ψ of one shape (N, r, M), r ≥ 1, and a of (N, M) are needed; got "
                f"φ {p.shape}, ψ {q.shape}, a {a.shape}."
            )
        N, r, M = p.shape
        w = np.ones(M) if weights is None else finite_array("weights", weights)
        m = np.broadcast_to(m, (N, r)) if m.ndim == 0 else m
        if m.shape != (N, r) or w.shape != (M,) or np.any(w <= 0.0):
            raise InvalidInput(
                f"FiniteRankFlow: μ of shape (N, r) = ({N}, {r}) and positive weights ({M},) are needed; got "
                f"μ {m.shape}, weights {w.shape}."
            )
        if t.shape != (N + 1,) or np.any(np.diff(t) <= 0.0):
            raise InvalidInput(f"FiniteRankFlow(times): {N + 1} depths that increase are needed; got {t}.")
        if steps is not None and not steps.tableau.explicit:
            raise NotSupported(f"FiniteRankFlow.layered(steps={steps!r}): it is implicit; its layers are equations.")
        layers = tuple(
            FiniteRankLayer(activation, *one, w) for one in zip(a, m, p.swapaxes(1, 2), q.swapaxes(1, 2), strict=True)
        )
        return cls(activation, layers, t, scheme=None if steps is None else steps.tableau)

    @classmethod
    def of(cls, flow: Flow, *, tolerance: float | None = None) -> FiniteRankFlow:
        """The flow of given kernels, or of a trained network of layers σ(a − Bf), by the singular systems of its B_k.

        tolerance: singular values up to tolerance·μ_1 are cut off; those of rounding, M ε μ_1, by default.
        ``ReducedEvolution.truncation`` says what that costs. Raises NotSupported for other layers.
        """
        if not isinstance(flow, Flow):
            raise InvalidInput(
                f"FiniteRankFlow.of({flow!r}): give a Flow, such as Flow.selection(activation, a, B, T)."
            )
        layers = []
        for k in range(flow.count):
            system = flow.kernel_operator(k).singular_system(tolerance)
            r = max(1, system.rank)  # of B = 0 the one μ is 0
            dropped = float(system.mu[r]) if r < system.mu.size else 0.0
            parts = (system.mu[:r], system.phi[:, :r], system.psi[:, :r])
            layers.append(
                FiniteRankLayer(flow.activation, flow.bias(k), *parts, flow.weights, float(system.mu[0]), dropped)
            )
        return cls(flow.activation, tuple(layers), flow.times, flow.nodes, flow.scheme)

    @property
    def rank(self) -> int:
        """The largest of the layers'."""
        return max(layer.mu.size for layer in self.layers)

    @property
    def weights(self) -> Array:
        return self.layers[0].weights

    def evolve(
        self, initial: Callable[[Array], Any] | Any, *, tolerance: float = 1e-12, times: Any = None
    ) -> ReducedEvolution:
        """The evolution from f_I (M,) or (S, M), or a function of the nodes, to the last depth, as ``Flow.evolve``'s.

        times: where to report; by default 50 depths in each layer. tolerance: of a step of the integrator, relative and
        absolute, and of ∫ σ(u) over it; taken again, more exactly, where ``apart`` tells that this did not do. Raises
        SweepFailed where it escapes.
        """
        f = begun(initial, self.nodes, self.weights.size, tolerance, times, self.scheme)
        if self.scheme is not None:
            return self._stepped(f)
        t = reported_depths(times, self.times)
        at = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, len(self.layers) - 1)
        x, apart = np.empty((t.size, *f.shape)), 0.0
        for k, layer in enumerate(self.layers):
            ends = (float(self.times[k]), float(self.times[k + 1]))
            here = (t >= ends[0]) & (t <= ends[1])
            x[here], f, by = crossed(layer, *ends, f, float(tolerance), t[here])
            apart = max(apart, by)
        return ReducedEvolution(self, t, x, at, apart)

    def _stepped(self, f: Array) -> ReducedEvolution:
        assert self.scheme is not None
        last, copies = len(self.layers) - 1, self.scheme.stages
        steps = zip(self.layers, np.diff(self.times), strict=True)
        x = stepped((ExplicitStep((layer.of_states,) * copies, self.scheme, float(h)) for layer, h in steps), f)
        return ReducedEvolution(self, self.times, x, np.minimum(np.arange(last + 2), last), 0.0)


def _check_activation(said: str, activation: Any) -> None:
    if not isinstance(activation, Activation):
        raise InvalidInput(f"FiniteRankFlow.{said}(activation={activation!r}): give an instance such as ocdl.Tanh().")
