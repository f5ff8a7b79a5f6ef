"""The figures of the tasks that differ only in their start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """The tasks that differ only in their start, and how often they found the best cost among them.

    settings: what tells the group from the others, in words. solved: how many ended well; statuses: all, by name.
    best, worst: lowest and highest cost within the bounds; best_key, gap: of the best. found: how many attain it.
    """

    settings: dict[str, str]
    tasks: int
    solved: int
    statuses: dict[str, int]
    best_key: str | None
    best: float | None
    gap: float | None
    gap_is_exact: bool | None
    found: int
    worst: float | None
    seconds: float
