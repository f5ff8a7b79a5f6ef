"""A campaign in words: the table of its groups, and what there is to say of single tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import Any, Protocol

from ocdl.campaign.archive import NOT_RUN, Entry
from ocdl.campaign.group import Group
from ocdl.tables import plain_table, plain_text


class Told(Sized, Protocol):
    """What the words need of a ``Campaign``."""

    @property
    def directory(self) -> Path: ...
    @property
    def entries(self) -> Mapping[str, Entry]: ...
    @property
    def lost(self) -> Mapping[str, int]: ...
    @property
    def computed(self) -> Sized: ...
    @property
    def best_key(self) -> str | None: ...

    def groups(self) -> list[Group]: ...


def campaign_text(campaign: Told) -> str:
    """The table of groups and what there is to say of single tasks, ``WIDTH`` columns wide."""
    return plain_text(_parts(campaign))


def _parts(campaign: Told) -> Iterator[Any]:
    groups = campaign.groups()
    yield _table(groups)
    if any(group.gap_is_exact is False for group in groups):
        yield "* at least: H may have lower minima than the search found.\n"
    for sentence in _sentences(campaign):
        yield f"• {sentence}"


def _table(groups: list[Group]) -> Any:
    table = plain_table(collapse_padding=True)
    for name in groups[0].settings:
        table.add_column(name, overflow="fold")
    for title in ("solved", "best cost J", "gap", "found", "worst J", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("status")
    for group in groups:
        statuses = [f"{count} {name}" if group.tasks > 1 else name for name, count in group.statuses.items()]
        table.add_row(
            *group.settings.values(),
            f"{group.solved}/{group.tasks}",
            _shown(group.best, ".9g"),
            _shown(group.gap, ".1e", " *" if group.gap_is_exact is False else ""),
            f"{group.found}/{group.tasks}",
            _shown(group.worst, ".7g"),
            f"{group.seconds:.3g} s",
            ", ".join(statuses),
        )
    return table


def _sentences(campaign: Told) -> list[str]:
    done = [key for key, entry in campaign.entries.items() if entry is not NOT_RUN]
    earlier = len(done) - len(campaign.computed)
    said: list[str] = []
    if campaign.best_key is not None and all(group.settings.keys() <= {"method"} for group in campaign.groups()):
        said.append(f"Lowest cost: {campaign.best_key}.nc in {campaign.directory}.")
    if earlier:
        said.append(f"{earlier} of {len(campaign)} tasks were done before and have not been computed again.")
    if campaign.lost:
        named = ", ".join(f"{key} ({count} times)" if count > 1 else key for key, count in campaign.lost.items())
        said.append(f"Workers died of, or during, these tasks, which were done again or given up: {named}.")
    reasons: dict[str, list[str]] = {}
    for key in done:
        if campaign.entries[key].failed:
            reasons.setdefault(campaign.entries[key].message, []).append(key)
    for message, keys in reasons.items():
        also = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        said.append(f"{keys[0]}{also}: {message}")
    if reasons:
        said.append("What failed is not computed again unless asked for (retry_failed).")
    if len(done) < len(campaign):
        said.append(
            f"{len(campaign) - len(done)} of {len(campaign)} tasks were not run. The same call, or command, goes on "
            "from here; what is done is not computed again."
        )
    return said


def _shown(value: float | None, form: str, mark: str = "") -> str:
    return "–" if value is None or math.isnan(value) else f"{value:{form}}{mark}"
