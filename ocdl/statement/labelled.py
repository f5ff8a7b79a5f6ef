"""Labelled arrays by their labels: dimensions by name in any order, coordinates by value.

Numbers along the width are carried over by linear interpolation, constant beyond the outermost node; names are put in
their order; other numbers must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.errors import InvalidInput

WIDTH = ("y", "z")
CLOSE = 1e-9  # part of their span by which coordinates may differ and be the same

Coords = Mapping[str, tuple[tuple[str, ...], Any]]


def by_labels(said: str, values: Any, dims: tuple[str, ...], coords: Coords) -> Any:
    """``values`` with its dimensions in the order of ``dims``, at ``coords``: name → (dims, values).

    What is not labelled is returned as it is. A labelled array may lack a dimension. InvalidInput says ``said`` where
    it has another, or labels that do not fit.
    """
    if not xr.is_labelled(values):
        return values
    unknown = [str(dim) for dim in values.dims if dim not in dims]
    if unknown:
        raise InvalidInput(
            f"{said}: a labelled array has here the dimensions {', '.join(dims)}; got {', '.join(unknown)}. "
            "Rename them, or give the .values, which are taken by position."
        )
    array = values.transpose(*[dim for dim in dims if dim in values.dims])
    for name, (at, wanted) in coords.items():
        if name in array.coords and array.coords[name].dims == at:
            array = _at(said, array, name, np.asarray(wanted))
    return array.values


def _at(said: str, array: xr.DataArray, name: str, wanted: Any) -> xr.DataArray:
    """The array at the coordinates ``wanted`` of ``name``."""
    labels = array[name].values
    if same(labels, wanted):
        return array
    if name in WIDTH and labels.dtype.kind in "fiu" and labels.size == np.unique(labels).size:
        return on_nodes(array, name, wanted)
    if name in array.dims and len(labels) == len(set(labels)) and set(labels) == set(wanted.tolist()):
        return array.sel({name: list(wanted)})
    raise InvalidInput(f"{said}: along {name} its labels are {_few(labels)}; this problem's are {_few(wanted)}.")


def same(labels: Any, wanted: Any) -> bool:
    """Equal names, or numbers equal to rounding."""
    if labels.shape != wanted.shape:
        return False
    if labels.dtype.kind in "fiu" and wanted.dtype.kind in "fiu":
        return bool(np.all(np.abs(labels - wanted) <= CLOSE * max(1.0, float(np.ptp(wanted)))))
    return bool(np.all(labels == wanted))


def on_nodes(array: xr.DataArray, name: str, wanted: Any) -> xr.DataArray:
    """Linear interpolation along ``name``, constant beyond the outermost node."""
    nodes = array[name].values
    if nodes.size == 1:
        return array.isel({name: np.zeros(wanted.size, int)})
    return array.interp({name: np.clip(wanted, nodes.min(), nodes.max())})


def _few(labels: Any) -> str:
    return np.array2string(np.asarray(labels), threshold=6, precision=4, separator=", ")
