"""Batch: one CasADi function of columns, evaluated on many columns at once; all of CasADi's numbers come from here."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.interrupts import uninterrupted
from ocdl.once import Recent
from ocdl.vectorised import Vectorised, vectorises

Array = NDArray[np.float64]

SIZES = 64  # of which mapped functions are kept
HELD = 20_000  # numbers of a call for which a function keeps its memory: pointing it to other costs more than a copy
MANY = 1000  # columns from which numpy is faster than CasADi


class Direct:
    """A CasADi function of dense matrices that reads and writes numpy memory.

    CasADi's own call converts every array entry by entry, which costs more than evaluating the function.
    Results are column-major. One instance is not for several threads at once.
    """

    def __init__(self, function: Any) -> None:
        sparse = [i for i in range(function.n_out()) if not function.sparsity_out(i).is_dense()]
        self.function = _densified(function) if sparse else function
        self._arguments = [self.function.numel_in(i) for i in range(self.function.n_in())]
        self._shapes = [self.function.size_out(i) for i in range(self.function.n_out())]
        self._buffer, self._run = self.function.buffer()
        self._held: tuple[list[Array], list[Array]] | None = None
        if sum(self._arguments) + sum(rows * columns for rows, columns in self._shapes) <= HELD:
            given = [np.zeros(size) for size in self._arguments]
            self._held = given, [np.zeros(shape, order="F") for shape in self._shapes]
            self._point_to(*self._held)

    def __call__(self, *arguments: Any) -> list[Array]:
        given = [np.asfortranarray(argument, dtype=float) for argument in arguments]
        if [array.size for array in given] != self._arguments:
            raise ValueError(f"{self.function.name()}: arguments of {self._arguments} entries are needed.")
        with uninterrupted():
            if self._held is None:
                results = [np.empty(shape, order="F") for shape in self._shapes]
                self._point_to(given, results)
                self._evaluate()
                return results
            for held, array in zip(self._held[0], given, strict=True):
                held[:] = array.reshape(-1, order="A")
            self._evaluate()
            return [result.copy(order="F") for result in self._held[1]]

    def _point_to(self, given: list[Array], results: list[Array]) -> None:
        """Have the function read and write this memory."""
        for set_, arrays in ((self._buffer.set_arg, given), (self._buffer.set_res, results)):
            for i, array in enumerate(arrays):
                if array.size:
                    set_(i, array.reshape(-1, order="A").data)

    def _evaluate(self) -> None:
        self._run()
        if self._buffer.ret():
            raise RuntimeError(f"{self.function.name()}: CasADi could not evaluate it.")


def evaluated(function: Any, *arguments: Any) -> list[Array]:
    """What a CasADi function returns, as arrays; for functions that are called too seldom to be ``Direct``."""
    with uninterrupted():
        results = function(*arguments)
        return [part.full() for part in (results if isinstance(results, (tuple, list)) else [results])]


def _densified(function: Any) -> Any:
    arguments = function.mx_in()
    results = function(*arguments)
    results = results if isinstance(results, (tuple, list)) else [results]
    return ca.Function(function.name(), arguments, [ca.densify(result) for result in results])


class Batch:
    """Maps a function over K columns: arguments are (rows, K), those in ``shared`` (rows,).

    Results are (rows, K), or (rows,) for those in ``summed``, which are added up over the columns.
    Arguments in ``layered`` are (rows, N): each serves K/N columns in turn, and ``summed`` results are then (rows, N),
    added up over the columns of a layer. A mapped function is built for every (K, N) that occurs; the latest are kept.
    """

    def __init__(
        self,
        function: ca.Function,
        shared: tuple[int, ...] = (),
        summed: tuple[int, ...] = (),
        layered: tuple[int, ...] = (),
    ) -> None:
        self.function = function
        self.shared, self.summed, self.layered = shared, summed, layered
        self._maps = Recent(SIZES)

    @cached_property
    def _vectorised(self) -> Vectorised | None:
        return Vectorised(self.function) if vectorises(self.function) else None

    def __call__(self, *arguments: Any) -> list[Array]:
        separate = next(i for i in range(len(arguments)) if i not in self.shared + self.layered)
        columns = int(np.shape(arguments[separate])[-1])
        layers = int(np.shape(arguments[self.layered[0]])[-1]) if self.layered else 1
        if columns >= MANY and self._vectorised is not None:
            return self._by_numpy(self._vectorised, arguments, columns, layers)
        mapped: Direct = self._maps.of((columns, layers), lambda: Direct(self._mapped(columns, layers)))
        arrays = mapped(*arguments)
        return [array[:, 0] if i in self.summed and not self.layered else array for i, array in enumerate(arrays)]

    def _by_numpy(self, function: Vectorised, arguments: Any, columns: int, layers: int) -> list[Array]:
        given = []
        for i, argument in enumerate(arguments):
            array = np.asarray(argument, dtype=float)
            array = array.reshape(-1, 1) if i in self.shared else array
            given.append(np.repeat(array, columns // layers, axis=1) if i in self.layered else array)
        results = function(given, columns)
        for i in self.summed:
            by_layer = results[i].reshape(len(results[i]), layers, columns // layers).sum(axis=2)
            results[i] = by_layer if self.layered else by_layer[:, 0]
        return results

    def _mapped(self, columns: int, layers: int) -> ca.Function:
        name, fixed = self.function.name(), list(self.shared + self.layered)
        inner = self.function.map(f"{name}_{columns // layers}", "serial", columns // layers, fixed, list(self.summed))
        return (
            inner.map(f"{name}_{columns}_{layers}", "serial", layers, list(self.shared), []) if self.layered else inner
        )
