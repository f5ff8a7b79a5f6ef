"""Layout: how flat vectors of states, controls and parameters carry names, dimensions and coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array, real_array
from ocdl.errors import InvalidInput

LENT = "lent"  # the dimension of controls that serve constraints alone: no state sees them
UNITS_OF = "units of "  # an entry: the attribute of a labelled array that holds several entries


@dataclass(frozen=True)
class Part:
    """One named block of a flat vector, e.g. b with dimensions (y, z) and shape (M, M)."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Layout:
    """Parts of the state (one), the controls and the parameters, row-major; ``coords``: name → (dims, values).

    units: of single entries, by the labels of entries; only words, for tables and figures.
    """

    state: Part
    controls: tuple[Part, ...]
    parameters: tuple[Part, ...]
    coords: Mapping[str, tuple[tuple[str, ...], Any]]
    units: Mapping[str, str] = field(default_factory=dict)

    def pack(self, parts: tuple[Part, ...], values: Mapping[str, Any], leading: tuple[int, ...]) -> Array:
        """Flat array (*leading, total size) from named arrays (*leading, *shape)."""
        missing = [part.name for part in parts if part.name not in values]
        unknown = [name for name in values if name not in {part.name for part in parts}]
        if missing or unknown:
            raise InvalidInput(
                f"{', '.join(sorted(values)) or 'nothing'} given, but this problem's are "
                f"{', '.join(part.name for part in parts)}; missing {missing}, unknown {unknown}."
            )
        blocks = []
        for part in parts:
            array = real_array(part.name, values[part.name])
            if array.shape != leading + part.shape:
                dims = ", ".join((("t",) if leading else ()) + part.dims)
                raise InvalidInput(
                    f"{part.name}: shape {leading + part.shape} (dimensions {dims}) is needed here; got {array.shape}."
                )
            blocks.append(array.reshape(*leading, part.size))
        return np.concatenate(blocks, axis=-1) if blocks else np.zeros((*leading, 0))

    def unpack(self, parts: tuple[Part, ...], flat: Array) -> dict[str, Array]:
        """Named arrays (*leading, *shape) from a flat array (*leading, total size)."""
        ends = np.cumsum([part.size for part in parts])
        return {
            part.name: flat[..., end - part.size : end].reshape(flat.shape[:-1] + part.shape)
            for part, end in zip(parts, ends, strict=True)
        }

    def label(self, part: Part, values: Array, leading: Mapping[str, Array], **attrs: Any) -> xr.DataArray:
        """A labelled array: ``leading`` dimensions with their coordinates, then the part's own."""
        dims = tuple(leading) + part.dims
        coords: dict[str, Any] = dict(leading)
        coords |= {name: value for name, value in self.coords.items() if set(value[0]) <= set(part.dims)}
        return xr.DataArray(values, dims=dims, coords=coords, name=part.name, attrs=attrs)

    def units_of(self, part: Part) -> dict[str, str]:
        """The units of a part's entries as attributes of its labelled arrays, such as "units of h": "km"."""
        labels = [label for dim in part.dims if dim in self.coords for label in self.coords[dim][1]]
        return {UNITS_OF + label: self.units[label] for label in labels if label in self.units} if self.units else {}

    def entry_name(self, part: Part, i: int) -> str:
        """What the user calls entry i of a part: its label, or the part's name with the place of it."""
        index = np.unravel_index(i, part.shape) if part.shape else ()
        labels = [_entry(self.coords.get(dim), at) for dim, at in zip(part.dims, index, strict=True)]
        if len(labels) == 1 and isinstance(labels[0], str):
            return labels[0]
        places = [
            f"{dim} = {label:g}" if label is not None else f"{dim} {at}"
            for dim, label, at in zip(part.dims, labels, index, strict=True)
        ]
        return f"{part.name}({', '.join(places)})" if places else part.name


def _entry(coordinate: Any, at: Any) -> Any:
    return None if coordinate is None or len(coordinate[0]) != 1 else coordinate[1][at]


def layout_of(states: Any, controls: Any, parameters: Any, freed: tuple[list[str], list[str]], rated: int) -> Layout:
    """Names as they stand: state x, controls u and their ``rated`` last as rates, parameters p; of what else is free,
    the initial states x0 and the times.
    """
    (initial, times), own = freed, len(controls) - rated
    parts = (
        *([Part("p", ("parameter",), (len(parameters),))] if parameters else []),
        *([Part("x0", ("free",), (len(initial),))] if initial else []),
        *(Part(name, (), ()) for name in times),
    )
    control_parts = (
        *([Part("u", ("control",), (own,))] if own or not rated else []),
        *([Part("rate", ("rated",), (rated,))] if rated else []),
    )
    labels = {"state": states, "control": controls[:own], "rated": controls[own:], "parameter": parameters}
    coords = {dim: ((dim,), list(names)) for dim, names in {**labels, "free": initial}.items()}
    return Layout(Part("x", ("state",), (len(states),)), control_parts, parts, coords)
