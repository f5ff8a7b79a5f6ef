"""Lyapunov functionals over depth: what falls, and what stays below its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ocdl.analysis.asymptotics.lyapunov import Lyapunov
from ocdl.analysis.findings import Finding
from ocdl.arrays import Array
from ocdl.doors.look import INK, ROUTE_DASHES, colour_of, draw_legend, figure_of, labelled, several

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_decay(found: Lyapunov, *, title: str = "Lyapunov functionals", axes: Any = None) -> Figure:
    """What ``ocdl.analysis.lyapunov`` returns, a line for every sample; on two axes, the first of them logarithmic.

    On the left ∫Σ(u), with the rate of its decay at the last depth, and the energy above its infimum,
    ½‖B^{½}f − B^{−½}a‖²; on the right what the theorem bounds, as parts of the bounds. What hypotheses that fail leave
    unproven is said so.
    """
    left, right = several(2, axes)
    t, above = found.potential.t, found.work.bound - found.energy.values[0]
    rate = float(found.potential.rate[-1].min())
    potential = f"∫Σ(u) dy, at rate {rate:.4g}" if np.isfinite(rate) else "∫Σ(u) dy"
    _lines(left, 0, t, found.potential.values, potential, found.potential.finding)
    _lines(left, 1, t, found.energy.values + above, "½‖B$^{1/2}$f − B$^{−1/2}$a‖²", found.energy.finding)
    left.set_yscale("log", nonpositive="mask")
    left.set_ylabel("functional", fontsize=8.5)
    for j, (estimate, name) in enumerate(
        (
            (found.velocity, "∫‖B$_s^{1/2}$σ(u)‖² dt"),
            (found.work, "∫∫σ(u)u dy dt"),
            (found.size, "‖B$^{1/2}$f‖ + |(a, f)|"),
        )
    ):
        bound = np.where(estimate.bound > 0.0, estimate.bound, np.nan)
        _lines(right, 2 + j, t, estimate.values / bound, name, estimate.finding)
    right.axhline(1.0, color=INK, lw=0.8, ls=ROUTE_DASHES[2])
    right.set_ylabel("value / bound", fontsize=8.5)
    for ax, said in ((left, title), (right, "against their bounds")):
        labelled(ax, said, "depth t")
        draw_legend(ax)
    return figure_of(left)


def _lines(ax: Any, j: int, t: Array, values: Array, name: str, finding: Finding) -> None:
    """One for each sample of values (K, S); the first is named."""
    name = name if finding.applies else f"{name} (unproven)"
    for s, line in enumerate(values.T):
        ax.plot(t, line, color=colour_of(j), ls=ROUTE_DASHES[j], lw=1.5, label=name if s == 0 else None)
