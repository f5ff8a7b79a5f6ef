"""A problem file: a trusted script with ``problem()`` and, where it likes, ``grid()``, ``methods()``, ``start()``.

The last three may also be values: ``grid = ocdl.Radau(50, 3)``.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ocdl.depth.schemes import DepthScheme, Radau
from ocdl.errors import InvalidInput, NotSupported, OcdlError
from ocdl.interrupts import interruptible
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem
from ocdl.solving.method import Method
from ocdl.statement.phases import Phases
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.statement.width import Midpoint, TensorProduct, Width, intervals

LONGEST = 1e7  # bytes of a script
LONGEST_SETTING = 100_000  # characters of a value on the command line
SHOWN = 80


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
    path, source = Path(path), _source(path)
    with _blamed(path), _importable(path.resolve().parent):
        module = _run(path, source)
        problem = _problem(path, module, parameters)
        grid = _checked("grid", path, _own(path, module, "grid", parameters))
        methods = _checked("methods", path, _own(path, module, "methods", {}))
        start = _checked("start", path, _own(path, module, "start", parameters))
    own_grid = default_grid(problem) if grid is None else grid
    return ProblemFile(path, problem, own_grid, None if methods is None else list(methods), start, grid is None)


def _source(path: str | Path) -> bytes:
    """The text of a script."""
    try:
        if not Path(path).is_file():
            raise InvalidInput(f"{path}: there is no such file.")
        if Path(path).stat().st_size > LONGEST:
            raise InvalidInput(f"{path}: a problem file is a Python script of at most {LONGEST:g} bytes.")
        source = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: it cannot be read ({error.strerror}).") from None
    if b"\0" in source:
        raise InvalidInput(f"{path}: a problem file is a Python script; this is binary, or text that is not UTF-8.")
    return source


def _own(path: Path, module: ModuleType, name: str, parameters: dict[str, Any]) -> Any:
    """What the file says of ``name``: a value, or a function that takes by name the settings it asks for, or None."""
    own = getattr(module, name, None)
    if not callable(own):
        return own
    asked = _signature(path, name, own).parameters
    taken = {setting: value for setting, value in parameters.items() if setting in asked}
    lacking = [n for n, p in asked.items() if n not in taken and p.default is p.empty and p.kind not in _ANY]
    if lacking:
        raise InvalidInput(
            f"{path}: {name}() needs {', '.join(lacking)}; give a default, or set it by --set {lacking[0]}=..."
            f"{'' if parameters else ', a parameter of problem()'}."
        )
    return own(**taken)


_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _signature(path: Path, name: str, function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except ValueError:
        raise InvalidInput(
            f"{path}: {name}={function!r} does not tell its arguments; write def {name}(): ..."
        ) from None


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
            raise InvalidInput(
                f"--set {setting[:SHOWN]}: write KEY=VALUE with a parameter of problem(), e.g. --set horizon=2."
            )
        if len(value) > LONGEST_SETTING:
            raise InvalidInput(
                f"--set {setting[:SHOWN]}...: a value of at most {LONGEST_SETTING} characters is needed."
            )
        if key in parameters:
            raise InvalidInput(f"--set {setting[:SHOWN]}: {key} is set twice.")
        try:
            parameters[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            parameters[key] = value
    return parameters


def _default_width(problem: SelectionProblem) -> Width:
    dimensions = len(intervals(problem.domain))
    given = None if callable(problem.initial) else np.asarray(problem.initial)
    if dimensions == 1:
        return Midpoint(8 if given is None or given.ndim == 0 else given.shape[-1])
    count = 4 if given is None or given.ndim == 0 else round(given.shape[-1] ** (1.0 / dimensions))
    return TensorProduct(*[Midpoint(count)] * dimensions)


def _run(path: Path, source: bytes) -> ModuleType:
    name = f"ocdl_problem_{path.stem}"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def _problem(path: Path, module: ModuleType, parameters: dict[str, Any]) -> Problem:
    function = getattr(module, "problem", None)
    if not callable(function):
        found = "this one has none" if function is None else f"in this one problem is a {type(function).__name__}"
        raise InvalidInput(f"{path}: a problem file defines a function problem(); {found}.")
    signature = _signature(path, "problem", function)
    try:
        signature.bind(**parameters)
    except TypeError as error:
        accepted = ", ".join(signature.parameters) or "none"
        raise InvalidInput(
            f"{path}: problem({_written(parameters)}): {error}; its parameters are: {accepted}."
        ) from None
    problem = function(**parameters)
    if isinstance(problem, Phases):
        raise NotSupported(
            f"{path}: it states Phases, which the command line does not take; call ocdl.solve in Python."
        )
    if not isinstance(problem, (SelectionProblem, ControlProblem)):
        raise InvalidInput(f"{path}: problem() must return a SelectionProblem or a ControlProblem; got {problem!r}.")
    return problem


def _checked(name: str, path: Path, given: Any) -> Any:
    """``given`` where it is None or what ``name`` must be."""
    fits, needed = STATED[name]
    if given is None or fits(given):
        return given
    raise InvalidInput(f"{path}: {name}={given!r}: {name}() must return {needed}.")


STATED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "grid": (
        lambda given: isinstance(given, (Grid, DepthScheme)),
        "a Grid of a SelectionProblem or a depth scheme such as ocdl.Radau(50, 3)",
    ),
    "methods": (
        lambda given: isinstance(given, (list, tuple)) and bool(given) and all(isinstance(m, Method) for m in given),
        "a list of methods such as [ocdl.Ipopt()]",
    ),
    "start": (lambda given: isinstance(given, (Solution, Mapping)), "a Solution or a mapping such as {'u': 0.5}"),
}


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
