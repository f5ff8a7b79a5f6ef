"""The reachable set of one sample: a tube over depth of one neuron, the plane of two, projections of three."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ocdl.analysis.reachability.sets import ReachableSet
from ocdl.analysis.reachability.verdict import Reachability, Verdict
from ocdl.arrays import Array
from ocdl.doors.look import INK, colour_of, draw_legend, figure_of, labelled, several
from ocdl.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTER, MET, INNER, PATHS = "#e6e6e6", "#c3dcef", "#86b9dd", colour_of(4)
MARKS = {Verdict.YES: ("o", colour_of(2)), Verdict.NO: ("X", colour_of(1)), Verdict.UNKNOWN: ("D", colour_of(3))}


def plot_reachable(
    found: ReachableSet,
    *,
    targets: Sequence[Reachability] = (),
    title: str = "reachable set",
    axes: Any = None,
) -> Figure:
    """What ``ocdl.analysis.reachable_set`` returns, with trajectories, and targets with their verdicts.

    Dark cells are proven to be reached, lighter ones at their centre, grey ones are not excluded, all else is. One
    neuron: the tube of its states over depth; two: the plane; three: its three projections, on as many axes.
    """
    M = len(found.edges)
    if M > 3:
        raise InvalidInput(f"plot_reachable: one, two or three neurons are drawn; got {M}.")
    pairs = list(combinations(range(M), 2))
    row = several(max(1, len(pairs)), axes)
    if M == 1:
        _tube(row[0], found, targets)
    for ax, pair in zip(row, pairs, strict=False):
        _plane(ax, found, targets, pair)
    for k, ax in enumerate(row):
        across = f"f$_{pairs[k][0] + 1}$" if pairs else "depth t"
        labelled(ax, title if k == 0 else "", across)
        ax.set_ylabel(f"f$_{pairs[k][1] + 1}$" if pairs else "f", fontsize=8.5)
        ax.grid(False)
    draw_legend(row[-1])
    return figure_of(row[0])


def _tube(ax: Any, found: ReachableSet, targets: Sequence[Reachability]) -> None:
    T = found.times[-1]
    ax.fill_between(found.times, *found.tube[:, 0], color=OUTER, lw=0.0, label="not excluded")
    ax.plot(found.times, found.trajectories[:, :, 0], color=PATHS, lw=0.6, alpha=0.8)
    edges, inner = found.edges[0], found.inner
    for a, b in _runs(inner):
        ax.plot([T, T], [edges[a], edges[b]], color=INNER, lw=5.0, solid_capstyle="butt", zorder=3)
    ax.plot([], [], color=INNER, lw=5.0, label="reached")
    ax.plot([], [], color=PATHS, lw=0.8, label="trajectories")
    ax.plot(0.0, found.start[0], "o", ms=4, color=INK, label="initial state")
    _targets(ax, targets, lambda c: (T, c[0]))


def _plane(ax: Any, found: ReachableSet, targets: Sequence[Reachability], pair: tuple[int, int]) -> None:
    from matplotlib.colors import ListedColormap

    others = tuple(i for i in range(len(found.edges)) if i not in pair)
    outer, met, inner = (cells.any(axis=others) for cells in (found.outer, found.met, found.inner))
    shade = np.where(inner, 3.0, np.where(met, 2.0, np.where(outer, 1.0, np.nan)))
    edges = [found.edges[i] for i in pair]
    ax.pcolormesh(*edges, shade.T, cmap=ListedColormap([OUTER, MET, INNER]), vmin=0.5, vmax=3.5, rasterized=True)
    paths = found.trajectories[:, :, list(pair)]
    ax.plot(paths[:, :, 0], paths[:, :, 1], color=PATHS, lw=0.6, alpha=0.8)
    ax.plot(*found.start[list(pair)], "o", ms=4, color=INK, zorder=4)
    _targets(ax, targets, lambda c: (c[pair[0]], c[pair[1]]))
    for colour, label in ((INNER, "reached"), (MET, "centre reached"), (OUTER, "not excluded")):
        ax.plot([], [], "s", ms=6, color=colour, label=label)
    ax.plot([], [], color=PATHS, lw=0.8, label="trajectories")
    ax.plot([], [], "o", ms=4, color=INK, label="initial state")


def _targets(ax: Any, targets: Sequence[Reachability], place: Callable[[Array], tuple[float, float]]) -> None:
    for verdict, (mark, colour) in MARKS.items():
        own = [place(one.target) for one in targets if one.verdict is verdict]
        if own:
            style = {"color": colour, "mec": "white", "mew": 0.7, "ms": 7, "zorder": 5, "clip_on": False}
            ax.plot(*np.transpose(own), mark, label=f"target: {verdict}", **style)


def _runs(inside: Array) -> list[tuple[int, int]]:
    """First and last edge of each run of cells that are inside."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in steps.reshape(-1, 2)]
