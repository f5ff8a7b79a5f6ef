"""What the entries of a labelled array are called."""

from __future__ import annotations

import numpy as np

from ocdl import xr

LEADING = ("t", "stage", "sample", "layer", "end")
SPENT, PRICE = "budget of ", "multiplier of budget of "  # a control: attributes of a solution


def own_dims(array: xr.DataArray) -> tuple[str, ...]:
    """The dimensions of one entry at one depth of one sample."""
    return tuple(str(dim) for dim in array.dims if dim not in LEADING)


def entry_names(array: xr.DataArray, name: str) -> list[str]:
    """Labels where an entry has one, else ``name`` with the place of the entry, such as ``f(y = 0.25)``; row-major."""
    dims = own_dims(array)
    return [_entry(array, name, dims, index) for index in np.ndindex(*(array.sizes[dim] for dim in dims))]


def _entry(array: xr.DataArray, name: str, dims: tuple[str, ...], index: tuple[int, ...]) -> str:
    labels = [array[dim].values[at] if dim in array.coords else None for dim, at in zip(dims, index, strict=True)]
    if len(labels) == 1 and isinstance(labels[0], str):
        return str(labels[0])
    places = [
        f"{dim} {at}" if label is None else f"{dim} = {label:g}"
        for dim, at, label in zip(dims, index, labels, strict=True)
    ]
    return f"{name}({', '.join(places)})" if places else name
