"""Where a task's problem is written, so that another process can find it and see that it is still the same."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ocdl.campaign.content import file_digest, named, source_file
from ocdl.campaign.problem_file import ProblemFile, default_grid, read_problem_file
from ocdl.errors import InvalidInput
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import SelectionProblem

INSTEAD = ", or give the path of a problem file"


@dataclass(frozen=True)
class Source:
    """Where a problem is written: a file, and for a function its module and name; ``mark``: the digest of the file."""

    path: str
    mark: str
    module: str | None = None
    name: str | None = None

    @classmethod
    def of(cls, problem: Any) -> Source:
        if isinstance(problem, (str, Path)):
            path = Path(problem).resolve()
            if not path.is_file():
                raise InvalidInput(f"Task(problem={str(problem)!r}): there is no such file.")
            return cls(str(path), file_digest(path))
        if isinstance(problem, (SelectionProblem, ControlProblem)):
            raise InvalidInput(
                f"Task(problem=<{type(problem).__name__}>): its formulas cannot travel to another process; "
                f"give the function that makes it, at the top level of a .py file{INSTEAD}."
            )
        if not callable(problem):
            raise InvalidInput(f"Task(problem={problem!r}): give a function that makes the problem{INSTEAD}.")
        named(problem, f"Task(problem={getattr(problem, '__qualname__', problem)})", INSTEAD)
        file = source_file(problem)
        if file is None:
            raise InvalidInput(f"Task(problem={problem!r}): this function has no source file{INSTEAD}.")
        return cls(str(file), file_digest(file), problem.__module__, problem.__qualname__)

    @property
    def label(self) -> str:
        """``two_neurons.py``, or ``models.py:oscillator``."""
        return Path(self.path).name + ("" if self.name is None else f":{self.name}")

    @property
    def stem(self) -> str:
        return Path(self.path).stem if self.name is None else self.name.rsplit(".", 1)[-1]

    @property
    def unchanged(self) -> bool:
        """The file still holds what it held when the task was stated."""
        path = Path(self.path)
        return path.is_file() and file_digest(path) == self.mark

    def read(self, settings: dict[str, Any]) -> ProblemFile:
        """What it states, with ``settings``."""
        if self.name is None:
            return read_problem_file(self.path, settings)
        problem = self.function()(**settings)
        return ProblemFile(Path(self.path), problem, default_grid(problem), None, None, True)

    def function(self) -> Callable[..., Any]:
        """The function, from its module, or from its file where the module cannot be imported here."""
        found: Any = self._module()
        for part in str(self.name).split("."):
            found = getattr(found, part)
        return found

    def _module(self) -> ModuleType:
        if self._holds(sys.modules.get(str(self.module))):
            return sys.modules[str(self.module)]
        if self.module != "__main__":
            try:
                return importlib.import_module(str(self.module))
            except ImportError:
                pass
        spec = importlib.util.spec_from_file_location(f"ocdl_task_{Path(self.path).stem}", self.path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    def _holds(self, module: ModuleType | None) -> bool:
        file = getattr(module, "__file__", None)
        return file is not None and Path(file).resolve() == Path(self.path)
