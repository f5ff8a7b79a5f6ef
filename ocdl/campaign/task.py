"""Task: one solve, stated so that another process, now or after a crash, can do it and know it again."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from ocdl.arrays import is_whole
from ocdl.campaign.content import digest, file_digest
from ocdl.campaign.source import Source
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput
from ocdl.referee.judgement import PRINCIPLE, Kind
from ocdl.referee.solution import Solution
from ocdl.solving.compile import check_certificate
from ocdl.solving.method import Method
from ocdl.statement.selection import Grid

STEM = 80


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """One solve: ``ocdl.solve(problem(**settings), grid, method, start=start, seed=seed)``, to be done anywhere.

    problem: the path of a problem file, or a function at the top level of an importable module that makes the problem.
    settings: its arguments. grid: by default the file's grid(), else the command line's default.
    seed: start from random controls. start: named arrays, a Solution, or the path of a saved one; with neither, a
        problem file's own start(). certificate: as of ``ocdl.solve``.

    Tasks are equal where their content is: settings, grid, method, seed, start, the name and bytes of the problem's
    file and ocdl's version (not what that file imports or reads). ``key`` names the content, and the result's file.

    Raises InvalidInput for what another process could not find or read.
    """

    problem: str | Path | Callable[..., Any]
    method: Method
    grid: Grid | DepthScheme | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    start: Solution | Mapping[str, Any] | str | Path | None = None
    certificate: Kind = PRINCIPLE
    source: Source = field(init=False, repr=False)
    key: str = field(init=False, repr=False)
    pickled: tuple[bytes, bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.method, Method):
            raise InvalidInput(f"Task(method={self.method!r}): give an instance of a method, such as ocdl.Ipopt().")
        if self.grid is not None and not isinstance(self.grid, (Grid, DepthScheme)):
            raise InvalidInput(f"Task(grid={self.grid!r}): give a Grid, a depth scheme, or None for the file's own.")
        if not isinstance(self.settings, Mapping) or not all(isinstance(name, str) for name in self.settings):
            raise InvalidInput(f"Task(settings={self.settings!r}): a mapping of names to values, {{'horizon': 2.0}}.")
        if self.seed is not None and (not is_whole(self.seed) or self.seed < 0):
            raise InvalidInput(f"Task(seed={self.seed!r}): a seed is a whole number, at least 0.")
        if self.seed is not None and self.start is not None:
            raise InvalidInput("Task(seed=..., start=...): give a start or a seed for a random one, not both.")
        check_certificate(self.certificate)
        set_ = object.__setattr__
        set_(self, "settings", dict(self.settings))
        set_(self, "seed", None if self.seed is None else int(self.seed))
        if isinstance(self.start, (str, Path)):
            set_(self, "start", Path(self.start).resolve())
        set_(self, "source", Source.of(self.problem))
        self._check_arguments()
        set_(self, "key", self._key())
        set_(self, "pickled", self._pickled())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def description(self) -> dict[str, Any]:
        """What the task says, in words, by field."""
        grid = "default" if self.grid is None else repr(self.grid)
        settings = {name: short(value) for name, value in self.settings.items()}
        start = "default" if self.start is None else short(self.start)
        return {
            "problem": self.source.label,
            "settings": settings,
            "grid": grid,
            "method": repr(self.method),
            "seed": self.seed,
            "start": "random" if self.seed is not None else start,
        }

    def _pickled(self) -> tuple[bytes, bytes]:
        """What the worker needs beside the source: the settings, and then how to solve."""
        try:
            return pickle.dumps(self.settings), pickle.dumps(
                (self.grid, self.method, self.seed, self.start, self.certificate)
            )
        except Exception as error:  # whatever an object's own pickling raises
            raise InvalidInput(f"{self!r}: it cannot travel to another process ({error}).") from None

    def _check_arguments(self) -> None:
        if not callable(self.problem):
            return
        try:
            inspect.signature(self.problem).bind(**self.settings)
        except TypeError as error:
            accepted = ", ".join(inspect.signature(self.problem).parameters) or "none"
            said = f"Task(problem={self.source.label}, settings={self.settings!r})"
            raise InvalidInput(f"{said}: {error}; its parameters are: {accepted}.") from None

    def _key(self) -> str:
        content = digest(
            problem=[self.source.name, self.source.mark],
            settings=self.settings,
            grid=self.grid,
            method=self.method,
            seed=self.seed,
            start=_start_content(self.start),
            **({} if self.certificate == PRINCIPLE else {"certificate": self.certificate}),
        )
        plain = {name: value for name, value in self.settings.items() if isinstance(value, (str, int, float))}
        words = [self.source.stem, *(f"{name}={plain[name]}" for name in sorted(plain))]
        words += [self.method.name, *([] if self.seed is None else [f"seed={self.seed}"])]
        stem = re.sub(r"[^A-Za-z0-9=._+]+", "-", "-".join(words))[:STEM].strip("-.")
        return f"{stem}-{content[:16]}"


def multi_start(
    problem: str | Path | Callable[..., Any],
    grid: Grid | DepthScheme | None,
    method: Method,
    *,
    seeds: Iterable[int] = range(20),
    settings: Mapping[str, Any] | None = None,
    certificate: Kind = PRINCIPLE,
) -> list[Task]:
    """The same solve from random controls, one task a seed; ``certificate`` as of ``ocdl.solve``."""
    return parameter_sweep(problem, grid, method, {}, seeds=seeds, settings=settings, certificate=certificate)


def parameter_sweep(
    problem: str | Path | Callable[..., Any],
    grid: Grid | DepthScheme | None,
    method: Method,
    vary: Mapping[str, Iterable[Any]],
    *,
    seeds: Iterable[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    start: Any = None,
    certificate: Kind = PRINCIPLE,
) -> list[Task]:
    """One task for each combination of the settings in ``vary``, ``{"horizon": [1, 2]}``, and each seed, if any.

    ``settings`` are the same in all.
    """
    if not isinstance(vary, Mapping):
        raise InvalidInput(f"parameter_sweep(vary={vary!r}): a mapping of names to lists, {{'horizon': [1.0, 2.0]}}.")
    for name, values in vary.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise InvalidInput(f"parameter_sweep(vary={{{name!r}: {values!r}}}): give a list of values.")
    if seeds is not None and not isinstance(seeds, Iterable):
        raise InvalidInput(f"seeds={seeds!r}: give a list of seeds or a range, such as range(20).")
    fixed = dict(settings or {})
    twice = sorted(fixed.keys() & vary.keys())
    if twice:
        raise InvalidInput(f"parameter_sweep: {', '.join(twice)} is both fixed (settings) and varied (vary).")
    drawn: list[int | None] = [None] if seeds is None else list(seeds)
    return [
        Task(
            problem=problem,
            grid=grid,
            method=method,
            settings=fixed | dict(zip(vary, values, strict=True)),
            seed=seed,
            start=start,
            certificate=certificate,
        )
        for values in product(*vary.values())
        for seed in drawn
    ]


def short(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, (str, Path)):
        return str(value)
    if hasattr(value, "shape") and getattr(value, "size", 1) > 4:
        return f"<array {tuple(value.shape)}>"
    said = " ".join(repr(value).split())
    return said if len(said) <= 60 else said[:57] + "..."


def _start_content(start: Any) -> Any:
    return ["file", file_digest(start)] if isinstance(start, Path) else start
