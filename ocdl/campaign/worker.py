"""What a worker does with a task, in whatever process it lives: claim, look, compute, keep, say so."""

from __future__ import annotations

import json
import os
import pickle
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ocdl.campaign.archive import NETCDF, Archive, Entry
from ocdl.campaign.source import Source
from ocdl.campaign.task import Task
from ocdl.comparison.rows import Failure
from ocdl.errors import InvalidInput, NotSupported, OcdlError
from ocdl.referee.outcome import Status
from ocdl.referee.solution import Solution, load
from ocdl.solving.compile import Plan, compile


@dataclass(frozen=True)
class Work:
    """A task on its way to a worker, as plain data; ``ticket``: this attempt's mark in the log."""

    key: str
    directory: str
    source: Source
    settings: bytes
    manner: bytes
    description: str
    retry_failed: bool
    ticket: str = ""

    @classmethod
    def of(cls, task: Task, directory: str, *, retry_failed: bool) -> Work:
        description = json.dumps(task.description(), ensure_ascii=False)
        return cls(task.key, directory, task.source, *task.pickled, description, retry_failed)


def perform(work: Work) -> Entry | None:
    """Do the task unless its result is there; None where it was interrupted.

    Whatever the solve raises becomes a Failure on file. OcdlErrors raised from here are the campaign's: the problem's
    file has changed, the directory cannot be written.
    """
    archive = Archive(work.directory)
    with archive.claim(work.key):
        entry = archive.settled(work.key, retry_failed=work.retry_failed)
        if entry is not None:
            archive.mend(work.key)
            return entry
        if not work.source.unchanged:
            raise InvalidInput(
                f"{work.source.path}: this file has changed, or gone, since the tasks were stated; "
                "what is done is kept. Restore it to go on, or state new tasks for another directory."
            )
        archive.note("start", work.key, ticket=work.ticket)
        found = _attempt(work)
        if found.status in (Status.INTERRUPTED, "interrupted"):
            archive.note("interrupted", work.key, ticket=work.ticket)
            return None
        if isinstance(found, Solution):
            found.attrs.update(task=work.key, statement=work.description)
        archive.keep(work.key, found)
        archive.note("end", work.key, ticket=work.ticket)
        return archive.entry(work.key)


def _attempt(work: Work) -> Solution | Failure:
    try:
        return _solution(work)
    except KeyboardInterrupt:
        return Failure("interrupted", "Interrupted by the user before it had an iterate.")
    except NotSupported as error:
        return Failure("not supported", str(error))
    except InvalidInput as error:
        return Failure("refused", str(error))
    except OcdlError as error:
        return Failure("failed", str(error))
    except (Exception, SystemExit) as error:  # the other tasks' hours of work outlive one task's bug
        return Failure("failed", f"{type(error).__name__}: {error}")


def _solution(work: Work) -> Solution:
    stated = work.source.read(pickle.loads(work.settings))
    grid, method, seed, start, certificate = pickle.loads(work.manner)  # after the file, which may define the method
    beginning: Any = stated.start if start is None and seed is None else start
    if isinstance(start, Path):
        with NETCDF:
            beginning = load(start)
    with stated.blamed():
        plan = compile(stated.problem, stated.grid if grid is None else grid, method, like=_before.plan)
        _before.plan = plan
        return plan.solve(start=beginning, seed=seed, certificate=certificate, on_failure="return", progress=False)


class _Before(threading.local):
    """The plan of the task before in this thread: the next one's formulas are often the same."""

    plan: Plan | None = None


_before = _Before()


def obey(parent: Connection) -> None:
    """Make this process a worker that ends when ``parent`` closes, by a word or by death, and not by Ctrl-C.

    The terminal sends Ctrl-C to the whole process group; it is the parent's to answer.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which outlives a process that is ended
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    parent.poll(None)
    os._exit(1)
