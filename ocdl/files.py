"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, part: Path | None = None) -> Iterator[Path]:
    """A file beside ``path`` to write to, renamed over it at the end: the name always stands for a whole file, the old
    one or the new, whenever the program or the machine is stopped.

    ``part``: its name, if not one of its own. Raises OSError, or what the writing raises, and leaves nothing behind.
    """
    begun = os.fsencode(path.name)[:200].decode(errors="ignore")  # leaves room for what makes it unique
    part = part or path.with_name(f".{begun}.{os.getpid()}-{secrets.token_hex(4)}.part")
    part.touch()
    try:
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
