"""Bounds on states kept with a margin: what leaves them is tried again with a wider one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def widened_margins(
    attempt: Callable[[float], tuple[float, T]],
    *,
    kept: float,
    most: int,
    cell: float = 1.0,
    margin: float = 0.0,
    while_falling: bool = False,
) -> tuple[float, T]:
    """The attempt that leaves the bounds least, with by how much, of at most so many.

    ``attempt``: a margin in cells → by how much it leaves the bounds, in units of which a ``cell`` has so many, and the
    attempt itself. Each margin is twice the one before and what that left the bounds by, until they are left by no more
    than ``kept``; ``while_falling``: or by no less than the time before.
    """
    tried: list[tuple[float, T]] = []
    for _ in range(most):
        tried.append(attempt(margin))
        over = tried[-1][0]
        if over <= kept or (while_falling and len(tried) > 1 and over >= tried[-2][0]):
            break
        margin = 2.0 * margin + over / cell
    return min(tried, key=lambda one: one[0])
