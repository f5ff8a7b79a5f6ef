"""Checkpoints of a long value iteration: written whole or not at all, resumed only by the run they belong to."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.errors import InvalidInput
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]


def fingerprint(box: VelocityBox, terminal: Array, axes: Sequence[Array], *options: Any) -> str:
    """A digest of everything that determines the numbers of a run."""
    digest = hashlib.sha256(repr((box.activation, options)).encode())
    probe = np.asarray(box.activation(np.linspace(-3.0, 3.0, 61)))
    for array in (probe, box.weights, box.a_lower, box.a_upper, box.b_lower, box.b_upper, terminal, *axes):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Checkpoint:
    """Where a march saves its last completed step; without a path it does nothing."""

    def __init__(self, path: str | Path | None, mark: str, seconds: float) -> None:
        self.path = None if path is None else Path(path)
        self.mark, self.seconds = mark, seconds
        self._saved_at = time.monotonic()
        self._last: tuple[int, Array, Array] | None = None

    def resume(self, value: Array, table: Array) -> int:
        """Fill ``value`` and ``table`` from the file and return the steps done; 0 where there is no file."""
        if self.path is None or not self.path.exists():
            return 0
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                mark, done = str(saved["mark"]), int(saved["done"])
                if mark == self.mark:
                    value[...] = saved["value"]
                    kept = saved["table"]
                    table[len(table) - len(kept) :] = kept
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidInput(f"checkpoint={str(self.path)!r}: this is no checkpoint of ocdl ({error}).") from None
        if mark != self.mark:
            raise InvalidInput(
                f"checkpoint={str(self.path)!r}: this file belongs to another problem, grid or scheme; "
                "name another file or delete it."
            )
        return done

    def offer(self, done: int, value: Array, table: Array, *, final: bool) -> None:
        """Tell the state after a completed step; written when it is time or ``final``."""
        if self.path is None:
            return
        self._last = (done, value.copy(), table)
        if final or time.monotonic() - self._saved_at >= self.seconds:
            self.save_last()

    def save_last(self) -> None:
        """Write the last completed step: to a neighbour first, then renamed over the file."""
        if self.path is None or self._last is None:
            return
        done, value, table = self._last
        neighbour = self.path.with_name(self.path.name + ".part")
        with open(neighbour, "wb") as file:
            np.savez(file, mark=self.mark, done=done, value=value, table=table)
        os.replace(neighbour, self.path)
        self._saved_at = time.monotonic()
