"""Groups of blocks over the workers of a Dask cluster, which hold their samples.

Everything on the cluster is the result of a task, the samples, too: what dies with a worker the scheduler makes again.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import Basis
from ocdl.depth.schemes import Layers
from ocdl.errors import NotSupported
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused.mesh import DenseMesh, dense_mesh
from ocdl.sweeps.fused.samples import Samples
from ocdl.sweeps.fused.threads import Threads
from ocdl.sweeps.fused.work import GROUP, Part, Work, added, total

Array = NDArray[np.float64]
T = TypeVar("T")


class OnDisk(NamedTuple):
    """Rows of a memory-mapped array, by its file."""

    file: str
    dtype: Any
    offset: int
    shape: tuple[int, ...]
    rows: slice

    def read(self) -> Array:
        return np.array(np.memmap(self.file, self.dtype, "r", self.offset, self.shape)[self.rows])


@dataclass(frozen=True, eq=False)
class Formulas:
    """The formulas of a problem on a mesh, and the samples of a block; every process compiles them for itself."""

    problem: ControlProblem
    depth: Layers
    t: Array
    h: Array
    basis: Basis | None
    size: int

    def sums(self, share: tuple[Array, ...], work: Work) -> Part:
        """What ``work`` sums over a group of samples, (x_0, d, ω)."""
        mesh = dense_mesh(self.problem, self.depth, self.t, self.h, self.basis)
        assert mesh is not None
        samples = Samples(self.problem, *share)
        return total(Threads().parts(work.on(mesh, samples), list(samples.blocks(self.size))))


class Cluster:
    """The workers that a ``distributed.Client`` knows, and what they hold of every problem that is alive."""

    def __init__(self, client: Any) -> None:
        self.client, self._here = client, Threads()
        self._formulas: WeakKeyDictionary[DenseMesh, Any] = WeakKeyDictionary()
        self._shares: WeakKeyDictionary[ControlProblem, dict[int, list[Any]]] = WeakKeyDictionary()

    def summed(self, work: Work, mesh: DenseMesh, samples: Samples) -> Part:
        """What ``work`` sums over the samples, a task for each group of blocks."""
        size = GROUP * mesh.block_size
        if samples.omega.size <= size:
            return self._here.summed(work, mesh, samples)
        formulas, shares = self._formulas_of(samples.problem, mesh), self._shares_of(samples, size)
        sent = self.client.submit(_itself, work, pure=False)
        groups = self.client.map(_sums, shares, formulas=formulas, work=sent, pure=False)
        return added(self.client.gather(groups))

    def parts(self, part: Callable[[slice], T], blocks: list[slice]) -> Iterator[T]:
        return self._here.parts(part, blocks)

    def close(self) -> None:
        """Let the workers forget."""
        self._formulas.clear()
        self._shares.clear()

    def _formulas_of(self, problem: ControlProblem, mesh: DenseMesh) -> Any:
        if mesh not in self._formulas:
            if problem.free_initial:
                raise NotSupported("spread(client=...): initial states are free, and each belongs to a sample.")
            bare = problem.on_samples(np.zeros(1, np.intp))
            given = bare, mesh.depth, mesh.t, mesh.h, mesh.basis, mesh.block_size
            self._formulas[mesh] = self.client.submit(Formulas, *given, pure=False)
        return self._formulas[mesh]

    def _shares_of(self, samples: Samples, size: int) -> list[Any]:
        """The samples, so many to a task, which stay where they were read."""
        held = self._shares.setdefault(samples.problem, {})
        if size not in held:
            arrays = samples.x_0, samples.d, samples.omega
            groups = ([_rows(array, group) for array in arrays] for group in samples.blocks(size))
            held[size] = [self.client.submit(_read, *rows, pure=False) for rows in groups]
        return held[size]


def _rows(array: Array, rows: slice) -> Array | OnDisk:
    """Some rows of an array, or where they are in a file."""
    source: Any = array
    while isinstance(source, np.ndarray) and not isinstance(source.base, mmap.mmap):
        source = source.base
    whole = isinstance(source, np.memmap) and source.size == array.size and source.flags.c_contiguous
    if not (whole and array.flags.c_contiguous and source.dtype == array.dtype):
        return np.array(array[rows])
    return OnDisk(str(source.filename), source.dtype, source.offset, array.shape, rows)


def _read(*rows: Array | OnDisk) -> tuple[Array, ...]:
    return tuple(part.read() if isinstance(part, OnDisk) else part for part in rows)


def _itself(work: Work) -> Work:
    return work


def _sums(share: tuple[Array, ...], formulas: Formulas, work: Work) -> Part:
    return formulas.sums(share, work)
