"""V held step by step below a target and above an obstacle: reach, avoid, and reach–avoid tubes.

    V ← max { g, min { l, V } }:   V(x, t) = min_u min_τ max { l(x(τ)), max_{s ≤ τ} g(x(s)) }

with l ≤ 0 in the target and g > 0 in the obstacle, such as signed distances: V ≤ 0 is where some control reaches the
target by T and avoids the obstacle till then. The target alone gives the reach tube, the obstacle alone the avoid tube.
Source: Fisac, Chen, Tomlin and Sastry, "Reach-avoid problems with time-varying dynamics, targets and constraints"
(HSCC 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _nothing() -> Array:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Held:
    """``target`` l and ``obstacle`` g at the nodes; empty where there is none."""

    target: Array = field(default_factory=_nothing)
    obstacle: Array = field(default_factory=_nothing)

    def hold(self, value: Array) -> Array:
        """Hold ``value`` in place."""
        if self.target.size:
            np.minimum(value, self.target, out=value)
        if self.obstacle.size:
            np.maximum(value, self.obstacle, out=value)
        return value
