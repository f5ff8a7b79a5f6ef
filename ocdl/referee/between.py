"""What constraints do between the points at which a scheme imposes them.

Each layer is integrated anew from its own start x_k by Gauss collocation of higher order, with the same controls as
functions of depth; along its polynomial the bounds of states and the rows of path are evaluated everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.referee.anew import Anew
from ocdl.referee.constraints import Constrained, missed
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Between:
    """The worst violation inside a layer: of which row, where, in words, and as a part of 1 + max |the row|."""

    row: str
    depth: float
    said: str
    relative: float

    def __str__(self) -> str:
        return f"{self.row} at t = {self.depth:g}: {self.said}"


def worst_between(problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, x: Array) -> Between | None:
    """What controls u (Q, m), parameters p (P,) and states x (N+1, S, n) at the nodes violate most inside the layers.

    None where the layers are discrete, nothing is constrained there, nothing violated, or a layer cannot be integrated.
    """
    if problem.discrete or (problem.path is None and "x" not in problem.bounds.names):
        return None
    try:
        families = Anew.of(problem, depth, u, p, x).sampled(problem, depth, u, x).constraints()
    except SweepFailed:
        return None
    found = [_worst(problem, family) for family in families if np.any(family.violation > 0.0)]
    return max(found, key=lambda worst: worst.relative, default=None)


def _worst(problem: ControlProblem, family: Constrained) -> Between:
    violation = family.violation
    relative = violation / (1.0 + np.abs(family.values).max(axis=(0, 1, 2)))
    k, i, s, row = (int(v) for v in np.unravel_index(int(np.argmax(relative)), relative.shape))
    layout = problem.layout
    assert layout is not None
    name = f"path row {row}" if family.name == "path" else f"state {layout.entry_name(layout.state, row)}"
    at = k, i, s, row
    sample = f" of sample {s}" if problem.samples > 1 else ""
    said = missed(float(family.values[at]), float(family.low[at]), float(family.high[at]))
    return Between(name + sample, float(family.depths[k, i]), said, float(relative[at]))
