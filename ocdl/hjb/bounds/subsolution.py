"""A proven lower bound on the value function: a monotone scheme, corrected by the semiconcavity of the exact V.

V(·, t) is an infimum over controls held fixed while the state varies, of C² functions of the state. So along axis i its
second differences are at most C_i(t) dx_i², and interpolation with so much less between the nodes,

    I(s) = (1 − s) V_0 + s V_1 − C_i dx_i² s (1 − s)/2,

lies below V wherever the nodes do. By dynamic programming the same holds for the march

    W(x, t_k) = min { I[W(·, t_k+1)](y) : y ∈ R(x) } ≤ V(x, t_k),   R(x) a box that holds all that x reaches in a step:

at every node, whatever the grid; V's kinks are concave and do no harm. Around the marched nodes V is bounded by its
slope, further out by min ℓ.
With steps proportional to dx the bound is of first order: a step costs (C_i − ∂²V/∂x_i²) dx_i²/12 on the mean, and the
corners of R(x) a multiple of its length squared.

C_i: trajectories with extreme velocities are dense (Filippov and Ważewski), so s_i ∈ {s⁻_i, s⁺_i} along the controls
that count, and σ', σ'' are needed there only. With Λ_ij ≥ |∂f_i'/∂f_j| the first derivatives of the end in the state
are at most Φ = e^{Λτ}, τ = T − t, the second ones Ψ with Ψ' = ΛΨ + |σ''| (|b|wΦ)², so C = ℓ''Φ² + |ℓ'|Ψ and the
slope of V is at most |ℓ'|Φ.
Sources: Bardi and Capuzzo-Dolcetta, "Optimal Control and Viscosity Solutions of Hamilton–Jacobi–Bellman Equations"
(1997), section II.4 (semiconcavity); Capuzzo Dolcetta and Ishii, Appl. Math. Optim. 11 (1984) (its part in the error).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ocdl.analysis.reachability.comparison import ROUNDING, Comparison, Tube
from ocdl.analysis.reachability.ranges import Interval, Ranges
from ocdl.errors import NotSupported
from ocdl.hjb.grids.grid import readable_bytes
from ocdl.progress import progress_bar
from ocdl.statement.velocity_box import SplitPreactivation, VelocityBox, split_preactivations

Array = NDArray[np.float64]

CELLS = (1, 2, 4)  # that the fastest flow crosses in a step; the best is found on half the nodes
FEW_CELLS = (1, 2)  # from three neurons on, where a box of cells is dear
FASTER = 1.5  # than anywhere in the tube, for the bounds of a step
BEYOND = 2  # cells around the marched nodes where V is bounded by its slope
WIDER = 6  # times that the margin is widened by a half
PIECES = 256  # of the range of a pre-activation, for the extremes of σ' and σ''
PARTS = 8  # of a step, for the growth of the derivatives
FARTHEST = 1e8  # cells from x0, beyond which no grid is
PLANES = 8  # arrays of the grid's size in flight beside those that are kept


@dataclass(frozen=True, eq=False)
class Quadratic:
    """ℓ(x) = lowest + ½ Σ curvature_i (x_i − centre_i)² with curvature (M,) > 0."""

    lowest: float
    curvature: Array
    centre: Array

    def __call__(self, x: Array) -> Array:
        return np.asarray(self.lowest + 0.5 * np.sum(self.curvature * (x - self.centre) ** 2, axis=-1))

    def least(self, low: Array, high: Array) -> float:
        """min ℓ over a box."""
        return float(self(np.clip(self.centre, low, high)))


@dataclass(frozen=True)
class Budget:
    """What a march may cost: ``memory`` in bytes, and ``work``, the entries that its innermost loop visits."""

    memory: float = 2e9
    work: float = math.inf

    def check(self, arrays: float, entries: float, visits: float = 0.0) -> None:
        """Raise NotSupported where so many arrays of so many entries, visited so often, are too much."""
        if 8.0 * arrays * entries > self.memory:
            raise NotSupported(
                f"the grid needs about {readable_bytes(8.0 * arrays * entries)}, more than "
                f"{readable_bytes(self.memory)}."
            )
        if visits * entries > self.work:
            raise NotSupported(f"the march needs about {visits * entries:.0e} operations, more than {self.work:.0e}.")


def value_bound(
    box: VelocityBox,
    loss: Quadratic,
    x0: Array,
    horizon: float,
    nodes: int,
    budget: Budget | None = None,
    *,
    progress: bool | None = False,
) -> tuple[float, int]:
    """W(x0, 0) ≤ V(x0, 0) with about ``nodes`` nodes across the reachable states, or half of them; and how many.

    −∞ where nothing is proven: σ is not smooth, bounds of its derivatives are not known, the steps are too long, or
    the states spread so far that the grid is beyond the ``budget``.
    """
    comparison, budget = Comparison(box), budget or Budget()

    def bound(nodes: int, cells: int) -> float:
        try:
            return march(comparison, loss, x0, horizon, nodes, cells, budget, progress=progress)
        except NotSupported:
            return -math.inf

    best, tried = CELLS[0], -math.inf
    for cells in CELLS if box.width < 3 else FEW_CELLS:
        found = bound(nodes // 2, cells)
        if tried > -math.inf and found <= tried:
            break
        best, tried = cells, found
    return max((tried, nodes // 2), (bound(nodes, best), nodes))


def march(
    comparison: Comparison,
    loss: Quadratic,
    x0: Array,
    horizon: float,
    nodes: int,
    cells: int,
    budget: Budget | None = None,
    *,
    progress: bool | None = False,
) -> float:
    """W(x0, 0) with steps in which the fastest flow crosses about ``cells`` cells.

    Raises NotSupported where it has no proof or is beyond the ``budget``.
    """
    budget = budget or Budget()
    grid = TubeGrid.of(comparison, x0, horizon, nodes, cells)
    budget.check(2 * x0.size + PLANES, grid.nodes)
    known = smoothness(comparison, loss, grid)
    curvature, slope = known[0] * grid.spacing**2, known[1] * grid.spacing
    moves = displacements(comparison, grid)
    width = [max(1, math.ceil(np.abs(along).max())) for along in np.moveaxis(moves, 1, 0)]
    pad = [max(BEYOND, w) for w in width]
    padded = [axis.size + 2 * p for axis, p in zip(grid.axes, pad, strict=True)]
    arrays = 2 * x0.size + PLANES + _Least.arrays(width) + math.prod(padded) / grid.nodes
    budget.check(arrays, grid.nodes, grid.steps * _Least.visits(width))
    value = np.full(padded, loss.lowest)
    found = loss(np.stack(np.meshgrid(*grid.axes, indexing="ij"), axis=-1)[grid.at(grid.steps)])
    with progress_bar(f"lower bound, {nodes} nodes", grid.steps, progress=progress) as bar:
        for k in range(grid.steps - 1, -1, -1):
            value.fill(loss.lowest)
            around = tuple(slice(p.start - BEYOND, p.stop + BEYOND) for p in _shifted(grid.at(k + 1), pad))
            value[around] = np.maximum(_continued(found, slope[k + 1]), loss.lowest)
            part = grid.at(k)
            here = moves[(slice(None), slice(None), *part)]
            found = _Least(value, _shifted(part, pad), here, width, curvature[k + 1]).over()
            bar.update(1)
    bound = float(found.item())
    return bound - grid.steps * ROUNDING * (1.0 + abs(bound))


def _continued(value: Array, slope: Array) -> Array:
    """A lower bound ``BEYOND`` cells further out, where V falls by at most ``slope`` (M,) a cell."""
    wider = np.pad(value, BEYOND, mode="edge")
    for axis, fall in enumerate(slope):
        away = np.arange(wider.shape[axis]) - BEYOND
        away = np.maximum(np.maximum(-away, away - value.shape[axis] + 1), 0)
        wider -= fall * away.reshape(-1, *(1,) * (value.ndim - 1 - axis))
    return wider


@dataclass(frozen=True, eq=False)
class TubeGrid:
    """Nodes x0 + j dx, from ``first`` to ``last`` (M, steps + 1), ``BEYOND`` cells inside a tube that holds all that is
    reached from them; a tube some cells wider than the reachable states.
    """

    x0: Array
    spacing: Array
    step: float
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    tube: Tube

    @classmethod
    def of(cls, comparison: Comparison, x0: Array, horizon: float, nodes: int, cells: int) -> TubeGrid:
        """The fastest flow crosses about ``cells`` cells in a step, so that it leads from node to node."""
        steps = max(2, math.ceil((nodes - 1) / (2 * cells)))
        reached = comparison.tube(x0, x0, horizon, steps)
        farthest = np.maximum(np.abs(reached.nodes[:, :, -1] - x0).max(axis=0), 1e-6 * (1.0 + np.abs(x0)))
        dx = farthest / (steps * cells)
        wanted = margin = BEYOND + 2.0 + 0.5 * math.sqrt(steps)
        for _ in range(WIDER):  # a tube narrows where its flow contracts
            tube = comparison.tube(x0 - margin * dx, x0 + margin * dx, horizon, steps)
            if np.all(np.abs(tube.nodes - reached.nodes) >= 0.9 * wanted * dx[:, None]):
                break
            margin *= 1.5
        low, high = (tube.nodes - x0[:, None]) / dx[:, None]
        if not max(np.max(-low), np.max(high)) <= FARTHEST:
            raise NotSupported(f"the states spread over more than {FARTHEST:g} cells.")
        first, last = np.ceil(low + BEYOND).astype(int), np.floor(high - BEYOND).astype(int)
        if np.any(first > last):
            raise NotSupported(f"the flow contracts too much for {steps} steps.")
        return cls(x0, dx, horizon / steps, first, last, tube)

    @property
    def steps(self) -> int:
        return self.first.shape[1] - 1

    @property
    def nodes(self) -> float:
        """How many the hull of all depths has; a float, because it may be beyond integers."""
        return float(np.prod(self.last.max(axis=1) - self.first.min(axis=1) + 1.0))

    @property
    def axes(self) -> list[Array]:
        ends = zip(self.x0, self.spacing, self.first.min(axis=1), self.last.max(axis=1), strict=True)
        return [x + dx * np.arange(first, last + 1) for x, dx, first, last in ends]

    def at(self, k: int) -> tuple[slice, ...]:
        """The nodes of depth t_k; of depth 0 only x0."""
        first, last = (self.first[:, k], self.last[:, k]) if k > 0 else (0 * self.first[:, 0], 0 * self.last[:, 0])
        least = self.first.min(axis=1)
        return tuple(slice(a, b + 1) for a, b in zip(first - least, last - least, strict=True))


def _shifted(part: tuple[slice, ...], by: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(p.start + k, p.stop + k) for p, k in zip(part, by, strict=True))


class _Least:
    """min I[W](y) over y ∈ R(x) for the nodes x of ``part``: axis by axis, I being convex within each cell.

    ``value`` is W, ``moves`` (2, M, ...) the ends of R(x) − x in cells, at most ``width`` (M,) of them, and ``bend``
    (M,) what C_i dx_i² is.
    """

    def __init__(self, value: Array, part: tuple[slice, ...], moves: Array, width: Sequence[int], bend: Array) -> None:
        self._value, self._part, self._width, self._bend = value, part, width, bend
        self._pieces = [
            [
                (np.clip(low - o, 0.0, 1.0), np.clip(high - o, 0.0, 1.0), (low <= o + 1) & (high >= o))
                for o in range(-w, w)
            ]
            for low, high, w in zip(*moves, width, strict=True)
        ]

    @staticmethod
    def arrays(width: Sequence[int]) -> float:
        """How many arrays of the part's size it holds: three (one of bits) a piece, and the lines that it compares."""
        pieces = 2.0 * sum(width)
        return 2.125 * pieces + sum(2.0 * w + 1.0 for w in width[:-1])

    @staticmethod
    def visits(width: Sequence[int]) -> float:
        """How often it visits each node."""
        return math.prod(2.0 * w + 1.0 for w in width)

    def over(self, *offset: int) -> Array:
        """The minimum over the remaining axes at nodes ``offset`` away along the first ones."""
        axis = len(offset)
        if axis == len(self._width):
            return self._value[_shifted(self._part, offset)]
        w, bend = self._width[axis], self._bend[axis]
        lines = [self.over(*offset, o) for o in range(-w, w + 1)]
        least = np.full(lines[0].shape, np.inf)
        for left, right, (first, last, met) in zip(lines, lines[1:], self._pieces[axis], strict=False):
            rise = right - left
            s = np.minimum(np.maximum(0.5 - rise / bend, first), last)
            np.minimum(least, left + s * (rise - 0.5 * bend * (1.0 - s)), out=least, where=met)
        return least


# -- the box R(x) --------------------------------------------------------------------------------------


def displacements(comparison: Comparison, grid: TubeGrid) -> Array:
    """How far, in cells, every neuron can fall and rise in a step from every node: (2, M, n_1, ..., n_M).

    From f_j at a node neuron j moves at rates between bounds that depend on f_j alone. So ±s^±_i lies below a convex
    function of the depth, that below its chord, and the mean of σ over the chord below its trapezoidal value plus
    max |σ''| ΔG²/12.
    """
    M, h, axes = comparison.box.width, grid.step, grid.axes
    splits = split_preactivations(comparison.box)
    ends = [_End(comparison, sign, split) for sign, split in zip((-1.0, 1.0), splits, strict=True)]
    rates = [end.rates(grid) for end in ends]
    found = np.empty((2, M, *(axis.size for axis in axes)))
    for k, end in enumerate(ends):
        for i in range(M):
            now = after = end.sign * end.split.origin[i]
            for j, f in enumerate(axes):
                along = (-1, *(1,) * (M - 1 - j))
                paths = rates[k][i] if j == i else (rates[0][j][0], rates[1][j][1])
                now = now + end.term(i, j, f).reshape(along)
                after = after + np.maximum(*(end.term(i, j, f + h * v) for v in paths)).reshape(along)
            first, last = end.rate(now), end.rate(after)
            G = np.array([[min(now.min(), after.min())], [max(now.max(), after.max())]])
            bent = _largest(comparison.derivatives[1], [_ordered(*(end.sign * G))])[0]
            mean = np.minimum(0.5 * (first + last) + bent / 12.0 * (after - now) ** 2, np.maximum(first, last))
            found[k, i] = end.sign * h * (mean + ROUNDING) / grid.spacing[i]
    return found


@dataclass(frozen=True, eq=False)
class _End:
    """s⁻ or s⁺ signed so that larger is wider: ±s_i = ±origin_i + Σ_j term_ij(f_j), every term convex."""

    comparison: Comparison
    sign: float
    split: SplitPreactivation

    def term(self, i: int, j: int, f: Array) -> Array:
        return self.sign * self.split.term(i, j, f)

    def rate(self, G: Array) -> Array:
        return np.asarray(self.sign * self.comparison.box.activation(self.sign * G))

    def rates(self, grid: TubeGrid) -> list[Interval]:
        """Bounds of this end's rate of neuron j during a step that starts at each of its nodes, (n_j,) each."""
        (low, high), sigma = grid.tube.hull, self.comparison.box.activation
        least, largest = self.comparison.preactivations(low, high)
        fastest = FASTER * np.maximum(np.abs(sigma(least[0])), np.abs(sigma(largest[1])))
        found = []
        for j, f in enumerate(grid.axes):
            own = self._range(j, j, f - grid.step * fastest[j], f + grid.step * fastest[j])
            others = [self._range(j, i, low[i], high[i]) for i in range(low.size) if i != j]
            G = (self.sign * self.split.origin[j] + own[k] + sum(float(other[k]) for other in others) for k in (0, 1))
            found.append(_ordered(*(self.sign * self.rate(g) for g in G)))
            if np.max(np.abs(found[-1])) > fastest[j]:
                raise NotSupported(f"a step of {grid.step:g} is too long to bound the rates in it.")
        return found

    def _range(self, i: int, j: int, low: Array, high: Array) -> Interval:
        """The range of a term for f_j in [low, high]."""
        at = [self.term(i, j, f) for f in (low, high, np.clip(0.0, low, high))]
        return np.minimum(np.minimum(at[0], at[1]), at[2]), np.maximum(at[0], at[1])


def _ordered(a: Array, b: Array) -> Interval:
    return np.minimum(a, b), np.maximum(a, b)


# -- the slope and the semiconcavity of V ------------------------------------------------------------------


def smoothness(comparison: Comparison, loss: Quadratic, grid: TubeGrid) -> tuple[Array, Array]:
    """Bounds C_i(t_k) of V's second differences over dx² and L_i(t_k) of its slopes in the tube, (steps + 1, M) each.

    Raises NotSupported where they are not known.
    """
    box, (slopes, bends) = comparison.box, comparison.derivatives
    low, high = comparison.preactivations(*grid.tube.hull)
    steepest = _largest(slopes, [(low[0], high[1])])
    if not (box.activation.smooth and np.all(np.isfinite(steepest))):
        raise NotSupported("V is not known to be semiconcave: a smooth activation with bounded slope is needed.")
    size = np.maximum(np.abs(box.b_lower), np.abs(box.b_upper)) * box.weights
    reach = scipy.linalg.expm(_growth(box, steepest) * grid.step * grid.steps) * grid.spacing
    apart = size @ reach.max(axis=1)  # of s_i at states dx away
    extremes = [(low[0], high[0] + apart), (low[1] - apart, high[1])]
    growth, bent = _growth(box, _largest(slopes, extremes)), _largest(bends, extremes)
    if not np.all(np.isfinite(bent)):
        raise NotSupported("V is not known to be semiconcave: the activation's second derivative has no known bound.")
    h = grid.step / PARTS
    flow = scipy.linalg.expm(growth * h)
    end = loss.curvature * np.abs(grid.tube.nodes[:, :, -1] - loss.centre).max(axis=0)
    first, second = np.eye(box.width), np.zeros((box.width, box.width))
    curvature, slope = np.empty((2, grid.steps + 1, box.width))
    for k in range(grid.steps, -1, -1):
        slope[k] = end @ first * (1.0 + ROUNDING)
        curvature[k] = (loss.curvature @ first**2 + end @ second) * (1.0 + ROUNDING)
        for _ in range(PARTS):
            first = flow @ first
            second = flow @ (second + h * bent[:, None] * (size @ first) ** 2)
    return curvature, slope


def _growth(box: VelocityBox, steepest: Array) -> Array:
    """Λ (M, M): bounds of |∂f_i'/∂f_j|, on the diagonal of ∂f_i'/∂f_i from above and at least 0."""
    size = np.maximum(np.abs(box.b_lower), np.abs(box.b_upper)) * box.weights
    np.fill_diagonal(size, np.maximum(-np.diag(box.b_lower), 0.0) * box.weights)
    return np.asarray(steepest[:, None] * size)


def _largest(derivative: Ranges, intervals: list[Interval]) -> Array:
    """max |derivative| over the intervals, entry by entry."""
    edges = [np.linspace(low, high, PIECES + 1) for low, high in intervals]
    ends = [end for edge in edges for end in derivative(edge[:-1], edge[1:])]
    return np.asarray(np.max([np.abs(end).max(axis=0) for end in ends], axis=0))
