"""Single states, controls and parameters by their names, out of arrays that hold them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ocdl import xr
from ocdl.arrays import shown
from ocdl.errors import InvalidInput
from ocdl.statement.layout import UNITS_OF

STATE = {"state": "x", "y": "f"}  # what the whole state is called, by its dimension


def entry(said: str, name: str, state: xr.DataArray, others: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """What is called ``name``: an entry of the state or of ``others`` by its label, or one of these arrays whole.

    Its unit is in the attribute ``units``; one sample needs no dimension. Raises InvalidInput where there is none, or
    two.
    """
    whole = _whole(state, others)
    found = [one for array in whole.values() for one in _labelled(array, name)]
    if len(found) > 1:
        raise InvalidInput(f"{said}[{name!r}]: {len(found)} entries are called so; give their names in one role.")
    if not found and name not in whole:
        raise InvalidInput(f"{said}[{shown(name)}]: there is no such name; it has {', '.join(names(state, others))}.")
    array = found[0] if found else whole[name]
    return array.isel(sample=0, drop=True) if array.sizes.get("sample") == 1 else array


def names(state: xr.DataArray, others: Mapping[str, xr.DataArray]) -> list[str]:
    """All that ``entry`` looks for: the arrays, then the labels of their entries."""
    whole = _whole(state, others)
    return [*whole, *(str(label) for array in whole.values() for label in _labels(array))]


def _whole(state: xr.DataArray, others: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    return {STATE.get(str(state.dims[-1]), "state"): state, **others}


def _labelled(array: xr.DataArray, name: str) -> Iterator[xr.DataArray]:
    """The entry of that label, if the array has it."""
    if name in _labels(array):
        one = array.isel({array.dims[-1]: _labels(array).index(name)}, drop=True).rename(name)
        unit = array.attrs.get(UNITS_OF + name)
        one.attrs = {key: value for key, value in array.attrs.items() if not str(key).startswith(UNITS_OF)}
        one.attrs |= {} if unit is None else {"units": unit}
        yield one


def _labels(array: xr.DataArray) -> list[Any]:
    """The names of the entries along the last dimension; none where they are numbers or have none."""
    if not array.dims or array.dims[-1] not in array.coords:
        return []
    values = array[array.dims[-1]].values
    return values.tolist() if values.dtype.kind in "UO" else []
