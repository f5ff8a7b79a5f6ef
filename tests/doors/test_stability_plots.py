"""Pictures of stability: what they draw are the eigenvalues, the steady states and the manifolds they are given."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import ocdl
from ocdl.analysis import Flow, KernelOperator, linear_stability, phase_portrait
from ocdl.doors.theory.spectra import numerical_range

NODES = ocdl.Midpoint(2)
MATRICES = {
    "saddle": [[2.0, 1.0], [1.0, -1.0]],
    "line": [[2.0, 1.0], [2.0, 1.0]],
    "focus": [[0.5, 2.0], [-2.0, 0.5]],
}


def flow(name, bias=0.0):
    return Flow.selection(ocdl.Tanh(), bias, KernelOperator.of(np.array(MATRICES[name]), NODES), 5.0)


DRAWN = {
    "plot_spectrum": lambda **on: ocdl.plot_spectrum({name: linear_stability(flow(name)) for name in MATRICES}, **on),
    "plot_phase_portrait": lambda **on: ocdl.plot_phase_portrait(flow("saddle"), **on),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_drawn_on_given_axes_and_on_its_own(name):
    figure = Figure()
    axes = figure.subplots()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert DRAWN[name](axes=axes) is figure
        own = DRAWN[name]()
        own.draw_without_rendering()
    for ax in (axes, *own.axes):
        assert ax.has_data() and ax.get_xlabel() and ax.get_ylabel() and ax.get_title(loc="left")
    with pytest.raises(ocdl.InvalidInput, match="axes: 1 are drawn on; got 2"):
        DRAWN[name](axes=[axes, axes])


def test_points_are_the_eigenvalues_and_lie_in_the_numerical_range():
    axes = DRAWN["plot_spectrum"]().axes[0]
    for points, name in zip(axes.collections, MATRICES, strict=True):
        omega = linear_stability(flow(name)).eigenvalues
        assert np.asarray(points.get_offsets()) == pytest.approx(np.stack([omega.real, omega.imag], axis=1))
        assert name in points.get_label() and linear_stability(flow(name)).verdict in points.get_label()
        edge = numerical_range(linear_stability(flow(name)).operator.matrix)
        for turn in np.exp(1j * np.linspace(0.0, 6.0, 9)):
            assert (turn * omega).real.max() <= (turn * edge).real.max() + 1e-3


def test_the_numerical_range_ends_where_the_symmetric_part_does():
    B = np.random.default_rng(0).standard_normal((5, 5))
    assert numerical_range(B).real.min() == pytest.approx(np.linalg.eigvalsh(0.5 * (B + B.T))[0], abs=1e-12)


@pytest.mark.parametrize("name", MATRICES)
def test_steady_states_and_manifolds_are_drawn(name):
    portrait = phase_portrait(flow(name))
    axes = ocdl.plot_phase_portrait(flow(name), evolutions=[flow(name).evolve([[0.5, 1.0], [1.0, 0.0]])]).axes[0]
    lines = {line.get_label(): np.asarray(line.get_xydata()) for line in axes.lines}
    if name == "saddle":
        assert np.array_equal(lines["stable manifold"], portrait.stable[0])
        assert np.array_equal(lines["unstable manifold"], portrait.unstable[0])
    if name == "line":
        assert np.array_equal(lines["steady states"], portrait.line)
    else:
        assert lines[portrait.kind] == pytest.approx(portrait.rest[None])
    assert axes.get_xlim() == pytest.approx(portrait.limits[0]) and axes.get_xlabel() == "f(y = 0.25)"


def test_no_steady_state_is_a_picture_too():
    axes = ocdl.plot_phase_portrait(flow("line", [0.0, 1.0]), limits=[(-1, 1), (-1, 1)]).axes[0]
    assert axes.get_title(loc="left") == "no steady state"


@pytest.mark.parametrize("activation", [ocdl.Tanh(), ocdl.ReLU()], ids=repr)
def test_what_stands_still_and_what_is_not_linearised_is_drawn(activation):
    still = Flow.selection(activation, 0.0, KernelOperator.of(0.0, NODES), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ocdl.plot_phase_portrait(still).draw_without_rendering()
    kernel = flow("saddle").kernel_operator()
    kind = "saddle" if activation == ocdl.Tanh() else "not linearised"
    assert ocdl.plot_phase_portrait(Flow.selection(activation, 0.0, kernel, 1.0)).axes[0].get_title(loc="left") == kind


def test_evolutions_of_more_neurons_are_not_drawn():
    wide = Flow.selection(ocdl.Tanh(), 0.0, KernelOperator.of(1.0, ocdl.Midpoint(3)), 1.0).evolve(0.0)
    with pytest.raises(ocdl.InvalidInput, match="got 3"):
        ocdl.plot_phase_portrait(flow("saddle"), evolutions=[wide])
