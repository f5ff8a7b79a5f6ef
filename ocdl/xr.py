"""xarray, imported at the first labelled array that is asked for: who asks for none waits for neither it nor pandas.

``from ocdl import xr`` stands for ``import xarray as xr``, to type checkers too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from xarray import *


def __getattr__(name: str) -> Any:
    """A public name of xarray."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import xarray

    return getattr(xarray, name)


def is_labelled(value: Any) -> TypeGuard[DataArray]:
    """Whether this is a ``DataArray``: nothing is before xarray is loaded, by whomever."""
    return "xarray" in sys.modules and isinstance(value, __getattr__("DataArray"))
