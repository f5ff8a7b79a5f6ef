"""An outcome and its verdict as the labelled arrays of a ``Solution``, and the controls back from their labels.

Costates, defects and gradients are labelled in function space: divided by the metric of what they belong to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.depth.schemes import DepthScheme
from ocdl.referee.certificate import Certificate
from ocdl.referee.certify import Verdict
from ocdl.referee.limits import limits
from ocdl.referee.outcome import Outcome
from ocdl.referee.sampling import slopes
from ocdl.referee.schema import FORMAT
from ocdl.referee.solution import Answer, Solution
from ocdl.referee.summary import budgeted
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


def labelled(
    problem: ControlProblem,
    depth: DepthScheme,
    outcome: Outcome,
    verdict: Verdict,
    *,
    method: str,
    seconds: float,
    certificate: Certificate | None = None,
) -> Solution:
    """Outcome and verdict, on true depths, as the labelled arrays of a ``Solution``."""
    made: dict[str, Callable[[], xr.Dataset]] = {
        "nodes": lambda: _nodes(problem, verdict),
        "layers": lambda: _layers(verdict, depth.tableau.b),
        "stages": lambda: _stages(problem, verdict),
        "parameters": lambda: _parameters(problem, outcome.p, verdict),
        "dense": lambda: _dense(problem, depth, outcome, verdict),
        "limits": lambda: limits(problem, depth, outcome.u, outcome.p, verdict.trajectory),
        "claim": lambda: _claim(problem, verdict, outcome.claim),
        "history": lambda: xr.Dataset(
            {name: ("iteration", np.asarray(v, float)) for name, v in outcome.history.items()}
        ),
        "extras": lambda: xr.Dataset(dict(outcome.extras)),
    }

    def group(name: str) -> xr.Dataset:
        dataset = made[name]()
        if name == depth.controls.group:
            dataset = dataset.merge(_controls(problem, depth, outcome.u, verdict))
        multipliers = _multipliers(problem, outcome, verdict)
        return dataset.merge(multipliers[name]) if name in multipliers else dataset

    attrs = {
        "format": FORMAT,
        "method": method,
        "status": outcome.status.name,
        "detail": outcome.detail,
        "seconds": seconds,
        "cost": verdict.cost,
        "gap": verdict.gap,
        "gap_is_exact": int(verdict.gap_is_exact),
        "search": verdict.search,
        "feasibility": verdict.feasibility,
        "defect_worth": verdict.defect_worth,
        "scheme": repr(depth),
        "collocates": int(depth.tableau.collocates),
        "discrete": int(problem.discrete),
    } | {f"violation of {name}": value for name, value in verdict.violations.items()}
    attrs |= budgeted(problem.budgets, verdict.stationarity.multipliers)
    attrs |= {} if certificate is None else certificate.attributes()
    assert problem.layout is not None
    trajectory, adjoint = verdict.trajectory, verdict.adjoint
    groups = {name: partial(group, name) for name in made}
    curves = trajectory.x, adjoint.costate, trajectory.stages, adjoint.stages
    answer = Answer(depth, problem.layout, outcome.u, outcome.p, *curves, groups)
    return Solution.unlabelled(answer, attrs)


def coefficients(problem: ControlProblem, depth: DepthScheme, solution: Solution) -> tuple[Array, Array]:
    """Controls u (Q, m) and parameters p (P,) of a solution on its own grid, back from its labels.

    Raises InvalidInput where the problem or its grid has others.
    """
    layout, rows, answer = problem.layout, depth.control_rows, solution.answer
    assert layout is not None
    if answer is not None and answer.layout is layout and answer.depth == depth:
        return answer.u, answer.p
    controls = {
        name: np.concatenate(array.values) if "stage" in array.dims else array.values
        for name, array in solution.controls.items()
    }
    parameters = {name: array.values for name, array in solution.parameters.items()}
    return layout.pack(layout.controls, controls, (rows,)), layout.pack(layout.parameters, parameters, ())


def at_stages(problem: ControlProblem, depth: DepthScheme, solution: Solution) -> tuple[Array, Array]:
    """States and Euclidean costates (N, s, S, n) of a solution at the stages of its own grid."""
    answer = solution.answer
    if answer is not None and answer.layout is problem.layout and answer.depth == depth:
        return answer.stages, answer.stage_costate
    stages = solution.group("stages")
    shape = depth.count, depth.tableau.stages, problem.samples, problem.n
    x, costate = (stages[name].values.reshape(shape) for name in ("stage_state", "stage_costate"))
    return x, costate * np.asarray(problem.state_metric)


def _nodes(problem: ControlProblem, verdict: Verdict) -> xr.Dataset:
    found = {
        "states": verdict.trajectory.x,  # "state" is a ControlProblem's dimension
        "costate": verdict.adjoint.costate / problem.state_metric,
        "state_defect": verdict.state_defect,
        "costate_defect": verdict.costate_defect / problem.state_metric,
    }
    dataset = xr.Dataset({name: _at_nodes(problem, verdict, values, name) for name, values in found.items()})
    dataset["states"].attrs |= problem.layout.units_of(problem.layout.state)  # type: ignore[union-attr]
    return dataset


def _at_nodes(problem: ControlProblem, verdict: Verdict, values: Array, name: str) -> xr.DataArray:
    leading: dict[str, Any] = {"t": verdict.trajectory.t, "sample": np.arange(problem.samples)}
    return problem.layout.label(problem.layout.state, values, leading).rename(name)  # type: ignore[union-attr]


def _at_stages(problem: ControlProblem, verdict: Verdict, values: Array, name: str) -> xr.DataArray:
    trajectory = verdict.trajectory
    leading: dict[str, Any] = {
        "t": trajectory.t[:-1],
        "stage": np.arange(trajectory.stage_t.shape[1]),
        "sample": np.arange(problem.samples),
    }
    array = problem.layout.label(problem.layout.state, values, leading).rename(name)  # type: ignore[union-attr]
    return array.assign_coords(depth=(("t", "stage"), trajectory.stage_t))


def _stages(problem: ControlProblem, verdict: Verdict) -> xr.Dataset:
    costate = verdict.adjoint.stages / problem.state_metric
    return xr.Dataset(
        {
            "stage_state": _at_stages(problem, verdict, verdict.trajectory.stages, "stage_state"),
            "stage_costate": _at_stages(problem, verdict, costate, "stage_costate"),
            "excess": (("t", "stage"), verdict.excess, {"long_name": "H(u) − min_u H"}),
        }
    )


def _dense(problem: ControlProblem, depth: DepthScheme, outcome: Outcome, verdict: Verdict) -> xr.Dataset:
    costate, ahead = verdict.adjoint.costate, verdict.adjoint.costate[1:].copy()
    if outcome.multipliers is not None:
        ahead[:-1] += outcome.multipliers.nodes[1:-1]
    return slopes(problem, depth, outcome.u, outcome.p, verdict.trajectory, costate, ahead)


def _layers(verdict: Verdict, b: Array) -> xr.Dataset:
    return xr.Dataset(
        {
            "hamiltonian": ("t", verdict.hamiltonian @ b),
            "width": ("t", verdict.trajectory.h, {"long_name": "layer width h"}),
        },
        coords={"t": verdict.trajectory.t[:-1]},
    )


def _controls(problem: ControlProblem, depth: DepthScheme, u: Array, verdict: Verdict) -> xr.Dataset:
    """The controls and their gradients in function space, labelled as the scheme's shape has them."""
    layout, trajectory, shape = problem.layout, verdict.trajectory, depth.controls
    assert layout is not None
    N, s = trajectory.stage_t.shape
    weights = shape.measure(trajectory.h, depth.tableau.b, depth.tableau.c)[:, None]
    measure = weights * np.asarray(problem.control_metric)  # 0 for a coefficient that no stage sees
    gradient = np.divide(verdict.adjoint.gradient_u, measure, out=np.zeros(u.shape), where=measure != 0.0)
    leading: dict[str, Any] = {"t": trajectory.t if shape.group == "nodes" else trajectory.t[:-1]}
    if shape.group == "stages":
        leading["stage"] = np.arange(s)
        u, gradient = u.reshape(N, s, -1), gradient.reshape(N, s, -1)
    controls, gradients = layout.unpack(layout.controls, u), layout.unpack(layout.controls, gradient)
    data = {}
    for part in layout.controls:
        name = part.name
        units = layout.units_of(part)
        data[name] = layout.label(part, controls[name], leading, role="control", symbol=name, **units)
        data[f"gradient_{name}"] = layout.label(part, gradients[name], leading, role="gradient", symbol=name)
    return xr.Dataset(data)


def _multipliers(problem: ControlProblem, outcome: Outcome, verdict: Verdict) -> dict[str, xr.Dataset]:
    """The multipliers λ of the constraints, by group; a sum over the rows of the discrete problem, not a density."""
    found = outcome.multipliers
    if found is None or not problem.constraints:
        return {}
    metric = np.asarray(problem.state_metric)
    nodes = {"multiplier": _at_nodes(problem, verdict, found.nodes / metric, "multiplier")}
    stages: dict[str, Any] = {
        "stage_multiplier": _at_stages(problem, verdict, found.stages / metric, "stage_multiplier"),
        "path_multiplier": (("t", "stage", "sample", "path"), found.path),
    }
    ends = {"boundary_multiplier": (("sample", "boundary"), found.boundary)}
    return {"nodes": xr.Dataset({**nodes, **ends}), "stages": xr.Dataset(stages)}


def _parameters(problem: ControlProblem, p: Array, verdict: Verdict) -> xr.Dataset:
    layout = problem.layout
    assert layout is not None
    gradient = verdict.adjoint.gradient_p / np.asarray(problem.parameter_metric)
    values, gradients = layout.unpack(layout.parameters, p), layout.unpack(layout.parameters, gradient)
    data = {}
    for part in layout.parameters:
        name = part.name
        data[name] = layout.label(part, values[name], {}, role="parameter", symbol=name, **layout.units_of(part))
        data[f"gradient_{name}"] = layout.label(part, gradients[name], {}, role="gradient", symbol=name)
    return xr.Dataset(data)


def _claim(problem: ControlProblem, verdict: Verdict, claim: dict[str, Any]) -> xr.Dataset:
    metric = np.asarray(problem.state_metric)
    data: dict[str, Any] = {}
    for name, value in claim.items():
        if name == "costate":
            data[name] = _at_nodes(problem, verdict, np.asarray(value) / metric, name)
        elif name == "stage_costate":
            data["stage_costate"] = _at_stages(problem, verdict, np.asarray(value) / metric, name).rename(t="layer")
        else:
            data[name] = float(value)
    return xr.Dataset(data)
