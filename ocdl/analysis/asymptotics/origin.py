"""σ about 0, where steady states are: assumption (A1) of Liu and Markowich, section 3.2, each part as it is measured.

The logistic σ has σ(0) = ½, so that Bf = a is no steady state; ReLU and its kin have a kink at 0, so that there is no
linearisation. Theorems that assume (A1) say nothing of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.analysis.findings import Hypothesis
from ocdl.statement import declared
from ocdl.statement.activations import Activation

BESIDE = 1e-100  # the points to either side of 0 at which slopes are taken
ROUNDING = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Origin:
    """σ(0), the slopes σ'(0−) and σ'(0+), and the least of sσ(s) / min(s², |s|) on a sample of s ≠ 0."""

    value: float
    left: float
    right: float
    sign: float

    @classmethod
    def of(cls, activation: Activation) -> Origin:
        at, s = np.array([-BESIDE, 0.0, BESIDE]), declared.sample()
        values = np.asarray(activation(at))
        left, _, right = activation.derivative(at, values)
        with np.errstate(all="ignore"):
            ratios = s * np.asarray(activation(s)) / np.minimum(s * s, np.abs(s))
        return cls(float(values[1]), float(left), float(right), float(np.min(ratios[np.isfinite(ratios)])))

    @property
    def slope(self) -> float:
        """σ'(0), where it is; the mean of both sides at a kink."""
        return 0.5 * (self.left + self.right)

    @property
    def vanishes(self) -> Hypothesis:
        return Hypothesis("σ(0) = 0", 0.0 - abs(self.value), slack=ROUNDING)

    @property
    def vanishes_there_alone(self) -> Hypothesis:
        return Hypothesis("σ(s)/s > 0 for s ≠ 0", self.sign, least=ROUNDING)

    @property
    def linearised(self) -> tuple[Hypothesis, Hypothesis, Hypothesis]:
        """What a linearisation at u = 0 needs."""
        return (
            self.vanishes,
            Hypothesis("σ has a derivative at 0", 0.0 - abs(self.right - self.left), slack=1e-9),
            Hypothesis("σ'(0) > 0", min(self.left, self.right), least=ROUNDING),
        )
