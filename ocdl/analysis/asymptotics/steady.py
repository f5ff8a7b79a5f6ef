"""Steady states of ∂t f = σ(a − Bf), and the other equilibria of u = a − Bf, at which f grows for ever.

    Bf∞ = a,   ∂t u = −Bσ(u),   σ(u_e) ∈ N(B),  u_e − a ∈ R(B)  ⇒  f(t) = f_I + tσ(u_e),  Bf_I = a − u_e.

R(B) and N(B) are those of the singular system by weighted SVD, with its stated rank.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", sections 3.2 and 3.3, Lemma 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ocdl.analysis.asymptotics.origin import ROUNDING, Origin
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Flow
from ocdl.analysis.hypotheses import sign, symmetric
from ocdl.analysis.operators import KernelOperator, SingularSystem
from ocdl.arrays import Array, finite_array, is_real, is_whole
from ocdl.errors import InvalidInput

SOURCE = "Liu and Markowich"
SCALES = (0.1, 0.5, 1.0, 2.0, 5.0)  # sizes of u from which equilibria are looked for
REACH, HALVINGS = 1e6, 80  # where σ is inverted, by bisection to rounding
APART = 1e-6  # two equilibria are one where they are closer, relative to their size


@dataclass(frozen=True, eq=False)
class Preimage:
    """f (M,) of least norm that brings Bf nearest to g; its ``coefficients`` (φ_l, g)/μ_l (rank,) in ψ_l; ‖g − Bf‖.

    g ∈ R(B) is accepted where (B + E)f = g for an E no larger than what the rank decision takes for zero, up to
    ``slack`` therefore. Coefficients that grow with l say that no f in L²(Y) does it (Picard's criterion).
    """

    f: Array
    coefficients: Array
    residual: float
    slack: float

    @classmethod
    def of(cls, operator: KernelOperator, system: SingularSystem, g: Array, error: float | None = None) -> Preimage:
        """error: what g may be off by, in norm; M ε ‖g‖ by default."""
        r = system.rank
        coefficients = operator.inner(system.range.T, g) / system.mu[:r]
        f = system.psi[:, :r] @ coefficients
        own = g.size * ROUNDING * float(operator.norm(g)) if error is None else error
        slack = system.cut * float(operator.norm(f)) + own
        return cls(f, coefficients, float(operator.norm(g - operator(f))), slack)

    def exists(self, said: str) -> Hypothesis:
        """That g, which is called ``said``, lies in R(B)."""
        return Hypothesis(f"{said} ∈ R(B), by −‖residual‖", 0.0 - self.residual, slack=self.slack)


@dataclass(frozen=True, eq=False)
class SteadyStates:
    """f∞ + N(B): ``least_norm`` f∞ (M,), ``null_space`` (M, M − rank), orthonormal functions a column each.

    Where a ∉ R(B) f∞ is no steady state, but what brings Bf nearest to a; ``residual`` is ‖a − Bf∞‖. finding: that
    these are all, for which σ must vanish at 0 alone; those of ReLU rest wherever a ≤ Bf.
    """

    preimage: Preimage
    system: SingularSystem
    origin: Origin
    inside: Hypothesis
    finding: Finding

    @property
    def exist(self) -> bool:
        """f∞ is one: a ∈ R(B) and σ(0) = 0."""
        return self.inside.holds and self.origin.vanishes.holds

    @property
    def none(self) -> bool:
        """No state is steady: a ∉ R(B), and σ vanishes at 0 alone."""
        alone = self.origin.vanishes.holds and self.origin.vanishes_there_alone.holds
        return alone and not self.inside.holds

    @property
    def least_norm(self) -> Array:
        return self.preimage.f

    @property
    def null_space(self) -> Array:
        return self.system.null_space

    @property
    def residual(self) -> float:
        return self.preimage.residual

    @property
    def unique(self) -> bool:
        return self.finding.applies and self.null_space.shape[1] == 0


def operator_of(flow: Flow, layer: int) -> KernelOperator:
    """B of a layer, counted from 0, or from the last, −1, backwards."""
    if not is_whole(layer) or not -flow.count <= layer < flow.count:
        raise InvalidInput(f"layer={layer!r}: a whole number up to {flow.count - 1}, or from −{flow.count}, is needed.")
    return flow.kernel_operator(layer)


def steady_states(flow: Flow, *, layer: int = -1, tolerance: float | None = None) -> SteadyStates:
    """Those of a layer σ(a − Bf) of a flow, by default its last. tolerance: as of ``singular_system``."""
    operator, origin = operator_of(flow, layer), Origin.of(flow.activation)
    system = operator.singular_system(tolerance)
    found = Preimage.of(operator, system, flow.bias(layer))
    inside, free = found.exists("a"), system.null_space.shape[1]
    finding = Finding(
        f"steady states of f_t = σ(a − Bf): {SOURCE}, section 3.2",
        (origin.vanishes, origin.vanishes_there_alone, inside),
        f"f∞ + N(B) are the steady states, of {free} dimensions" if free else "f∞ is the only steady state",
    )
    return SteadyStates(found, system, origin, inside, finding)


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """u_e (M,) of ∂t u = −Bσ(u), the ``velocity`` σ(u_e), and ``initial``, the f_I of least norm with Bf_I = a − u_e.

    growing: that f_I + tσ(u_e) solves the equation of f. lemma: Lemma 3.3. residual: ‖Bσ(u_e)‖.
    """

    u: Array
    velocity: Array
    initial: Array
    residual: float
    growing: Finding
    lemma: Finding

    def solution(self, t: Any) -> Array:
        """f = f_I + tσ(u_e) at depths t (K,), (K, M)."""
        return np.asarray(self.initial + np.multiply.outer(np.asarray(t, dtype=float), self.velocity))

    @property
    def product(self) -> float:
        """max |u_e σ(u_e)|, 0 by Lemma 3.3."""
        return float(np.max(np.abs(self.u * self.velocity)))


def equilibrium(flow: Flow, u: Any, *, layer: int = -1, tolerance: float = 1e-10) -> Equilibrium:
    """What theory says of u_e, a function at the nodes, (M,). tolerance: the error of u_e, relative to 1 + ‖u_e‖."""
    if not is_real(tolerance) or not 0.0 <= tolerance < 1.0:
        raise InvalidInput(f"equilibrium(tolerance={tolerance!r}): a number from 0 to below 1 is needed.")
    operator, u = operator_of(flow, layer), finite_array("equilibrium(u)", u)
    if u.shape != flow.weights.shape:
        raise InvalidInput(f"equilibrium(u): shape {flow.weights.shape} is needed; got {u.shape}.")
    system, velocity = operator.singular_system(), np.asarray(flow.activation(u))
    error = float(tolerance) * (1.0 + float(operator.norm(u)))
    residual = float(operator.norm(operator(velocity)))
    rests = Hypothesis("σ(u_e) ∈ N(B), by −‖Bσ(u_e)‖", 0.0 - residual, slack=error * operator.spectral_norm)
    start = Preimage.of(operator, system, flow.bias(layer) - u, error)
    growing = Finding(
        f"growing solutions: {SOURCE}, section 3.3",
        (rests, start.exists("u_e − a")),
        "f = f_I + tσ(u_e) solves f_t = σ(a − Bf) where Bf_I = a − u_e",
    )
    return Equilibrium(
        u, velocity, start.f, residual, growing, _lemma(operator, system, sign(flow.activation), u, rests, error)
    )


def equilibrium_of(flow: Flow, velocity: Any, *, layer: int = -1, tolerance: float = 1e-10) -> Equilibrium:
    """That of given σ(u_e) (M,): any function in N(B) with values between those of σ makes one, u_e = σ^{−1}(velocity).

    Solutions have it only where u_e − a ∈ R(B), as for a = u_e. σ must increase.
    """
    v, sigma = finite_array("equilibrium_of(velocity)", velocity), flow.activation
    low, high = np.full(v.shape, -REACH), np.full(v.shape, REACH)
    if not sigma.increasing or np.any(sigma(low) >= v) or np.any(sigma(high) <= v):
        raise InvalidInput(
            f"equilibrium_of(velocity): an increasing σ with values below {v.min():g} and above {v.max():g} is needed, "
            f"within |s| ≤ {REACH:g}; got {sigma!r}."
        )
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = np.asarray(sigma(middle)) > v
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return equilibrium(flow, 0.5 * (low + high), layer=layer, tolerance=tolerance)


def _lemma(
    operator: KernelOperator, system: SingularSystem, signs: Hypothesis, u: Array, rests: Hypothesis, error: float
) -> Finding:
    inside = Preimage.of(operator, system, u, error)
    return Finding(
        f"Lemma 3.3: {SOURCE}, section 3.3",
        (symmetric(operator), signs, rests, inside.exists("u_e")),
        "u_e σ(u_e) = 0 throughout",
    )


def equilibria(
    flow: Flow, *, layer: int = -1, starts: int = 50, seed: int = 0, tolerance: float = 1e-10
) -> tuple[Equilibrium, ...]:
    """Those of ∂t u = −Bσ(u) in a + R(B), which solutions f have, by size; a search, which may miss some.

    With u = a + Σ c_l φ_l they are the roots c of (ψ_l, σ(u)), as many as the rank, looked for by Powell's hybrid
    method from c = 0 and from so many random starts. u_e = 0 is among them where there are steady states.
    """
    if not is_whole(starts) or starts < 0:
        raise InvalidInput(f"equilibria(starts={starts!r}): a whole number, at least 0, is needed.")
    operator, a = operator_of(flow, layer), flow.bias(layer)
    system = operator.singular_system()
    phi, psi, r = system.range, operator.weights[:, None] * system.psi[:, : system.rank], system.rank
    foot = a - phi @ operator.inner(phi.T, a)

    def value(c: Array) -> Array:
        return np.asarray(psi.T @ flow.activation(foot + phi @ c))

    def slope(c: Array) -> Array:
        u = foot + phi @ c
        return np.asarray(psi.T @ (flow.activation.derivative(u, np.asarray(flow.activation(u)))[:, None] * phi))

    random = np.random.default_rng(seed).standard_normal((starts, r)) * np.resize(SCALES, starts)[:, None]
    found: list[Equilibrium] = []
    for c in np.vstack([np.zeros(r), random]) if r else ():
        root = scipy.optimize.root(value, c, jac=slope, options={"xtol": 1e-15})
        one = equilibrium(flow, foot + phi @ root.x, layer=layer, tolerance=tolerance)
        far = all(operator.norm(one.u - other.u) > APART * (1.0 + operator.norm(one.u)) for other in found)
        if far and one.growing.applies:
            found.append(one)
    return tuple(sorted(found, key=lambda one: float(operator.norm(one.u))))
