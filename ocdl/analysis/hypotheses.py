"""Hypotheses that several theorems of the forward theory share, measured.

Source: Liu and Markowich, "Selection dynamics for deep neural networks", assumptions 1 and (A1) of section 3.
"""

from __future__ import annotations

import numpy as np

from ocdl.analysis.findings import Hypothesis
from ocdl.analysis.flow import Evolution, Flow
from ocdl.analysis.operators import KernelOperator
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement import declared
from ocdl.statement.activations import Activation


def non_negative(*operators: KernelOperator) -> Hypothesis:
    """B_s ≥ 0, by the least eigenvalue of all."""
    worst = min(operators, key=lambda B: B.least_symmetric + B.rounding)
    return Hypothesis("B_s ≥ 0", worst.least_symmetric, slack=worst.rounding)


def symmetric(B: KernelOperator) -> Hypothesis:
    """Bᵀ = B, by −‖B̂ − B̂ᵀ‖."""
    return Hypothesis("Bᵀ = B", 0.0 - float(np.linalg.norm(B.matrix - B.matrix.T)), slack=2.0 * B.rounding)


def sign(activation: Activation) -> Hypothesis:
    """sσ(s) ≥ 0, by the least value on a sample."""
    s = declared.sample()
    with np.errstate(over="ignore"):
        products = s * np.asarray(activation(s))
    return Hypothesis("sσ(s) ≥ 0", float(np.nanmin(products)), slack=declared.ROUNDING)


def zero_at_zero(activation: Activation) -> Hypothesis:
    """σ(0) = 0, by −|σ(0)|."""
    return Hypothesis("σ(0) = 0", -abs(float(activation(np.zeros(1))[0])), slack=declared.ROUNDING)


def lipschitz(activation: Activation) -> Hypothesis:
    """sup |σ'| < ∞."""
    return Hypothesis.declared("σ is globally Lipschitz", bool(np.isfinite(activation.lipschitz)))


def equations(flow: Flow) -> list[KernelOperator]:
    """B of every layer. Raises NotSupported where the layers are not the equation ∂t f = σ(a − Bf)."""
    if flow.scheme is not None:
        raise NotSupported("the theorem is about the equation ∂t f = σ(a − Bf); these layers are steps of a scheme.")
    return [flow.kernel_operator(k) for k in range(flow.count)]


def autonomous(said: str, flow: Flow) -> KernelOperator:
    """B of a flow of one layer; InvalidInput names ``said`` where there are several."""
    if not flow.autonomous:
        raise InvalidInput(f"{said}: a and b that do not depend on t are needed, one layer; got {flow.count}.")
    return equations(flow)[0]


def from_start(said: str, evolution: Evolution) -> None:
    """Raise InvalidInput where an evolution does not tell of the first depth."""
    first, there = float(evolution.flow.times[0]), float(evolution.t[0])
    if there != first:
        raise InvalidInput(f"{said}: the evolution must begin at t = {first:g}; its first depth is {there:g}.")
