"""Units of the solver's variables, rows and objective: chosen at the start, overridden by the user, shown.

Variables have the power of ten of their bounds, else of their first guess; the state equation of a state has its unit
(Betts, "Practical methods for optimal control", section 4.8). With ``scale="rows"`` a row of path or boundary has the
power of ten of its largest derivative in these variables at the start, the objective that of its gradient where it is
steep (Wächter and Biegler, Math. Program. 106 (2006), section 3.8, by the row and in powers of ten).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import finite_array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.nlp.transcription import Scales, Transcription, sizes
from ocdl.solving.method import Start
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

SCALES = ("units", "rows", "none")
VARIABLES = ("x", "u", "p")
UNITS = (*VARIABLES, "path", "boundary")
OBJECTIVE = "scale_objective"


def check_scales(scales: Any) -> None:
    if not isinstance(scales, Mapping) or set(scales) - set(UNITS):
        raise InvalidInput(f"Ipopt(scales={scales!r}): a mapping with some of the keys {', '.join(UNITS)} is needed.")
    for name, given in scales.items():
        values = finite_array(f"Ipopt(scales={{{name!r}: ...}})", given)
        if np.any(values <= 0.0):
            raise InvalidInput(f"Ipopt(scales={{{name!r}: {given!r}}}): units are positive numbers.")


@dataclass(frozen=True, eq=False)
class Scaling:
    """The units of variables and rows, the factor on the cost, and that on the tolerance: what a scaled cost needs to
    be found as exactly as without.
    """

    scales: Scales
    objective: float
    tolerance: float = 1.0


def chosen_scaling(
    problem: ControlProblem, depth: DepthScheme, start: Start, scale: str, given: Mapping[str, Any], objective: float
) -> Scaling:
    """The units ``given``; else those that ``scale`` names: chosen, chosen for rows and objective too, or ones."""
    asked = {name: _asked(name, size, given) for name, size in sizes(problem).items() if name in given}
    chosen = {} if scale == "none" else _of_variables(problem, depth, start)
    scales = replace(Scales.ones(problem), **(chosen | asked))
    if scale != "rows":
        return Scaling(scales, objective)
    plain = Transcription(problem, depth, scales)
    with np.errstate(all="ignore"):
        steep = {
            name: np.nan_to_num(values, posinf=0.0) for name, values in plain.steepness(plain.guess(start)).items()
        }
    rows = {name: _power(steep[name]) for name in ("path", "boundary")}
    easing = 1.0 / max(1.0, float(_power(objective * steep["objective"])[0]))
    return Scaling(replace(scales, **(rows | asked)), objective * easing, easing)


def _asked(name: str, size: int, given: Mapping[str, Any]) -> Array:
    scale = np.asarray(given[name], dtype=float)
    if scale.shape not in ((), (size,)):
        raise InvalidInput(f"Ipopt(scales={{{name!r}: ...}}): one number or {size} are needed; got {scale.shape}.")
    return np.broadcast_to(scale, (size,)).copy()


def _of_variables(problem: ControlProblem, depth: DepthScheme, start: Start) -> dict[str, Array]:
    """Powers of ten from bounds, or from the guess where there are none."""
    t = depth.mesh(problem.span)
    guess = problem.initial_states(start.p) if start.x is None else start.x.reshape(-1, problem.n)
    ends = problem.final_box
    final = np.where(np.isfinite(ends[0]) & (ends[0] == ends[1]), ends[0], 0.0)
    magnitudes = {
        "x": (problem.state_box_at(t), np.concatenate([guess, final])),
        "u": (problem.control_box_at(t), start.u),
        "p": (problem.parameter_box, start.p[None]),
    }
    return {
        name: _unit(np.atleast_2d(box[0]), np.atleast_2d(box[1]), values) for name, (box, values) in magnitudes.items()
    }


def _unit(low: Array, high: Array, values: Array) -> Array:
    """The power of ten of both bounds, else of the values."""
    reach = np.maximum(np.abs(low), np.abs(high)).max(axis=0)
    bounded = np.isfinite(low).all(axis=0) & np.isfinite(high).all(axis=0)
    return _power(np.where(bounded, reach, np.abs(values).max(axis=0, initial=0.0)))


def _power(magnitude: Array) -> Array:
    """1 for magnitudes between 0.1 and 10 and for 0, else their power of ten."""
    plain = (magnitude == 0.0) | ((magnitude >= 0.1) & (magnitude <= 10.0))
    return np.where(plain, 1.0, 10.0 ** np.round(np.log10(np.where(plain, 1.0, magnitude))))


class ShownScales(Mapping[str, "xr.DataArray"]):
    """The units of a solve, unless all are 1, and the factor of the ``objective`` where that was chosen; each is
    labelled when it is asked for.
    """

    def __init__(self, transcription: Transcription, objective: float | None) -> None:
        problem, scales, self.objective = transcription.problem, transcription.scales, objective
        self.labels = {"x": list(problem.states or ()), "u": list(problem.controls)}  # type: ignore[arg-type]
        units = {} if scales.trivial else vars(scales)
        self.units = {
            f"scale_{name}": (name, unit) for name, unit in units.items() if name in VARIABLES or np.any(unit != 1.0)
        }

    def __getitem__(self, key: str) -> xr.DataArray:
        if key == OBJECTIVE and self.objective is not None:
            return xr.DataArray(self.objective)
        name, unit = self.units[key]
        labels = self.labels.get(name, list(range(unit.size)))
        return xr.DataArray(unit, dims=(f"unit_{name}",), coords={f"unit_{name}": labels})

    def __iter__(self) -> Iterator[str]:
        return iter([*self.units, *[OBJECTIVE] * (self.objective is not None)])

    def __len__(self) -> int:
        return len(list(iter(self)))
