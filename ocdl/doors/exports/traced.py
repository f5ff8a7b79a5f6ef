"""Values of another library behind numpy's names, so that formulas written for arrays run on them unchanged."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ocdl.errors import NotSupported


class Traced(NDArrayOperatorsMixin):
    """A matrix of another library: what numpy does to it, ``applied`` and ``reduced`` do there.

    A new library is a subclass with its name, and these two.
    """

    library: ClassVar[str]

    def applied(self, name: str, values: tuple[Any, ...]) -> Traced | None:
        """The function that numpy calls ``name``, of values traced or not; None where the library has none."""
        raise NotImplementedError(f"{type(self).__name__} has no applied")

    def reduced(self, name: str, axis: int, keepdims: bool) -> Traced:
        """``max`` or ``sum`` over an axis."""
        raise NotImplementedError(f"{type(self).__name__} has no reduced")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *values: Any, **options: Any) -> Traced:
        result = self.applied(ufunc.__name__, values) if method == "__call__" and not options else None
        if result is None:
            raise NotSupported(f"numpy.{ufunc.__name__}: {self.library} has no such function of float64.")
        return result

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotSupported(
            f"{self.library}: a formula that makes arrays of its own cannot be exported; write it with numpy's "
            "functions, and give LayeredNetwork.of(..., activation=...) a user's own σ."
        )

    def max(self, axis: int, out: None = None, keepdims: bool = False) -> Traced:
        """What ``numpy.max`` asks for."""
        return self.reduced("max", axis, keepdims)

    def sum(self, axis: int, dtype: None = None, out: None = None, keepdims: bool = False) -> Traced:
        """What ``numpy.sum`` asks for."""
        return self.reduced("sum", axis, keepdims)
