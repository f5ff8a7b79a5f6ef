"""Local conditioning of forward propagation: what flows and networks do to small perturbations on their way.

    ẇ = φ'(x(t)) w,   w(t) = M(t, s) w(s),        (3.6), with φ' = −σ'(u)B of selection dynamics

along a trajectory x. The singular values of M say by how much a perturbation grows, its right singular functions which
one, and exp ∫ −m(−φ') ≤ ‖M w‖/‖w‖ ≤ exp ∫ m(φ') ≤ exp ∫ ‖φ'‖ with the logarithmic norm m, the largest eigenvalue of the
symmetric part. In a network of steps M is the product of its steps' own Jacobians J, and the bounds are Π σ_min(J),
Π ‖J‖ and Π (1 + ‖J − 1‖). Matrices are in coordinates √w∘f, whose inner product is Euclid's.
Sources: Liu and Markowich, section 3.5; Dahlquist (1958) for the logarithmic norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ocdl.analysis.conditioning.lipschitz import flow_bounds
from ocdl.analysis.conditioning.slopes import slope_range
from ocdl.analysis.conditioning.variational import (
    extreme_singular_values,
    log_norms,
    of_pieces,
    of_steps,
    pulled_back,
    weighted_energy,
)
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution
from ocdl.analysis.operators import Complex
from ocdl.arrays import Array, finite_array, fits_memory, is_real
from ocdl.errors import InvalidInput, NotSupported
from ocdl.tables import plain_table, plain_text


@dataclass(frozen=True, eq=False)
class Conditioning:
    """M(t_{i+1}, t_i) between the K depths of an evolution of S samples, ``pieces`` (K−1, S, n, n), and the logarithms
    of bounds on its singular values, (K−1, S): ``crude`` and ``upper`` from above, ``lower`` from below.
    """

    evolution: Evolution
    tolerance: float
    pieces: Array
    crude: Array
    upper: Array
    lower: Array

    @classmethod
    def along(cls, evolution: Evolution, *, tolerance: float = 1e-10) -> Conditioning:
        """Of a continuous flow by the variational equation, integrated beside the trajectory with this tolerance of a
        step, one sample after the other; of a network of steps from their Jacobians. Fewer depths cost less.
        """
        if not is_real(tolerance) or not 1e-14 <= tolerance < 1.0:
            raise InvalidInput(f"along(tolerance={tolerance!r}): a number from 1e-14 to 1 is needed.")
        (K, S, n), flow = evolution.x.shape, evolution.flow
        if K < 2:
            raise InvalidInput("along(evolution): two depths or more are needed; it has one.")
        fits_memory("along(evolution)", f"matrices of {K - 1} depths, {S} samples and {n} states", (K - 1) * S * n * n)
        found = of_steps(evolution) if flow.scheme is not None else of_pieces(evolution, tolerance)
        return cls(evolution, tolerance, *found)

    # -- what happens from depth to depth ------------------------------------------------------------

    def operator(self, end: int = -1, start: int = 0) -> Array:
        """M(t_end, t_start), (S, n, n), for numbers start ≤ end of depths."""
        K = len(self.evolution.t)
        if not (-K <= start < K and -K <= end < K and start % K <= end % K):
            raise InvalidInput(f"operator(end={end}, start={start}): numbers from 0 to {K - 1} are needed, rising.")
        *_, last = self._propagated(range(start % K, end % K))
        return last

    def singular_system(self, end: int = -1, start: int = 0) -> tuple[Array, Array, Array]:
        """What comes out, by how much it grew (S, n), and what went in, of M(t_end, t_start): w = functions (S, n, n)
        of unit norm, a column each, from the one that grows most.
        """
        left, values, right = np.linalg.svd(self.operator(end, start))
        root = np.sqrt(self.evolution.flow.weights)[:, None]
        return left / root, values, right.swapaxes(-1, -2) / root

    @cached_property
    def extremes(self) -> Array:
        """The largest and the smallest singular value of M(t_i, t_0), (K, S, 2): the growth of what enters first."""
        return np.stack([extreme_singular_values(M) for M in self._propagated(range(len(self.pieces)))])

    @cached_property
    def remaining(self) -> Array:
        """‖M(t_K, t_i)‖, (K, S): by how much what enters at t_i can still grow."""
        n, found = self.pieces.shape[-1], []
        M = np.broadcast_to(np.eye(n), self.pieces.shape[1:])
        for piece in self.pieces[::-1]:
            found.append(extreme_singular_values(M)[:, 0])
            M = M @ piece
        return np.stack([*found, extreme_singular_values(M)[:, 0]])[::-1]

    @property
    def bounds(self) -> tuple[Array, Array, Array]:
        """exp of the integrals up to each depth, or products: crude, upper and lower, (K, S) each."""
        crude, upper, lower = (
            np.exp(np.concatenate([np.zeros((1, log.shape[1])), np.cumsum(log, axis=0)]))
            for log in (self.crude, self.upper, self.lower)
        )
        return crude, upper, lower

    # -- what is frozen at each depth ----------------------------------------------------------------

    @cached_property
    def linearisations(self) -> Array:
        """φ'(x(t_i)) of the layer that begins or goes on there, (K, S, n, n)."""
        e = self.evolution
        return np.stack([e.flow.linearised(k, x) for k, x in zip(e.layer, e.x, strict=True)])

    @cached_property
    def eigenvalues(self) -> Complex:
        """Of −σ'(u)B, frozen, (K, S, n), by real part from the largest: stable to the eye where all are negative."""
        found = np.linalg.eigvals(self.linearisations).astype(complex)
        return np.take_along_axis(found, np.argsort(-found.real, axis=-1, kind="stable"), axis=-1)

    @cached_property
    def log_norms(self) -> Array:
        """m(φ'), (K, S): the rate at which the worst perturbation of this depth grows, the numerical abscissa."""
        return log_norms(self.linearisations)[1]

    def operator_bounds(self) -> Array:
        """sup |σ'| ‖b‖ in L²(Y × Y), which ‖σ'(u)B‖ never exceeds, of the layer at each depth, (K,).

        Raises NotSupported where the layers are not σ(a − Bf). Source: Liu and Markowich, section 3.5.
        """
        flow, steepest = self.evolution.flow, np.max(np.abs(slope_range(self.evolution.flow.activation)))
        return np.array([steepest * flow.kernel_operator(int(k)).hilbert_schmidt_norm for k in self.evolution.layer])

    # -- beside the theory ----------------------------------------------------------------------------

    def backward(self) -> Array:
        """Mᵀ(t_K, t_0), (S, n, n), of the adjoint equation ṗ = −φ'ᵀp, integrated by itself from the last depth back."""
        e = self.evolution
        P = np.broadcast_to(np.eye(e.x.shape[-1]), (e.x.shape[1], *(e.x.shape[-1],) * 2)).copy()
        if e.flow.scheme is not None:
            root = np.sqrt(e.flow.weights)
            rows = P * root  # a row each of p in Euclid's coordinates is w p in those of the states
            for step, x in reversed(list(zip(e.flow.steps(), e.x[:-1], strict=True))):
                rows = step.pulled_back(x[:, None], rows)
            return np.asarray(rows / root).swapaxes(-1, -2)
        for i in reversed(range(len(e.t) - 1)):
            for s in range(len(P)):
                P[s] = pulled_back(e.flow, float(e.t[i]), float(e.t[i + 1]), e.x[i, s], P[s], self.tolerance)
        return P

    @cached_property
    def finite(self) -> Array:
        """Bounds (K,) on the growth from the flow's beginning of changes of any size: Lipschitz constants of it all.

        Raises NotSupported where the slopes of σ are not known.
        """
        flow = self.evolution.flow
        return np.asarray(np.exp(np.interp(self.evolution.t, flow.times, np.log(flow_bounds(flow)))))

    def growth(self, change: Any) -> Array:
        """‖x̃(t) − x(t)‖ / ‖change‖, (K, S), of the evolution x̃ that begins at x_0 + change, (n,) or (S, n).

        It is at most ``finite``; of small changes at most the largest singular value.
        """
        e, flow = self.evolution, self.evolution.flow
        if e.t[0] != flow.times[0]:
            raise InvalidInput(f"growth: an evolution from depth {flow.times[0]:g} on is needed; got {e.t[0]:g}.")
        delta = np.broadcast_to(finite_array("growth(change)", change), e.x[0].shape)
        if not np.all(flow.norm(delta) > 0.0):
            raise InvalidInput("growth(change): a change that is not 0 is needed of each sample.")
        other = flow.evolve(e.x[0] + delta, times=None if flow.scheme is not None else e.t)
        return np.asarray(flow.norm(other.x - e.x) / flow.norm(delta))

    def weighted_energy(self, change: Any) -> tuple[Array, Array]:
        """E = ½ ∫ w²/σ'(u) dy of w(t_0) = change, (n,), and Ė = −(Bw, w) − ½ ∫ σ''(u) u_t w²/σ'(u)² dy, (K, S) each.

        B of a layer is constant in it. Raises NotSupported where the layers are not σ(a − Bf), or are steps.
        Source: Liu and Markowich, section 3.5, which prints σ''u(t) for σ''u_t.
        """
        e, flow = self.evolution, self.evolution.flow
        if flow.scheme is not None:
            raise NotSupported("weighted_energy: an equation in depth is needed; these layers are steps.")
        root = np.sqrt(flow.weights)
        w0 = root * finite_array("weighted_energy(change)", change)
        w = np.stack([M @ w0 for M in self._propagated(range(len(self.pieces)))]) / root
        rates = [weighted_energy(flow, int(k), x, wt) for k, x, wt in zip(e.layer, e.x, w, strict=True)]
        energy, rate = np.stack(rates, axis=1)
        return energy, rate

    # -- what is found ----------------------------------------------------------------------------------

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the logarithmic norm proves of these trajectories, and whether adjoint and forward agree."""
        worst, largest = float(np.max(self.upper)), float(np.max(self.extremes[..., 0]))
        forward, back = (np.linalg.svd(M, compute_uv=False) for M in (self.operator(), self.backward()))
        apart = float(np.max(np.abs(forward - back) / forward[:, :1]))
        slack = 100 * self.tolerance
        return (
            Finding(
                "What never grows (Dahlquist 1958, of Liu and Markowich (3.6))",
                (Hypothesis("in no piece a perturbation can grow", -worst, slack=slack),),
                f"no small perturbation of these trajectories grows; the largest ever was {largest:.6g} times itself",
            ),
            Finding(
                "Backward conditioning is forward conditioning (Liu and Markowich, section 3.5)",
                (Hypothesis("the adjoint's singular values are those of M", -apart, slack=slack),),
                f"what is propagated back grows by as much as what goes forward, up to {forward.max():.6g}",
            ),
            Finding(
                "Growth of small perturbations (Liu and Markowich, section 3.5; Dahlquist 1958)",
                (
                    Hypothesis.declared("σ is C²", self.evolution.flow.activation.smooth),
                    Hypothesis("no piece escapes its bound", -self._escape, slack=slack),
                ),
                f"they grow by {largest:.6g} at most, within {self.bounds[1].max():.6g} and {self.bounds[0].max():.6g}",
            ),
        )

    def __str__(self) -> str:
        """Layer by layer, the worst of all samples."""
        e, (_, upper, lower) = self.evolution, self.bounds
        table = plain_table()
        for name in ("layer", "t", "Re λ", "m(φ')", "‖φ'‖", "least σ", "largest σ", "bounds", "to come"):
            table.add_column(name, justify="right")
        norms = np.linalg.norm(self.linearisations, 2, axis=(-2, -1))
        begins = np.flatnonzero(np.diff(e.layer, prepend=-1))
        for i in [*begins, *([] if begins[-1] == len(e.t) - 1 else [len(e.t) - 1])]:
            figures = [self.eigenvalues[i].real.max(), self.log_norms[i].max(), norms[i].max()]
            growth = [self.extremes[i, :, 1].min(), self.extremes[i, :, 0].max()]
            table.add_row(
                *(str(int(e.layer[i])) if i in begins else "end", f"{e.t[i]:g}"),
                *(f"{value:.3f}" for value in [*figures, *growth]),
                *(f"{lower[i].min():.3g} … {upper[i].max():.3g}", f"{self.remaining[i].max():.3f}"),
            )
        return plain_text([table, *(f"{one.theorem}: {one.says}." for one in self.findings)])

    @property
    def _escape(self) -> float:
        """By how much log ‖M‖ exceeds its bounds in any piece."""
        with np.errstate(divide="ignore"):
            largest, least = np.moveaxis(np.log(extreme_singular_values(self.pieces)), -1, 0)
        beyond = np.maximum(largest - self.upper, np.where(least > -np.inf, self.lower - least, 0.0))
        return float(np.max(beyond))

    def _propagated(self, pieces: range) -> Iterator[Array]:
        """M from the first depth of these pieces to each, itself first."""
        M = np.broadcast_to(np.eye(self.pieces.shape[-1]), self.pieces.shape[1:])
        yield M
        for i in pieces:
            M = self.pieces[i] @ M
            yield M
