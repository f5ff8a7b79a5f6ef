"""Networks whose layers are the statement itself: unit steps x_{k+1} = x_k + φ(x_k, u_k), and nothing between them."""

from __future__ import annotations

import numpy as np

from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import Layers
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.problem import ControlProblem

ROUNDING = 1e-9
NOTHING_BETWEEN = "discrete layers: nothing between them"


def check_layers(problem: ControlProblem, depth: Layers) -> None:
    """Raise InvalidInput where the problem is discrete and ``depth`` makes other steps than its layers."""
    tableau = depth.tableau
    euler = np.array_equal(tableau.A, [[0.0]]) and np.array_equal(tableau.b, [1.0])
    if not problem.discrete:
        return
    if not (euler and isinstance(depth.controls, PiecewiseConstant)):
        raise InvalidInput(
            "ControlProblem(discrete=True): its layers are the steps x + φ(x, u) with one control each; take "
            f"ExplicitEuler(...) with PiecewiseConstant() controls, or state it without discrete; got {depth!r}."
        )
    if np.any(np.abs(np.diff(depth.mesh(problem.span)) - 1.0) > ROUNDING):
        raise InvalidInput(
            f"ControlProblem(discrete=True, horizon={problem.span:g}): its layers are unit steps, as many as the "
            f"horizon says, ExplicitEuler({problem.span:g}); got {depth!r}."
        )


def refuse_discrete(what: str, discrete: bool, why: str) -> None:
    """Raise NotSupported where a problem or solution is ``discrete``: ``what`` needs what is between the layers."""
    if discrete:
        raise NotSupported(f"{what}: ControlProblem(discrete=True) has {NOTHING_BETWEEN}; {why}.")
