"""Batch: one CasADi function of columns, evaluated on many columns at once."""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Batch:
    """Maps a function over K columns: arguments are (rows, K), those in ``shared`` (rows,).

    Results are (rows, K), or (rows,) for those in ``summed``, which are added up over the columns.
    One mapped function is built for every K that occurs, then kept.
    """

    def __init__(self, function: ca.Function, shared: tuple[int, ...] = (), summed: tuple[int, ...] = ()) -> None:
        self.function = function
        self.shared, self.summed = shared, summed
        self._maps: dict[int, ca.Function] = {}

    def __call__(self, *arguments: Any) -> list[Array]:
        separate = next(i for i in range(len(arguments)) if i not in self.shared)
        columns = int(np.shape(arguments[separate])[-1])
        if columns not in self._maps:
            self._maps[columns] = self.function.map(
                f"{self.function.name()}_{columns}", "serial", columns, list(self.shared), list(self.summed)
            )
        results = self._maps[columns](*arguments)
        arrays = [np.asarray(r.full()) for r in (results if isinstance(results, (tuple, list)) else [results])]
        return [array[:, 0] if i in self.summed else array for i, array in enumerate(arrays)]
