"""The look of figures: colours that colour-blind eyes tell apart, sheets of slots, titles, limits and legends."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ocdl.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUTE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
ROUTE_DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 3)), (0, (3, 1)), "-")
INK, FAINT = "#222222", "#d9d9d9"


def sheet(count: int) -> tuple[Figure, Iterable[Any]]:
    """A figure with ``count`` slots in rows of three, filled row by row."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(3, count)
    rows = math.ceil(count / columns)
    spaced = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(4.5 * columns, 3.2 * rows + 0.4), layout=spaced)
    grid = figure.add_gridspec(rows, columns)
    return figure, [grid[k // columns, k % columns] for k in range(count)]


def headline(figure: Any, text: str) -> None:
    figure.suptitle(text, x=0.012, ha="left", fontsize=12, weight="bold", color=INK)


def labelled(axes: Any, title: str, across: str) -> None:
    axes.set_title(title, loc="left", fontsize=9.5, weight="bold", color=INK)
    axes.set_xlabel(across, fontsize=8.5)
    axes.tick_params(which="both", labelsize=8, length=3, color="#999999")
    axes.grid(True, color=FAINT, lw=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")


def roomy(axes: Any, values: Any) -> None:
    """Limits with a margin; rounding errors about a constant are not magnified."""
    finite = np.ravel(np.asarray(values, dtype=float))
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return
    low, high = float(finite.min()), float(finite.max())
    margin = margin_of(low, high)
    axes.set_ylim(low - margin, high + margin)
    axes.ticklabel_format(axis="y", useOffset=False)


def margin_of(low: float, high: float) -> float:
    return max(0.08 * (high - low), 1e-3 * max(abs(low), abs(high)), 1e-12)


def draw_legend(axes: Any, columns: int = 1) -> None:
    axes.legend(fontsize=7, ncols=columns, frameon=True, framealpha=0.8, edgecolor="none", handlelength=1.6)


def colour_bar(axes: Any, image: Any) -> None:
    quiet_bar(axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=30))


def quiet_bar(bar: Any) -> None:
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, color="#999999")


def colour_of(j: int) -> str:
    return ROUTE_COLOURS[j % len(ROUTE_COLOURS)]


def line_colours(count: int, ordered: bool) -> list[Any]:
    if not ordered or count == 1:
        return [colour_of(j) for j in range(count)]
    from matplotlib import colormaps

    return [colormaps["viridis"](share) for share in np.linspace(0.0, 0.88, count)]


def several(count: int, axes: Any, columns: int | None = None) -> list[Any]:
    """The given axes as a list, or those of a new figure."""
    if axes is not None:
        given = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(given) != count:
            raise InvalidInput(f"axes: {count} are drawn on; got {len(given)}.")
        return given
    from matplotlib.figure import Figure

    across = columns or count
    down = -(-count // across)
    figure = Figure(figsize=(max(3.4 * across, 4.2), 3.1 * down), layout="constrained")
    return list(figure.subplots(down, across, squeeze=False).ravel())


def figure_of(axes: Any) -> Figure:
    """The whole figure that axes are on."""
    found: Figure = axes.get_figure(root=True) if hasattr(axes.figure, "subfigs") else axes.figure
    return found
