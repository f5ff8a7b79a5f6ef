"""What bounds do not keep inside the tables of a problem's formulas, told with every answer."""

from __future__ import annotations

import numpy as np

from ocdl.arrays import Array
from ocdl.referee.solution import Answer, Solution
from ocdl.statement.problem import ControlProblem
from ocdl.statement.table import Reading


def table_notes(problem: ControlProblem, solution: Solution) -> list[str]:
    """A sentence for every quantity that may leave a table within its bounds, and where it is in this answer."""
    notes = {}
    for reading in problem.readings:
        bounds = problem.hull(reading.vector, reading.i)
        if not reading.leaves(bounds):
            continue
        (low, high), (least, largest) = reading.range(bounds), reading.known
        name = problem.entry_name(reading.vector, reading.i)
        said = f"{reading.said(name)} may leave the table, which knows [{least:g}, {largest:g}]; its bounds are "
        notes[f"{said}[{low:g}, {high:g}]"] = _in_the_answer(reading, solution.answer)
    return [f"{said}{found}." for said, found in notes.items()]


def _in_the_answer(reading: Reading, answer: Answer | None) -> str:
    """Over what the argument ranges in an answer, and whether that is too far."""
    if answer is None or reading.vector not in ("x", "u", "p"):
        return ""
    values: Array = {"x": answer.x, "u": answer.u, "p": answer.p}[reading.vector][..., reading.i]
    if not np.all(np.isfinite(values)):
        return ""
    low, high = reading.range(values)
    verdict = "beyond the table, which goes on straight there" if reading.leaves(values) else "inside"
    return f", and in this answer it ranges over [{low:.4g}, {high:.4g}], {verdict}"
