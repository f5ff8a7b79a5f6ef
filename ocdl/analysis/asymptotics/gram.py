"""Theorem 3.4: local exponential stability of u = 0 by the generalised Gram matrix of B, and the rates of it.

    B = Σ_l μ_l (ψ_l, ·) φ_l,  D = diag(μ),  T = ((φ_l, ψ_n)),   (Bf, f) = Σ f_l (DT)_ln f_n  for f = Σ f_l ψ_l.

Linearised at 0, u = Σ c_l φ_l obeys ċ = −σ'(0) D Tᵀ c, and the part w of f − f∞ in N(B)^⊥, c = −Dw, ẇ = −σ'(0) TᵀD w.
All of DT, D Tᵀ and TᵀD have the same eigenvalues; λ_min of the symmetric part of DT is that of TᵀD. Thus ‖w‖ falls
from the first moment on at least at the rate σ'(0) λ_min, and both ‖w‖ and ‖u‖ in the end at σ'(0) min Re ω.

Two remarks on the source. Its Lyapunov function ∫Σ(u) dy ≈ ½ σ'(0) ‖u‖² falls near 0 if D Tᵀ is positive definite, not
DT, which makes ‖w‖² one instead: the theorem stands. And B_s ≥ 0 needs more than DT ≥ 0 where B has a null space, as
(Bf, f) has further terms if f has a part in N(B).
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.analysis.asymptotics.origin import Origin
from ocdl.analysis.asymptotics.spectrum import Spectrum, gram_matrix, least_singular
from ocdl.analysis.asymptotics.stability import NONE, equation
from ocdl.analysis.asymptotics.steady import SOURCE, Preimage
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.operators import Complex, SingularSystem
from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class GramStability:
    """The singular system of B, ``gram`` T (r, r), the ``spectrum`` of D Tᵀ, modes c of u, and what Theorem 3.4 finds.

    linearised: what the linear equation itself needs, and the theorem besides.
    """

    system: SingularSystem
    gram: Array
    spectrum: Spectrum
    slope: float
    linearised: Finding
    finding: Finding

    @property
    def DT(self) -> Array:
        return np.asarray(self.system.mu[: self.system.rank, None] * self.gram)

    @property
    def eigenvalues(self) -> Complex:
        """Of σ'(0)DT, (r,), by real part from the least: those of σ'(0)B on R(B)."""
        return self.slope * self.spectrum.values

    @property
    def symmetric(self) -> Array:
        """Eigenvalues of the symmetric part of σ'(0)DT, (r,), from the least."""
        return np.asarray(self.slope * np.linalg.eigvalsh(0.5 * (self.DT + self.DT.T)))

    @property
    def guaranteed(self) -> float:
        """The rate that (b) gives, σ'(0) λ_min of DT; no guarantee where it is not positive."""
        return float(np.min(self.symmetric, initial=np.inf))

    @property
    def of_primitive(self) -> float:
        """λ_min of the symmetric part of σ'(0) D Tᵀ: ∫Σ(u) dy falls near u = 0 where it is positive."""
        DTt = self.system.mu[: self.system.rank, None] * self.gram.T
        return float(self.slope * np.min(np.linalg.eigvalsh(0.5 * (DTt + DTt.T)), initial=np.inf))

    @property
    def rate(self) -> float:
        """The exact rate of the linear equation, σ'(0) min Re ω ≥ ``guaranteed``; 0 within rounding."""
        return self.slope * self.spectrum.rate

    @property
    def verdict(self) -> str:
        """Of u = 0 in R(B), by the linear equation; "none" where there is nothing to linearise.

        It may be "asymptotically stable" where the theorem says nothing, as DT need not be positive definite for that.
        """
        return self.spectrum.verdict if self.linearised.applies else NONE


def gram_stability(flow: Flow, *, layer: int = -1, tolerance: float | None = None) -> GramStability:
    """Theorem 3.4 for a layer σ(a − Bf), by default the last. tolerance: as of ``singular_system``."""
    operator, origin = equation(flow, layer), Origin.of(flow.activation)
    system = operator.singular_system(tolerance)
    T, mu = gram_matrix(system), system.mu[: system.rank, None]
    DT = mu * T
    least, zero = least_singular(system)
    definite = float(np.min(np.linalg.eigvalsh(0.5 * (DT + DT.T)), initial=np.inf))
    needed = (*origin.linearised, Preimage.of(operator, system, flow.bias(layer)).exists("a"))
    spectrum = Spectrum.of(mu * T.T, operator.rounding)
    finding = Finding(
        f"Theorem 3.4: {SOURCE}, section 3.3",
        (
            *needed,
            Hypothesis("(a) T is invertible, by its least singular value", least, least=zero),
            Hypothesis("(b) DT > 0, by λ_min of its symmetric part", definite, least=operator.rounding),
        ),
        "u = 0 is locally asymptotically stable, and u(t) converges exponentially",
    )
    linearised = Finding(f"(3.5), linearised: {SOURCE}, section 3.3", needed, spectrum.verdict)
    return GramStability(system, T, spectrum, origin.slope, linearised, finding)


def measured_rate(evolution: Evolution, *, tail: float = 0.25, floor: float = 1e-9) -> Array:
    """−d/dt log ‖u‖ of every sample, (S,), by a straight line over the last part of the evolution.

    floor: depths at which ‖u‖ is below are left out, as u is one of errors of the integrator there. tail: the share of
    the horizon, up to the last depth that is not. NaN where fewer than two are left.
    """
    for name, value, most in (("tail", tail, 1.0), ("floor", floor, np.inf)):
        if not is_real(value) or not 0.0 < value <= most:
            raise InvalidInput(f"measured_rate({name}={value!r}): a number above 0, up to {most:g}, is needed.")
    sizes = evolution.flow.norm(evolution.preactivation)
    return np.array([_slope(evolution.t, column, tail, floor) for column in sizes.T])


def _slope(t: Array, sizes: Array, tail: float, floor: float) -> float:
    above = np.flatnonzero(sizes > floor)
    kept = above[t[above] >= t[above[-1]] - tail * (t[above[-1]] - t[0])] if above.size else above
    if kept.size < 2:
        return float("nan")
    return float(-np.polyfit(t[kept] - t[kept[0]], np.log(sizes[kept]), 1)[0])
