"""Linear stability of the steady states of ∂t f = σ(a − Bf), and of the limit of a network whose layers settle.

    w_t = −σ'(0) B w:   modes e^{−ωt} φ of the eigenpairs (ω, φ) of σ'(0)B.

Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 3.2 and Remark 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.analysis.asymptotics.origin import ROUNDING, Origin
from ocdl.analysis.asymptotics.spectrum import Spectrum
from ocdl.analysis.asymptotics.steady import SOURCE, SteadyStates, operator_of, steady_states
from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.flow import Flow
from ocdl.analysis.hypotheses import non_negative, symmetric
from ocdl.analysis.operators import Complex, KernelOperator
from ocdl.arrays import Array, is_real
from ocdl.errors import InvalidInput, NotSupported

NONE = "none"


@dataclass(frozen=True, eq=False)
class LinearStability:
    """Of f∞: ``spectrum`` of B, σ'(0), λ_min of B_s, and a ``Finding`` for each statement of section 3.2.

    linearised: what the equation w_t = −σ'(0)Bw itself needs, a steady state and a derivative of σ there.
    """

    operator: KernelOperator
    steady: SteadyStates
    spectrum: Spectrum
    slope: float
    linearised: Finding
    findings: tuple[Finding, ...]

    @property
    def eigenvalues(self) -> Complex:
        """ω of σ'(0)B, (M,), by real part from the least."""
        return self.slope * self.spectrum.values

    @property
    def modes(self) -> Complex:
        """φ of each ω, (M, M), values at the nodes a column each, ‖φ‖ = 1."""
        return self.spectrum.vectors

    @property
    def verdict(self) -> str:
        """ "asymptotically stable", "stable" or "unstable"; "none" where there is nothing to linearise."""
        return self.spectrum.verdict if self.linearised.applies else NONE

    @property
    def rate(self) -> float:
        """min Re ω: w decays as e^{−rate t}, or grows where it is negative; 0 within rounding."""
        return self.slope * self.spectrum.rate

    @property
    def least_symmetric(self) -> float:
        """λ_min of σ'(0)B_s: ‖w(t)‖ ≤ e^{−λ_min t} ‖w(0)‖ from the first moment on."""
        return self.slope * self.operator.least_symmetric

    def __str__(self) -> str:
        return "\n".join([f"verdict: {self.verdict}; rate {self.rate:.6g}", *map(str, self.findings)])


def linear_stability(flow: Flow, *, layer: int = -1, tolerance: float | None = None) -> LinearStability:
    """Of the steady states of a layer σ(a − Bf), by default the last. tolerance: as of ``singular_system``."""
    operator, origin = equation(flow, layer), Origin.of(flow.activation)
    steady = steady_states(flow, layer=layer, tolerance=tolerance)
    spectrum = Spectrum.of_operator(operator, steady.system)
    needed = (*origin.linearised, steady.inside)
    linearised = Finding(f"w_t = −σ'(0)Bw: {SOURCE}, section 3.2", needed, spectrum.verdict)
    findings = _findings(operator, spectrum, needed)
    return LinearStability(operator, steady, spectrum, origin.slope, linearised, findings)


def equation(flow: Flow, layer: int) -> KernelOperator:
    """B of a layer. Raises NotSupported where it is a step of a scheme, of which Re ω says something else."""
    if flow.scheme is not None:
        raise NotSupported(
            "stability is asked of the equation ∂t f = σ(a − Bf), and these layers are steps of a scheme; "
            "Flow.of(..., steps=False) reads them as the equation."
        )
    return operator_of(flow, layer)


def _findings(operator: KernelOperator, spectrum: Spectrum, needed: tuple[Hypothesis, ...]) -> tuple[Finding, ...]:
    """What section 3.2 concludes from an eigenvalue, from B_s and from a symmetric B."""
    rounding, off = operator.rounding, np.where(spectrum.on_axis, 0.0, spectrum.values.real)
    on = Hypothesis.declared("an eigenvalue of B has real part 0, to rounding", bool(np.any(spectrum.on_axis)))
    lacks = Hypothesis.declared("one of real part 0 has too few eigenvectors", spectrum.defective)
    return tuple(
        Finding(f"{name}: {SOURCE}, section 3.2", (*needed, *own), conclusion)
        for name, own, conclusion in (
            (
                "instability",
                (Hypothesis("an eigenvalue of B has real part < 0, by −Re ω", 0.0 - float(off.min()), least=ROUNDING),),
                "perturbations grow exponentially",
            ),
            ("no asymptotic stability", (on,), "some perturbations do not decay"),
            ("no stability", (on, lacks), "some perturbations grow as a power of t"),
            ("stability", (non_negative(operator),), "no perturbation grows: ‖w(t)‖ ≤ ‖w(0)‖"),
            (
                "asymptotic stability",
                (
                    symmetric(operator),
                    Hypothesis("all eigenvalues of B are > 0, by the least", float(off.min()), least=rounding),
                ),
                "every perturbation decays",
            ),
        )
    )


@dataclass(frozen=True, eq=False)
class Settling:
    """a∞ and b∞ of a network that settles, taken from its last layer, and the linear stability of their steady states.

    of_bias, of_kernel: ‖a_k − a∞‖ and ‖b_k − b∞‖ in L² of every layer, (N,), relative to the largest ‖a_k‖ and ‖b_k‖.
    first: the layer from which on they are judged. drift: the largest of both from there on.
    """

    of_bias: Array
    of_kernel: Array
    first: int
    stability: LinearStability
    finding: Finding

    @property
    def drift(self) -> float:
        return float(max(self.of_bias[self.first :].max(), self.of_kernel[self.first :].max()))


def settling(flow: Flow, *, tail: float = 0.25, tolerance: float = 0.05) -> Settling:
    """Remark 3.1 of a network of layers σ(a − Bf): whether its last layers have settled, and what then is said of it.

    tail: the share of the horizon, at its end, over which a and b must stay within ``tolerance`` of a∞ and b∞. That
    they would go on so beyond the horizon is not known of a finite network, and stays the reader's assumption.
    """
    for name, value in (("tail", tail), ("tolerance", tolerance)):
        if not is_real(value) or not 0.0 < value <= 1.0:
            raise InvalidInput(f"settling({name}={value!r}): a number above 0 and up to 1 is needed.")
    stability = linear_stability(flow)
    operators = [flow.kernel_operator(k) for k in range(flow.count)]
    a, b = (np.stack(rows) for rows in zip(*((flow.bias(k), o.matrix) for k, o in enumerate(operators)), strict=True))
    of_bias, of_kernel = _distances(np.sqrt(flow.weights) * a), _distances(b.reshape(flow.count, -1))
    begin = flow.times[-1] - tail * (flow.times[-1] - flow.times[0])
    first = int(min(np.searchsorted(flow.times, begin), flow.count - 1))
    drift = float(max(of_bias[first:].max(), of_kernel[first:].max()))
    told = Hypothesis("the last layers have settled, by −drift", 0.0 - drift, slack=tolerance)
    known = Hypothesis.declared("more than one layer is judged", flow.autonomous or flow.count - first > 1)
    finding = Finding(
        f"Remark 3.1: {SOURCE}, section 3.2",
        (told, known, *stability.linearised.hypotheses),
        f"for a∞ and b∞ the steady states are {stability.verdict}",
    )
    return Settling(of_bias, of_kernel, first, stability, finding)


def _distances(rows: Array) -> Array:
    """Of every row from the last, relative to the largest norm of a row."""
    largest = float(np.max(np.linalg.norm(rows, axis=1)))
    return np.asarray(np.linalg.norm(rows - rows[-1], axis=1) / (largest or 1.0))
