"""Orders of convergence from what lies between successive grids, limits by extrapolation, and the growth of σ."""

from __future__ import annotations

import numpy as np

from ocdl.analysis.findings import Hypothesis
from ocdl.arrays import Array
from ocdl.statement.activations import Activation

SLOWEST = 0.2  # the least order in L² that is taken for convergence; a jump off the grid has 1/2
GROWTH = 0.05  # the power of the refinement from which on a bound is taken to grow
SIZES = np.geomspace(1e-6, 1e12, 91)  # of s, where (A1) is looked at
FAR = 1e6  # from where on the power counts at which |σ| grows
NEGLIGIBLE = 1e-9  # distances below it, of functions of size 1, are what a solver leaves
EXACT = 1e-13  # changes below it are rounding


def falling(distances: Array, factors: Array, size: float = 1.0) -> float:
    """The order at which distances (J − 1,) of functions of this size fall from the first to the last, each taken as
    the largest from there on; infinite where the last is negligible.
    """
    envelope = np.maximum.accumulate(distances[::-1])[::-1]
    if envelope[-1] <= NEGLIGIBLE * size:
        return np.inf
    return float(np.log(envelope[0] / envelope[-1]) / np.log(np.prod(factors[1:])))


def growth(bounds: Array, factors: Array) -> float:
    """The power at which bounds (J,) grow at the last refinement; 0 where what is added falls, as then it has a sum."""
    added = np.maximum(np.diff(bounds), 0.0)
    if bounds[-2] <= 0.0 or falling(added, factors, bounds[-1]) >= SLOWEST:
        return 0.0
    return float(np.log(bounds[-1] / bounds[-2]) / np.log(factors[-1]))


def richardson(values: Array, factors: Array) -> Array:
    """The limit v_3 + d/(r − 1) of the last three of values (J, ...), where v = v_∞ + C h^p and each refinement is by
    the same factor: r = d'/d is the ratio of the changes d' = v_2 − v_1 and d = v_3 − v_2. NaN where r ≤ 1.
    """
    before, last = values[-2] - values[-3], values[-1] - values[-2]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = before / last
        limit = values[-1] + last / (ratio - 1.0)
    small = np.abs(last) <= EXACT * (1.0 + np.abs(values[-1]))
    return np.where(small, values[-1], np.where((ratio > 1.0) & np.isclose(*factors), limit, np.nan))


def linear_growth(activation: Activation) -> Hypothesis:
    """(A1), |σ(s)| ≤ C_1 + C_2 |s|: with C_1 = |σ(0)| the least C_2 on a sample, and the power at which |σ| grows."""
    C1 = float(np.abs(activation(np.zeros(1)))[0])
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = np.abs(activation(np.stack([-SIZES, SIZES])))
        C2 = float(np.max((sizes - C1) / SIZES))
        far = np.maximum(sizes[:, [-1, np.searchsorted(SIZES, FAR)]], 1.0)
        power = np.nan_to_num(np.max(np.log(far[:, 0] / far[:, 1])) / np.log(SIZES[-1] / FAR), nan=np.inf)
    said = f"(A1) |σ(s)| ≤ C_1 + C_2 |s|, C_1 = {C1:.3g}, C_2 = {max(C2, 0.0):.3g}: 1 − the power at which |σ| grows"
    return Hypothesis(said, 1.0 - float(power), 0.0, 1e-6)
