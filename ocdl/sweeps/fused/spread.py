"""Where blocks of samples are worked on: in this thread, in several, or on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput
from ocdl.sweeps.fused.cluster import Cluster
from ocdl.sweeps.fused.mesh import DenseMesh
from ocdl.sweeps.fused.samples import Samples
from ocdl.sweeps.fused.threads import Threads
from ocdl.sweeps.fused.work import Part, Work

T = TypeVar("T")


class Place(Protocol):
    """Where blocks are worked on."""

    def summed(self, work: Work, mesh: DenseMesh, samples: Samples) -> Part:
        """What ``work`` sums over the samples, the same to the bit at every place."""
        ...

    def parts(self, part: Callable[[slice], T], blocks: list[slice]) -> Iterator[T]:
        """The parts of the blocks, in their order; in this process."""
        ...

    def close(self) -> None: ...


_place: ContextVar[Place] = ContextVar("place", default=Threads())  # noqa: B039


def place() -> Place:
    """Where blocks are worked on now."""
    return _place.get()


@contextmanager
def spread(*, threads: int = 1, client: Any = None) -> Iterator[None]:
    """Spread the samples of dense layers: whatever trains, or is judged, within ``with ocdl.spread(...):``, sums its
    costs, gradients and Hessian products over blocks of samples that are worked on side by side.

    threads: of this process; each computes with one thread of BLAS.
    client: a ``distributed.Client`` of a Dask cluster (extra ``cluster``), whose workers then hold the samples, group
    by group. What a lost worker held and did is done again by others. Memory-mapped inputs and labels are read by the
    workers from the file, under the same name. Batches of a few blocks, and residuals' Jacobians, stay here.

    Sums have one order, that of the blocks: results are the same to the bit for any number of threads and workers of
    one kind, as are those without. Problems whose layers are not dense are computed as ever, and not spread.

    Raises InvalidInput for no positive number of threads, and for what is no client.
    """
    if not is_whole(threads) or threads < 1:
        raise InvalidInput(f"spread(threads={threads!r}): a whole number, at least 1, is needed.")
    if client is not None and threads != 1:
        raise InvalidInput(f"spread(threads={threads}, client=...): the cluster knows the threads of its workers.")
    if client is not None and not callable(getattr(client, "submit", None) and getattr(client, "gather", None)):
        raise InvalidInput(f"spread(client={client!r}): give a distributed.Client.")
    here: Place = Threads(threads) if client is None else Cluster(client)
    token = _place.set(here)
    try:
        yield
    finally:
        _place.reset(token)
        here.close()
