"""What may leave a table within its bounds is told with the answer, and where the answer is."""

import numpy as np
import pytest

import ocdl

DRAG = ocdl.Table([0.0, 1.0, 2.0], [0.0, 0.1, 0.4], name="drag")


def wagon(**changes):
    given = {
        "states": ["speed"],
        "controls": ["push"],
        "dynamics": lambda speed, push: push - DRAG(speed),
        "initial": [0.5],
        "horizon": 1.0,
        "terminal": lambda speed: (speed - 1.5) ** 2,
        "running": lambda push: push**2 / 100,
    } | changes
    return ocdl.solve(ocdl.ControlProblem(**given), ocdl.Radau(6, 2), ocdl.Ipopt())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "bounds are [-inf, inf], and in this answer it ranges over [0.5, {}], inside."),
        ({"terminal": lambda speed: (speed - 9) ** 2}, "[0.5, {}], beyond the table, which goes on straight there."),
        ({"bounds": ocdl.Box(speed=(0, 2.5))}, "its bounds are [0, 2.5], and in this answer"),
    ],
)
def test_a_quantity_that_may_leave_is_told_with_where_it_is(changes, said):
    solution = wagon(**changes)
    (note,) = solution.notes
    assert note.startswith("drag in dynamics: its argument speed may leave the table, which knows [0, 2]; its bounds ")
    assert said.format(f"{float(solution['speed'].max()):.4g}") in note, note


def test_what_cannot_leave_is_not_told():
    assert wagon(bounds=ocdl.Box(speed=(0, 2))).notes == []
    wave = ocdl.Table(np.linspace(0, 1, 5), np.zeros(5))
    assert wagon(dynamics=lambda t, push: push - wave(t)).notes == []
    assert wagon(dynamics=lambda t, push: push - wave(2 * t)).notes == [
        "table in dynamics: its argument 2 t may leave the table, which knows [0, 1]; its bounds are [0, 2]."
    ]
