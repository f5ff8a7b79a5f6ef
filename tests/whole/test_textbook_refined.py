"""Every problem with a reference, from a uniform coarse mesh to that reference by our own error estimate."""

from __future__ import annotations

from pathlib import Path

import pytest
from families import module

import ocdl

TOLERANCE = 1e-6


FILES = [
    path
    for path in sorted((Path(__file__).parents[2] / "problems").glob("*.py"))
    if "\nREFERENCE" in path.read_text(encoding="utf-8")
]


def test_the_set_is_found():
    assert len(FILES) >= 12


REFINED = [path for path in FILES if "\nCOARSE = None" not in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", REFINED, ids=lambda path: path.stem)
def test_a_uniform_mesh_is_refined_to_the_reference(path):
    stated = module(path.stem)
    problem, own = stated.problem(), stated.grid()
    start = stated.start() if hasattr(stated, "start") else None
    coarse = own.with_layers(getattr(stated, "COARSE", 16))
    if isinstance(problem, ocdl.ControlProblem):
        coarse = ocdl.through(coarse, problem)  # what is measured is measured at nodes
    refinement = ocdl.refine(problem, coarse, ocdl.Ipopt(), tolerance=TOLERANCE, start=start)
    assert refinement.reached, refinement.message
    solution = refinement.solution
    assert solution.feasibility < 1e-7
    allowed = stated.DIGITS + TOLERANCE * (1.0 + abs(stated.REFERENCE))
    assert abs(solution.cost - stated.REFERENCE) <= allowed, str(refinement)


PUBLISHED = [path for path in FILES if "PUBLISHED_DIGITS" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_reference_is_what_is_published(path):
    stated = module(path.stem)
    assert abs(stated.REFERENCE - stated.PUBLISHED) <= stated.PUBLISHED_DIGITS


def test_a_redundant_row_of_path_changes_no_answer():
    stated = module("tuberculosis")
    bare, doubled = (ocdl.solve(stated.problem(total=total), stated.grid(), ocdl.Ipopt()) for total in (False, True))
    assert doubled.status is ocdl.Status.CONVERGED
    assert abs(doubled.cost - bare.cost) <= 1e-8 * bare.cost


def test_a_climb_by_tables_takes_the_time_that_is_published():
    stated = module("climb")
    solution = ocdl.solve(stated.problem(), stated.grid(), ocdl.Ipopt())
    assert solution.status is ocdl.Status.CONVERGED and solution.gap < 1e-6
    assert abs(solution.cost - stated.REFERENCE) < 2e-3  # on 30 layers
