"""The conductor: hands tasks to pools, takes results, and redoes what was lost with a worker."""

from __future__ import annotations

import secrets
import sys
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import replace
from typing import Any

from ocdl.campaign.archive import Archive, Entry
from ocdl.campaign.pools import Pool
from ocdl.campaign.worker import Work, perform
from ocdl.comparison.rows import Failure
from ocdl.errors import OcdlError, SolveFailed

STILLBORN = 3


class Conductor:
    """One run over the tasks that are open; ``entries``: the figures of those it finished."""

    def __init__(self, archive: Archive, works: Iterable[Work], pools: Sequence[Pool], attempts: int, bar: Any) -> None:
        self.archive, self.pools, self.attempts, self.bar = archive, pools, attempts, bar
        self.queue = deque(works)
        self.entries: dict[str, Entry] = {}
        self.losses: Counter[str] = Counter()

    def run(self) -> None:
        """Until every task is finished or given up.

        Raises KeyboardInterrupt, SolveFailed where the user's executor broke or no worker comes to life, and what
        ``perform`` raises.
        """
        try:
            while self.queue or any(pool.running for pool in self.pools):
                for pool in self.pools:
                    self._fill(pool)
                wait([future for pool in self.pools for future in pool.running], return_when=FIRST_COMPLETED)
                for pool in self.pools:
                    self._collect(pool)
        finally:
            for pool in self.pools:
                pool.close()

    def _fill(self, pool: Pool) -> None:
        while self.queue and self._takes(pool, self.queue[0]):
            work = replace(self.queue.popleft(), ticket=secrets.token_hex(8))
            try:
                pool.running[pool.executor.submit(perform, work)] = work
            except BrokenExecutor as error:
                self.queue.appendleft(work)
                self._broke(pool, error)
                return
            except RuntimeError as error:
                raise SolveFailed(f"solve_many: the executor takes no tasks ({error}); give a new one.") from error

    def _takes(self, pool: Pool, work: Work) -> bool:
        """A task that was lost before runs alone in its pool: if it kills its worker again, no other is to blame."""
        alone = self.losses[work.key] or any(self.losses[other.key] for other in pool.running.values())
        return not pool.running if alone else len(pool.running) < pool.room

    def _collect(self, pool: Pool) -> None:
        broken: BaseException | None = None
        for future in [future for future in pool.running if future.done()]:
            error = _error(future)
            if isinstance(error, BrokenExecutor):
                broken = error
                continue
            work = pool.running.pop(future)
            if error is None:
                self._finish(work, future.result())
                pool.stillborn = 0
            elif isinstance(error, (OcdlError, KeyboardInterrupt)):
                raise error
            else:
                self._lose(work, error)
        if broken is not None:
            self._broke(pool, broken)

    def _finish(self, work: Work, entry: Entry | None) -> None:
        if entry is None:
            raise KeyboardInterrupt
        self.entries[work.key] = entry
        self.bar.update()

    def _broke(self, pool: Pool, error: BaseException) -> None:
        """Blame the tasks that had begun and renew the executor."""
        wait(pool.running, timeout=60.0)
        finished = [future for future in pool.running if future.done() and _error(future) is None]
        for future in finished:
            self._finish(pool.running.pop(future), future.result())
        lost, pool.running = list(pool.running.values()), {}
        begun = {line.get("ticket") for line in self.archive.events() if line["event"] == "start"}
        guilty = [work for work in lost if work.ticket in begun]
        self.queue.extendleft(work for work in reversed(lost) if work.ticket not in begun)
        for work in guilty:
            self._lose(work, error)
        pool.stillborn = 0 if guilty else pool.stillborn + 1
        if pool.stillborn >= STILLBORN:
            raise SolveFailed(
                f"solve_many: workers died {STILLBORN} times in a row before they began a task; what they wrote to the "
                "terminal says why. A script that calls solve_many must do so under `if __name__ == '__main__':`, "
                "since every worker imports the script."
            )
        if pool.make is None:
            raise SolveFailed(
                f"solve_many: the executor broke ({error}) and cannot be renewed, since it was given ready-made; what "
                f"is done is kept in {self.archive.directory}. Call again with a new one, or give a function "
                "that makes one: executor=lambda: ProcessPoolExecutor(...)."
            ) from error
        pool.renew()

    def _lose(self, work: Work, error: BaseException) -> None:
        """A worker ended before its task did: once more, unless that was the last attempt."""
        self.losses[work.key] += 1
        count = self.losses[work.key]
        self.archive.note("lost", work.key, ticket=work.ticket, loss=count, why=f"{type(error).__name__}: {error}")
        if count < self.attempts:
            self._say(f"{work.key}: its worker died (attempt {count} of {self.attempts}); once more")
            self.queue.append(work)
            return
        self._say(f"{work.key}: its worker died {count} times; given up")
        self._give_up(work, f"Its worker died in each of {count} attempts; the last was reported as: {error}")

    def _give_up(self, work: Work, why: str) -> None:
        with self.archive.claim(work.key):
            if self.archive.settled(work.key, retry_failed=work.retry_failed) is None:
                self.archive.keep(work.key, Failure("given up", why))
                self.archive.note("given up", work.key, ticket=work.ticket)
            else:  # it died between writing the result and saying so
                self.archive.mend(work.key)
            self._finish(work, self.archive.entry(work.key))

    def _say(self, line: str) -> None:
        if not self.bar.disable:
            self.bar.write(line, file=sys.stderr)


def _error(future: Future[Any]) -> BaseException | None:
    """What a finished future raised; a cancelled one counts as lost."""
    return OSError("cancelled by the executor") if future.cancelled() else future.exception()
