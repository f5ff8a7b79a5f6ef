"""What the package offers by public names: a lower floor hands it on to its user without knowing who has it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def offered(name: str) -> Callable[..., Any]:
    """The public function ``name``, loaded when it is asked for."""
    found: Callable[..., Any] = getattr(import_module(__name__.partition(".")[0]), name)
    return found
