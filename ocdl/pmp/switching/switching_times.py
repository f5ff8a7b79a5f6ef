"""Switching-time polish: the bang-bang answer in continuous depth, free of the mesh it was found on.

With the order of the switches known, the cost is a smooth function of the depths τ at which the r_i change sign;
f_j = 0 follows from the state. ∂J/∂τ is the jump of the Hamiltonian there, which vanishes where r_i(τ) = 0.
Newton's method on τ, and repair of the order: switches that meet or leave [0, T] go, and where r_i has the sign that
θ_i has not, switches are added, until the maximum principle holds everywhere.

Sources: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2; Kaya and Noakes, J. Optim.
Theory Appl. 117 (2003), and Maurer, Büskens, Kim and Kaya, Optim. Control Appl. Methods 26 (2005), on switching times.
"""

from __future__ import annotations

import time
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import real_array
from ocdl.depth.schemes import DepthScheme, Gauss
from ocdl.errors import InvalidInput
from ocdl.pmp.switching.arcs import DEGREE, TABLEAU, Field, Flow, Schedule
from ocdl.pmp.switching.polished_arcs import PolishedArcs, polish_arcs
from ocdl.pmp.switching.structure import NEGLIGIBLE, as_dataset, check_bang_bang, one_sample, vanishing
from ocdl.referee.judgement import VANISHING, judged
from ocdl.referee.outcome import Outcome, Status
from ocdl.referee.solution import Solution
from ocdl.solving.start import make_start
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid, SelectionProblem

Array = NDArray[np.float64]

ROUNDS = 30
NEWTON_STEPS = 50
STATIONARY = 1e-12  # of ∂J/∂τ, relative to 1 + |J|
GAP = 1e-13  # of the maximum principle, relative to 1 + |J|
DIFFERENCE = 1e-6  # of the depths, relative to T, for the derivative of ∂J/∂τ


class PolishedSolution:
    """A bang-bang network in continuous depth: its cost, switches and trajectory depend on no mesh."""

    def __init__(self, problem: ControlProblem, flow: Flow, status: Status, detail: str, seconds: float) -> None:
        self._problem, self._flow = problem, flow
        self.status, self.detail, self.seconds = status, detail, seconds

    @property
    def cost(self) -> float:
        """J in continuous depth, to about 1e-14."""
        return self._flow.cost

    @property
    def gap(self) -> float:
        """∫ H − min H dt, in continuous depth."""
        return self._flow.gap

    @cached_property
    def switches(self) -> xr.Dataset:
        """Every switch in order of depth: ``depth``, ``function`` ("r": a_i and row i of b jump; "f": column j of b),
        ``neuron`` and ``direction`` (the sign that the function takes); ``singular_r``, ``singular_f`` (y): the depth
        on which r_i or f_j vanishes to 1e-6 of the largest.
        """
        flow, t, found = self._flow, self._flow.t, []
        for name, signs in (("r", flow.theta), ("f", flow.v)):
            for layer, neuron in np.argwhere(signs[1:] != signs[:-1]):
                found.append((name, int(neuron), float(t[layer + 1]), int(signs[layer + 1, neuron])))
        metric = np.asarray(self._problem.state_metric)
        singular = [flow.h @ vanishing(t, values, NEGLIGIBLE) for values in (flow.p / metric, flow.x)]
        return as_dataset(found, *singular)

    def trajectory(self, t: Any) -> xr.Dataset:
        """``state`` f and ``costate`` p = −r in function space at any depths t (n,) in [0, T], dimensions (t, y)."""
        t = np.atleast_1d(real_array("trajectory(t=...)", t))
        if t.ndim != 1 or np.any((t < 0.0) | (t > self._problem.span)) or not np.all(np.isfinite(t)):
            raise InvalidInput(f"trajectory(t=...): depths in [0, {self._problem.span:g}] are needed.")
        f, p = self._flow.at(t)
        layout = self._problem.layout
        assert layout is not None
        label = layout.label
        return xr.Dataset(
            {
                "state": label(layout.state, f, {"t": t}),
                "costate": label(layout.state, p / np.asarray(self._problem.state_metric), {"t": t}),
            }
        )

    @cached_property
    def depth(self) -> Gauss:
        """The depth grid with a node at every switch, on which ``solution()`` has this very cost."""
        return Gauss(layers=tuple(self._flow.h), degree=DEGREE)

    def solution(self, grid: Grid | DepthScheme | None = None) -> Solution:
        """An ordinary, judged ``Solution``: on ``depth``, or with controls averaged over the layers of ``grid``."""
        box, flow, depth = self._flow.field.box, self._flow, self.depth
        a, b = box.controls(flow.v, flow.theta, flow.v)
        u = np.clip(self._problem.pack(a=a, b=b), *self._problem.control_box)
        outcome = Outcome(u, np.zeros(0), self.status, self.detail, {"cost": self.cost, "costate": flow.p[:, None, :]})
        own = judged(self._problem, depth, outcome, method="polish", seconds=self.seconds)
        if grid is None:
            return own
        coarse = grid.depth if isinstance(grid, Grid) else grid
        start = make_start(self._problem, coarse, own, None)
        outcome = Outcome(start.u, start.p, Status.ACCEPTABLE, f"{self.detail} Averaged over {coarse.count} layers.")
        return judged(self._problem, coarse, outcome, method="polish", seconds=self.seconds)

    def __repr__(self) -> str:
        of = self.switches["function"].to_numpy()
        return (
            f"<ocdl.PolishedSolution: cost {self.cost:.14g}, gap {self.gap:.1e}, {np.sum(of == 'r')} switches of r, "
            f"{np.sum(of == 'f')} of f; {self.status.value} {self.detail}>"
        )


def polish(
    problem: SelectionProblem | ControlProblem, grid: Grid | DepthScheme, solution: Solution
) -> PolishedSolution | PolishedArcs:
    """The extremal in continuous depth next to ``solution``, the answer of any route on ``grid``'s width.

    Of a network it is the bang-bang one: one sample, increasing smooth σ, a finite box, no regulariser and no trained
    readout. Of an ordinary ``ControlProblem`` of one sample, with conditions at its ends, free horizon and parameters,
    it is that of the solution's own arcs: each control on a bound, interior, or singular of order one
    (``PolishedArcs``). Raises NotSupported otherwise, SolveFailed where no extremal with these arcs is found.

    Status CONVERGED: ∂J/∂τ and the gap vanish to rounding; REACHABLE: r ≡ 0, and of the many networks that reach the
    target this is one; STALLED: neither.
    """
    if not isinstance(solution, Solution):
        raise InvalidInput(f"polish(solution={type(solution).__name__}): a Solution is needed.")
    if isinstance(problem, SelectionProblem):
        if not isinstance(grid, Grid):
            raise InvalidInput(f"polish(grid={grid!r}): a SelectionProblem needs a Grid(width=..., depth=...).")
        problem = problem.discretise(grid.width)
    elif not isinstance(problem, ControlProblem):
        raise InvalidInput(f"polish(problem={type(problem).__name__}): give a SelectionProblem or a ControlProblem.")
    elif problem.velocity_box is None:
        return polish_arcs(problem, solution)
    check_bang_bang("polish", problem)
    if solution.state.shape[1:] != (1, problem.n):
        raise InvalidInput(
            f"polish(solution=...): one sample of {problem.n} neurons is needed; got {solution.state.shape[1:]}."
        )
    clock = time.perf_counter()
    field = Field(problem)
    flow, steps = field.run(_schedule(field, solution)), 0
    for _ in range(ROUNDS):
        flow, taken = _stationary(flow)
        steps += taken
        repaired = _repaired(flow)
        if repaired is None:
            break
        flow = repaired
    status = _status(problem, flow)
    detail = f"{flow.schedule.count} switches of r, max |∂J/∂τ| {_largest(flow.gradient):.1e}, {steps} Newton steps."
    return PolishedSolution(problem, flow, status, detail, time.perf_counter() - clock)


def _status(problem: ControlProblem, flow: Flow) -> Status:
    if _largest(flow.p / np.asarray(problem.state_metric)) < VANISHING:
        return Status.REACHABLE
    scale = 1.0 + abs(flow.cost)
    if _largest(flow.gradient) <= STATIONARY * scale and flow.gap <= 10 * GAP * scale:
        return Status.CONVERGED
    return Status.STALLED


def _largest(values: Array) -> float:
    return float(np.max(np.abs(values), initial=0.0))


# -- the order of the switches ---------------------------------------------------------------------


def _schedule(field: Field, solution: Solution) -> Schedule:
    """θ_i = sign r_i between the zeros of r_i; where r_i vanishes one flip keeps the mean of the solution's θ_i."""
    t = solution.state["t"].to_numpy() * (field.horizon / float(solution.state["t"][-1]))
    f, r = one_sample(solution)
    singular = vanishing(t, r, NEGLIGIBLE)
    if _largest(r) < VANISHING:
        singular[:] = True
    own = _theta(field, solution, f)
    first, depths, neurons = np.empty(f.shape[1]), [], []
    for i in range(f.shape[1]):
        pieces = _pieces(t, r[:, i], singular[:, i], own[:, i])
        first[i] = pieces[0][1]
        for (_, before), (depth, after) in pairwise(pieces):
            if after != before:
                depths.append(depth)
                neurons.append(i)
    return Schedule(first, np.array(depths), np.array(neurons, dtype=np.intp))


def _pieces(t: Array, r: Array, singular: NDArray[np.bool_], own: Array) -> list[tuple[float, float]]:
    """(begin, θ) of the pieces of one neuron, in order."""
    pieces: list[tuple[float, float]] = []
    k, N = 0, len(t) - 1
    while k < N:
        if singular[k]:
            end = k
            while end < N and singular[end]:
                end += 1
            mean = np.average(own[k:end], weights=np.diff(t)[k:end])
            before = pieces[-1][1] if pieces else 1.0
            pieces += [(t[k], before), (t[k] + 0.5 * (1.0 + before * mean) * (t[end] - t[k]), -before)]
            k = end
            continue
        left = np.sign(r[k]) or np.sign(r[k + 1])
        right = np.sign(r[k + 1]) or left
        pieces.append((t[k], left))
        if left != right:
            pieces.append((t[k] + (t[k + 1] - t[k]) * r[k] / (r[k] - r[k + 1]), right))
        k += 1
    return pieces


def _theta(field: Field, solution: Solution, f: Array) -> Array:
    """θ (N, M) with the pre-activations of the solution's controls at the mean state of each layer."""
    middle = 0.5 * (f[1:] + f[:-1])
    a, b = solution.controls["a"].to_numpy(), solution.controls["b"].to_numpy()
    s = a - np.einsum("kij,j,kj->ki", b, field.box.weights, middle)
    slow, fast = field.box.preactivations(middle)
    return np.clip((2.0 * s - fast - slow) / np.maximum(fast - slow, 1e-300), -1.0, 1.0)


def _repaired(flow: Flow) -> Flow | None:
    """The flow with θ_i flipped where r_i has the other sign, on shares of those stretches small enough to lower J.

    None where the gap is rounding, or no share lowers J.
    """
    if flow.gap <= GAP * (1.0 + abs(flow.cost)):
        return None
    needles, share = _needles(flow), 1.0
    for _ in range(30):
        trial = flow.field.run(_flipped(flow, needles, share))
        if trial.cost < flow.cost:
            return trial
        share *= 0.5
    return None


def _needles(flow: Flow) -> list[tuple[int, float, float]]:
    """(neuron, begin, end) of every stretch on which θ_i ≠ sign r_i, without those that gain next to nothing."""
    depth, T = flow.stage_depths.ravel(), flow.field.horizon
    gains = (flow.excess * (flow.h[:, None] * TABLEAU.b)[:, :, None]).reshape(depth.size, -1)
    middle = np.concatenate([[0.0], 0.5 * (depth[1:] + depth[:-1]), [T]])
    return [
        (i, float(middle[begin]), float(middle[end]))
        for i, gain in enumerate(gains.T)
        for begin, end in _runs(gain > 0.0)
        if gain[begin:end].sum() > NEGLIGIBLE * float(gains.sum())
    ]


def _flipped(flow: Flow, needles: list[tuple[int, float, float]], share: float) -> Schedule:
    """The schedule with a ``share`` of every needle flipped: the part at 0 or at T where it reaches so far."""
    schedule, T = flow.schedule, flow.field.horizon
    theta, depths, neurons = schedule.theta.copy(), list(schedule.depths), list(schedule.neurons)
    for i, begin, end in needles:
        left = 0.0 if begin == 0.0 else 1.0 if end == T else 0.5
        rest = (1.0 - share) * (end - begin)
        depths += [begin + left * rest, end - (1.0 - left) * rest]
        neurons += [i, i]
    return _tidy(Schedule(theta, np.array(depths), np.array(neurons, dtype=np.intp)), T)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _tidy(schedule: Schedule, T: float) -> Schedule:
    """Without flips that leave (0, T) and pairs of one neuron that meet."""
    close = 1e-12 * T
    theta, depths, neurons = schedule.theta.copy(), [], []
    for i in range(theta.size):
        mine: list[float] = []
        for depth in schedule.depths[schedule.neurons == i]:
            if depth <= close:
                theta[i] *= -1.0
            elif mine and depth - mine[-1] <= close:
                mine.pop()
            elif depth < T - close:
                mine.append(float(depth))
        depths += mine
        neurons += [i] * len(mine)
    return Schedule(theta, np.array(depths), np.array(neurons, dtype=np.intp))


# -- Newton's method on the depths --------------------------------------------------------------------


def _stationary(flow: Flow) -> tuple[Flow, int]:
    """Depths with ∂J/∂τ = 0, by Newton's method with the Hessian made positive, and how many steps it took."""
    for steps in range(NEWTON_STEPS):
        if _largest(flow.gradient) <= 0.01 * STATIONARY * (1.0 + abs(flow.cost)):
            return flow, steps
        better = _newton(flow)
        if better is None:
            return flow, steps
        flow = better
    return flow, NEWTON_STEPS


def _newton(flow: Flow) -> Flow | None:
    schedule, T = flow.schedule, flow.field.horizon
    values, vectors = np.linalg.eigh(_hessian(flow))
    values = np.maximum(np.abs(values), 1e-8 * _largest(values) + 1e-300)
    direction = -vectors @ ((vectors.T @ flow.gradient) / values)
    length = _room(schedule, direction, T)
    for _ in range(40):
        trial = flow.field.run(_tidy(schedule.at(schedule.depths + length * direction), T))
        if trial.cost <= flow.cost + 1e-4 * length * float(flow.gradient @ direction):
            return trial
        rounding = abs(trial.cost - flow.cost) <= 1e-15 * (1.0 + abs(flow.cost))
        if rounding and trial.schedule.count == schedule.count:
            return trial if _largest(trial.gradient) < 0.5 * _largest(flow.gradient) else None
        length *= 0.5
    return None


def _room(schedule: Schedule, direction: Array, T: float) -> float:
    """The longest step ≤ 1 at which no flip passes another of its neuron, 0 or T."""
    room = 1.0
    for i in np.unique(schedule.neurons):
        mine = schedule.neurons == i
        depths = np.concatenate([[0.0], schedule.depths[mine], [T]])
        closing = -np.diff(np.concatenate([[0.0], direction[mine], [0.0]]))
        with np.errstate(divide="ignore", invalid="ignore"):
            limits = np.where(closing > 0.0, np.diff(depths) / closing, np.inf)
        room = min(room, float(limits.min()))
    return room


def _hessian(flow: Flow) -> Array:
    """∂²J/∂τ², symmetric, by differences of the exact gradient."""
    schedule, step = flow.schedule, DIFFERENCE * flow.field.horizon
    columns = []
    for k in range(schedule.count):
        shift = np.zeros(schedule.count)
        shift[k] = step if schedule.depths[k] < 0.5 * flow.field.horizon else -step
        shifted = flow.field.run(schedule.at(schedule.depths + shift))
        columns.append((_by_flip(shifted, schedule.depths + shift) - flow.gradient) / shift[k])
    hessian = np.array(columns).T
    return 0.5 * (hessian + hessian.T)


def _by_flip(flow: Flow, depths: Array) -> Array:
    """The gradient in the order of ``depths`` before the schedule sorted them."""
    order = np.argsort(depths, kind="stable")
    gradient = np.empty_like(flow.gradient)
    gradient[order] = flow.gradient
    return gradient
