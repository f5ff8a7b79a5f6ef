"""plot_value: slices of a value function through its states, with its level sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ocdl.doors.look import INK, colour_bar, draw_legend, labelled, line_colours, sheet
from ocdl.errors import InvalidInput
from ocdl.hjb import ValueFunction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


def plot_value(
    value: ValueFunction,
    *,
    depths: Sequence[float] | None = None,
    across: Sequence[int] = (0, 1),
    at: Any = None,
    level: float | None = None,
) -> Figure:
    """V over one or two of its states, at the nodes, the others held.

    depths: one picture (of one state: one line) for each, by default the first kept; across: the states drawn, by
    number; at: the state (D,) through which the slice goes, by default the middle of the domain; level: drawn bold, by
    default 0 where V has both signs, which is the edge of a tube. Raises InvalidInput for states that there are not.
    """
    D = value.grid.dimension
    shown = tuple(across)[: min(2, D)]
    if len(set(shown)) != min(2, len(tuple(across)), D) or not all(i in range(D) for i in shown):
        raise InvalidInput(f"plot_value(across={across!r}): numbers of one or two of {D} states are needed.")
    middle = 0.5 * (value.grid.lower + value.grid.upper)
    point = middle if at is None else np.asarray(at, dtype=float)
    if point.shape != (D,):
        raise InvalidInput(f"plot_value(at={at!r}): a state of shape ({D},) is needed.")
    drawn = [float(t) for t in (value.t[:1] if depths is None else depths)]
    names = [str(name) for name in value.problem.states or ()] * value.problem.samples
    if len(shown) == 1:
        figure, slots = sheet(1)
        _line(figure.add_subplot(next(iter(slots))), value, drawn, shown[0], point, names)
        return figure
    figure, slots = sheet(len(drawn))
    for t, slot in zip(drawn, slots, strict=False):
        _plane(figure.add_subplot(slot), value, t, shown, point, level, names)
    return figure


def _nodes(value: ValueFunction, axis: int) -> Array:
    """The nodes of an axis, once around where it is a circle."""
    grid = value.grid
    return np.append(grid.axes[axis], grid.upper[axis]) if grid.periods[axis] else grid.axes[axis]


def _line(axes: Any, value: ValueFunction, depths: list[float], i: int, point: Array, names: list[str]) -> None:
    nodes = _nodes(value, i)
    states = np.tile(point, (nodes.size, 1))
    states[:, i] = nodes
    labelled(axes, f"value  V({names[i]}, t)", names[i])
    for t, colour in zip(depths, line_colours(len(depths), ordered=True), strict=True):
        axes.plot(nodes, value(states, t), color=colour, lw=1.6, label=f"t = {t:.3g}")
    if len(depths) > 1:
        draw_legend(axes)


def _plane(
    axes: Any,
    value: ValueFunction,
    t: float,
    shown: tuple[int, ...],
    point: Array,
    level: float | None,
    names: list[str],
) -> None:
    i, j = shown
    right, up = _nodes(value, i), _nodes(value, j)
    states = np.tile(point, (up.size, right.size, 1))
    states[..., i], states[..., j] = right, up[:, None]
    found = value(states, t)
    found = np.where(np.isfinite(found), found, np.nan)
    held = [f"{names[k]} = {point[k]:.3g}" for k in range(point.size) if k not in shown]
    labelled(axes, f"value  V at {', '.join([f't = {t:.3g}', *held])}", names[i])
    axes.set_ylabel(names[j], fontsize=8.5)
    image = axes.pcolormesh(right, up, found, cmap="YlGnBu", shading="nearest", rasterized=True)
    if np.nanmax(found) > np.nanmin(found):
        axes.contour(right, up, found, levels=12, colors="#30507a", linewidths=0.5, alpha=0.6)
    bold = 0.0 if level is None else level
    if np.nanmin(found) < bold < np.nanmax(found):
        axes.contour(right, up, found, levels=[bold], colors=INK, linewidths=2.0)
    axes.grid(False)
    colour_bar(axes, image)
