"""Spectra of linear stability in the complex plane, with the numerical range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ocdl.analysis.asymptotics.stability import LinearStability
from ocdl.analysis.operators import Complex
from ocdl.arrays import Array
from ocdl.doors.look import FAINT, INK, colour_of, draw_legend, figure_of, labelled, several

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = ("o", "^", "s", "D", "v", "P", "X")
ANGLES = 181  # directions in which a numerical range is supported


def plot_spectrum(
    found: LinearStability | Mapping[str, LinearStability], *, title: str = "spectrum of σ'(0)B", axes: Any = None
) -> Figure:
    """Eigenvalues ω of σ'(0)B: e^{−ωt} decays to the right of the imaginary axis and grows in the shaded half.

    A line of the same colour bounds the numerical range {(Bv, v) : ‖v‖ = 1} ∋ ω; where it stays on the right, B_s ≥ 0
    and no perturbation ever grows. found: what ``ocdl.analysis.linear_stability`` returns, of one kernel or by name.
    """
    (axes,) = several(1, None if axes is None else [axes])
    named = found if isinstance(found, Mapping) else {"": found}
    labelled(axes, title, "Re ω (per unit of depth)")
    axes.set_ylabel("Im ω (per unit of depth)", fontsize=8.5)
    edges = []
    for j, (name, one) in enumerate(named.items()):
        edge = one.slope * numerical_range(one.operator.matrix)
        edges.append(edge)
        axes.plot(edge.real, edge.imag, color=colour_of(j), lw=1.0, alpha=0.7, zorder=2)
        style = {"marker": MARKS[j % len(MARKS)], "color": colour_of(j), "edgecolor": "white", "linewidth": 0.5}
        label = ", ".join(part for part in (name, one.verdict) if part)
        axes.scatter(one.eigenvalues.real, one.eigenvalues.imag, s=32, zorder=3, label=label, **style)
    _framed(axes, np.concatenate(edges))
    draw_legend(axes)
    return figure_of(axes)


def numerical_range(matrix: Array) -> Complex:
    """Points of the boundary of {xᴴBx : ‖x‖ = 1}, (ANGLES,): those farthest in each direction (Johnson, 1978)."""
    points = []
    for turn in np.exp(1j * np.linspace(0.0, 2.0 * np.pi, ANGLES)):
        turned = turn * matrix
        x = np.linalg.eigh(0.5 * (turned + turned.conj().T))[1][:, -1]
        points.append(x.conj() @ matrix @ x)
    return np.array(points)


def _framed(axes: Any, points: Complex) -> None:
    """Limits about points, with room to the left of the imaginary axis, which is shaded."""
    size = max(float(np.ptp(points.real)), float(np.ptp(points.imag)), 1e-12)
    low, high = min(float(points.real.min()), 0.0) - 0.1 * size, max(float(points.real.max()), 0.0) + 0.1 * size
    top = max(float(np.abs(points.imag).max()), 0.25 * size) + 0.1 * size
    axes.axvspan(low, 0.0, color=FAINT, alpha=0.5, lw=0.0, zorder=0)
    axes.axvline(0.0, color=INK, lw=0.7, zorder=1)
    axes.set(xlim=(low, high), ylim=(-top, top))
