"""The content of a task as a digest: two are the same where every number, word and line of source is.

A function or a class counts by its name and the bytes of the file that defines it (ocdl's own by ocdl's version).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.errors import InvalidInput
from ocdl.referee.solution import Solution

NAMELESS = (
    "a worker is another process and finds a function by its name in its file; {what} has no such name. "
    "Write `def {name}(...): ...` at the top level of a .py file{instead}."
)
STARTING = ("nodes", "layers", "stages", "parameters")  # what a start may take from a solution


def digest(**parts: Any) -> str:
    """The digest of named values and of ocdl's version.

    Raises InvalidInput, with the name of the part, for a value that cannot travel to another process.
    """
    content = {name: plain(value, f"Task({name}=...)") for name, value in parts.items()}
    return _sha(json.dumps([version("ocdl"), content], sort_keys=True).encode())


def plain(value: Any, said: str) -> Any:
    """``value`` as lists of words and numbers that hold all of its content."""
    inside = functools.partial(plain, said=said)
    match value:
        case np.generic():
            return inside(value.item())
        case Enum():
            return ["member", _kind(type(value)), value.name]
        case None | bool() | int() | str():
            return value
        case float():
            return ["float", repr(value)]
        case bytes():
            return ["bytes", _sha(value)]
        case Path():
            return ["path", str(value)]
        case np.ufunc():
            return ["ufunc", value.__name__]
        case np.ndarray() if value.dtype.kind in "biufcSU":
            return ["array", value.dtype.str, list(value.shape), _sha(np.ascontiguousarray(value).tobytes())]
        case np.ndarray():
            return ["array", list(value.shape), inside(value.ravel().tolist())]
        case _ if xr.is_labelled(value):
            coordinates = {str(name): inside(array.values) for name, array in value.coords.items()}
            return ["labelled", [str(dim) for dim in value.dims], inside(value.values), coordinates]
        case Solution():
            groups = {name: dict(value.tree[name].data_vars) for name in STARTING if name in value.tree.children}
            return ["solution", str(value.attrs.get("scheme")), inside(groups)]
        case list() | tuple() | range():
            return [type(value).__name__, [inside(part) for part in value]]
        case set() | frozenset():
            return ["set", sorted((inside(part) for part in value), key=json.dumps)]
        case Mapping():
            return ["mapping", sorted(([inside(k), inside(v)] for k, v in value.items()), key=json.dumps)]
        case type():
            return ["class", _kind(value)]
    if inspect.isroutine(value):
        return ["function", *named(value, said)]
    if dataclasses.is_dataclass(value):  # by its fields: what it has cached is no content
        fields = {field.name: inside(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return ["object", _kind(type(value)), fields]
    if hasattr(value, "__dict__") and not inspect.ismodule(value):
        return ["object", _kind(type(value)), inside(vars(value))]
    raise InvalidInput(
        f"{said}: {value!r} is a {type(value).__name__}, whose content cannot be told; "
        "give numbers, text, arrays, lists, mappings and frozen dataclasses of these."
    )


def named(function: Callable[..., Any], said: str, instead: str = "") -> tuple[str, str]:
    """``file:name`` of a function that another process can find, and the digest of its file; InvalidInput otherwise."""
    name = getattr(function, "__qualname__", "")
    nameless = "<lambda>" in name or "<locals>" in name
    if nameless or _found(function) is not function:
        what = "a lambda" if "<lambda>" in name else f"{name or function!r}"
        plain_name = name.rsplit(".", 1)[-1] if name.isprintable() and "<lambda>" not in name else "problem"
        raise InvalidInput(f"{said}: {NAMELESS.format(what=what, name=plain_name or 'problem', instead=instead)}")
    path = source_file(function)
    if path is None and getattr(function, "__module__", None) == "__main__":
        raise InvalidInput(
            f"{said}: {name} was typed into an interactive session, which another process cannot read; "
            f"put it into a .py file{instead}."
        )
    if path is None:
        return f"{function.__module__}:{name}", ""
    return f"{path.stem}:{name}", "" if _ours(function) else _sha(path.read_bytes())


def source_file(thing: Any) -> Path | None:
    """The file that defines a function or class, None where it has none (built in, or typed in)."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    path = getattr(module, "__file__", None)
    return Path(path).resolve() if path is not None and Path(path).is_file() else None


def file_digest(path: Path) -> str:
    """The digest of a file's bytes; InvalidInput where there is none."""
    try:
        return _sha(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path}: this file cannot be read; {error.strerror}.") from None


def _kind(cls: type) -> str:
    """A class by its name and, where it is not ocdl's, the bytes of its file."""
    path = source_file(cls)
    mark = "" if path is None or _ours(cls) else _sha(path.read_bytes())
    return f"{cls.__module__ if path is None else path.stem}:{cls.__qualname__}:{mark}"


def _found(function: Any) -> Any:
    """What another process finds under the function's name."""
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for part in getattr(function, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found


def _ours(thing: Any) -> bool:
    return str(thing.__module__).split(".")[0] == "ocdl"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
