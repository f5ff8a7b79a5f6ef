"""The house: imports only go down, from floor to floor and from room to room, annotations included; no cycles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "ocdl"
GROUND = (
    *("errors", "arrays", "callables", "interrupts", "progress", "vectorised", "batch", "tables", "once", "files"),
    *("offers", "xr"),
)
ROUTES = ("nlp", "pmp", "hjb")
FLOORS = (  # from the top down; what stands on one floor does not know its neighbours
    ("__init__", "__main__"),
    ("public",),
    ("doors", "learn"),
    ("campaign",),
    ("comparison",),
    ROUTES,
    ("analysis",),
    ("solving",),
    ("referee",),
    ("sweeps",),
    ("networks",),
    ("statement",),
    ("depth",),
    GROUND,
)
ROOMS = {  # the inner order of the larger floors, from the top down; files of the folder itself where it is empty
    "pmp": (("__init__",), ("switching", "methods"), ("moves",), ("updates",), ("",), ("extremals",)),
    "hjb": (
        ("__init__",),
        ("",),
        ("verification",),
        ("feedback",),
        ("schemes",),
        ("bounds",),
        ("grids",),
        ("diffusion",),
    ),
}
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")}


def imported(name):
    """The modules of ocdl that a module imports anywhere: at its head, in functions, for annotations alone."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ocdl":
            base = node.module.removeprefix("ocdl").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES else base if base in MODULES else f"{base}.__init__".lstrip("."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("ocdl.") for a in node.names if a.name.startswith("ocdl.")}
    return found - {name}


GRAPH = {name: imported(name) for name in MODULES}


def floor(name):
    return next(i for i, names in enumerate(FLOORS) if name.split(".")[0] in names)


def room(name):
    folder, *inner = name.split(".")
    place = inner[0] if len(inner) > 1 or inner == ["__init__"] else ""
    return next(i for i, names in enumerate(ROOMS[folder]) if place in names)


def test_every_import_is_of_a_module_that_is_there():
    assert len(MODULES) > 100
    for name, found in GRAPH.items():
        assert found <= MODULES.keys(), (name, found - MODULES.keys())


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name):
    for other in GRAPH[name]:
        here, there = name.split(".")[0], other.split(".")[0]
        if here == there and here not in GROUND:
            if here in ROOMS:
                assert room(other) >= room(name), f"ocdl.{name} imports ocdl.{other}, which stands above it"
        elif here in GROUND:
            assert there in GROUND, f"ocdl.{name} is on the ground and imports ocdl.{other}"
        else:
            assert floor(other) > floor(name), f"ocdl.{name} imports ocdl.{other}, which is not below it"


def test_there_are_no_cycles():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_every_folder_says_in_three_lines_what_lives_there():
    for path in ROOT.rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert 1 <= len(text.splitlines()) <= 3 or path.parent == ROOT, path
