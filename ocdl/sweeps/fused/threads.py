"""Blocks of samples over the threads of this process, each of which computes with one thread of BLAS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from ocdl.interrupts import uninterrupted
from ocdl.sweeps.fused.mesh import DenseMesh
from ocdl.sweeps.fused.samples import Samples
from ocdl.sweeps.fused.work import Part, Work, total

T = TypeVar("T")


class Threads:
    """So many threads; of one, the caller's own."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._executor = ThreadPoolExecutor(count, "ocdl blocks") if count > 1 else None

    def summed(self, work: Work, mesh: DenseMesh, samples: Samples) -> Part:
        """What ``work`` sums over the samples."""
        return total(self.parts(work.on(mesh, samples), list(samples.blocks(mesh.block_size))))

    def parts(self, part: Callable[[slice], T], blocks: list[slice]) -> Iterator[T]:
        """The parts of the blocks, in their order."""
        with one_thread_of_blas():
            if self._executor is None or len(blocks) == 1:
                yield from map(part, blocks)
                return
            context = copy_context()  # numpy's error state is in it
            yield from self._executor.map(lambda block: context.copy().run(part, block), blocks)

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _blas() -> list[Any]:
    return [library for library in _libraries().lib_controllers if library.user_api == "blas"]


class _Held(threading.local):
    """How many hold BLAS, what gives its threads back when the last has done, and whether this thread is one."""

    lock, count = threading.Lock(), 0  # of the class: of all threads
    limiter: Any = None
    here = False


_held = _Held()


@contextmanager
def one_thread_of_blas() -> Iterator[None]:
    """One thread of BLAS for each caller: a sum of a block then has one order, and threads do not multiply."""
    if _held.here or (_Held.count == 0 and all(library.get_num_threads() == 1 for library in _blas())):
        yield
        return
    with uninterrupted(), _Held.lock:
        if _Held.count == 0:
            _Held.limiter = _libraries().limit(limits=1, user_api="blas")
        _Held.count += 1
        _held.here = True
    try:
        yield
    finally:
        with uninterrupted(), _Held.lock:
            _Held.count -= 1
            _held.here = False
            if _Held.count == 0:
                _Held.limiter.restore_original_limits()
