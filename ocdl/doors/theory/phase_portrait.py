"""Phase portraits of two neurons: streamlines, nullclines, steady states by their stability, and their manifolds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ocdl.analysis.asymptotics.planar import PhasePortrait, phase_portrait
from ocdl.analysis.flow import Evolution, Flow
from ocdl.arrays import Array
from ocdl.doors.look import INK, colour_of, figure_of, labelled, several
from ocdl.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 81  # a side of the grid on which the field is taken
SLOW = 0.03  # of the largest speed: where streamlines end, as there they would turn back at a line of steady states
STREAM = "#b8b8b8"
NULL = (colour_of(3), colour_of(4))
STABLE, UNSTABLE = colour_of(0), colour_of(1)


def plot_phase_portrait(
    flow: Flow,
    *,
    limits: Any = None,
    layer: int = -1,
    evolutions: Sequence[Evolution] = (),
    title: str | None = None,
    axes: Any = None,
) -> Figure:
    """∂t f = σ(a − Bf) of two neurons in the plane of f(y_1) and f(y_2), and evolutions of it.

    Dotted: nullclines. A steady state is a disc where it is stable, a ring where it is not, and a line where b does not
    see a direction. limits: ((low, high), (low, high)); by default a box about the steady state of least norm.
    title: the kind of the steady state by default.
    """
    portrait = phase_portrait(flow, limits=limits, layer=layer)
    (axes,) = several(1, None if axes is None else [axes])
    labelled(axes, portrait.kind if title is None else title, _name(flow, 0))
    axes.set_ylabel(_name(flow, 1), fontsize=8.5)
    _field(axes, flow, layer, portrait.limits)
    which = "strong " if portrait.kind.endswith("node") else ""
    for curves, colour, name in (
        (portrait.stable, STABLE, f"{which}stable manifold"),
        (portrait.unstable, UNSTABLE, f"{which}unstable manifold"),
    ):
        for j, curve in enumerate(curves):
            axes.plot(curve[:, 0], curve[:, 1], color=colour, lw=1.8, zorder=3, label=None if j else name)
    _steady(axes, portrait)
    for evolution in evolutions:
        if evolution.x.shape[2] != 2:
            raise InvalidInput(f"plot_phase_portrait(evolutions): two states are needed; got {evolution.x.shape[2]}.")
        axes.plot(*np.moveaxis(evolution.x, 2, 0), color=INK, lw=1.0, zorder=4)
        axes.plot(*evolution.x[0].T, color=INK, ls="", marker=".", ms=5, zorder=4)
    axes.set(xlim=portrait.limits[0], ylim=portrait.limits[1])
    axes.grid(False)
    if axes.get_legend_handles_labels()[0]:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 2, "handlelength": 1.6}
        axes.legend(fontsize=7, frameon=False, **below)
    return figure_of(axes)


def _field(axes: Any, flow: Flow, layer: int, limits: Array) -> None:
    """Streamlines, and where either component of ∂t f vanishes."""
    x, y = (np.linspace(low, high, POINTS) for low, high in limits)
    field = flow.layer(layer)(np.stack(np.meshgrid(x, y), axis=2))
    speed = np.linalg.norm(field, axis=2)
    moving = np.where((speed > SLOW * speed.max())[..., None], field, np.nan)
    axes.streamplot(x, y, moving[..., 0], moving[..., 1], color=STREAM, linewidth=0.6, arrowsize=0.7, density=1.1)
    for j, colour in enumerate(NULL):
        if field[..., j].min() < 0.0 < field[..., j].max():
            axes.contour(x, y, field[..., j], levels=[0.0], colors=colour, linewidths=1.1, linestyles="dotted")
            axes.plot([], [], color=colour, ls="dotted", lw=1.1, label=f"∂$_t${_name(flow, j)} = 0")


def _steady(axes: Any, portrait: PhasePortrait) -> None:
    if portrait.rest is None:
        return
    stable = portrait.linear.verdict in ("stable", "asymptotically stable")
    if portrait.line is not None:
        style = "-" if stable else (0, (4, 2))
        axes.plot(*portrait.line.T, color=INK, ls=style, lw=2.4, zorder=5, label="steady states")
        return
    face = INK if stable else "white"
    axes.plot(*portrait.rest, color=INK, ls="", marker="o", ms=7, mfc=face, mew=1.5, zorder=6, label=portrait.kind)


def _name(flow: Flow, j: int) -> str:
    if flow.nodes is None or np.ndim(flow.nodes.points) > 1:
        return f"f$_{j + 1}$"
    return f"f(y = {flow.nodes.points[j]:.3g})"
