"""Networks whose layers are the statement itself: x_{k+1} = x_k + h φ(x_k, u_k), and nothing between them."""

from __future__ import annotations

import numpy as np

from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import Layers
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.problem import ControlProblem

NOTHING_BETWEEN = "discrete layers: nothing between them"


def check_layers(problem: ControlProblem, depth: Layers) -> None:
    """Raise InvalidInput where the problem is discrete and ``depth`` makes other steps than its layers."""
    tableau = depth.tableau
    euler = np.array_equal(tableau.A, [[0.0]]) and np.array_equal(tableau.b, [1.0])
    if problem.discrete and not (euler and isinstance(depth.controls, PiecewiseConstant)):
        raise InvalidInput(
            "ControlProblem(discrete=True): its layers are the steps x + h φ(x, u) with one control each; take "
            f"ExplicitEuler(...) with PiecewiseConstant() controls, or state it without discrete; got {depth!r}."
        )


def refuse_discrete(what: str, discrete: bool, why: str) -> None:
    """Raise NotSupported where a problem or solution is ``discrete``: ``what`` needs what is between the layers."""
    if discrete:
        raise NotSupported(f"{what}: ControlProblem(discrete=True) has {NOTHING_BETWEEN}; {why}.")
