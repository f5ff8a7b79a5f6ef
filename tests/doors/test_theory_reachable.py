"""The picture of reachable sets, on given axes and on its own, with every verdict."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import ocdl
from ocdl.analysis import reachable, reachable_set


def found(neurons, cells=6):
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=np.linspace(0.3, -0.2, neurons),
        target=0.0,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )
    width = ocdl.Midpoint(neurons)
    targets = [reachable(problem, width, c, layers=2, searches=2, steps=16, halvings=0) for c in (0.2, 3.0)]
    return reachable_set(problem, width, cells=cells), targets


@pytest.mark.parametrize(("neurons", "count"), [(1, 1), (2, 1), (3, 3)])
def test_a_set_is_drawn_on_given_axes_and_on_its_own(neurons, count):
    cells, targets = found(neurons)
    figure = Figure()
    axes = list(np.ravel(figure.subplots(1, count)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ocdl.plot_reachable(cells, targets=targets, axes=axes if count > 1 else axes[0]) is figure
        own = ocdl.plot_reachable(cells)
        own.draw_without_rendering()
    assert len(own.axes) == len(figure.axes) == count
    said = {text.get_text() for text in axes[-1].get_legend().get_texts()}
    assert {"reached", "not excluded", "trajectories", "target: yes", "target: no"} <= said
    for ax in [*axes, *own.axes]:
        assert ax.has_data() and ax.get_xlabel() and ax.get_ylabel()


def test_more_than_three_neurons_are_not_drawn():
    with pytest.raises(ocdl.InvalidInput, match="got 4"):
        ocdl.plot_reachable(found(4, cells=1)[0])
