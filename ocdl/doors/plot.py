"""plot_solution and plot_comparison: figures of one answer, and of several side by side.

Symbols are those of Liu and Markowich: state f(y, t), switching function r = −p (they maximise), controls a(y, t) and
b(y, z, t), Hamiltonian H, value V. Few nodes are drawn as lines, many as images; nothing global is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.comparison.compare import Comparison
from ocdl.doors.look import (
    FAINT,
    INK,
    ROUTE_COLOURS,
    ROUTE_DASHES,
    colour_bar,
    colour_of,
    draw_legend,
    headline,
    labelled,
    line_colours,
    margin_of,
    quiet_bar,
    roomy,
    sheet,
)
from ocdl.referee.phases import PhasesSolution
from ocdl.referee.solution import Solution
from ocdl.statement.layout import UNITS_OF

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Panel = Callable[["Figure", Any], None]

FIGURE_FORMATS = ("png", "pdf", "svg")
MOST_LINES = 9
MOST_LINES_OF_SAMPLES = 60


def plot_solution(solution: Solution) -> Figure:
    """State, switching function, Hamiltonian, controls and learning curve of one solution, and V where it has one."""
    panels: list[Panel] = [
        lambda figure, slot: _field(figure.add_subplot(slot), solution.state, _state_title(solution)),
        lambda figure, slot: _field(figure.add_subplot(slot), solution.r, _switching_title(solution)),
        lambda figure, slot: _hamiltonian(figure, slot, solution),
    ]
    panels += [_control_panel(name, array, solution) for name, array in solution.controls.items() if array.size]
    if "cost" in solution.history:
        panels.append(lambda figure, slot: _learning(figure.add_subplot(slot), solution))
    if "value" in solution.extras:
        routes = {solution.method: solution}
        panels += [_value_panel(solution.extras["value"], routes, share) for share in _value_depths(solution)]
    figure, slots = sheet(len(panels))
    status = solution.status.name.lower().replace("_", " ")
    headline(figure, f"{solution.method}: J = {solution.cost:.8g}, {solution.principle()}, {status}")
    for panel, slot in zip(panels, slots, strict=False):
        panel(figure, slot)
    return figure


def plot_phases(solution: PhasesSolution) -> Figure:
    """States, costates, Hamiltonian and controls of linked phases over one time; a line stands where a phase begins."""
    names = list(dict.fromkeys(name for one in solution.values() for name in one.controls))
    figure, slots = sheet(3 + len(names))
    at_least = "" if solution.gap_is_exact else "at least "
    status = solution.status.name.lower().replace("_", " ")
    headline(figure, f"{solution.method}: J = {solution.cost:.8g}, gap {at_least}{solution.gap:.1e}, {status}")
    drawn: list[tuple[str, Callable[[Solution], xr.DataArray]]] = [
        ("state  x(t)", lambda one: one.state.isel(sample=0)),
        ("costate  r = −p", lambda one: one.r.isel(sample=0)),
        ("Hamiltonian  H(t)", lambda one: one.hamiltonian.expand_dims(entry=["H"], axis=1)),
        *((f"control  {name}(t)", partial(_control_of, name)) for name in names),
    ]
    for (title, taken), slot in zip(drawn, slots, strict=True):
        _over_phases(figure.add_subplot(slot), title, solution, taken)
    return figure


def _control_of(name: str, solution: Solution) -> xr.DataArray:
    return solution.controls.get(name, xr.DataArray(np.zeros((0, 0)), dims=("t", "none")))


def _over_phases(axes: Any, title: str, solution: PhasesSolution, taken: Callable[[Solution], xr.DataArray]) -> None:
    """An array (t, name) of every phase, equal names in equal colours."""
    labelled(axes, title, "t")
    colours: dict[str, str] = {}
    rows = []
    for one in solution.values():
        array, edges = _along_depth(taken(one), one.state["t"].values)
        for i, name in enumerate(_node_labels(array)[0]):
            label = name if name not in colours else None
            colour = colours.setdefault(name, colour_of(len(colours)))
            if edges is None:
                axes.plot(array["t"], array.values[:, i], color=colour, lw=1.7, label=label)
            else:
                axes.stairs(array.values[:, i], edges, baseline=None, color=colour, lw=1.7, label=label)
        rows.append(np.ravel(array.values))
    for name, t in zip(solution, solution.times, strict=False):
        axes.axvline(t, color=INK, lw=0.6, ls=":")
        axes.annotate(f" {name}", (t, 1.0), xycoords=("data", "axes fraction"), fontsize=7, va="top", color=INK)
    roomy(axes, np.concatenate(rows))
    axes.set_xlim(solution.times[0], solution.times[-1])
    if 1 < len(colours) <= MOST_LINES:
        draw_legend(axes)


def plot_comparison(comparison: Comparison) -> Figure:
    """Costs, Hamiltonians and trajectories of all routes, then state, switching function and controls of each."""
    from matplotlib.figure import Figure

    best, solutions = comparison.best, comparison.solutions  # InvalidInput where there is nothing to draw
    rows = [_state_row, _switching_row, *(_control_row(name) for name, array in best.controls.items() if array.size)]
    figure = Figure(figsize=(max(12.0, 3.3 * len(solutions) + 1.2), 3.9 + 2.2 * len(rows)), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[3.7, 2.2 * len(rows) + 0.2])
    top, bottom = parts
    routes = "1 route" if len(solutions) == 1 else f"{len(solutions)} routes"
    headline(figure, f"{routes}: lowest cost J = {best.cost:.8g} by {comparison.best_name}")
    slots = top.add_gridspec(1, 3, width_ratios=[1, 1, 1.1])
    _costs(top.add_subplot(slots[0]), comparison)
    _hamiltonians(top.add_subplot(slots[1]), solutions)
    _trajectories(top, slots[2], solutions)
    axes = bottom.subplots(len(rows), len(solutions), squeeze=False)
    for i, row in enumerate(rows):
        row(axes[i], solutions)
    for j, name in enumerate(solutions):
        axes[0, j].annotate(
            name, (0.5, 1.22), xycoords="axes fraction", ha="center", weight="bold", color=colour_of(j), fontsize=10
        )
    return figure


# -- one array over depth ------------------------------------------------------------------------------


def _field(
    axes: Any,
    array: xr.DataArray,
    title: str,
    *,
    edges: Array | None = None,
    limit: float | None = None,
    legend: bool = True,
) -> Any:
    """An array (t, [sample], node) as lines where they can be told apart, else as an image; returns the image.

    ``edges``: the depth nodes where the array is constant in each layer. ``limit``: a common scale of images.
    """
    array, note = _samples_shown(array)
    labelled(axes, title + note, "t")
    if array.sizes[array.dims[-1]] <= MOST_LINES:
        _lines(axes, array, edges, legend)
        return None
    return _image(axes, array, edges, limit)


def _samples_shown(array: xr.DataArray) -> tuple[xr.DataArray, str]:
    """All samples where their lines can be told apart, else the first, and what to say of it."""
    if "sample" not in array.dims:
        return array, ""
    S, n = array.sizes["sample"], array.sizes[array.dims[-1]]
    if S == 1:
        return array.isel(sample=0), ""
    if n <= 3 and S * n <= MOST_LINES_OF_SAMPLES * 3:
        return array, f",  {S} samples"
    return array.isel(sample=0), f",  sample 1 of {S}"


def _lines(axes: Any, array: xr.DataArray, edges: Array | None, legend: bool) -> None:
    labels, ordered = _node_labels(array)
    colours = line_colours(len(labels), ordered)
    rows = array.transpose(..., "t", array.dims[-1]).values.reshape(-1, array.sizes["t"], len(labels))
    for sample, values in enumerate(rows):
        style: dict[str, Any] = {"lw": 1.7, "alpha": 1.0} if len(rows) == 1 else {"lw": 0.7, "alpha": 0.55}
        for i, label in enumerate(labels):
            text = label if sample == 0 and len(labels) > 1 else None
            if edges is None:
                axes.plot(array["t"], values[:, i], color=colours[i], label=text, **style)
            else:
                axes.stairs(values[:, i], edges, baseline=None, color=colours[i], label=text, **style)
    axes.axhline(0.0, color=INK, lw=0.6, alpha=0.5, zorder=0)
    roomy(axes, rows)
    axes.set_xlim(*((edges[0], edges[-1]) if edges is not None else (array["t"][0], array["t"][-1])))
    if legend and ordered and len(labels) > 4:
        _line_scale(axes, array, colours)
    elif legend and len(labels) > 1:
        draw_legend(axes, columns=2 if len(labels) > 4 else 1)
    elif len(labels) == 1 and array.attrs.get(f"{UNITS_OF}{array[array.dims[-1]].values[0]}"):
        axes.set_ylabel(labels[0], fontsize=8.5)


def _line_scale(axes: Any, array: xr.DataArray, colours: list[Any]) -> None:
    """A bar that tells which colour stands for which node, in place of a long legend."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    cells, label = _node_positions(array)
    bar = axes.figure.colorbar(
        ScalarMappable(BoundaryNorm(cells, len(colours)), ListedColormap(colours)),
        ax=axes, pad=0.02, aspect=30, spacing="proportional", format="%.2g",
    )  # fmt: skip
    bar.set_ticks(0.5 * (cells[1:] + cells[:-1]))
    bar.minorticks_off()
    bar.set_label(label, fontsize=7.5)
    quiet_bar(bar)


def _image(axes: Any, array: xr.DataArray, edges: Array | None, limit: float | None) -> Any:
    """Depth across, width upwards; colours diverge from 0."""
    depth = _cells(array["t"].values) if edges is None else edges
    height, label = _node_positions(array)
    limit = limit or float(np.max(np.abs(array.values))) or 1.0
    image = axes.pcolormesh(depth, height, array.values.T, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True)
    axes.set_ylabel(label, fontsize=8.5)
    if label == "width node":
        axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(False)
    last = float(array["t"][-1]) if edges is None else edges[-1]
    axes.set_xlim(float(array["t"][0]), last)
    if axes.get_subplotspec() is not None:
        colour_bar(axes, image)
    return image


def _node_labels(array: xr.DataArray) -> tuple[list[str], bool]:
    """What each line is called, and whether lines follow an ordered coordinate."""
    dim = str(array.dims[-1])
    if dim in array.coords and array[dim].dtype.kind in "USO":
        units = {str(name): array.attrs.get(f"{UNITS_OF}{name}") for name in array[dim].values}
        return [f"{name} [{unit}]" if unit else name for name, unit in units.items()], False
    if dim in array.coords and array[dim].dtype.kind == "f":
        return [f"{dim} = {value:.3g}" for value in array[dim].values], True
    return [f"node {i + 1}" for i in range(array.sizes[dim])], True


def _node_positions(array: xr.DataArray) -> tuple[Array, str]:
    """Cell edges across the width, and the axis label; nodes of several dimensions are counted."""
    dim = str(array.dims[-1])
    if dim in array.coords and array[dim].dtype.kind == "f":
        return _cells(array[dim].values), f"width {dim}"
    return np.arange(array.sizes[dim] + 1.0) + 0.5, "width node" if dim in ("y", "z") else dim


def _cells(points: Array) -> Array:
    """Edges of cells around increasing points."""
    middle = 0.5 * (points[1:] + points[:-1])
    if points.size == 1:
        return np.array([points[0] - 0.5, points[0] + 0.5])
    return np.concatenate([[2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]])


# -- controls --------------------------------------------------------------------------------------------


def _control_panel(name: str, array: xr.DataArray, solution: Solution) -> Panel:
    array, edges = _along_depth(array, solution.state["t"].values)
    if array.ndim == 3 and array[0].size > MOST_LINES:
        return lambda figure, slot: _kernels(figure, slot, name, array)
    flat = _flattened(name, array)
    return lambda figure, slot: _field(figure.add_subplot(slot), flat, _control_title(name, array), edges=edges)


def _along_depth(array: xr.DataArray, nodes: Array) -> tuple[xr.DataArray, Array | None]:
    """A control over one dimension t, and the nodes between which it is constant; None where it varies in a layer."""
    if "stage" in array.dims:
        flat = array.values.reshape(-1, *array.shape[2:])
        coords = {dim: array[dim] for dim in array.dims[2:] if dim in array.coords}
        return xr.DataArray(
            flat, dims=("t", *array.dims[2:]), coords={"t": array["depth"].values.ravel(), **coords}, attrs=array.attrs
        ), None
    return array, nodes if array.sizes["t"] == nodes.size - 1 else None


def _flattened(name: str, array: xr.DataArray) -> xr.DataArray:
    """A small kernel (t, y, z) as lines b₁₁, b₁₂, ...; anything else as it is."""
    if array.ndim < 3:
        return array
    rows, columns = array.shape[1:]
    names = [f"{name}$_{{{i + 1}{j + 1}}}$" for i in range(rows) for j in range(columns)]
    flat = array.values.reshape(len(array), -1)
    return xr.DataArray(flat, dims=("t", "entry"), coords={"t": array["t"], "entry": names})


def _kernels(figure: Any, slot: Any, name: str, array: xr.DataArray) -> None:
    """A kernel b(y, z, t) as matrices at four depths."""
    inner = slot.subgridspec(2, 2, wspace=0.05, hspace=0.12)
    limit = float(np.max(np.abs(array.values))) or 1.0
    axes = []
    for k, index in enumerate(np.unique(np.linspace(0, array.sizes["t"] - 1, 4).round().astype(int))):
        axes.append(figure.add_subplot(inner[k // 2, k % 2]))
        image = _matrix(axes[-1], array.isel(t=int(index)), limit)
        axes[-1].set_title(f"t = {float(array['t'][index]):.2g}", fontsize=7.5, color=INK, pad=2)
    axes[0].annotate(
        f"control  {name}(y, z, t)", (0, 1.28), xycoords="axes fraction", fontsize=9.5, weight="bold", color=INK
    )
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    quiet_bar(bar)


def _matrix(axes: Any, kernel: xr.DataArray, limit: float) -> Any:
    image = axes.imshow(
        kernel.values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest", aspect="auto", origin="lower"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(kernel.dims[1], fontsize=8, labelpad=1)
    axes.set_ylabel(kernel.dims[0], fontsize=8, labelpad=1)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    return image


# -- Hamiltonian, learning curve, value function -----------------------------------------------------


def _hamiltonian(figure: Any, slot: Any, solution: Solution) -> None:
    """H along depth, and below it how far it lies above its minimum at each stage."""
    inner = slot.subgridspec(2, 1, height_ratios=[3, 2], hspace=0.08)
    upper = figure.add_subplot(inner[0])
    lower = figure.add_subplot(inner[1], sharex=upper)
    edges = solution.state["t"].values
    labelled(upper, "Hamiltonian  H(t)", "")
    upper.stairs(solution.hamiltonian.values, edges, baseline=None, color=ROUTE_COLOURS[0], lw=1.7)
    roomy(upper, solution.hamiltonian.values)
    upper.tick_params(labelbottom=False)
    stages = solution.group("stages")
    excess = np.ravel(stages["excess"].values)
    depth = np.ravel(stages["stage_state"]["depth"].values)
    labelled(lower, "", "t")
    lower.set_yscale("log")
    lower.plot(depth, np.maximum(excess, 1e-17), ".", ms=3, color=ROUTE_COLOURS[1])
    lower.set_ylabel("H − min H", fontsize=8)
    lower.set_xlim(edges[0], edges[-1])


def _learning(axes: Any, solution: Solution) -> None:
    """The cost of every iterate; the route's residuals beside it on a second, logarithmic scale."""
    cost = np.asarray(solution.history["cost"])
    labelled(axes, "learning curve", "iteration")
    axes.plot(cost, color=ROUTE_COLOURS[0], lw=1.8, marker="." if cost.size < 30 else None)
    axes.set_ylabel("cost J", color=ROUTE_COLOURS[0], fontsize=8.5)
    if cost.size and np.all(cost > 0) and cost.max() > 20 * cost.min():
        axes.set_yscale("log")
    others = {name: np.asarray(v) for name, v in solution.history.items() if name in RESIDUALS}
    if not others:
        return
    beside = axes.twinx()
    beside.set_yscale("log")
    for (name, values), colour in zip(others.items(), ROUTE_COLOURS[1:], strict=False):
        shown = np.where(values > 0, values, np.nan)
        beside.plot(shown, color=colour, lw=0.9, alpha=0.8, label=name.replace("_", " "))
    beside.tick_params(which="both", labelsize=7, colors="#777777", length=2)
    for side in ("top", "left"):
        beside.spines[side].set_visible(False)
    draw_legend(beside)


RESIDUALS = ("gap", "infeasibility", "dual_infeasibility", "gradient_norm", "measure")


def _value_depths(solution: Solution) -> Sequence[float]:
    """Shares of the horizon at which V is drawn: one picture over depth for one neuron, else at 0 and in the middle."""
    return (0.0,) if solution.extras["value"].ndim == 2 else (0.0, 0.5)


def _value_panel(value: xr.DataArray, routes: dict[str, Solution], share: float) -> Panel:
    if value.ndim == 2:
        return lambda figure, slot: _value_over_depth(figure.add_subplot(slot), value, routes)
    return lambda figure, slot: _value_plane(figure.add_subplot(slot), value, routes, share)


def _value_over_depth(axes: Any, value: xr.DataArray, routes: dict[str, Solution]) -> None:
    """One neuron: V(f, t) with its level sets and the trajectories over it."""
    labelled(axes, "value  V(f, t)", "t")
    dim = value.dims[1]
    _levels(axes, value["t"].values, value[dim].values, value.values.T)
    for j, (name, solution) in enumerate(routes.items()):
        axes.plot(solution.state["t"], solution.state.values[:, 0, 0], **_trajectory_style(j, len(routes)), label=name)
    axes.set_ylabel("state f")
    if len(routes) > 1:
        draw_legend(axes)


def _value_plane(axes: Any, value: xr.DataArray, routes: dict[str, Solution], share: float) -> None:
    """Two neurons (or the first two): V at one depth, the trajectories, their states then (square) and at T (disc)."""
    t = float(value["t"][-1]) * share
    plane = value.sel(t=t, method="nearest")
    for dim in plane.dims[2:]:
        first = next(iter(routes.values())).state.values[0, 0, int(str(dim)[1:])]
        plane = plane.sel({dim: first}, method="nearest")
    labelled(axes, f"value  V(f, {t:.2g})", "f$_1$")
    across, up = plane.dims
    _levels(axes, plane[across].values, plane[up].values, plane.values.T)
    for j, (name, solution) in enumerate(routes.items()):
        path = solution.state.values[:, 0, :2]
        axes.plot(path[:, 0], path[:, 1], **_trajectory_style(j, len(routes)), label=name)
        axes.plot(*path[-1], "o", ms=5, color=colour_of(j) if len(routes) > 1 else "white", mec=INK, mew=0.8, zorder=6)
        now = path[int(np.argmin(np.abs(solution.state["t"].values - t)))]
        axes.plot(*now, "s", ms=5, color="white", mec=INK, mew=0.9, zorder=7)
    axes.set_ylabel("f$_2$")
    if len(routes) > 1:
        draw_legend(axes)


def _levels(axes: Any, across: Array, up: Array, values: Array) -> None:
    from matplotlib.colors import PowerNorm

    values = np.where(np.isfinite(values), values, np.nan)  # blank where no control keeps the bounds on states
    known = values[np.isfinite(values)] if np.any(np.isfinite(values)) else np.zeros(1)
    low, high = float(known.min()), float(known.max())
    high = high if high > low else low + 1.0
    norm = PowerNorm(0.5, vmin=low, vmax=high)  # the valley, where the trajectories run, is not flattened
    levels = low + (high - low) * np.linspace(0.0, 1.0, 16)[1:] ** 2
    image = axes.pcolormesh(across, up, values, cmap="YlGnBu", shading="nearest", rasterized=True, norm=norm)
    axes.contour(across, up, values, levels=levels, colors="#30507a", linewidths=0.5, alpha=0.6)
    axes.grid(False)
    colour_bar(axes, image)


def _trajectory_style(j: int, routes: int) -> dict[str, Any]:
    colour = colour_of(j) if routes > 1 else "#D55E00"
    return {"color": colour, "lw": 2.4, "ls": ROUTE_DASHES[j % len(ROUTE_DASHES)], "zorder": 5}


# -- several routes ---------------------------------------------------------------------------------------


def _costs(axes: Any, comparison: Comparison) -> None:
    """A bar a route, its excess over the best written beside it, V(f_I, 0) as a mark."""
    rows = [row for row in comparison.table() if row.cost is not None]
    labelled(axes, "cost J (referee)", "")
    for j, row in enumerate(rows):
        axes.barh(j, row.cost, color=colour_of(j), alpha=0.85, height=0.5)
        said = "best" if not row.excess else f"+{row.excess:.2g}"
        axes.annotate(
            f"{row.cost:.6g}  ({said})",
            (0, j - 0.27),
            xytext=(1, 2),
            textcoords="offset points",
            fontsize=7.5,
            color=INK,
        )
        if "value" in comparison.solutions[row.method].extras and row.claimed is not None:
            axes.plot([row.claimed] * 2, [-0.5, len(rows) - 0.5], color=INK, lw=1, ls=":", label="V(f$_I$, 0)")
    axes.set_yticks(range(len(rows)), [row.method for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.75)
    axes.grid(False, axis="y")
    if axes.get_legend_handles_labels()[0]:
        draw_legend(axes)


def _hamiltonians(axes: Any, solutions: dict[str, Solution]) -> None:
    labelled(axes, "Hamiltonian  H(t)", "t")
    for j, (name, solution) in enumerate(solutions.items()):
        edges = solution.state["t"].values
        style: dict[str, Any] = {"color": colour_of(j), "lw": 1.7, "ls": ROUTE_DASHES[j % len(ROUTE_DASHES)]}
        axes.stairs(solution.hamiltonian.values, edges, baseline=None, label=name, **style)
    roomy(axes, [s.hamiltonian.values for s in solutions.values()])
    draw_legend(axes)


def _trajectories(figure: Any, slot: Any, solutions: dict[str, Solution]) -> None:
    """The trajectories over the value function where a route has one, else the states the routes end in."""
    values = [s.extras["value"] for s in solutions.values() if "value" in s.extras]
    if values:
        _value_panel(values[0], solutions, 0.0)(figure, slot)
        return
    axes = figure.add_subplot(slot)
    first = next(iter(solutions.values())).state
    positions, label = _terminal_positions(first)
    named = isinstance(positions[0], str)
    labelled(axes, "state  x(T)" if first.dims[-1] != "y" else "state  f(y, T)", label)
    for j, (name, solution) in enumerate(solutions.items()):
        final = solution.state.isel(t=-1, sample=0)
        style = {"ls": ""} if named else {"ls": ROUTE_DASHES[j % len(ROUTE_DASHES)]}
        axes.plot(positions, final.values, marker="o", ms=4, color=colour_of(j), label=name, **style)
    if named:
        axes.margins(x=0.3)
    draw_legend(axes)


def _terminal_positions(state: xr.DataArray) -> tuple[list[Any], str]:
    dim = str(state.dims[-1])
    if dim in state.coords and state[dim].dtype.kind == "f":
        return list(state[dim].values), f"width {dim}"
    if dim in state.coords:
        return [str(name) for name in state[dim].values], dim
    return [i + 1 for i in range(state.sizes[dim])], "width node"


def _state_row(axes: Sequence[Any], solutions: dict[str, Solution]) -> None:
    _row(axes, [s.state for s in solutions.values()], [_state_title(s) for s in solutions.values()], None, legend=True)


def _switching_row(axes: Sequence[Any], solutions: dict[str, Solution]) -> None:
    _row(axes, [s.r for s in solutions.values()], [_switching_title(s) for s in solutions.values()], None, legend=False)


def _control_row(name: str) -> Callable[[Sequence[Any], dict[str, Solution]], None]:
    def row(axes: Sequence[Any], solutions: dict[str, Solution]) -> None:
        shown = [_along_depth(s.controls[name], s.state["t"].values) for s in solutions.values()]
        arrays, edges = [array for array, _ in shown], shown[0][1]
        if arrays[0].ndim == 3 and arrays[0][0].size > MOST_LINES:
            _kernel_row(axes, name, arrays)
            return
        titles = [_control_title(name, array) for array in arrays]
        own_names = arrays[0].dims[-1] != next(iter(solutions.values())).state.dims[-1]
        _row(axes, [_flattened(name, array) for array in arrays], titles, edges, legend=own_names)

    return row


def _row(
    axes: Sequence[Any], given: list[xr.DataArray], titles: list[str], edges: Array | None, *, legend: bool
) -> None:
    """The same quantity of every route on the same scale."""
    arrays = [_samples_shown(array)[0] for array in given]
    limit = max(float(np.max(np.abs(array.values))) for array in arrays) or 1.0
    low, high = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    margin = margin_of(low, high)
    for j, (ax, array, title) in enumerate(zip(axes, given, titles, strict=True)):
        if _field(ax, array, title, edges=edges, limit=limit, legend=legend and j == 0) is None:
            ax.set_ylim(low - margin, high + margin)


def _kernel_row(axes: Sequence[Any], name: str, arrays: list[xr.DataArray]) -> None:
    limit = max(float(np.max(np.abs(array.values))) for array in arrays) or 1.0
    for ax, array in zip(axes, arrays, strict=True):
        middle = array.sizes["t"] // 2
        colour_bar(ax, _matrix(ax, array.isel(t=middle), limit))
        ax.set_title(
            f"control  {name}(y, z, {float(array['t'][middle]):.2g})",
            loc="left",
            fontsize=9.5,
            weight="bold",
            color=INK,
        )


# -- titles ----------------------------------------------------------------------------------------


def _state_title(solution: Solution) -> str:
    return "state  f(y, t)" if solution.state.dims[-1] == "y" else "state  x(t)"


def _switching_title(solution: Solution) -> str:
    return "switching function  r = −p" if solution.state.dims[-1] == "y" else "costate  r = −p"


def _control_title(name: str, array: xr.DataArray) -> str:
    inside = ", ".join([str(dim) for dim in array.dims if dim in ("y", "z")] + ["t"])
    return f"control  {name}({inside})"
