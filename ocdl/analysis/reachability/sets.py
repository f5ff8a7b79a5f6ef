"""The reachable set of one sample in cells: proven to be reached entirely, proven to be missed, or neither.

A cell is *met* where a curve to its centre has velocities inside the velocity box, *inner* where they are so far inside
that the curves to all its points have (``curves``), and *outside* where the corridor of all trajectories that end in it
is empty (``corridor``): the union of the inner cells is in the reachable set, which need not be convex, and that set in
the union of all cells not outside.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.analysis.reachability.comparison import Comparison, reachable_box
from ocdl.analysis.reachability.corridor import Corridor
from ocdl.analysis.reachability.curves import slack
from ocdl.analysis.reachability.search import Steps, searched
from ocdl.analysis.reachability.stated import Sample, one_sample
from ocdl.arrays import Array, is_whole
from ocdl.errors import InvalidInput
from ocdl.solving.compile import Problem
from ocdl.statement.width import Width

LAYERS, EACH, CORNERS, STEPS = 6, 3, 24, 64
ROUNDS = 8  # of searches, all but the first from neighbours just reached
AT_ONCE = 512  # cells
MOST = 20_000  # cells in all


@dataclass(frozen=True, eq=False)
class ReachableSet:
    """Cells between ``edges``, M arrays of K_i + 1 ends: which are ``inner`` ⊆ ``met`` ⊆ ``outer``, (K_1, …, K_M) each.

    tube (2, M, N+1): the componentwise box at depths ``times`` (N+1,). trajectories (N+1, L, M): from x^0 to the
    centres of cells that are met, of velocities inside the velocity box.
    """

    edges: tuple[Array, ...]
    inner: Array
    met: Array
    outer: Array
    times: Array
    tube: Array
    trajectories: Array

    @property
    def volumes(self) -> tuple[float, float]:
        """Of the inner and of the outer cells: the reachable set's lies between."""
        cell = float(np.prod([edge[1] - edge[0] for edge in self.edges]))
        return cell * int(self.inner.sum()), cell * int(self.outer.sum())

    @property
    def start(self) -> Array:
        """x^0 (M,)."""
        return np.asarray(self.tube[:, :, 0].mean(axis=0))

    def holds(self, points: Array) -> Array:
        """Whether points (..., M) lie in the outer cells."""
        inside = np.ones(points.shape[:-1], dtype=bool)
        cells = []
        for i, edge in enumerate(self.edges):
            at = np.searchsorted(edge, points[..., i], side="right") - 1
            at = np.where(points[..., i] == edge[-1], edge.size - 2, at)
            inside &= (at >= 0) & (at < edge.size - 1)
            cells.append(np.clip(at, 0, edge.size - 2))
        return np.asarray(inside & self.outer[tuple(cells)])


def reachable_set(
    problem: Problem, width: Width | None = None, *, cells: int | Sequence[int] | None = None, shown: int = 40
) -> ReachableSet:
    """Inner and outer cells of the reachable set at the horizon; problem and width as in ``reachable``.

    cells: along each axis of the componentwise box, a number or one per neuron; by default 400, 40 and 10 for one, two
    and three neurons. shown: how many trajectories are kept. Raises InvalidInput for more than 20000 cells.
    """
    sample = one_sample("reachable_set", problem, width)
    M = sample.box.width
    counts = _counts(cells, M)
    low, high = reachable_box(sample.box, sample.x0, sample.horizon)
    edges = tuple(np.linspace(low[i], high[i], counts[i] + 1) for i in range(M))
    middles = np.meshgrid(*(0.5 * (edge[:-1] + edge[1:]) for edge in edges), indexing="ij")
    centres, half = np.stack(middles, axis=-1).reshape(-1, M), 0.5 * np.array([edge[1] - edge[0] for edge in edges])
    outer = _outer(sample, centres, half)
    inner, met, theta = _reached(sample, centres, half, outer, counts)
    steps = Steps(sample.extremes, sample.x0, sample.horizon, LAYERS, CORNERS)
    kept = np.flatnonzero(met)
    kept = kept[np.unique(np.linspace(0, kept.size - 1, min(shown, kept.size)).astype(int))] if kept.size else kept
    drawn = _to(steps, theta[kept], centres[kept])
    tube = Comparison(sample.box).tube(sample.x0, sample.x0, sample.horizon, LAYERS * CORNERS).nodes
    inner, met, outer = (kind.reshape(counts) for kind in (inner, met, outer))
    return ReachableSet(edges, inner, met, outer, steps.times, tube, drawn)


def _counts(cells: int | Sequence[int] | None, M: int) -> tuple[int, ...]:
    given: Any = {1: 400, 2: 40, 3: 10}.get(M, 2) if cells is None else cells
    counts = (given,) * M if is_whole(given) else tuple(given)
    if len(counts) != M or not all(is_whole(count) and count >= 1 for count in counts):
        raise InvalidInput(
            f"reachable_set(cells={cells!r}): one positive whole number, or one for each of {M} neurons."
        )
    if np.prod(counts, dtype=float) > MOST:
        raise InvalidInput(
            f"reachable_set(cells={cells!r}): at most {MOST} cells; got {np.prod(counts, dtype=float):g}."
        )
    return tuple(int(count) for count in counts)


def _outer(sample: Sample, centres: Array, half: Array) -> Array:
    """Whether it is not excluded that a trajectory ends in the cells (K,)."""
    every = Corridor.from_start(sample.extremes, sample.x0, sample.horizon, STEPS)
    parts = [centres[k : k + AT_ONCE] for k in range(0, len(centres), AT_ONCE)]
    return np.logical_not(np.concatenate([every.to(part - half, part + half).empty for part in parts]))


def _reached(
    sample: Sample, centres: Array, half: Array, outer: Array, counts: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Whether all points of the cells (K,) are reached, whether their centres are, and by which θ (K, layers, M)."""
    coarse, fine = (Steps(sample.extremes, sample.x0, sample.horizon, LAYERS, each) for each in (EACH, CORNERS))
    inner, met = np.zeros((2, len(centres)), dtype=bool)
    phi, near = np.zeros((len(centres), LAYERS, half.size)), np.arange(len(centres))
    for _ in range(ROUNDS):
        before = met.copy()
        waiting = np.flatnonzero(outer & ~met & (near >= 0))
        for part in (waiting[k : k + AT_ONCE] for k in range(0, waiting.size, AT_ONCE)):
            phi[part], _ = searched(coarse, centres[part], phi[near[part]])
            y = _to(fine, np.tanh(phi[part]), centres[part])
            inner[part] = slack(sample.extremes, fine.times, y, half) > 0.0
            met[part] = slack(sample.extremes, fine.times, y) > 0.0
        near = _nearest(met & ~before, counts)
    return inner, met, np.tanh(phi)


def _to(steps: Steps, theta: Array, ends: Array) -> Array:
    """The trajectories of θ with what they miss the ends (S, M) by added evenly: (K+1, S, M)."""
    y = steps.states(theta)
    return y + (steps.times / steps.times[-1])[:, None, None] * (ends - y[-1])


def _nearest(found: Any, counts: tuple[int, ...]) -> Any:
    """The index of a neighbour of each cell that was found (K,), −1 where there is none."""
    index = np.where(found, np.arange(found.size), -1).reshape(counts)
    nearest = np.full(counts, -1)
    for axis in range(len(counts)):
        for shift in (1, -1):
            moved = np.roll(index, shift, axis)
            edge: list[slice | int] = [slice(None)] * len(counts)
            edge[axis] = 0 if shift == 1 else -1
            moved[tuple(edge)] = -1
            nearest = np.maximum(nearest, moved)
    return nearest.ravel()
