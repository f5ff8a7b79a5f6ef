"""solve_many: many solves on many processes, each kept on file at once, and none done twice."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ocdl.arrays import is_whole
from ocdl.campaign.archive import NOT_RUN, Archive, Entry
from ocdl.campaign.conductor import Conductor
from ocdl.campaign.outcome import Campaign
from ocdl.campaign.pools import make_pools
from ocdl.campaign.task import Task
from ocdl.campaign.worker import Work
from ocdl.errors import InvalidInput
from ocdl.progress import progress_bar


def solve_many(
    tasks: Iterable[Task],
    directory: str | Path,
    *,
    executor: Executor | Callable[[], Executor] | None = None,
    workers: int = 2,
    attempts: int = 3,
    retry_failed: bool = False,
    progress: bool | None = None,
) -> Campaign:
    """Do ``tasks`` on several processes and keep each result in ``directory`` as soon as it is there.

    Called again with the same tasks and directory, after whatever end, it does only what is left; more tasks may be
    added. A result does not depend on the number of workers. Ctrl-C ends the campaign and keeps what is finished.

    executor: None for ``workers`` processes of this machine; else any concurrent.futures.Executor that can read and
        write the directory (Dask's ``client.get_executor()``, mpi4py's ``MPIPoolExecutor``, a ProcessPoolExecutor
        that spawns; one thread a process, since the libraries below are not made for more), or a function that makes
        one and is called again when it breaks.
    attempts: how often a task is begun whose worker dies before it is given up and the others go on.
    retry_failed: do those again that failed before; otherwise a failure counts as a result.

    Raises InvalidInput for tasks or a directory that break a rule, and SolveFailed where a ready-made executor broke.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as the standard library knows it
        raise InvalidInput(
            "solve_many: called while a worker imports this script; put the call under `if __name__ == '__main__':`."
        )
    if not is_whole(attempts) or attempts < 1:
        raise InvalidInput(f"solve_many(attempts={attempts!r}): a whole number of attempts, at least 1, is needed.")
    if not isinstance(directory, (str, Path)):
        raise InvalidInput(f"solve_many(..., {directory!r}): the path of a directory for the results is needed.")
    named = _named(tasks)
    archive = Archive(Path(directory).resolve())
    with archive.occupied(named):
        settled = {key: archive.settled(key, retry_failed=retry_failed) for key in named}
        _mend(archive, settled)
        works = [
            Work.of(named[key], str(archive.directory), retry_failed=retry_failed)
            for key, entry in settled.items()
            if entry is None
        ]
        with progress_bar("solve_many", len(named), progress=progress) as bar:
            bar.update(len(named) - len(works))
            pools = make_pools(executor, workers, len(works))
            conductor = Conductor(archive, works, pools, attempts, bar)
            interrupted = _interrupted(conductor)
        entries = settled | conductor.entries
    return Campaign(
        directory=Path(directory),
        tasks=named,
        entries={key: entries[key] or NOT_RUN for key in named},
        lost=dict(conductor.losses),
        computed=frozenset(conductor.entries),
        interrupted=interrupted,
    )


def _interrupted(conductor: Conductor) -> bool:
    """Run it to its end; True where Ctrl-C was that end."""
    try:
        conductor.run()
    except KeyboardInterrupt:
        return True
    return False


def _mend(archive: Archive, settled: dict[str, Entry | None]) -> None:
    """Log the ends that a crash left out."""
    ended = archive.ends()
    for key, entry in settled.items():
        if entry is not None and not ended[key]:
            with archive.claim(key):
                archive.mend(key)


def _named(tasks: Any) -> dict[str, Task]:
    """Tasks by key."""
    if isinstance(tasks, (str, Task)) or not isinstance(tasks, Iterable):
        raise InvalidInput(f"solve_many(tasks={tasks!r}): give a list of tasks, such as ocdl.multi_start(...) makes.")
    named: dict[str, Task] = {}
    for number, task in enumerate(tasks):
        if not isinstance(task, Task):
            raise InvalidInput(f"solve_many(tasks=[...]): item {number} is {task!r}; every item must be an ocdl.Task.")
        if task.key in named:
            raise InvalidInput(
                f"solve_many(tasks=[...]): item {number} is the same as item {list(named).index(task.key)} "
                f"({task.key}); give each task once."
            )
        named[task.key] = task
    if not named:
        raise InvalidInput("solve_many(tasks=[]): at least one task is needed.")
    return named
