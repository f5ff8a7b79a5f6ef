"""ValueIteration: the Hamilton–Jacobi–Bellman equation of one sample on a grid of states, and the feedback it gives.

    ∂t V + Σ_i min_{v_i ∈ [v⁻_i(f), v⁺_i(f)]} v_i ∂V/∂f_i = 0,   V(f, T) = terminal loss,

marched backwards by split exact flows. Each step sweeps the axes in turn, the order reversed every step (second order);
along one axis the dynamic programming step is exact up to interpolation, so there is no stability limit on the step.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.3; Falcone and Ferretti,
"Semi-Lagrangian approximation schemes for linear and Hamilton–Jacobi equations" (2013).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ocdl.depth import DepthScheme, Kutta4
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.checkpoint import Checkpoint, fingerprint
from ocdl.hjb.flows import fastest_speeds
from ocdl.hjb.grid import (
    DEFAULT_NODES,
    FEWEST_NODES,
    StateGrid,
    bytes_needed,
    covering_axis,
    margin_cells,
    readable_bytes,
)
from ocdl.hjb.reach import enclosure
from ocdl.hjb.split import Scheme, SplitFlow
from ocdl.hjb.sweeps import INTERPOLATIONS, numba_available
from ocdl.hjb.upwind import DERIVATIVES, Upwind
from ocdl.hjb.value_function import FEEDBACKS, ValueFunction
from ocdl.method import Method, Outcome, Start, Status
from ocdl.problem import ControlProblem
from ocdl.progress import progress_bar
from ocdl.sweeps import Sweeper
from ocdl.velocity_box import VelocityBox

Array = NDArray[np.float64]

SCHEMES = (*INTERPOLATIONS, *DERIVATIVES)
KERNELS = ("auto", "numpy", "numba")


@dataclass(frozen=True, eq=False)
class Plan:
    """What a value iteration will do, known before it starts: grid, number of steps, which of them are stored
    (indices from depth 0, the last is T), kernels, and the memory of working arrays and stored depths in bytes.
    """

    grid: StateGrid
    steps: int
    stored: tuple[int, ...]
    kernels: str
    memory: int

    def __str__(self) -> str:
        shape = " × ".join(str(n) for n in self.grid.shape)
        return f"{shape} nodes, {self.steps} steps, {readable_bytes(self.memory)}, {self.kernels}"


@dataclass(frozen=True)
class ValueIteration(Method):
    """Value iteration for one sample of a selection problem with a finite box, and the rollout of its feedback.

    nodes: per axis, a number or one for each neuron; by default 641, 161, 61, 21, 11 for 1 to 5 neurons.
    domain: (lower, upper), or one pair for each neuron; by default the componentwise enclosure of all states
        reachable from the initial one (comparison equations), widened by a tenth of the nodes (3 to 24
        cells) on each side. Flows that leave a domain are stopped at its edge, so V is wrong near the edge of a domain
        that does not hold the reachable states.
    scheme: the split semi-Lagrangian scheme with ``"weno"`` (four points, high order where V is smooth) or
        ``"linear"`` interpolation (monotone, first order); or, independent of it, Godunov's ``"upwind"`` scheme
        (monotone, first order), ``"upwind-weno3"`` or ``"upwind-weno5"`` (numpy only).
    courant: cells the fastest flow crosses in one step; by default 2 for two neurons and 1 above; one neuron takes
        16 steps, because without splitting fewer interpolations are better ones. For the upwind schemes, which are
        stable below about 1, the cells crossed along all axes together, by default 0.6.
    steps: the number of steps, instead of ``courant``.
    depths: where V is kept for queries, rounded to steps; by default every step, or as many as memory_limit allows.
    kernels: ``"numba"``, ``"numpy"``, or ``"auto"``: numba where it is installed.
    feedback: ``"lookahead"`` or ``"sign"``, see ``ValueFunction.controls``.
    memory_limit: bytes; a plan beyond it is refused before anything is computed.
    checkpoint: a file to save progress in, every ``checkpoint_seconds`` and on interrupt, and to resume from.
    """

    nodes: int | Sequence[int] | None = None
    domain: Sequence[Any] | None = None
    scheme: str = "weno"
    courant: float | None = None
    steps: int | None = None
    depths: Sequence[float] | None = None
    kernels: str = "auto"
    feedback: str = "lookahead"
    memory_limit: float = 2e9
    checkpoint: str | Path | None = None
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name, allowed in (("scheme", SCHEMES), ("kernels", KERNELS), ("feedback", FEEDBACKS)):
            if getattr(self, name) not in allowed:
                raise InvalidInput(f"ValueIteration({name}={getattr(self, name)!r}): {name} is one of {allowed}.")
        for name in ("courant", "memory_limit", "checkpoint_seconds"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0.0):
                raise InvalidInput(f"ValueIteration({name}={value!r}): {name} is a positive number.")
        if self.steps is not None and not (_is_whole(self.steps) and self.steps >= 1):
            raise InvalidInput(f"ValueIteration(steps={self.steps!r}): steps is a positive whole number.")
        if self.kernels == "numba" and self.scheme in DERIVATIVES:
            raise NotSupported(
                f"ValueIteration(scheme={self.scheme!r}, kernels='numba'): this scheme has numpy kernels."
            )
        if self.kernels == "numba" and not numba_available():
            raise NotSupported("ValueIteration(kernels='numba'): numba is not installed; pip install 'ocdl[fast]'.")

    # -- the three steps of paper 000: solve, synthesise, roll out ---------------------------------

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        """V on its grid, then its feedback rolled out from the initial state on the user's own layers.

        The claim is V(x^0, 0) as ``cost`` and the Euclidean gradient of V along the rollout as ``costate``;
        ``extras["value"]`` is the table, which ``ValueFunction.from_array`` reads.
        """
        plan = self.plan(problem)
        t, values, complete = self._march(problem, plan, progress)
        value = self._value_function(problem, plan, t, values)
        extras = {"value": self._labelled(value, plan)}
        if not complete:
            detail = f"V is known from depth {t[0]:g} to {t[-1]:g}; the controls are those of the start."
            return Outcome(start.u, start.p, Status.INTERRUPTED, detail, extras=extras)
        u, x = closed_loop(value, depth, self.feedback)
        inside = np.clip(x, plan.grid.lower, plan.grid.upper)
        costate = value.gradient(inside, np.clip(depth.mesh(problem.horizon), t[0], t[-1]))
        cost = float(value(inside[0], 0.0))
        detail = f"V(x0, 0) = {cost:.8g} on {plan}."
        return Outcome(
            u, start.p, Status.ROLLED_OUT, detail, claim={"cost": cost, "costate": costate[:, None, :]}, extras=extras
        )

    def value_function(self, problem: ControlProblem, *, progress: bool | None = None) -> ValueFunction:
        """V without a rollout. Interrupted, it saves its checkpoint and raises KeyboardInterrupt."""
        plan = self.plan(problem)
        t, values, complete = self._march(problem, plan, progress)
        if not complete:
            raise KeyboardInterrupt(f"value iteration stopped at depth {t[0]:g}")
        return self._value_function(problem, plan, t, values)

    def plan(self, problem: ControlProblem) -> Plan:
        """Grid, steps, stored depths, kernels and memory, before anything is computed; raises as ``solve`` would."""
        box = _supported(problem)
        M = box.width
        shape = self._shape(M)
        arrays = 2 * M + (2 if self.scheme in INTERPOLATIONS else 8)
        self._check_memory(shape, bytes_needed(shape, 2, arrays))
        grid = StateGrid(
            tuple(
                covering_axis(low, high, n) for (low, high), n in zip(self._domain(problem, shape), shape, strict=True)
            )
        )
        if not grid.covers(problem.x0[0]):
            raise InvalidInput(
                f"ValueIteration(domain={self.domain!r}): the initial state {problem.x0[0]} lies outside."
            )
        steps = self._step_count(box, grid, problem.horizon)
        stored = self._stored(problem.horizon, steps, shape, arrays)
        memory = bytes_needed(shape, len(stored), arrays)
        self._check_memory(shape, memory)
        fast = numba_available() and self.scheme in INTERPOLATIONS
        kernels = ("numba" if fast else "numpy") if self.kernels == "auto" else self.kernels
        return Plan(grid, steps, stored, kernels, memory)

    # -- the march -------------------------------------------------------------------------------

    def _march(self, problem: ControlProblem, plan: Plan, progress: bool | None) -> tuple[Array, Array, bool]:
        """Stored depths t, V there, and whether depth 0 was reached."""
        box, grid = _supported(problem), plan.grid
        value = terminal_values(problem, grid)
        table = np.empty((len(plan.stored), *grid.shape))
        table[-1] = value
        row = {step: k for k, step in enumerate(plan.stored)}
        mark = fingerprint(box, value, grid.axes, problem.horizon, plan.steps, plan.stored, self.scheme)
        saved = Checkpoint(self.checkpoint, mark, self.checkpoint_seconds)
        done = saved.resume(value, table)
        step = problem.horizon / plan.steps
        try:
            scheme = self._scheme(box, plan, step) if done < plan.steps else None
            with progress_bar(f"value iteration, {plan}", plan.steps, progress=progress) as bar:
                bar.update(done)
                while scheme is not None and done < plan.steps:
                    value = scheme.advance(value, done)
                    done += 1
                    if plan.steps - done in row:
                        table[row[plan.steps - done]] = value
                    bar.update(1)
                    saved.offer(done, value, table, final=done == plan.steps)
        except KeyboardInterrupt:
            saved.save_last()
        first = min(k for step_, k in row.items() if step_ >= plan.steps - done)
        t = np.array(plan.stored[first:]) * step
        t[-1] = problem.horizon
        return t, table[first:], done == plan.steps

    def _scheme(self, box: VelocityBox, plan: Plan, step: float) -> Scheme:
        if self.scheme in INTERPOLATIONS:
            return SplitFlow(box, plan.grid, step, self.scheme, plan.kernels)
        return Upwind(box, plan.grid, step, self.scheme)

    def _value_function(self, problem: ControlProblem, plan: Plan, t: Array, values: Array) -> ValueFunction:
        return ValueFunction(
            problem, plan.grid, t, values, 1 if self.scheme in ("linear", "upwind") else 3, problem.horizon / plan.steps
        )

    def _labelled(self, value: ValueFunction, plan: Plan) -> xr.DataArray:
        return value.to_array(
            scheme=self.scheme, nodes=list(plan.grid.shape), steps=plan.steps, kernels=plan.kernels, memory=plan.memory
        )

    # -- the options made concrete -----------------------------------------------------------------

    def _shape(self, M: int) -> tuple[int, ...]:
        nodes = DEFAULT_NODES.get(M, FEWEST_NODES) if self.nodes is None else self.nodes
        counts = tuple(nodes) if isinstance(nodes, Sequence) else (nodes,) * M
        if len(counts) != M or not all(_is_whole(n) and n >= 5 for n in counts):
            raise InvalidInput(
                f"ValueIteration(nodes={self.nodes!r}): a whole number of at least 5, or one for each of {M} neurons."
            )
        return tuple(int(n) for n in counts)

    def _domain(self, problem: ControlProblem, shape: tuple[int, ...]) -> list[tuple[float, float]]:
        if self.domain is None:
            low, high = enclosure(_supported(problem), problem.x0[0], problem.horizon)
            size = np.maximum(high - low, 1e-3 * (1.0 + np.abs(problem.x0[0])))
            margin = size / (np.array(shape) / margin_cells(np.array(shape)) - 2.0)
            return [(float(a), float(b)) for a, b in zip(low - margin, high + margin, strict=True)]
        try:
            pairs = np.asarray(self.domain, dtype=float)
            pairs = np.broadcast_to(pairs, (len(shape), 2))
        except (TypeError, ValueError):
            pairs = np.full((1, 2), np.nan)
        if not np.all(np.isfinite(pairs)) or np.any(pairs[:, 0] >= pairs[:, 1]):
            raise InvalidInput(
                f"ValueIteration(domain={self.domain!r}): (lower, upper) with lower < upper, or one such pair for each "
                f"of {len(shape)} neurons."
            )
        return [(float(a), float(b)) for a, b in pairs]

    def _step_count(self, box: VelocityBox, grid: StateGrid, horizon: float) -> int:
        """Even, so that the splitting error of the two orders cancels; at least four."""
        if self.steps is not None:
            return int(self.steps)
        if self.courant is None and box.width == 1 and self.scheme in INTERPOLATIONS:
            return 16
        crossed = horizon * fastest_speeds(box, grid) / grid.spacing
        if self.scheme in DERIVATIVES:
            return max(4, math.ceil(float(np.sum(crossed)) / (self.courant or 0.6)))
        courant = self.courant or (2.0 if box.width == 2 else 1.0)
        return max(4, 2 * math.ceil(float(np.max(crossed)) / (2.0 * courant)))

    def _stored(self, horizon: float, steps: int, shape: tuple[int, ...], arrays: int) -> tuple[int, ...]:
        if self.depths is None:
            room = int(self.memory_limit // bytes_needed(shape, 1, 0)) - arrays
            stride = max(1, -(-steps // max(1, room - 1)))
            return (
                tuple(range(steps, -1, -stride))[::-1] if steps % stride == 0 else (0, *range(steps, 0, -stride)[::-1])
            )
        depths = np.asarray(self.depths, dtype=float)
        if depths.ndim != 1 or not np.all((depths >= 0.0) & (depths <= horizon)):
            raise InvalidInput(f"ValueIteration(depths={self.depths!r}): depths in [0, {horizon:g}].")
        return tuple(sorted({0, steps, *(int(k) for k in np.rint(depths / horizon * steps))}))

    def _check_memory(self, shape: tuple[int, ...], needed: int) -> None:
        if needed <= self.memory_limit:
            return
        M = len(shape)
        fits = int((self.memory_limit / (needed / math.prod(shape))) ** (1.0 / M))
        fits -= 1 - fits % 2
        advice = (
            f"{fits} nodes per axis fit"
            if fits >= FEWEST_NODES
            else f"not even {FEWEST_NODES} nodes per axis fit; value iteration is for about one to five neurons, "
            "use the NLP or PMP route"
        )
        raise NotSupported(
            f"ValueIteration(nodes={self.nodes!r}): a grid of {shape[0]} nodes on each of {M} axes needs at least "
            f"{readable_bytes(needed)}, more than memory_limit = {readable_bytes(self.memory_limit)}; {advice}."
        )


def closed_loop(value: ValueFunction, depth: DepthScheme, feedback: str) -> tuple[Array, Array]:
    """Controls u (N, m) of the feedback on the user's layers, and the states x (N+1, M) of the user's scheme."""
    problem, box = value.problem, _supported(value.problem)
    tableau = depth.tableau if depth.tableau.explicit else Kutta4.tableau
    mesh, layers = depth.mesh(problem.horizon), _Layers(problem, depth)
    u, states = [], [problem.x0[0]]
    for now, h in zip(mesh[:-1], np.diff(mesh), strict=True):
        inside = np.clip(states[-1], value.grid.lower, value.grid.upper)[None]
        theta = value.steer(inside, now, h, feedback=feedback, tableau=tableau)[0]
        a, b = box.controls(states[-1], theta)
        u.append(problem.pack(a=a[None], b=b[None])[0])
        states.append(layers.advance(states[-1], float(h), u[-1]))
    return np.array(u), np.array(states)


class _Layers:
    """Single layers of the user's scheme by the referee's own sweep; the dynamics does not depend on t."""

    def __init__(self, problem: ControlProblem, depth: DepthScheme) -> None:
        self._problem, self._depth = problem, depth
        self._sweepers: dict[float, Sweeper] = {}

    def advance(self, x: Array, h: float, u: Array) -> Array:
        """x (M,) after a layer of width h with controls u (m,)."""
        width = float(f"{h:.12g}")
        if width not in self._sweepers:
            self._sweepers[width] = Sweeper(replace(self._problem, horizon=width), replace(self._depth, layers=1))
        return self._sweepers[width].state(u[None], np.zeros(self._problem.P), x[None]).x[-1, 0]


def terminal_values(problem: ControlProblem, grid: StateGrid, block: int = 4096) -> Array:
    """The terminal loss at every node, in blocks of one size, for which CasADi builds one function."""
    values = np.empty(grid.shape)
    flat, shape = values.reshape(-1), grid.shape
    size = min(block, flat.size)
    for k in range(0, flat.size, size):
        first = min(k, flat.size - size)  # the last block overlaps
        index = np.unravel_index(np.arange(first, first + size), shape)
        states = np.stack([axis[i] for axis, i in zip(grid.axes, index, strict=True)], axis=-1)
        flat[first : first + size] = problem.terminal_loss(states)
    return values


def _supported(problem: ControlProblem) -> VelocityBox:
    """The velocity box, or NotSupported with what the problem has that this route has not."""
    if problem.samples > 1:
        raise NotSupported(f"ValueIteration: a grid of states holds one sample; this problem has {problem.samples}.")
    if problem.has_running_cost:
        raise NotSupported(
            "ValueIteration: the closed form needs a cost without running or Tikhonov terms; this one has."
        )
    if problem.P > 0:
        raise NotSupported(f"ValueIteration: a feedback cannot train parameters; this problem has {problem.P}.")
    if problem.velocity_box is None:
        raise NotSupported(
            "ValueIteration: the closed form needs one sample of a selection problem with non-decreasing activation "
            "and finite bounds on a and b; this problem has no such velocity box."
        )
    return problem.velocity_box


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float, np.floating, np.integer))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
