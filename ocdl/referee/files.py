"""Files that are never half written."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ocdl.errors import InvalidInput, NotWritten


def write_whole(said: str, path: Any, write: Callable[[Path], Any]) -> None:
    """``write`` beside ``path``, and rename: the name always stands for a whole file, the old one or the new, whenever
    the program or the machine is stopped.

    Raises InvalidInput where this is no name of a file, NotWritten where the system refuses.
    """
    whole = _file_name(said, path)
    begun = os.fsencode(whole.name)[:200].decode(errors="ignore")  # leaves room for what makes it unique
    part = whole.with_name(f".{begun}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        part.touch()
    except OSError as error:
        raise NotWritten(f"{said}: this file cannot be written; {error.strerror}.") from None
    try:
        write(part)
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, whole)
    except (OSError, RuntimeError) as error:  # the netCDF library says RuntimeError where the disk is full
        why = getattr(error, "strerror", None) or f"{error}; is the disk full?"
        raise NotWritten(f"{said}: this file cannot be written; {why}.") from error
    finally:
        part.unlink(missing_ok=True)


def _file_name(said: str, path: Any) -> Path:
    """The name of a regular file, there or not yet, in a directory that is there."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise InvalidInput(f"{said}: the name of a file is needed; got {type(path).__name__}.")
    if "\0" in os.fspath(path):
        raise InvalidInput(f"{said}: the name of a file cannot hold the character NUL.")
    try:
        whole = Path(path).resolve()
        kind = whole.stat().st_mode if whole.exists() else stat.S_IFREG
        if stat.S_ISDIR(kind):
            raise InvalidInput(f"{said}: this is a directory; the name of a file is needed.")
        if not stat.S_ISREG(kind):
            raise InvalidInput(f"{said}: this is a device, pipe or socket; the name of a file is needed.")
        if not whole.parent.is_dir():
            raise InvalidInput(f"{said}: there is no directory {str(Path(path).parent)!r}.")
    except (OSError, RuntimeError) as error:  # too long a name, links in a circle
        raise InvalidInput(f"{said}: this cannot be the name of a file ({error}).") from None
    return whole
