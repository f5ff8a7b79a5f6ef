"""What an answer was held to: bounds of controls and parameters, intervals of constraints and values of their rows.

They are kept with a solution, so that a summary knows what presses on what without the problem.
"""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np

from ocdl import xr
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.referee.constraints import Constraints
from ocdl.statement.problem import ControlProblem
from ocdl.statement.structure import kinked_in
from ocdl.sweeps.sweeper import Sweeper, Trajectory

MOST = 64  # controls whose place in H is looked at one by one
FAMILIES = {  # of constraints: what each is called here, its dimensions, and whether its values are kept
    "state": ("state", ("node", "sample", "entry"), False),
    "state at the stages": ("stage_state", ("layer", "stage", "sample", "entry"), False),
    "path": ("path", ("layer", "stage", "sample", "path"), True),
    "boundary": ("boundary", ("sample", "boundary"), True),
}


def limits(problem: ControlProblem, depth: DepthScheme, u: Array, p: Array, trajectory: Trajectory) -> xr.Dataset:
    """``control_lower``, ``control_upper`` (entry), or (row, entry) where they depend on depth; ``parameter_...``;
    ``state_...`` at the nodes and ``stage_state_...``; ``path``, ``boundary`` and their ends. ``affine`` (entry):
    whether H is affine in a control, whose arcs between its bounds are then singular.
    """
    data: dict[str, Any] = {}
    if problem.control_set is None and problem.m:
        ends = problem.coefficient_box(depth) if problem.bounds.varies("u") else problem.control_box
        data |= _ends("control", ("row", "control_entry")[2 - ends[0].ndim :], *ends)
        data["affine"] = ("control_entry", affine(problem))
    data |= _ends("parameter", ("parameter_entry",), *problem.parameter_box)
    constraints = Constraints(problem, depth, Sweeper(problem, depth))
    for family in constraints.families(trajectory, u, p, constraints.no_multipliers()):
        name, dims, kept = FAMILIES[family.name]
        data |= _ends(name, dims, family.low, family.high) | ({name: (dims, family.values)} if kept else {})
    return xr.Dataset(data)


def _ends(name: str, dims: tuple[str, ...], low: Array, high: Array) -> dict[str, Any]:
    return {f"{name}_lower": (dims, np.array(low)), f"{name}_upper": (dims, np.array(high))}


def affine(problem: ControlProblem) -> Any:
    """Whether H is smooth and affine in each control, (m,) of 0 and 1; 0 where there are more than ``MOST``."""
    s, costate = problem.symbols(), ca.SX.sym("costate", problem.n)
    if problem.m > MOST:
        return np.zeros(problem.m, dtype=np.int8)
    terms = [problem.evaluate(role, **s) for role in ("dynamics", "running", "effort")]
    value = ca.dot(costate, terms[0]) + terms[1] + terms[2]
    if kinked_in(value, s["u"]):
        return np.zeros(problem.m, dtype=np.int8)
    return 1 - np.array(ca.which_depends(value, s["u"], 2, False), dtype=np.int8)
