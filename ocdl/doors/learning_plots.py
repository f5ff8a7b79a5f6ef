"""Pictures of learning: decision regions, features layer by layer, learnt time steps, learning curves, images.

Each draws on given matplotlib axes, or on a figure of its own, which it returns either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ocdl import xr
from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.doors.look import INK, colour_of, draw_legend, figure_of, labelled, several
from ocdl.errors import InvalidInput
from ocdl.referee.labels import coefficients
from ocdl.referee.solution import Solution
from ocdl.solving.predict import features, predict, readout_of, stated_for
from ocdl.statement.data import Samples
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Problem = ControlProblem | SelectionProblem

POINTS = 121  # a side of the grid on which a prediction is drawn
MARKS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "*")  # of classes, for eyes that see no colour
NOTHING = 1e-6  # of the horizon: time steps below are none


def plot_regions(
    problem: Problem,
    grid: Grid | DepthScheme,
    solution: Solution,
    samples: Samples,
    *,
    title: str = "prediction",
    axes: Any = None,
) -> Figure:
    """What the trained network predicts of every point of the plane, and the samples on it.

    Between two classes the colour is h(O) and a line stands where it is one half; of K classes it is the likeliest.
    Inputs have two values each.
    """
    axes = _one(axes)
    limits = _limits("plot_regions", np.asarray(samples.inputs))
    plane, shape = _plane(*limits)
    _background(axes, limits, np.asarray(predict(problem, grid, solution, plane)).reshape(*shape, -1))
    _cloud(axes, np.asarray(samples.inputs), samples.labels)
    return _framed(axes, title, limits)


def plot_features(
    problem: Problem,
    grid: Grid | DepthScheme,
    solution: Solution,
    samples: Samples,
    *,
    layers: Sequence[int] | None = None,
    title: str = "layer {layer}",
    axes: Any = None,
) -> Figure:
    """The samples behind chosen layers, and on the last how the affine classifier parts the plane of its features.

    layers: numbers from 0, the inputs, to N; by default 0, a third, two thirds, N. Of more than two states the first
    two are drawn, without the classifier. axes: as many as layers. title: of each, in which {layer} is its number.
    """
    states = features(problem, grid, solution, samples.inputs)
    N = states.sizes["t"] - 1
    chosen = [round(share * N / 3) for share in range(4)] if layers is None else list(layers)
    if not all(0 <= layer <= N for layer in chosen):
        raise InvalidInput(f"plot_features(layers={layers!r}): numbers from 0 to {N} are needed.")
    row = several(len(chosen), axes)
    for ax, layer in zip(row, chosen, strict=True):
        limits = _limits("plot_features", states.values[layer, :, :2])
        if layer == N and states.sizes["y"] == 2:
            _background(ax, limits, _classified(problem, grid, solution, limits))
        _cloud(ax, states.values[layer, :, :2], samples.labels)
        _framed(ax, title.format(layer=layer), limits)
    return figure_of(row[0])


def plot_steps(solutions: Solution | Mapping[str, Solution], *, title: str = "time steps", axes: Any = None) -> Figure:
    """The time steps h_k α_k of every layer, of one solution or of several by name; h_k where there is no "alpha"."""
    axes = _one(axes)
    named = solutions if isinstance(solutions, Mapping) else {solutions.method: solutions}
    width = 0.8 / len(named)
    for j, (name, solution) in enumerate(named.items()):
        steps = time_steps(solution)
        at = np.arange(1, steps.size + 1) + (j - 0.5 * (len(named) - 1)) * width
        axes.bar(at, steps, width, color=colour_of(j), label=f"{name}: {_count(steps)} of {steps.size} not 0")
    labelled(axes, title, "layer")
    axes.set_ylabel("h α", fontsize=8.5)
    axes.axhline(0.0, color=INK, lw=0.6)
    axes.xaxis.get_major_locator().set_params(integer=True)
    draw_legend(axes)
    return figure_of(axes)


def time_steps(solution: Solution) -> Array:
    """h_k α_k (N,); h_k of a network that learns no time steps."""
    widths = np.diff(solution.state["t"].values)
    return widths * solution["alpha"].values if "alpha" in solution.controls else widths


def plot_learning(
    curves: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    what: Sequence[str] = ("loss", "accuracy"),
    against: Sequence[str] = ("iteration", "seconds"),
    axes: Any = None,
) -> Figure:
    """What ``learning_curve`` returns, of one network or of several by name; test samples are dashed.

    what, against: "loss" or "accuracy", over "iteration" or CPU "seconds"; a row of axes for each of the former, a
    column for each of the latter. axes: as many, row by row.
    """
    named = curves if isinstance(curves, Mapping) and not hasattr(curves, "data_vars") else {"": curves}
    panels = [(quantity, clock) for quantity in what for clock in against]
    row = several(len(panels), axes, columns=len(against))
    for ax, (quantity, clock) in zip(row, panels, strict=True):
        labelled(ax, quantity, "CPU seconds" if clock == "seconds" else clock)
        for j, (name, curve) in enumerate(named.items()):
            for values, style in zip(np.asarray(curve[quantity]).T, ("-", (0, (4, 2))), strict=False):
                part = "training" if style == "-" else "test"
                label = (name if style == "-" else None) if name else part
                ax.plot(curve[clock], values, color=colour_of(j), ls=style, lw=1.5, label=label)
        ax.set_xscale("log")
        if quantity == "loss":
            ax.set_yscale("log")
    draw_legend(row[0])
    return figure_of(row[0])


def plot_images(
    problem: Problem,
    grid: Grid | DepthScheme,
    solution: Solution,
    samples: Samples,
    image: tuple[int, int],
    *,
    layers: Sequence[int] | None = None,
    title: str = "images behind layers",
    axes: Any = None,
) -> Figure:
    """The channels of every sample as an image, a row a sample, behind chosen layers from left to right.

    image: rows and columns of pixels; channels beyond are left out. Grey levels are spread over all values of a column.
    layers: as of ``plot_features``.
    """
    axes = _one(axes)
    states = features(problem, grid, solution, samples.inputs)
    N, (rows, columns) = states.sizes["t"] - 1, image
    chosen = [round(share * N / 3) for share in range(4)] if layers is None else list(layers)
    if rows * columns > states.sizes["y"]:
        raise InvalidInput(f"plot_images(image={image}): there are only {states.sizes['y']} channels.")
    picked = states.values[chosen][..., : rows * columns]
    low, high = picked.min(axis=(1, 2), keepdims=True), picked.max(axis=(1, 2), keepdims=True)
    grey = ((picked - low) / np.where(high > low, high - low, 1.0)).reshape(*picked.shape[:2], rows, columns)
    sheet = np.pad(grey, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan).transpose(1, 2, 0, 3)
    sheet = sheet.reshape(sheet.shape[0] * sheet.shape[1], -1)[:-1, :-1]
    axes.imshow(sheet, cmap="gray_r", vmin=0.0, vmax=1.0, interpolation="nearest")
    labelled(axes, title, "layer")
    axes.grid(False)
    middles = np.arange(len(chosen)) * (columns + 1) + 0.5 * (columns - 1)
    axes.set_xticks(middles, [str(layer) for layer in chosen])
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    return figure_of(axes)


# -- axes -----------------------------------------------------------------------------------------------


def _one(axes: Any) -> Any:
    return several(1, None if axes is None else [axes])[0]


# -- points of the plane ------------------------------------------------------------------------------


def _limits(said: str, points: Array) -> tuple[Array, Array]:
    """The corners of a box around points (S, 2), with a margin."""
    if points.ndim != 2 or points.shape[1] != 2:
        raise InvalidInput(f"{said}: points of the plane are drawn, (S, 2); got shape {points.shape}.")
    low, high = points.min(axis=0), points.max(axis=0)
    widest = float(np.max(high - low)) or 1.0  # a cloud may be a point
    margin = np.maximum(0.12 * (high - low), 0.05 * widest)
    return low - margin, high + margin


def _plane(low: Array, high: Array) -> tuple[Array, tuple[int, int]]:
    """The points of a grid of the box, (POINTS², 2), row by row upwards, and the shape of that grid."""
    across, up = np.meshgrid(*(np.linspace(low[i], high[i], POINTS) for i in range(2)))
    return np.stack([across.ravel(), up.ravel()], axis=1), across.shape


def _classified(problem: Problem, grid: Any, solution: Solution, limits: tuple[Array, Array]) -> Array:
    """h(W x + μ) of the features x on a grid."""
    statement, depth = stated_for(problem, grid, None)
    terminal = readout_of("plot_features", statement)
    plane, shape = _plane(*limits)
    output = terminal.output.values(plane, coefficients(statement, depth, solution)[1])
    return np.asarray(terminal.link(output)).reshape(*shape, -1)


def _background(axes: Any, limits: tuple[Array, Array], prediction: Array) -> None:
    """Predictions (rows, columns, K) as colours: blue for 0 and vermilion for 1, or one colour a class."""
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    (left, bottom), (right, top) = limits
    style: dict[str, Any] = {"extent": (left, right, bottom, top), "origin": "lower", "aspect": "auto", "zorder": 0}
    K = prediction.shape[2]
    if K > 1:
        colours = ListedColormap([colour_of(k) for k in range(K)])
        axes.imshow(prediction.argmax(axis=2), cmap=colours, vmin=-0.5, vmax=K - 0.5, alpha=0.3, **style)
        return
    shades = LinearSegmentedColormap.from_list("classes", [colour_of(0), "#ffffff", colour_of(1)])
    axes.imshow(prediction[..., 0], cmap=shades, vmin=0.0, vmax=1.0, alpha=0.4, interpolation="bilinear", **style)
    if prediction.min() < 0.5 < prediction.max():
        at = [np.linspace(limits[0][i], limits[1][i], POINTS) for i in range(2)]
        axes.contour(*at, prediction[..., 0], levels=[0.5], colors=INK, linewidths=1.0)


def _cloud(axes: Any, points: Array, labels: Any) -> None:
    """Points (S, 2), a colour and a mark for each class."""
    given = np.asarray(labels)
    classes = given.argmax(axis=1) if given.ndim == 2 and given.shape[1] > 1 else given.ravel()
    size = float(np.clip(4000.0 / len(points), 7.0, 26.0))
    for k, value in enumerate(np.unique(classes)):
        own = points[classes == value]
        style = {"color": colour_of(k), "marker": MARKS[k % len(MARKS)], "edgecolor": "white", "linewidth": 0.4}
        axes.scatter(own[:, 0], own[:, 1], s=size, label=f"{value:g}", **style)


def _framed(axes: Any, title: str, limits: tuple[Array, Array]) -> Figure:
    labelled(axes, title, "x$_1$")
    axes.set_ylabel("x$_2$", fontsize=8.5)
    axes.grid(False)
    axes.set_xlim(limits[0][0], limits[1][0])
    axes.set_ylim(limits[0][1], limits[1][1])
    return figure_of(axes)


def _count(steps: Array) -> int:
    """How many time steps are not 0."""
    return int(np.sum(np.abs(steps) > NOTHING * np.sum(np.abs(steps))))
