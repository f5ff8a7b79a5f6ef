"""Flat regions: a gradient that vanishes because σ' does, where the cost is not optimal.

Where σ' > 0, one sample's gradient vanishes if and only if its costate does (Liu and Markowich, Remark 4.1). Where σ is
flat, as ReLU for s < 0, it vanishes whatever the costate; then the needles say whether other controls are better.
"""

from __future__ import annotations

import numpy as np

from ocdl.pmp.iterate import Iterate
from ocdl.pmp.needles import layer_columns, needles

FLAT = 1e-9  # of |∇_u ⟨Λ_c, φ_c⟩| relative to the largest |Λ|
LARGEST = 20_000_000  # entries of ∇_u over layers, columns and controls, beyond which nothing is said


def flat_needles(iterate: Iterate) -> tuple[int, float]:
    """How many needles gain although no column of their layer feels their controls to first order, and how much."""
    ground = iterate.ground
    t, x, costate, omega, u, p = layer_columns(iterate)
    N, C = x.shape[:2]
    if ground.problem.has_running_cost or N * C * ground.problem.m > LARGEST or ground.problem.m == 0:
        return 0, 0.0
    found = needles(iterate)
    gradient = np.abs(ground.law.column_gradients(t, x, costate, omega, u, p)).max(axis=1)
    feels = np.zeros_like(found.decrease)
    for group in range(len(feels.T)):
        feels[:, group] = gradient[:, found.group == group].max(axis=1)
    flat = (feels <= FLAT * np.max(np.abs(costate))) & (found.decrease > 0.0)
    return int(np.count_nonzero(flat)), float(found.gains[flat].sum())
