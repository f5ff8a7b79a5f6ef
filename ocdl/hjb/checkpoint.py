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
from ocdl.hjb.lookahead import Lookahead
from ocdl.problem import ControlProblem

Array = NDArray[np.float64]


def fingerprint(problem: ControlProblem, terminal: Array, axes: Sequence[Array], *options: Any) -> str:
    """A digest of everything that determines the numbers of a run; the dynamics by its values at some points."""
    digest = hashlib.sha256(repr(options).encode())
    law = Lookahead(problem)
    generator = np.random.default_rng(0)
    low, high = (np.nan_to_num(end, posinf=1.0, neginf=-1.0) for end in problem.control_box)
    ends = np.array([[axis[0], axis[-1]] for axis in axes])
    x, u = generator.uniform(ends[:, 0], ends[:, 1], (64, len(axes))), generator.uniform(low, high, (64, problem.m))
    t = generator.uniform(0.0, problem.span, 64)
    for array in (*law.flow(t, 0.1 * problem.span, x, u), *problem.control_box, terminal, *axes):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Checkpoint:
    """Where a march saves its last completed step; without a path it does nothing."""

    def __init__(self, path: str | Path | None, mark: str, seconds: float) -> None:
        self.path = None if path is None else Path(path)
        self.mark, self.seconds = mark, seconds
        self._saved_at = time.monotonic()
        self._last: tuple[int, Array, Array, Array] | None = None
        self.kept: Array | None = None

    def resume(self, value: Array, table: Array) -> int:
        """Fill ``value`` and ``table`` from the file and return the steps done; 0 where there is no file.

        ``kept`` is then what else the scheme carries from step to step.
        """
        if self.path is None or not self.path.exists():
            return 0
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                mark, done = str(saved["mark"]), int(saved["done"])
                if mark == self.mark:
                    value[...] = saved["value"]
                    kept = saved["table"]
                    table[len(table) - len(kept) :] = kept
                    self.kept = saved["kept"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidInput(f"checkpoint={str(self.path)!r}: this is no checkpoint of ocdl ({error}).") from None
        if mark != self.mark:
            raise InvalidInput(
                f"checkpoint={str(self.path)!r}: this file belongs to another problem, grid or scheme; "
                "name another file or delete it."
            )
        return done

    def offer(self, done: int, value: Array, table: Array, kept: Array, *, final: bool) -> None:
        """Tell the state after a completed step; written when it is time or ``final``."""
        if self.path is None:
            return
        self._last = (done, value.copy(), table, kept.copy())
        if final or time.monotonic() - self._saved_at >= self.seconds:
            self.save_last()

    def save_last(self) -> None:
        """Write the last completed step: to a neighbour first, then renamed over the file."""
        if self.path is None or self._last is None:
            return
        done, value, table, kept = self._last
        neighbour = self.path.with_name(self.path.name + ".part")
        with open(neighbour, "wb") as file:
            np.savez(file, mark=self.mark, done=done, value=value, table=table, kept=kept)
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, self.path)
        self._saved_at = time.monotonic()
