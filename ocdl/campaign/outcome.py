"""Campaign: what many solves found, read from their files when asked for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.campaign.archive import NOT_RUN, Archive, Entry
from ocdl.campaign.group import Group
from ocdl.campaign.task import Task
from ocdl.campaign.text import campaign_text
from ocdl.comparison.agreement import CLOSE, ROUNDING
from ocdl.comparison.compare import finite_only
from ocdl.comparison.rows import Failure
from ocdl.errors import InvalidInput
from ocdl.referee.outcome import FEASIBLE
from ocdl.referee.solution import Solution
from ocdl.solving.method import Method

FIGURES = ("cost", "gap", "feasibility", "seconds")


@dataclass(frozen=True, eq=False)
class Campaign(Mapping[str, Solution | Failure]):
    """Solutions and failures by task, or by its key, in the order asked for; each is read from its file when asked for.

    entries: the figures of each, without reading. lost: how often the worker of a task died, by key.
    computed: the tasks that this call computed; the others were done before. interrupted: Ctrl-C ended it.
    """

    directory: Path
    tasks: dict[str, Task]
    entries: dict[str, Entry]
    lost: dict[str, int] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    interrupted: bool = False

    def __getitem__(self, task: Task | str) -> Solution | Failure:
        key = task.key if isinstance(task, Task) else task
        if self.entries[key] is NOT_RUN:
            return Failure(NOT_RUN.status, NOT_RUN.message)
        return Archive(self.directory).result(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __contains__(self, task: object) -> bool:
        return (task.key if isinstance(task, Task) else task) in self.tasks

    @property
    def best_key(self) -> str | None:
        """The key of the lowest cost within the bounds, None where there is no solution."""
        return _best(self.entries)

    @property
    def best(self) -> Solution:
        """The solution of lowest cost within the bounds; InvalidInput where there is none."""
        if self.best_key is None:
            raise InvalidInput("campaign.best: none of the tasks has a solution.")
        found = self[self.best_key]
        assert isinstance(found, Solution)
        return found

    def where(self, **settings: Any) -> Campaign:
        """The part of the campaign whose tasks have these settings, ``seed`` or ``method`` (its name)."""
        wanted = {
            key: task
            for key, task in self.tasks.items()
            if all(_same(_value(task, name), value) for name, value in settings.items())
        }
        if not wanted:
            raise InvalidInput(f"campaign.where({settings}): no task has these settings.")
        return replace(
            self,
            tasks=wanted,
            entries={key: self.entries[key] for key in wanted},
            lost={key: count for key, count in self.lost.items() if key in wanted},
            computed=self.computed & wanted.keys(),
        )

    def table(self) -> xr.Dataset:
        """One line a task along the dimension ``task``: its settings, seed and method, and what it found."""
        entries = list(self.entries.values())
        columns: dict[str, Any] = {
            name: [math.nan if getattr(e, name) is None else getattr(e, name) for e in entries] for name in FIGURES
        }
        columns |= {"status": [e.status for e in entries], "message": [e.message for e in entries]}
        columns["gap_is_exact"] = [bool(e.gap_is_exact) for e in entries]
        columns["failed"] = [e.failed for e in entries]
        tasks = list(self.tasks.values())
        coordinates = {"task": list(self.tasks), "method": [task.method.name for task in tasks]}
        coordinates["seed"] = _column([task.seed for task in tasks])
        for name in dict.fromkeys(name for task in tasks for name in task.settings):
            label = f"setting_{name}" if name in columns or name in coordinates else name
            coordinates[label] = _column([task.settings.get(name) for task in tasks])
        return xr.Dataset(
            {name: ("task", values) for name, values in columns.items()},
            {name: ("task", values) for name, values in coordinates.items()},
        )

    def groups(self) -> list[Group]:
        """The tasks gathered by all that they state but the start."""
        statements = {key: _statement(task) for key, task in self.tasks.items()}
        names = dict.fromkeys(name for statement in statements.values() for name in statement)
        telling = [name for name in names if len({statement.get(name) for statement in statements.values()}) > 1]
        gathered: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for key, statement in statements.items():
            gathered.setdefault(tuple((name, statement.get(name, "")) for name in telling), []).append(key)
        return [_group(dict(label), {key: self.entries[key] for key in keys}) for label, keys in gathered.items()]

    def summary(self) -> dict[str, Any]:
        """All figures as plain data that strict JSON can hold."""
        tasks = {key: task.description() | vars(self.entries[key]) for key, task in self.tasks.items()}
        groups = [vars(group) for group in self.groups()]
        about = {"best": self.best_key, "interrupted": self.interrupted, "lost": self.lost}
        plain: dict[str, Any] = finite_only(about | {"groups": groups, "tasks": tasks})
        return plain

    def __str__(self) -> str:
        return campaign_text(self)

    def __repr__(self) -> str:
        return f"<ocdl.Campaign of {len(self)} tasks in {str(self.directory)!r}; best {self.best_key}>"


# -- judging ----------------------------------------------------------------------------------------------


def attains(entry: Entry, best: Entry) -> bool:
    """The cost is the best one: within rounding and twice its gap (to first order what the gap can explain), at most
    ``CLOSE`` of it, which counts where no gap was sought; or both reach the target.
    """
    if entry.status == best.status == "reachable":
        return True
    assert entry.cost is not None and best.cost is not None and entry.gap is not None
    scale = max(abs(entry.cost), abs(best.cost))
    return entry.cost - best.cost <= ROUNDING * scale + float(np.fmin(2.0 * entry.gap, CLOSE * scale))


def _feasible(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Those with a finite cost, and of them those within the bounds, if any."""
    finite = {key: entry for key, entry in entries.items() if entry.cost is not None and math.isfinite(entry.cost)}
    within = {key: entry for key, entry in finite.items() if (entry.feasibility or 0.0) <= FEASIBLE}
    return within or finite


def _best(entries: Mapping[str, Entry]) -> str | None:
    candidates = _feasible(entries)
    return min(candidates, key=lambda key: candidates[key].cost or 0.0, default=None)


def _group(settings: dict[str, str], entries: dict[str, Entry]) -> Group:
    candidates, key = _feasible(entries), _best(entries)
    best = None if key is None else entries[key]
    return Group(
        settings=settings,
        tasks=len(entries),
        solved=sum(not entry.failed for entry in entries.values()),
        statuses=dict(Counter(entry.status for entry in entries.values()).most_common()),
        best_key=key,
        best=None if best is None else best.cost,
        gap=None if best is None else best.gap,
        gap_is_exact=None if best is None else best.gap_is_exact,
        found=0 if best is None else sum(attains(entry, best) for entry in candidates.values()),
        worst=max((entry.cost for entry in candidates.values() if entry.cost is not None), default=None),
        seconds=sum(entry.seconds or 0.0 for entry in entries.values()),
    )


def _statement(task: Task) -> dict[str, str]:
    said = task.description()
    return said["settings"] | {"problem": said["problem"], "grid": said["grid"], "method": _concise(task.method)}


def _concise(method: Method) -> str:
    """A method without the options it has by default."""
    options = {o.name: repr(getattr(method, o.name)) for o in fields(method)}
    said = [f"{o.name}={options[o.name]}" for o in fields(method) if options[o.name] != repr(_default(o))]
    return f"{method.name}({', '.join(said)})" if said else method.name


def _default(option: Field[Any]) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()


def _value(task: Task, name: str) -> Any:
    return {"seed": task.seed, "method": task.method.name}.get(name, task.settings.get(name))


def _same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b))


def _column(values: list[Any]) -> Any:
    """Numbers as they are, None among them as NaN, all else in words."""
    if all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values):
        return np.array([math.nan if value is None else value for value in values])
    return [str(value) for value in values]
