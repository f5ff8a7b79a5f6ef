"""Every problem with a reference, from a uniform coarse mesh to that reference by our own error estimate."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import ocdl

TOLERANCE = 1e-6


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


FILES = [
    path
    for path in sorted((Path(__file__).parents[2] / "problems").glob("*.py"))
    if "\nREFERENCE" in path.read_text(encoding="utf-8")
]


def test_the_set_is_found():
    assert len(FILES) >= 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_uniform_mesh_is_refined_to_the_reference(path):
    stated = module(path)
    problem, own = stated.problem(), stated.grid()
    start = stated.start() if hasattr(stated, "start") else None
    phases = len(problem.names) if isinstance(problem, ocdl.Phases) else 1
    coarse = own.with_layers(16 // phases)
    refinement = ocdl.refine(problem, coarse, ocdl.Ipopt(), tolerance=TOLERANCE, start=start)
    assert refinement.reached, refinement.message
    solution = refinement.solution
    assert solution.feasibility < 1e-7
    allowed = stated.DIGITS + TOLERANCE * (1.0 + abs(stated.REFERENCE))
    assert abs(solution.cost - stated.REFERENCE) <= allowed, str(refinement)
