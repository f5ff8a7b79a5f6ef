"""Slices of value functions: lines, planes, circles and level sets."""

import warnings

import numpy as np
import pytest

import ocdl

CAR = ocdl.ControlProblem(
    dynamics=lambda x, u: [u, x[0], 0.5 * u],
    initial={"speed": 0.0, "place": 0.0, "angle": 0.0},
    states=["speed", "place", "angle"],
    horizon=0.5,
    bounds=ocdl.Box(u=(-1, 1)),
)
VALUE = ocdl.ValueIteration(
    nodes=(9, 11, 8), domain=[(-1, 1), (-1, 1), (0, 6)], periodic=["angle"], depths=[0.0, 0.25],
    target=lambda x: np.hypot(x[..., 0], x[..., 1]) - 0.4,
).value_function(CAR)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "panels", "labels"),
    [
        ({}, 1, ("speed", "place")),
        ({"depths": [0.0, 0.25], "across": (2, 0), "at": [0.0, 0.3, 1.0]}, 2, ("angle", "speed")),
        ({"across": [1], "depths": [0.0, 0.5]}, 1, ("place", "")),
    ],
)
def test_slices_are_drawn_with_their_names(options, panels, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = ocdl.plot_value(VALUE, **options)
        figure.draw_without_rendering()
    axes = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len(axes) == panels
    assert all((ax.get_xlabel(), ax.get_ylabel()) == labels and ax.has_data() for ax in axes)


def test_the_edge_of_the_tube_is_bold_and_a_circle_closes():
    axes = ocdl.plot_value(VALUE, across=(2, 0), at=[0.0, 0.0, 0.0]).axes[0]
    bold = [lines for lines in axes.collections if 2.0 in np.ravel(lines.get_linewidths())]
    assert len(bold) == 1 and len(bold[0].get_paths()[0].vertices) > 4
    assert axes.get_xlim()[1] > 6.0


@pytest.mark.parametrize("options", [{"across": (0, 3)}, {"across": (1, 1)}, {"at": [0.0]}], ids=str)
def test_what_there_is_not_is_named(options):
    with pytest.raises(ocdl.InvalidInput, match=next(iter(options))):
        ocdl.plot_value(VALUE, **options)
