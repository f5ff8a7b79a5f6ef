"""The schema of a saved solution: what a file must hold so that everything a ``Solution`` can do works.

Beside what is written here, groups and arrays of plain numbers and attributes of plain numbers and text may be there:
a newer version's files are read as far as they are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from numbers import Real
from typing import Any

import numpy as np

from ocdl import xr
from ocdl.referee.certificate import PREFIX, Certificate
from ocdl.referee.names import PRICE, SPENT
from ocdl.referee.outcome import Status

FORMAT = "ocdl solution 1"

# Attributes of the root: name → what it is. Figures may be NaN, those of a failed solve are.
TEXT, FIGURE, FLAG = "text", "a number", "0 or 1"
NEEDED = {
    "method": TEXT,
    "status": TEXT,
    "detail": TEXT,
    "scheme": TEXT,
    "seconds": FIGURE,
    "cost": FIGURE,
    "gap": FIGURE,
    "gap_is_exact": FLAG,
    "feasibility": FIGURE,
}
KNOWN = {"defect_worth": FIGURE, "referee_seconds": FIGURE, "search": TEXT}
KNOWN |= {"collocates": FLAG, "discrete": FLAG, "notes": TEXT, "task": TEXT, "statement": TEXT}
KNOWN |= {
    PREFIX + field.name: {str: TEXT, bool: FLAG, float: FIGURE}[type(field.default)] for field in fields(Certificate)
}

# Arrays by group: name → dimensions; ``...`` stands for the dimensions of one sample's state.
OWN = "..."
ARRAYS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "nodes": {
        "states": ("t", "sample", OWN),
        "costate": ("t", "sample", OWN),
        "state_defect": ("t", "sample", OWN),
        "costate_defect": ("t", "sample", OWN),
        "multiplier": ("t", "sample", OWN),
        "boundary_multiplier": ("sample", "boundary"),
    },
    "layers": {"hamiltonian": ("t",), "width": ("t",)},
    "stages": {
        "stage_state": ("t", "stage", "sample", OWN),
        "stage_costate": ("t", "stage", "sample", OWN),
        "excess": ("t", "stage"),
        "stage_multiplier": ("t", "stage", "sample", OWN),
        "path_multiplier": ("t", "stage", "sample", "path"),
    },
    "dense": {
        "state_slope": ("layer", "end", "sample", "entry"),
        "costate_slope": ("layer", "end", "sample", "entry"),
    },
    "limits": {
        f"{name}{end}": dims
        for name, dims in {
            "state": ("node", "sample", "entry"),
            "stage_state": ("layer", "stage", "sample", "entry"),
            "path": ("layer", "stage", "sample", "path"),
            "boundary": ("sample", "boundary"),
            "parameter": ("parameter_entry",),
        }.items()
        for end in ("_lower", "_upper", "")
    },
    "claim": {"costate": ("t", "sample", OWN), "stage_costate": ("layer", "stage", "sample", OWN)},
}
ALWAYS = {"nodes": ("states", "costate"), "layers": ("hamiltonian",), "stages": ("stage_state", "excess")}
GROUPS = tuple(ALWAYS)
LEADING = {"nodes": ("t",), "layers": ("t",), "stages": ("t", "stage"), "parameters": ()}  # of controls, parameters
ROLES = ("control", "parameter", "gradient")
BESIDE = ("violation", "continued")  # of the value function, which is infinite where no control keeps the bounds


def objection(tree: xr.DataTree) -> str:
    """What the schema objects to first, empty where the tree is as it should be."""
    return next(_objections(tree), "")


def _objections(tree: xr.DataTree) -> Iterator[str]:
    """In an order in which each check may rely on those before."""
    yield from _missing(tree)
    yield from _attributes(tree)
    for name, group in tree.children.items():
        yield from (f"{name}: {said}" for said in _plain(group))
    yield from _depths(tree)
    yield from _dimensions(tree)
    yield from _named(tree)
    yield from _curves(tree)


def _missing(tree: xr.DataTree) -> Iterator[str]:
    lacking = [name for name in NEEDED if name not in tree.attrs]
    lacking += [name for name in GROUPS if name not in tree.children]
    for group, names in ALWAYS.items():
        if group in tree.children:
            lacking += [f"{group}/{name}" for name in names if name not in tree.children[group].data_vars]
    if lacking:
        yield f"it has no {', '.join(lacking)}"


def _attributes(tree: xr.DataTree) -> Iterator[str]:
    for name, kind in (NEEDED | KNOWN).items():
        if name in tree.attrs and not _is(kind, tree.attrs[name]):
            yield f"its {name} must be {kind}; got {tree.attrs[name]!r}"
    if tree.attrs["status"] not in Status.__members__:
        yield f"it has the status {tree.attrs['status']!r}, which is unknown"
    if not (math.isfinite(tree.attrs["seconds"]) and tree.attrs["seconds"] >= 0.0):
        yield f"its seconds must not be negative; got {tree.attrs['seconds']!r}"
    for any_name, value in tree.attrs.items():
        if str(any_name).startswith((SPENT, PRICE)) and not _is(FIGURE, value):
            yield f"its {any_name} must be {FIGURE}; got {value!r}"
        if np.ndim(value):
            yield f"its {any_name} is not one number or text: {value!r}"
    yield from _plain_attributes(tree.attrs)


def _is(kind: str, value: Any) -> bool:
    if kind == TEXT:
        return isinstance(value, str)
    return isinstance(value, Real) and (kind == FIGURE or value in (0, 1))


def _plain_attributes(attributes: Mapping[Any, Any]) -> Iterator[str]:
    for name, value in attributes.items():
        if not isinstance(value, (str, Real)) and np.asarray(value).dtype.kind not in "fiu":
            yield f"its {name} is neither numbers nor text: {value!r}"
        for text in (name, value):
            if isinstance(text, str) and not _printable(text):
                yield f"its {name!r} is no text: {value!r}"


def _printable(text: str) -> bool:
    """Unicode that can be written, without the characters that move a terminal's cursor."""
    return not any("\ud800" <= c <= "\udfff" or (ord(c) < 32 and c not in "\n\t") or c == "\x7f" for c in text)


def _plain(group: xr.DataTree) -> Iterator[str]:
    """Only numbers as data, with text and numbers as coordinates, and no group inside."""
    if group.children:
        yield f"it has groups inside: {', '.join(group.children)}"
    for name, array in group.dataset.variables.items():
        coordinate = name in group.coords
        if array.dtype.kind not in ("fiuUO" if coordinate else "fiu"):
            yield f"{name} holds {array.dtype}, not real numbers"
        elif array.dtype.kind == "O" and not all(isinstance(entry, str) for entry in array.values.ravel()):
            yield f"{name} holds neither numbers nor text"
        elif coordinate and array.dtype.kind == "f" and name not in BESIDE and not np.all(np.isfinite(array.values)):
            yield f"{name} is a coordinate with values that are not finite"
        elif coordinate and (name,) == array.dims and np.unique(array.values).size < array.size:
            yield f"{name} is a coordinate with equal values"
        yield from (f"{name}: {said}" for said in _plain_attributes(array.attrs))


def _depths(tree: xr.DataTree) -> Iterator[str]:
    """The same increasing depths in all groups: N + 1 nodes, N layers with their stages."""
    nodes, layers, stages = (tree.children[name].dataset for name in GROUPS)
    for name, group in zip(GROUPS, (nodes, layers, stages), strict=True):
        if "t" not in group.coords or group["t"].dims != ("t",) or group["t"].dtype.kind != "f":
            yield f"{name} has no depths t"
    t = nodes["t"].values
    if t.size < 2 or not np.all(np.diff(t) > 0.0):
        yield "its nodes t must increase"
    if not all(np.array_equal(group["t"].values, t[:-1]) for group in (layers, stages)):
        yield "its layers and stages do not begin at its nodes"
    if "depth" not in stages.coords or stages["depth"].dims != ("t", "stage"):
        yield "its stages have no depths"


def _dimensions(tree: xr.DataTree) -> Iterator[str]:
    states = tree.children["nodes"].dataset["states"]
    own = states.dims[2:]
    if states.dims[:2] != ("t", "sample") or not own or 0 in states.shape:
        yield f"its states have the dimensions {states.dims}, {states.shape}"
    sizes = {str(dim): states.sizes[dim] for dim in states.dims}
    sizes |= {"stage": tree.children["stages"].dataset.sizes.get("stage", 0), "node": sizes["t"], "end": 2}
    sizes |= {"entry": math.prod(states.sizes[dim] for dim in own)}
    for group, known in ARRAYS.items():
        arrays = tree.children[group].data_vars if group in tree.children else {}
        here = sizes | ({} if group in ("nodes", "claim") else {"t": sizes["t"] - 1}) | {"layer": sizes["t"] - 1}
        for name in known.keys() & arrays.keys():
            dims = tuple(part for dim in known[name] for part in (own if dim == OWN else (dim,)))
            wanted = [here.get(str(dim), arrays[name].sizes.get(dim)) for dim in dims]
            if arrays[name].dims != dims or list(arrays[name].shape) != wanted:
                yield f"{group}/{name} has the dimensions {dict(arrays[name].sizes)}; its states ask for {dims}"


def _named(tree: xr.DataTree) -> Iterator[str]:
    """Controls, parameters and gradients have a symbol, and a gradient the shape of what it belongs to."""
    shapes: dict[tuple[str, str], Any] = {}
    for group, array in _with_role(tree):
        role, symbol, leading = array.attrs["role"], array.attrs.get("symbol"), LEADING.get(group)
        least = 0 if group == "parameters" else 1  # a free horizon is one number
        elsewhere = role == ("control" if group == "parameters" else "parameter")
        if role not in ROLES or elsewhere or leading is None or not isinstance(symbol, str) or not symbol:
            yield f"{group}/{array.name} is a {role!r} of the symbol {symbol!r}"
        elif (
            array.dims[: len(leading)] != leading
            or not least <= array.ndim - len(leading) <= 2
            or 0 in array.shape[: len(leading)]
        ):
            yield f"{group}/{array.name} has the dimensions {dict(array.sizes)}"
        elif shapes.setdefault((role, symbol), (group, array.dims)) != (group, array.dims):
            yield f"{group}/{array.name} is a second {role} {symbol}"
    for (role, symbol), shape in shapes.items():
        if role == "gradient" and shape not in (shapes.get(("control", symbol)), shapes.get(("parameter", symbol))):
            yield f"the gradient in {symbol} belongs to nothing"
    if not any(role == "control" for role, _ in shapes) and any(role == "gradient" for role, _ in shapes):
        yield "it has no controls"


def _with_role(tree: xr.DataTree) -> Iterable[tuple[str, xr.DataArray]]:
    return [
        (name, array)
        for name, group in tree.children.items()
        for array in group.dataset.data_vars.values()
        if "role" in array.attrs
    ]


def _curves(tree: xr.DataTree) -> Iterator[str]:
    """The learning curve is by iterations; the value function by depth and by at least one axis of states."""
    history = tree.children["history"].data_vars if "history" in tree.children else {}
    for name, array in history.items():
        if array.dims != ("iteration",):
            yield f"history/{name} has the dimensions {array.dims}, not one of iterations"
    claim = tree.children["claim"].data_vars if "claim" in tree.children else {}
    if "cost" in claim and claim["cost"].ndim:
        yield "claim/cost is not one number"
    value = tree.children["extras"].data_vars.get("value") if "extras" in tree.children else None
    if value is not None:
        falling = [dim for dim in value.dims if dim in value.coords and not np.all(np.diff(value[dim].values) > 0.0)]
        if value.dims[:1] != ("t",) or value.ndim < 2 or 0 in value.shape or falling:
            yield f"extras/value is no table over depths and increasing states: {dict(value.sizes)}"
