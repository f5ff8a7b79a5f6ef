"""The picture of decay, on given axes and on its own, of theorems that apply and of those that do not."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import ocdl
from ocdl.analysis import Flow, KernelOperator, lyapunov


def found(sign):
    B = KernelOperator(sign * np.eye(3), ocdl.Midpoint(3).on((0.0, 1.0)))
    return lyapunov(Flow.selection(ocdl.Tanh(), 0.2, B, 2.0).evolve(np.eye(2, 3)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_decay_is_drawn(sign):
    figure = Figure()
    axes = figure.subplots(1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ocdl.plot_decay(found(sign), axes=axes) is figure
        own = ocdl.plot_decay(found(sign), title="mine")
        own.draw_without_rendering()
    left, right = own.axes
    assert [len(ax.lines) for ax in (left, right)] == [4, 7]  # of two samples, and the bound
    said = [text.get_text() for ax in (left, right) for text in ax.get_legend().get_texts()]
    assert len(said) == 5 and all(text.endswith("(unproven)") == (sign < 0.0) for text in said)
    assert left.get_title(loc="left") == "mine" and all(ax.get_xlabel() == "depth t" for ax in (left, right))
