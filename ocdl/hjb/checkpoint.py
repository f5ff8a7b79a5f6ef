"""Checkpoints of a long value iteration: written whole or not at all, resumed only by the run they belong to."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.errors import InvalidInput
from ocdl.files import whole_file
from ocdl.hjb.planning import Plan
from ocdl.hjb.schemes.lookahead import Lookahead
from ocdl.statement.problem import ROLES, ControlProblem

Array = NDArray[np.float64]
Mark = dict[str, str]

FORMAT = 2
PROBED = 256  # points where a minimiser is compared


def fingerprint(problem: ControlProblem, plan: Plan, law: Lookahead, extended: dict[str, Any] | None = None) -> Mark:
    """A digest of each part of the statement and of the options that determines V on its grid, by its name.

    Formulas enter as serialised expressions, a minimiser by its values at fixed random depths, states and gradients.
    ``extended``: what else makes V another one, by name.
    What only a rollout sees (``initial``, ``feedback``) and kernels, which agree to rounding, do not.
    """
    depths = np.linspace(0.0, problem.span, plan.steps + 1)
    parts: dict[str, Any] = {role: _formula(problem, role) for role in ROLES}
    parts |= {
        "horizon": problem.horizon,
        "data": problem.data,
        "weights": problem.weights,
        "bounds of the controls": problem.control_box,
        "bounds of the states": problem.state_box_at(depths),
        "scheme": plan.scheme,
        "grid of states": (*plan.grid.axes, *filter(None, plan.grid.periods)),
        "steps": plan.steps,
        "depths kept": plan.stored,
        "controls": law.finite,
        "minimiser": _probed(law, plan),
        **(extended or {}),
    }
    return {name: _digest(part) for name, part in parts.items()}


def _formula(problem: ControlProblem, role: str) -> str | None:
    """The expression of a role; its serialisation knows neither names of files nor addresses."""
    if getattr(problem, role) is None:
        return None
    symbols = {name: symbol for name, symbol in problem.symbols().items() if name in ROLES[role]}
    symbols |= {name: ca.SX.sym(name, problem.n) for name in ("x0", "xT") if name in ROLES[role]}
    value = problem.evaluate(role, **symbols)
    return str(ca.Function(role, list(symbols.values()), [value]).serialize())


def _probed(law: Lookahead, plan: Plan) -> Array | None:
    """What the minimiser answers at random points of the domain, to gradients of many sizes."""
    if law.minimiser is None:
        return None
    generator, D = np.random.default_rng(0), law.dimension
    t = generator.uniform(0.0, law.problem.span, PROBED)
    x = generator.uniform(plan.grid.lower, plan.grid.upper, (PROBED, D))
    p = generator.standard_normal((PROBED, D)) * 10.0 ** generator.uniform(-3.0, 3.0, (PROBED, 1))
    return law.extremal(t, x, p, np.tile(law.centre, (PROBED, 1)))


def _digest(part: Any) -> str:
    digest = hashlib.sha256()
    for piece in part if isinstance(part, tuple) else (part,):
        exact = np.ascontiguousarray(piece) if isinstance(piece, np.ndarray) else None
        digest.update(repr(piece if exact is None else exact.shape).encode())
        digest.update(b"" if exact is None else exact.tobytes())
    return digest.hexdigest()


class Checkpoint:
    """Where a march saves its last completed step; without a path it does nothing.

    Raises InvalidInput where no file can be written there. A file that cannot be written later, on a disk that is full,
    is only warned of: the march goes on.
    """

    def __init__(self, path: str | Path | None, mark: Mark, seconds: float) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise InvalidInput(f"checkpoint={path!r}: a path of a file is needed.")
        self.path = None if path is None else Path(path)
        self.mark, self.seconds = mark, seconds
        self._saved_at = time.monotonic()
        self._last: tuple[int, Array, Array, Array] | None = None
        self.kept: Array | None = None
        if self.path is not None:
            self._try()

    @property
    def _said(self) -> str:
        return f"checkpoint={str(self.path)!r}"

    def _try(self) -> None:
        """Find out before the march whether a file can be written there."""
        assert self.path is not None
        if self.path.exists() and not self.path.is_file():
            raise InvalidInput(f"{self._said}: this is no file.")
        try:
            self._neighbour.write_bytes(b"")
            self._neighbour.unlink()
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{self._said}: no file can be written there ({error}).") from None

    def resume(self, value: Array, table: Array, steps: int) -> int:
        """Fill ``value`` and ``table`` from the file and return how many of the ``steps`` are done; 0 without a file.

        ``kept`` is then what else the scheme carries from step to step.
        """
        if self.path is None or not self.path.exists():
            return 0
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                known = int(saved["format"]) if "format" in saved else 0
                mark = dict(json.loads(str(saved["mark"]))) if known == FORMAT else {}
                done = int(saved["done"])
                arrays = [saved[name] for name in ("value", "table", "kept")] if mark == self.mark else []
        except Exception as error:  # a damaged file raises what it likes
            raise InvalidInput(f"{self._said}: this is no checkpoint of ocdl, or it is damaged ({error}).") from None
        if known != FORMAT:
            raise InvalidInput(
                f"{self._said}: another version of ocdl wrote this file; name another file or delete it."
            )
        if mark != self.mark:
            names = ", ".join(name for name in self.mark if mark.get(name) != self.mark[name])
            raise InvalidInput(
                f"{self._said}: this file belongs to another problem, grid or scheme: {names} differ; name another "
                "file or delete it."
            )
        if [found.shape for found in arrays[:2]] != [value.shape, table.shape] or not 0 < done <= steps:
            raise InvalidInput(f"{self._said}: this is no checkpoint of ocdl, or it is damaged (its sizes disagree).")
        value[...], table[...], self.kept = arrays
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
        mark = json.dumps(self.mark)
        try:
            with whole_file(self.path, self._neighbour) as part, open(part, "wb") as file:
                np.savez(file, format=FORMAT, mark=mark, done=done, value=value, table=table, kept=kept)
        except OSError as error:
            warnings.warn(f"{self._said}: step {done} could not be saved ({error}).", RuntimeWarning, stacklevel=2)
        self._saved_at = time.monotonic()

    @property
    def _neighbour(self) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name + ".part")
