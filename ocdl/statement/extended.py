"""Problems with more states: what holds one entry a state, and the record of what a problem was stated as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.errors import NotSupported
from ocdl.statement.bounds import Box

Part = tuple[Box, str, int, Sequence[int]]  # some entries of a box's interval: (box, its name, its size, which)


@dataclass(frozen=True, eq=False)
class Reduction:
    """What became of a problem: with how many states it was stated (None: it was not reduced), which of its controls
    are states now, which states are integrals so far, and what the user wrote where the core has ``final``,
    ``boundary`` or a box of x.
    """

    stated: int | None = None
    rated: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def completed(self, rows: Any, core: Any) -> Any:
        """Rows (..., n) of the core from rows of the states that were stated, the others as in ``core`` (..., n)."""
        if self.stated is None or np.shape(rows)[-1] != self.stated:
            return rows
        others = core[..., self.stated :]
        return np.concatenate([rows, np.broadcast_to(others, (*np.shape(rows)[:-1], others.shape[-1]))], axis=-1)

    def named(self, given: Any, problem: Any) -> Any:
        """A mapping of stated states by name with the core's others; anything else as it is."""
        if self.stated is None or not isinstance(given, Mapping) or problem.samples > 1:
            return given
        others = dict(zip(problem.states[self.stated :], problem.initial[0, self.stated :], strict=True))
        return {**others, **given}

    def and_then(self, problem: Any, rated: tuple[str, ...] = (), **words: str) -> Reduction:
        """This and one more, of ``problem``, where the role of each of ``words`` stands for what these say."""
        written = dict(self.written)
        for role, said in words.items():
            there = role in problem.bounds.names if role == "x" else getattr(problem, role) is not None
            plain = ("Box(x=...)" if role == "x" else f"{role}=...",)
            written[role] = (*written.get(role, plain if there else ()), said)
        stated = problem.n if self.stated is None else self.stated
        return Reduction(stated, (*self.rated, *rated), self.counted, written)


def appended(rows: Any, more: list[Any]) -> Any:
    """Rows (S, n) of states with the same ``more`` behind each."""
    behind = np.empty((len(rows), len(more)), dtype=object)
    behind[:] = more
    return np.concatenate([np.asarray(rows, dtype=object), behind], axis=1)


def more_states(problem: Any, said: str, names: Sequence[str]) -> dict[str, Any]:
    """The fields that hold one entry a state, for more of them, and those that many columns at once would need."""
    if problem.layout is not None:
        raise NotSupported(f"{said}: a problem with a layout of its own takes none.")
    metric = None if problem.state_metric is None else np.append(problem.state_metric, np.ones(len(names)))
    found = {"states": [*problem.states, *names], "state_metric": metric, "columnwise": False}
    if not isinstance(problem.conditions, Mapping):
        return found
    more = [None] * len(names)
    rows = {t: [*np.atleast_1d(np.asarray(row, dtype=object)), *more] for t, row in problem.conditions.items()}
    return {**found, "conditions": rows}


def stacked(*parts: Part) -> Any:
    """The interval that has the entries of all parts, one behind the other."""

    def ends(t: float) -> tuple[Array, ...]:
        found = [
            [end[0][list(which)] for end in box.interval_at(name, (size,), np.array([t]))]
            for box, name, size, which in parts
        ]
        return tuple(np.concatenate(side) for side in zip(*found, strict=True))

    if any(box.varies(name) for box, name, _, _ in parts):
        return (lambda t: ends(t)[0]), (lambda t: ends(t)[1])
    return ends(0.0)


def changed(box: Box, **intervals: Any) -> Box:
    """The box with other intervals, without those that are None."""
    return Box(**{**{name: box.given(name) for name in box.names}, **intervals})
