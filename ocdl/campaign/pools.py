"""Where tasks are done: our own worker processes, one executor each, or any executor of the user's."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ocdl.arrays import is_whole
from ocdl.campaign.worker import Work, obey
from ocdl.errors import InvalidInput

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker(ProcessPoolExecutor):
    """One process: when it dies, it is plain which task it died of.

    It is spawned, not forked (IPOPT's libraries do not survive a fork), computes with one thread unless the
    environment says otherwise, and ends with this process, however that ends.
    """

    def __init__(self) -> None:
        ear, self._mouth = multiprocessing.Pipe(duplex=False)
        spawn = multiprocessing.get_context("spawn")
        super().__init__(1, mp_context=spawn, initializer=obey, initargs=(ear,))

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        with _one_thread():  # the process is made here
            return super().submit(*args, **kwargs)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._mouth.close()
        self.shutdown(wait=True, cancel_futures=True)


@dataclass(eq=False)
class Pool:
    """An executor, how many tasks it takes at a time, and those it has.

    make: what renews it when it breaks, None for an executor of the user's. stillborn: how often it broke in a row
    before any task had begun.
    """

    executor: Executor
    make: Callable[[], Executor] | None
    room: float = math.inf
    running: dict[Future[Any], Work] = field(default_factory=dict)
    stillborn: int = 0

    def renew(self) -> None:
        """Another executor in place of one that broke."""
        assert self.make is not None
        self.close()
        self.executor = _made(self.make)

    def close(self) -> None:
        """Take back what has not begun; end what is ours, and wait for threads, which cannot be ended and would go on
        writing behind the caller's back.
        """
        for future in self.running:
            future.cancel()
        if self.running and isinstance(self.executor, Worker):
            self.executor.stop()
        elif self.make is not None:
            threads = isinstance(self.executor, ThreadPoolExecutor)
            self.executor.shutdown(wait=threads or not self.running, cancel_futures=True)


def make_pools(executor: Executor | Callable[[], Executor] | None, workers: int, tasks: int) -> list[Pool]:
    """Our own workers, no more than there are tasks, or one pool over what the user gave."""
    if not is_whole(workers) or workers < 1:
        raise InvalidInput(f"solve_many(workers={workers!r}): a whole number of processes, at least 1, is needed.")
    if executor is None:
        return [Pool(Worker(), Worker, room=1) for _ in range(min(workers, tasks))]
    if isinstance(executor, Executor):
        return [Pool(executor, None)]
    if not callable(executor):
        raise InvalidInput(
            f"solve_many(executor={executor!r}): give a concurrent.futures.Executor, a function that makes one "
            "(so that it can be renewed when it breaks), or None for processes of this machine."
        )
    return [Pool(_made(executor), executor)]


def _made(make: Callable[[], Executor]) -> Executor:
    made = make()
    if not isinstance(made, Executor):
        raise InvalidInput(f"solve_many(executor={make!r}): it must make a concurrent.futures.Executor; got {made!r}.")
    return made


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes begun here compute with one thread each: no more threads than workers, and the same sums in any."""
    absent = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(absent, "1"))
    try:
        yield
    finally:
        for name in absent:
            del os.environ[name]
