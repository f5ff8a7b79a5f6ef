"""The picture of amplification shows the singular values it is given, on given axes and on its own."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import ocdl
from ocdl.analysis import Conditioning, Flow, KernelOperator

B = KernelOperator.of(lambda y, z: np.cos(3 * y + z), ocdl.GaussLegendre(4))
FLOW = Flow.selection(ocdl.Tanh(), 0.3, B, 2.0)
STATES = np.random.default_rng(0).standard_normal((3, 4))


@pytest.mark.parametrize("samples", [1, 3])
def test_lines_are_the_singular_values(samples):
    found = Conditioning.along(FLOW.evolve(STATES[:samples], times=[0.0, 0.5, 2.0]))
    figure = Figure()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ocdl.plot_amplification(found, axes=figure.subplots()) is figure
        (axes,) = ocdl.plot_amplification(found, title="grows").axes
        axes.figure.draw_without_rendering()
    most, least, rest, upper, lower = (line.get_ydata() for line in axes.lines)
    assert np.array_equal(most, np.median(found.extremes[..., 0], axis=1))
    assert np.all(upper >= most) and np.all(lower <= least) and rest[0] == pytest.approx(most[-1], rel=0.2)
    assert axes.get_yscale() == "log" and axes.get_xlabel() == "depth t" and axes.get_title(loc="left") == "grows"
    assert len(axes.collections) == (3 if samples > 1 else 0)
