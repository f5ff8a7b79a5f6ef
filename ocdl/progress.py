"""Progress bars: quiet when not on a terminal, or when asked."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


def progress_bar(description: str, total: int | None = None, *, progress: bool | None = None) -> Any:
    """A tqdm bar on stderr; ``progress`` None means only on a terminal, True always, False never."""
    return tqdm(desc=description, total=total, disable=None if progress is None else not progress, leave=False)
