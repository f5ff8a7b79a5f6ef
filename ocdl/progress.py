"""Progress bars: quiet when not on a terminal, or when asked."""

from __future__ import annotations

import sys
from typing import Any


class Unseen:
    """The bar that nobody sees: tqdm is loaded only to be looked at."""

    disable = True

    def __enter__(self) -> Unseen:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be closed."""

    def update(self, steps: int = 1) -> None:
        """Counts nothing."""

    def set_description(self, text: str) -> None:
        """Says nothing."""

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Says nothing."""


def progress_bar(description: str, total: int | None = None, *, progress: bool | None = None) -> Any:
    """A tqdm bar on stderr; ``progress`` None means only on a terminal, True always, False never."""
    if not (sys.stderr is not None and sys.stderr.isatty() if progress is None else progress):
        return Unseen()
    from tqdm import tqdm

    return tqdm(desc=description, total=total, leave=False)
