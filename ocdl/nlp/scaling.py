"""Units of the solver's variables: chosen from bounds and guess, overridden by the user, shown with the solution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.arrays import finite_array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.nlp.transcription import Scales, Transcription
from ocdl.solving.method import Start
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


def check_scales(scales: Any) -> None:
    if not isinstance(scales, Mapping) or set(scales) - {"x", "u", "p"}:
        raise InvalidInput(f"Ipopt(scales={scales!r}): a mapping with some of the keys x, u, p is needed.")
    for name, given in scales.items():
        values = finite_array(f"Ipopt(scales={{{name!r}: ...}})", given)
        if np.any(values <= 0.0):
            raise InvalidInput(f"Ipopt(scales={{{name!r}: {given!r}}}): units are positive numbers.")


def chosen_scales(problem: ControlProblem, depth: DepthScheme, start: Start, given: Mapping[str, Any]) -> Scales:
    """The units asked for; else powers of ten from bounds, or from the guess where there are none."""
    t = depth.mesh(problem.span)
    guess = problem.initial_states(start.p) if start.x is None else start.x.reshape(-1, problem.n)
    ends = problem.final_box
    final = np.where(np.isfinite(ends[0]) & (ends[0] == ends[1]), ends[0], 0.0)
    magnitudes = {
        "x": (problem.n, problem.state_box_at(t), np.concatenate([guess, final])),
        "u": (problem.m, problem.control_box_at(t), start.u),
        "p": (problem.P, problem.parameter_box, start.p[None]),
    }
    scales = {}
    for name, (size, box, values) in magnitudes.items():
        if name in given:
            scale = np.asarray(given[name], dtype=float)
            if scale.shape not in ((), (size,)):
                raise InvalidInput(
                    f"Ipopt(scales={{{name!r}: ...}}): one number or {size} are needed; got {scale.shape}."
                )
            scales[name] = np.broadcast_to(scale, (size,)).copy()
        else:
            scales[name] = _unit(np.atleast_2d(box[0]), np.atleast_2d(box[1]), values)
    return Scales(**scales)


def _unit(low: Array, high: Array, values: Array) -> Array:
    """1 for magnitudes between 0.1 and 10, else their power of ten."""
    reach = np.maximum(np.abs(low), np.abs(high)).max(axis=0)
    bounded = np.isfinite(low).all(axis=0) & np.isfinite(high).all(axis=0)
    magnitude = np.where(bounded, reach, np.abs(values).max(axis=0, initial=0.0))
    plain = (magnitude == 0.0) | ((magnitude >= 0.1) & (magnitude <= 10.0))
    return np.where(plain, 1.0, 10.0 ** np.round(np.log10(np.where(plain, 1.0, magnitude))))


class ShownScales(Mapping[str, xr.DataArray]):
    """The units of a solve, unless all are 1; each is labelled when it is asked for."""

    def __init__(self, transcription: Transcription) -> None:
        problem, self.scales = transcription.problem, transcription.scales
        names = {"x": list(problem.states or ()), "u": list(problem.controls), "p": list(range(problem.P))}  # type: ignore[arg-type]
        self.names = {} if self.scales.trivial else {f"scale_{name}": (name, of) for name, of in names.items()}

    def __getitem__(self, key: str) -> xr.DataArray:
        name, of = self.names[key]
        return xr.DataArray(getattr(self.scales, name), dims=(f"unit_{name}",), coords={f"unit_{name}": of})

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
