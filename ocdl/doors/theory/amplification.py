"""Amplification by depth: how much perturbations have grown on their way through a flow or a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ocdl.analysis.conditioning.conditioning import Conditioning
from ocdl.arrays import Array
from ocdl.doors.look import INK, ROUTE_DASHES, colour_of, draw_legend, figure_of, labelled, several

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_amplification(found: Conditioning, *, title: str = "amplification by depth", axes: Any = None) -> Figure:
    """The largest and the smallest singular value of M(t, t_0), and what can still grow, ‖M(T, t)‖.

    Of several samples the median, in a band from the least to the largest; the bounds are those of the worst sample.
    """
    from matplotlib.ticker import LogFormatter

    (axes,) = several(1, None if axes is None else [axes])
    t, (_, upper, lower) = found.evolution.t, found.bounds
    _band(axes, t, found.extremes[..., 0], 0, "grows most, σ$_{max}$(M(t, 0))")
    _band(axes, t, found.extremes[..., 1], 1, "grows least, σ$_{min}$(M(t, 0))")
    _band(axes, t, found.remaining, 2, "still to come, ‖M(T, t)‖")
    style: dict[str, Any] = {"color": INK, "lw": 0.9, "ls": ROUTE_DASHES[2]}
    axes.plot(t, upper.max(axis=1), label="bounds", **style)
    axes.plot(t, np.where((least := lower.min(axis=1)) > 0.0, least, np.nan), **style)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    labelled(axes, title, "depth t")
    axes.tick_params(axis="y", which="both", labelsize=7.5)
    axes.set_ylabel("growth of a perturbation", fontsize=8.5)
    draw_legend(axes)
    return figure_of(axes)


def _band(axes: Any, t: Array, values: Array, j: int, name: str) -> None:
    """Of values (K, S)."""
    positive = np.where(values > 0.0, values, np.nan)
    if values.shape[1] > 1:
        axes.fill_between(t, positive.min(axis=1), positive.max(axis=1), color=colour_of(j), alpha=0.18, lw=0.0)
    axes.plot(t, np.median(positive, axis=1), color=colour_of(j), ls=ROUTE_DASHES[j], lw=1.6, label=name)
