"""Sampled answers as a pandas table: one row a depth, or a depth and sample where there are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.referee.names import entry_names


def as_frame(sampled: xr.Dataset, controls: Sequence[str]) -> Any:
    """A ``DataFrame`` of what ``Solution.sample`` returns, by the names of entries."""
    import pandas

    K, S = sampled.sizes["t"], sampled.sizes["sample"]
    states = entry_names(sampled["states"], "f")
    columns: dict[str, Any] = dict(zip(states, _columns(sampled["states"], K * S), strict=True))
    for symbol in controls:
        names = [name if name not in columns else f"control {name}" for name in entry_names(sampled[symbol], symbol)]
        columns |= zip(names, np.repeat(_columns(sampled[symbol], K), S, axis=1), strict=True)
    costates = [f"costate of {name}" for name in states]
    columns |= zip(costates, _columns(sampled["costate"], K * S), strict=True)
    t, samples = sampled["t"].values, sampled["sample"].values
    index = pandas.Index(t, name="t") if S == 1 else pandas.MultiIndex.from_product([t, samples], names=["t", "sample"])
    return pandas.DataFrame(columns, index=index)


def _columns(array: xr.DataArray, rows: int) -> Any:
    """Every entry at all depths and samples, (entries, rows)."""
    return array.values.reshape(rows, -1).T
