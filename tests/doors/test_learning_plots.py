"""Pictures of learning: each on given axes and on its own, with the data and the labels it is to show."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import ocdl

LAYERS = 4
DEPTH = ocdl.ExplicitEuler(LAYERS)
TRAIN, TEST = ocdl.donut2d(count=30)


def problem(architecture=None, **changes):
    return ocdl.network(
        ocdl.Residual() if architecture is None else architecture, TRAIN.inputs, TRAIN.labels, **changes
    )


def solved(stated, iterations=3):
    method = ocdl.LBFGS(max_iterations=iterations)
    return ocdl.solve(stated, DEPTH, method, seed=1, certificate="first order", on_failure="return")


PLAIN = problem(ocdl.ODENet(steps="simplex"))
FOUND = solved(PLAIN)
CURVE = ocdl.learning_curve(PLAIN, DEPTH, ocdl.LBFGS(), TEST, iterations=[1, 3], seed=1)
DRAWN = {  # how many axes each draws on, and how
    "plot_regions": (1, lambda **on: ocdl.plot_regions(PLAIN, DEPTH, FOUND, TEST, **on)),
    "plot_features": (2, lambda **on: ocdl.plot_features(PLAIN, DEPTH, FOUND, TEST, layers=[0, LAYERS], **on)),
    "plot_steps": (1, lambda **on: ocdl.plot_steps({"one": FOUND, "other": FOUND}, **on)),
    "plot_learning": (4, lambda **on: ocdl.plot_learning({"one": CURVE, "other": CURVE}, **on)),
    "plot_images": (1, lambda **on: ocdl.plot_images(PLAIN, DEPTH, FOUND, TEST, (1, 2), **on)),
}


def test_every_picture_of_learning_is_drawn_here():
    from ocdl.doors import learning_plots

    assert {name for name in vars(learning_plots) if name.startswith("plot_")} == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_drawn_on_given_axes_and_on_its_own(name):
    count, draw = DRAWN[name]
    figure = Figure()
    axes = list(np.ravel(figure.subplots(1, count)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw(axes=axes if count > 1 else axes[0]) is figure
        own = draw()
        own.draw_without_rendering()
    assert len(own.axes) == len(figure.axes) == count
    for ax in [*axes, *own.axes]:
        assert ax.has_data() and ax.get_xlabel() and ax.get_title(loc="left")


@pytest.mark.parametrize("name", ["plot_features", "plot_learning"])
def test_axes_are_as_many_as_panels(name):
    with pytest.raises(ocdl.InvalidInput, match=r"axes: \d are drawn on; got 1"):
        DRAWN[name][1](axes=Figure().subplots())


def test_the_line_between_two_classes_is_where_the_prediction_is_one_half():
    axes = ocdl.plot_regions(PLAIN, DEPTH, solved(PLAIN, 12), TRAIN).axes[0]
    (line,) = [one for one in axes.collections if one.get_paths() and hasattr(one, "levels")]
    points = np.concatenate([path.vertices for path in line.get_paths()])
    found = ocdl.predict(PLAIN, DEPTH, solved(PLAIN, 12), points)
    np.testing.assert_allclose(found, 0.5, atol=0.02)


def test_the_clouds_are_the_features():
    axes = DRAWN["plot_features"][1]().axes
    states = ocdl.features(PLAIN, DEPTH, FOUND, TEST.inputs).values
    for ax, layer in zip(axes, (0, LAYERS), strict=True):
        drawn = [np.asarray(one.get_offsets()) for one in ax.collections if one.get_label() in ("0", "1")]
        assert np.array_equal(np.concatenate(drawn), np.concatenate([states[layer][TEST.labels == k] for k in (0, 1)]))
    assert not axes[0].images and len(axes[1].images) == 1


def test_several_classes_and_further_channels_have_regions():
    labels = np.arange(30) % 3
    stated = ocdl.network(
        ocdl.Residual(), TRAIN.inputs, labels, channels=3, loss=ocdl.SoftmaxCrossEntropy(),
        readout=ocdl.Readout(ocdl.Softmax(), outputs=3),
    )  # fmt: skip
    found, samples = solved(stated), ocdl.Samples(TRAIN.inputs, labels)
    axes = ocdl.plot_regions(stated, DEPTH, found, samples).axes[0]
    assert set(np.unique(axes.images[0].get_array())) <= {0, 1, 2}
    assert [one.get_label() for one in axes.collections] == ["0", "1", "2"]
    assert not ocdl.plot_features(stated, DEPTH, found, samples, layers=[LAYERS]).axes[0].images


def test_bars_are_the_time_steps():
    bars = ocdl.plot_steps(FOUND).axes[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], FOUND["alpha"] / LAYERS)
    equal = ocdl.plot_steps(solved(problem())).axes[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in equal], 1.0 / LAYERS)


def test_lines_are_the_curves():
    upper, *_ = ocdl.plot_learning(CURVE).axes
    assert [line.get_label() for line in upper.lines] == ["training", "test"]
    for line, of in zip(upper.lines, ("training", "test"), strict=True):
        assert np.array_equal(line.get_ydata(), CURVE["loss"].sel(set=of))


WRONG = {
    "layers": lambda: ocdl.plot_features(PLAIN, DEPTH, FOUND, TEST, layers=[LAYERS + 1]),
    "image": lambda: ocdl.plot_images(PLAIN, DEPTH, FOUND, TEST, (2, 2)),
    "inputs": lambda: ocdl.plot_regions(PLAIN, DEPTH, FOUND, ocdl.Samples(np.zeros((5, 1)), np.zeros(5))),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn_is_said(name):
    with pytest.raises(ocdl.InvalidInput, match="plot_"):
        WRONG[name]()
