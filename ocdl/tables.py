"""Tables and sentences as plain text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

WIDTH = 120


def plain_table(*, collapse_padding: bool = False) -> Any:
    """A rich table ruled below its head only."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=collapse_padding)


def plain_text(parts: Iterable[Any]) -> str:
    """Tables and sentences one below the other, ``WIDTH`` columns wide, without blanks at the ends of lines."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, force_terminal=False, highlight=False, markup=False)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())
