"""The directory of a campaign: one file a finished task, which is the record, and a log of what was begun and ended.

    KEY.nc             a solution, also one that failed, with its last iterate
    KEY.failure.json   why a task has no solution
    campaign.json      the tasks, in words
    log.jsonl          one line an event: start, end, lost, given up, interrupted; only ever appended to

Result files are renamed into place, so that each is whole or absent. A worker holds its task's *claim* from before it
looks for a result until after it has written one; the system gives a claim back when its holder dies, however it dies.
So no task is computed by two workers at once, whoever started them, nor again once its result is there.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ocdl.campaign.task import Task
from ocdl.comparison.rows import Failure
from ocdl.errors import InvalidInput, NotSupported
from ocdl.files import whole_file
from ocdl.referee.outcome import Status
from ocdl.referee.schema import NEEDED
from ocdl.referee.solution import Solution, load

FORMAT = "ocdl campaign 1"
ENDS = ("end", "given up")

NETCDF = threading.RLock()  # its library is not made for threads
_occupied: set[Path] = set()  # by this process, which the lock of a file does not hold against itself


@dataclass(frozen=True)
class Entry:
    """A finished task's figures; those of a solution are the referee's, None where there is no solution."""

    status: str
    message: str
    failed: bool
    cost: float | None = None
    gap: float | None = None
    gap_is_exact: bool | None = None
    feasibility: float | None = None
    seconds: float | None = None


NOT_RUN = Entry("not run", "Not run: the campaign was stopped before.", failed=True)


class Archive:
    """The files of a campaign in ``directory``."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)

    # -- results --------------------------------------------------------------------------------------

    def solution_file(self, key: str) -> Path:
        return self.directory / f"{key}.nc"

    def failure_file(self, key: str) -> Path:
        return self.directory / f"{key}.failure.json"

    def entry(self, key: str) -> Entry | None:
        """The figures of a finished task, None where it has no result yet; InvalidInput for a damaged file."""
        if self.solution_file(key).exists():
            return _solution_entry(self.solution_file(key))
        if self.failure_file(key).exists():
            failure = self.result(key)
            assert isinstance(failure, Failure)
            return Entry(failure.status, failure.message, failed=True)
        return None

    def settled(self, key: str, *, retry_failed: bool) -> Entry | None:
        """The figures of a task that needs no (other) computation."""
        entry = self.entry(key)
        return None if entry is not None and entry.failed and retry_failed else entry

    def result(self, key: str) -> Solution | Failure:
        """What a finished task found."""
        if self.solution_file(key).exists():
            with NETCDF:
                return load(self.solution_file(key))
        data = _json(self.failure_file(key))
        return Failure(str(data.get("status")), str(data.get("message")))

    def keep(self, key: str, found: Solution | Failure) -> None:
        """Write a result; the holder of the claim, or the campaign's own process where no worker is left, may do so."""
        solution, failure = self.solution_file(key), self.failure_file(key)
        for leftover in self.directory.glob(f".{key}.*.part"):  # of one killed in the midst of it
            leftover.unlink(missing_ok=True)
        with _writing(self.directory), NETCDF:
            if isinstance(found, Failure):
                _write_whole(failure, {"status": found.status, "message": found.message})
                solution.unlink(missing_ok=True)
            else:
                found.save(solution)
                failure.unlink(missing_ok=True)

    # -- the log --------------------------------------------------------------------------------------

    def note(self, event: str, key: str, **facts: Any) -> None:
        """Append one line to the log."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"event": event, "task": key, "time": time, "pid": os.getpid(), "host": socket.gethostname()} | facts
        with _writing(self.directory), open(self.directory / "log.jsonl", "a+b") as file:
            _lock(file, self.directory)
            torn = file.seek(0, os.SEEK_END) > 0 and _last_byte(file) != b"\n"
            file.write(b"\n" * torn + json.dumps(line).encode() + b"\n")

    def events(self) -> list[dict[str, Any]]:
        """The log, line by line; a line torn by a crash is left out."""
        try:
            lines = (self.directory / "log.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [event for event in map(_parsed, lines) if event is not None]

    def ends(self) -> Counter[str]:
        """How often each task was finished."""
        return Counter(line["task"] for line in self.events() if line["event"] in ENDS)

    def mend(self, key: str) -> None:
        """Log the end of a task whose worker was killed between writing the result and saying so; needs the claim."""
        if not self.ends()[key]:
            self.note("end", key, mended=True)

    # -- who may do what ------------------------------------------------------------------------------

    @contextmanager
    def claim(self, key: str) -> Iterator[None]:
        """Hold a task, waiting for another worker that does: one byte of one file a task, by its key's digest."""
        with open(self.directory / ".claims", "ab") as file:
            _lock(file, self.directory, at=int(key.rsplit("-", 1)[-1][:15], 16))
            yield

    @contextmanager
    def occupied(self, tasks: Mapping[str, Task]) -> Iterator[None]:
        """Be the only one who runs a campaign in the directory, and that of these tasks.

        Raises InvalidInput where the directory cannot be written, is in use, or holds another campaign.
        """
        said = f"solve_many(..., {str(self.directory)!r})"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = open(self.directory / ".lock", "a+", encoding="utf-8")  # noqa: SIM115 - held to the end
        except OSError as error:
            raise InvalidInput(f"{said}: a directory that can be written is needed; {error.strerror}.") from None
        path = self.directory.resolve()
        with lock:
            if path in _occupied or not _lock(lock, self.directory, wait=False):
                lock.seek(0)
                raise InvalidInput(
                    f"{said}: another run is at work there ({lock.read().strip() or 'just begun'}); let it finish, or "
                    "stop it: what it has done is kept, and the same call then goes on."
                )
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}")
            lock.flush()
            _occupied.add(path)
            try:
                self._enrol(tasks, said)
                yield
            finally:
                _occupied.remove(path)

    def _enrol(self, tasks: Mapping[str, Task], said: str) -> None:
        path = self.directory / "campaign.json"
        known = _json(path).get("tasks", {}) if path.exists() else {}
        if known and not known.keys() & tasks.keys():
            raise InvalidInput(
                f"{said}: the directory holds another campaign, of {len(known)} task(s) such as {next(iter(known))}, "
                "none of which is among these. A task is known by its content: settings, grid, method, seed, "
                "start, the bytes of the problem's file and ocdl's version. Name another directory, or, to add to this "
                "campaign, give its tasks as well."
            )
        if not known.keys() >= tasks.keys():
            added = {key: task.description() for key, task in tasks.items()}
            with _writing(self.directory):
                _write_whole(path, {"format": FORMAT, "tasks": known | added})


def _solution_entry(path: Path) -> Entry:
    import netCDF4

    try:
        with NETCDF, netCDF4.Dataset(path) as file:
            said = {name: file.getncattr(name) for name in NEEDED}
        status = Status[said["status"]]
        return Entry(
            status=status.name.lower().replace("_", " "),
            message=f"{status.value} {said['detail']}".strip(),
            failed=status.failed,
            cost=float(said["cost"]),
            gap=float(said["gap"]),
            gap_is_exact=bool(said["gap_is_exact"]),
            feasibility=float(said["feasibility"]),
            seconds=float(said["seconds"]),
        )
    except (OSError, AttributeError, KeyError, TypeError, ValueError):
        raise InvalidInput(f"{path}: this result is damaged; delete it, and it is computed again.") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        data = None
    if not isinstance(data, dict):
        raise InvalidInput(f"{path}: this file is damaged; delete it.")
    return data


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and {"event", "task"} <= event.keys() else None


def _write_whole(path: Path, data: dict[str, Any]) -> None:
    with whole_file(path) as part, open(part, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1, ensure_ascii=False)


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    return bytes(file.read(1))


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, InvalidInput) as error:
        raise InvalidInput(
            f"{directory}: results cannot be written there ({error}); what is done is kept, the same call goes on."
        ) from error


def _lock(file: Any, directory: Path, *, at: int | None = None, wait: bool = True) -> bool:
    """Lock a file, or its byte ``at``, until it is closed or this process ends; False where it is taken."""
    try:
        import fcntl
    except ImportError:
        raise NotSupported("solve_many: it needs POSIX file locks, which this system does not have.") from None
    where = (0, 0) if at is None else (1, at)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), *where)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise InvalidInput(f"{directory}: this file system has no file locks ({error.strerror}).") from None
    return True
