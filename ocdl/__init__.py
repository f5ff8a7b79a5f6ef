"""ocdl: training a deep network is an optimal control problem.

State it once (``SelectionProblem`` or ``ControlProblem``), solve it by IPOPT, by Pontryagin's maximum principle
and by Hamilton–Jacobi–Bellman (``solve``), and see side by side where the answers agree (``compare``).
"""

import ast
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocdl.public import *


_OFFERING = ("analysis", "hjb", "learn")  # ocdl.analysis.lyapunov, ocdl.hjb.residual, ocdl.learn.ResNetClassifier


def __getattr__(name: str) -> Any:
    """A public name or a folder, loaded when it is first asked for: who asks for one route does not wait for three."""
    if name == "__all__":
        return sorted(_homes())
    if name == "__version__":
        return import_module("importlib.metadata").version("ocdl")  # some fifty modules, for whoever asks
    if name in _homes():
        return globals().setdefault(name, getattr(import_module(_homes()[name]), name))
    if not name.startswith("_") and find_spec(f"ocdl.{name}"):
        return import_module(f"ocdl.{name}")
    raise AttributeError(f"module 'ocdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, and the folders that offer names of their own; others are loaded by name, and not shown."""
    return sorted({*_homes(), *_OFFERING, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"})


@cache
def _homes() -> dict[str, str]:
    """The module of each public name, read from the imports of ``ocdl.public`` without making them."""
    source = Path(__file__).with_name("public.py").read_text(encoding="utf-8")
    imports = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}
