"""A problem file: a trusted script with ``problem()`` and, where it likes, ``grid()``, ``methods()``, ``start()``."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ocdl.depth import DepthScheme, Radau
from ocdl.errors import InvalidInput, OcdlError
from ocdl.interrupts import interruptible
from ocdl.method import Method
from ocdl.problem import ControlProblem
from ocdl.selection import Grid, SelectionProblem
from ocdl.solve import Problem
from ocdl.width import Midpoint, TensorProduct, Width, intervals


@dataclass(frozen=True, eq=False)
class ProblemFile:
    """What a file states; ``methods`` and ``start`` are None where it has no such function."""

    path: Path
    problem: Problem
    grid: Grid | DepthScheme
    methods: list[Method] | None
    start: Any
    default_grid: bool

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """An error in the file's own code names the file and the line."""
        with _blamed(self.path):
            yield


def read_problem_file(path: str | Path, parameters: dict[str, Any]) -> ProblemFile:
    """Run the file and call its functions, ``problem`` with ``parameters``.

    Raises InvalidInput, with file and line, for whatever is wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file.")
    with _blamed(path), _importable(path.resolve().parent):
        module = _run(path)
        problem = _problem(path, module, parameters)
        own_grid = getattr(module, "grid", None)
        grid = own_grid(**_taken(own_grid, parameters)) if own_grid is not None else default_grid(problem)
        methods = module.methods() if hasattr(module, "methods") else None
        start = module.start(**_taken(module.start, parameters)) if hasattr(module, "start") else None
    return ProblemFile(path, problem, grid, _checked_methods(path, methods), start, own_grid is None)


def _taken(function: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The settings that grid() or start() asks for by name, beside problem()."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in parameters.items() if name in names}


def default_grid(problem: Problem) -> Grid | DepthScheme:
    """Radau(layers=50, degree=3); 8 midpoint cells of an interval, 4 an axis above, or as many as ``initial`` has."""
    depth = Radau(layers=50, degree=3)
    if isinstance(problem, ControlProblem):
        return depth
    return Grid(width=_default_width(problem), depth=depth)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """``--set key=value``: a Python literal, else the text itself."""
    parameters: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.isidentifier():
            raise InvalidInput(f"--set {setting}: write KEY=VALUE with a parameter of problem(), e.g. --set horizon=2.")
        try:
            parameters[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parameters[key] = value
    return parameters


def _default_width(problem: SelectionProblem) -> Width:
    dimensions = len(intervals(problem.domain))
    given = None if callable(problem.initial) else np.asarray(problem.initial)
    if dimensions == 1:
        return Midpoint(8 if given is None or given.ndim == 0 else given.shape[-1])
    count = 4 if given is None or given.ndim == 0 else round(given.shape[-1] ** (1.0 / dimensions))
    return TensorProduct(*[Midpoint(count)] * dimensions)


def _run(path: Path) -> ModuleType:
    name = f"ocdl_problem_{path.stem}"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def _problem(path: Path, module: ModuleType, parameters: dict[str, Any]) -> Problem:
    function = getattr(module, "problem", None)
    if not callable(function):
        raise InvalidInput(f"{path}: a problem file defines a function problem(); this one has none.")
    try:
        inspect.signature(function).bind(**parameters)
    except TypeError as error:
        accepted = ", ".join(inspect.signature(function).parameters) or "none"
        raise InvalidInput(
            f"{path}: problem({_written(parameters)}): {error}; its parameters are: {accepted}."
        ) from None
    problem = function(**parameters)
    if not isinstance(problem, (SelectionProblem, ControlProblem)):
        raise InvalidInput(f"{path}: problem() must return a SelectionProblem or a ControlProblem; got {problem!r}.")
    return problem


def _checked_methods(path: Path, methods: Any) -> list[Method] | None:
    if methods is None:
        return None
    if not isinstance(methods, (list, tuple)) or not methods or not all(isinstance(m, Method) for m in methods):
        raise InvalidInput(f"{path}: methods() must return a list of methods such as [ocdl.Ipopt()]; got {methods!r}.")
    return list(methods)


def _written(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in parameters.items())


@contextmanager
def _importable(directory: Path) -> Iterator[None]:
    """The file's neighbours can be imported, as when it is run as a script."""
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    """Errors raised through the file become InvalidInput with its name and line; all others pass."""
    try:
        with interruptible():
            yield
    except (Exception, SystemExit) as error:
        where = _place(path, error)
        if not where:
            raise
        said = str(error) if isinstance(error, OcdlError) else f"{type(error).__name__}: {error}"
        raise InvalidInput(f"{where}: {said}") from error


def _place(path: Path, error: BaseException | None) -> str:
    """``file, line n`` of the innermost line of the file that the error, or one behind it, went through; or nothing."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}"
    while error is not None:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        if lines:
            return f"{path}, line {lines[-1]}"
        error = error.__cause__ or error.__context__
    return ""
