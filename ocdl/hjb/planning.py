"""What a value iteration will do, made concrete before it starts: scheme, grid, steps, stored depths, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl.analysis.reachability.comparison import enclosure
from ocdl.arrays import is_whole, shown
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.grids.flows import fastest_speeds
from ocdl.hjb.grids.grid import (
    DEFAULT_NODES,
    FEWEST_NODES,
    StateGrid,
    bytes_needed,
    circle_axis,
    coarser_axis,
    covering_axis,
    margin_cells,
    readable_bytes,
    thinned_axis,
)
from ocdl.hjb.grids.sweeps import INTERPOLATIONS, numba_available
from ocdl.hjb.schemes.hamiltonian import AffineHamiltonian, BoxHamiltonian, Hamiltonian
from ocdl.hjb.schemes.lookahead import Lookahead
from ocdl.hjb.schemes.simulation import simulated
from ocdl.hjb.schemes.state_bounds import BLIND, fitted_axis, hull
from ocdl.hjb.schemes.upwind import DERIVATIVES, STABLE, fastest_crossing
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

SPLIT = tuple(INTERPOLATIONS)
GENERAL = {"general": "weno", "general-linear": "linear"}
SCHEMES = (*SPLIT, *GENERAL, *DERIVATIVES)
UPWIND = {"weno": "upwind-weno5", "linear": "upwind"}  # where H is affine in bounded controls
PARTS = 8  # stable steps, at most, taken as one where not every depth is kept
COMPILED = (*SPLIT, *DERIVATIVES)
FIRST_ORDER = ("linear", "general-linear", "upwind")
ONE_AXIS_STEPS = 16  # nothing is split on one axis, so long steps cost no accuracy
MOST_NODES, MOST_STEPS = 10**9, 10**7
FEWEST_GENERAL_STEPS, MOST_UNTRIED_STEPS = 16, 256  # of the general scheme, before its error in time is known
LEFT = 1e-9  # of the domain, by which a rollout may leave it
GENERAL_NODES = {1: 201, 2: 61, 3: 31, 4: 13}


class Options(Protocol):
    """The options of ``ValueIteration``, where they are described."""

    @property
    def nodes(self) -> int | Sequence[Any] | None: ...
    @property
    def domain(self) -> Sequence[Any] | None: ...
    @property
    def scheme(self) -> str: ...
    @property
    def courant(self) -> float | None: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def depths(self) -> Sequence[float] | None: ...
    @property
    def kernels(self) -> str: ...
    @property
    def feedback(self) -> str: ...
    @property
    def memory_limit(self) -> float: ...
    @property
    def checkpoint(self) -> str | Path | None: ...
    @property
    def chosen(self) -> bool: ...
    @property
    def periodic(self) -> Sequence[int | str]: ...
    @property
    def disturbance(self) -> Sequence[int | str]: ...
    @property
    def reaching(self) -> bool: ...
    @property
    def discount(self) -> float: ...

    def check_constraints(self, problem: ControlProblem) -> None: ...


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """Scheme, grid, number of steps, which of them are stored (indices from depth 0, the last is T), kernels, and the
    memory of working arrays and stored depths in bytes. ``bounds``: the least box that holds the bounded states at all
    depths, which the grid does not leave. ``coarse``: how often it was halved, from the grid ``fine``. ``cut``: flows
    are not known to stay within the grid. ``lookahead``, and for the upwind schemes ``hamiltonian``: what every march
    of the plan, on whatever grid, shares of compiled functions.
    """

    lookahead: Lookahead
    scheme: str
    grid: StateGrid
    steps: int
    stored: tuple[int, ...]
    kernels: str
    memory: int
    coarse: int = 0
    bounds: tuple[Array, Array] | None = None
    cut: bool = False
    hamiltonian: Hamiltonian | None = None
    fine: StateGrid | None = None

    @property
    def open_sides(self) -> NDArray[np.bool_]:
        """Sides (2, D) of the grid that are no bound on a state: there a flow that goes on is stopped."""
        ends = np.stack([self.grid.lower, self.grid.upper])
        free = np.ones(ends.shape, dtype=bool) if self.bounds is None else ends != np.stack(self.bounds)
        return np.asarray(free & ~self.grid.periodic)

    def rows(self, known: int, done: int) -> slice:
        """Which of the depths stored are reached after so many steps, beyond those ``known`` before."""
        first, last = np.searchsorted(self.stored, [self.steps - done, self.steps - known])
        return slice(int(first), int(last))

    def left(self, x: Array) -> str:
        """Where states x (N+1, D) leave the grid by a side that is no bound on a state, in words; else empty."""
        slack = LEFT * (self.grid.upper - self.grid.lower)
        over = np.stack([self.grid.lower - slack - x, x - self.grid.upper - slack], axis=1)
        out = np.argwhere((over > 0.0) & self.open_sides)
        if not out.size:
            return ""
        k, side, i = out[0]
        end = (self.grid.lower, self.grid.upper)[side][i]
        return f"its rollout leaves the domain in layer {max(k, 1)}, where state {i} passes {end:.6g}"

    @property
    def first_order(self) -> bool:
        return self.scheme in FIRST_ORDER

    def __str__(self) -> str:
        return f"{self.grid}, {self.steps} steps, {readable_bytes(self.memory)}, {self.kernels}"

    def __repr__(self) -> str:
        return f"<Plan: {self.scheme}, {self}, {len(self.stored)} depths stored>"


def planned(method: Options, problem: ControlProblem, lookahead: Lookahead, *, started: bool = True) -> Plan:
    """The plan of ``method`` for ``problem``, whose initial state has to lie in the domain where it is ``started``;
    raises InvalidInput and NotSupported before anything is computed.
    """
    hamiltonian = _hamiltonian(method, problem, lookahead)
    scheme = _scheme(method, problem, hamiltonian)
    D = problem.samples * problem.n
    given = _given_axes(method, D)
    shape = _shape(method, scheme, D)
    arrays = _working_arrays(method, problem, scheme, D)
    bounds = _hull(problem)
    kept = 1 if bounds is None else 3  # V; with bounds V continued, W, and V with its infinities
    _check_memory(method, shape, bytes_needed(shape, 2 * kept, arrays))
    if scheme in GENERAL:
        _ = lookahead.finite
    reach = _Reach(problem, lookahead, scheme, bounds, hamiltonian)
    periodic = chosen_names("periodic", method.periodic, problem.states, D)  # type: ignore[arg-type]
    if periodic and method.domain is None:
        raise InvalidInput("ValueIteration(periodic=...): give domain=..., whose ends on such an axis are one state.")
    if bounds is not None and (given or periodic):
        raise NotSupported("ValueIteration: bounds on states need uniform axes that do not close; give an obstacle.")
    domain = _domain(method, reach, shape)
    if bounds is None:
        grid = _grid(method, domain, shape, given, periodic)
    else:
        grid = _bounded_grid(method, domain, shape, bounds)
    if scheme in GENERAL and not grid.uniform:
        raise NotSupported(
            f"ValueIteration(nodes=...): uniform axes are needed by the scheme {scheme!r} of this problem."
        )
    cut = reach.leaves(grid, automatic=method.domain is None)
    start = problem.x0.reshape(-1)
    if started and not grid.covers(start):
        raise InvalidInput(f"ValueIteration(domain={method.domain!r}): the initial state {start} lies outside.")
    steps = _step_count(method, reach, grid, scheme)
    kernels = "numpy" if scheme not in COMPILED or method.kernels == "numpy" or not numba_available() else "numba"
    plan = Plan(lookahead, scheme, grid, steps, (), kernels, 0, bounds=bounds, cut=cut, hamiltonian=hamiltonian)
    return in_steps(method, problem, plan, steps)


def in_steps(method: Options, problem: ControlProblem, plan: Plan, steps: int) -> Plan:
    """The plan with another number of steps, and with the depths that are stored then."""
    shape, kept = plan.grid.shape, 1 if plan.bounds is None else 3
    arrays = _working_arrays(method, problem, plan.scheme, len(shape))
    stored = _stored(method, problem.span, steps, (kept, *shape), arrays)
    memory = bytes_needed(shape, kept * len(stored), arrays)
    _check_memory(method, shape, memory)
    return replace(plan, steps=steps, stored=stored, memory=memory)


def coarsened(plan: Plan) -> Plan:
    """Half the cells along every axis, half the steps, all of them stored."""
    thin = not plan.grid.uniform
    axes = [
        thinned_axis(axis, period) if thin or period else coarser_axis(axis)
        for axis, period in zip(plan.grid.axes, plan.grid.periods, strict=True)
    ]
    if plan.bounds is not None:  # a node on every bound
        for i, (axis, low, high) in enumerate(zip(plan.grid.axes, *plan.bounds, strict=True)):
            if axis[0] == low or axis[-1] == high:
                axes[i] = np.linspace(axis[0], axis[-1], axis.size // 2 + 1)
    grid = StateGrid(tuple(axes), plan.grid.periods)
    steps = max(2, 2 * math.ceil(plan.steps / 4))
    fine = plan.grid if plan.fine is None else plan.fine
    return replace(plan, grid=grid, steps=steps, stored=tuple(range(steps + 1)), coarse=plan.coarse + 1, fine=fine)


def outlined(plan: Plan, steps: int) -> Plan:
    """Half the cells along every axis and so many steps, of which the ends are stored."""
    return replace(coarsened(plan), steps=steps, stored=(0, steps))


def widened(plan: Plan) -> Plan:
    """``coarsened`` with the same nodes and a quarter more beyond every side that is no bound; the ends are stored."""
    coarse = coarsened(plan)
    axes = []
    for axis, sides, dx in zip(coarse.grid.axes, plan.open_sides.T, coarse.grid.spacing, strict=True):
        before, after = (-(-axis.size // 4) if side else 0 for side in sides)
        lower, upper = axis[0] - dx * np.arange(before, 0, -1), axis[-1] + dx * np.arange(1, after + 1)
        axes.append(np.concatenate([lower, axis, upper]))
    return replace(coarse, grid=StateGrid(tuple(axes), coarse.grid.periods), stored=(0, coarse.steps))


def check_controls_only(problem: ControlProblem) -> None:
    """Raise NotSupported where more than the controls is free, with what to do instead."""
    if problem.has_free_horizon:
        raise NotSupported(
            f"ValueIteration: minimum time is not supported: V belongs to one horizon, and this problem has "
            f"horizon={problem.horizon!r}. Use Ipopt, or give a number and compare several."
        )
    if problem.t0:
        raise NotSupported(f"ValueIteration: V is kept at depths from 0 on, and this problem has t0={problem.t0!r}.")
    if problem.free_initial:
        raise NotSupported(
            f"ValueIteration: this problem {problem.also_free}. Give numbers: V(x, 0) of value_function is the least "
            "cost from every state x of the grid at once, so that the best x can be read off; or use Ipopt."
        )
    if problem.P > 0:
        raise NotSupported(
            f"ValueIteration: a feedback cannot train parameters; this problem {problem.also_free}. Use Ipopt, or give "
            "them by numbers."
        )


def chosen_names(option: str, given: Any, names: Sequence[str], count: int) -> tuple[int, ...]:
    """Numbers of the states or controls that an option names; InvalidInput where there is none of that name."""
    found = []
    for entry in (given,) if isinstance(given, (str, int)) else given:
        index: Any = names.index(entry) if entry in names else entry
        if not is_whole(index) or not 0 <= index < count:
            raise InvalidInput(f"ValueIteration({option}={given!r}): {entry!r} is none of {', '.join(names)}.")
        found.append(int(index))
    return tuple(found)


def _hamiltonian(method: Options, problem: ControlProblem, lookahead: Lookahead) -> Hamiltonian | None:
    """H for the upwind schemes, in closed form; None where it has none, or bounds on states ask for another scheme."""
    check_controls_only(problem)
    if "x" in problem.bounds.names or method.chosen or problem.penalty is not None:
        return None
    maximising = chosen_names("disturbance", method.disturbance, problem.controls, problem.m)  # type: ignore[arg-type]
    box = problem.velocity_box
    if problem.samples == 1 and box is not None and not problem.has_running_cost and not maximising:
        return BoxHamiltonian(box)
    return AffineHamiltonian.of(lookahead, maximising)


def _scheme(method: Options, problem: ControlProblem, hamiltonian: Hamiltonian | None) -> str:
    """The scheme for this problem, or NotSupported with what the problem has that this route has not."""
    if problem.penalty is not None:
        raise NotSupported("ValueIteration: a penalty on parameters has no place in a value function.")
    method.check_constraints(problem)
    bounded = "x" in problem.bounds.names
    if bounded and method.feedback == "sign":
        raise NotSupported(f"ValueIteration(feedback='sign'): {BLIND}.")
    if bounded and method.reaching:
        raise NotSupported(
            "ValueIteration(target=..., obstacle=...): bounds on states are an obstacle; give one of them."
        )
    if method.scheme in DERIVATIVES and bounded:
        raise NotSupported(
            f"ValueIteration(scheme={method.scheme!r}): it takes no bounds on states; scheme='weno' or 'linear' does."
        )
    if hamiltonian is None and (method.scheme in DERIVATIVES or len(method.disturbance)):
        asked = f"scheme={method.scheme!r}" if method.scheme in DERIVATIVES else "disturbance=..."
        raise NotSupported(
            f"ValueIteration({asked}): the minimum of H in closed form is needed, so formulas affine in controls with "
            "finite bounds, with no running cost of controls but their squares, or one sample of a selection problem "
            "with non-decreasing activation, finite bounds on a and b and no running cost; scheme='weno' takes others."
        )
    if method.scheme in GENERAL and len(method.disturbance):
        raise NotSupported(f"ValueIteration(scheme={method.scheme!r}): a disturbance takes scheme='weno' or 'linear'.")
    if method.scheme not in SPLIT:
        return method.scheme
    extended = method.reaching or method.discount or len(method.periodic) or not _counted(method.nodes)
    if isinstance(hamiltonian, BoxHamiltonian) and not extended:
        return method.scheme
    if hamiltonian is not None:
        return UPWIND[method.scheme]
    general = next(name for name, rule in GENERAL.items() if rule == method.scheme)
    if method.kernels == "numba":
        raise NotSupported("ValueIteration(kernels='numba'): this problem takes the general scheme, in numpy.")
    return general


def _working_arrays(method: Options, problem: ControlProblem, scheme: str, D: int) -> int:
    """Arrays of the grid's size that the march holds besides the stored depths."""
    saved = 0 if method.checkpoint is None else 1
    if scheme in GENERAL:
        marched = 2 if "x" in problem.bounds.names else 1
        return 2 * marched + problem.m + saved * (marched + problem.m)
    if scheme in SPLIT:
        return 2 * D + 2 + saved
    return D + 6 + D * problem.m + saved


@dataclass(frozen=True)
class _Reach:
    """Where the states may go, and how fast."""

    problem: ControlProblem
    lookahead: Lookahead
    scheme: str
    bounds: tuple[Array, Array] | None
    hamiltonian: Hamiltonian | None

    slack = 3.0  # cells of the usual margin that the widening of simulated states makes up for

    @property
    def general(self) -> bool:
        return self.scheme in GENERAL

    def box(self) -> tuple[Array, Array]:
        """Bounds (D,) of the states attainable from the initial one."""
        box = self.problem.velocity_box
        if self._boxed:
            assert self.bounds is not None
            return self.bounds
        if self.scheme in GENERAL or box is None:
            return simulated(self.lookahead)
        return enclosure(box, self.problem.x0[0], self.problem.span)

    def leaves(self, grid: StateGrid, *, automatic: bool) -> bool:
        """Whether states may leave the grid, for all that is proven of them."""
        box = self.problem.velocity_box
        if box is None or self.problem.samples > 1:
            return True
        if automatic and not self.general:
            return False
        try:
            low, high = enclosure(box, self.problem.x0[0], self.problem.span)
        except NotSupported:
            return True
        return not bool(np.all(grid.covers(np.stack([low, high]))))

    @property
    def _boxed(self) -> bool:
        """The controls cannot be simulated, but the bounds on states say where to look."""
        simulable = self.lookahead.finite is not None or np.all(np.isfinite(self.problem.control_box))
        return self.bounds is not None and not simulable and bool(np.all(np.isfinite(self.bounds)))

    def speeds(self, grid: StateGrid) -> Array:
        """The largest |Ẋ_i| over the domain, (D,)."""
        box = self.problem.velocity_box
        return self.lookahead.speeds(grid) if self.scheme in GENERAL or box is None else fastest_speeds(box, grid)


def _counted(nodes: Any) -> bool:
    """Whether nodes are told by their number."""
    return not isinstance(nodes, Sequence) or all(np.ndim(n) == 0 for n in nodes)


def _given_axes(method: Options, D: int) -> dict[int, Array]:
    """The axes whose nodes are given one by one."""
    if _counted(method.nodes):
        return {}
    found = {}
    for i, given in enumerate(method.nodes):  # type: ignore[arg-type]
        if np.ndim(given):
            axis = np.asarray(given, dtype=float)
            if axis.ndim != 1 or not np.all(np.isfinite(axis)) or np.any(np.diff(axis) <= 0.0):
                raise InvalidInput(f"ValueIteration(nodes=...): the nodes of state {i} must rise; got {shown(given)}.")
            found[i] = axis
    return found


def _shape(method: Options, scheme: str, D: int) -> tuple[int, ...]:
    usual = DEFAULT_NODES if scheme in SPLIT else GENERAL_NODES
    nodes = usual.get(D, FEWEST_NODES) if method.nodes is None else method.nodes
    counts = tuple(len(n) if np.ndim(n) else n for n in nodes) if isinstance(nodes, Sequence) else (nodes,) * D
    if len(counts) != D or not all(is_whole(n) and 5 <= n <= MOST_NODES for n in counts):
        raise InvalidInput(
            f"ValueIteration(nodes={shown(method.nodes)}): a whole number from 5 to {MOST_NODES}, or one for each of "
            f"{D} states."
        )
    return tuple(int(n) for n in counts)


def _domain(method: Options, reach: _Reach, shape: tuple[int, ...]) -> Array:
    """Lower and upper end of every axis, (D, 2), before bounds on states cut it."""
    if method.domain is None and len(_given_axes(method, len(shape))) == len(shape):
        return np.tile([0.0, 1.0], (len(shape), 1))  # not asked
    if method.domain is None:
        low, high = reach.box()
        size = np.maximum(high - low, 1e-3 * (1.0 + np.abs(reach.problem.x0.reshape(-1))))
        cells = margin_cells(np.array(shape)) - (reach.slack if reach.general else 0.0)
        margin = cells * size / (np.array(shape) - 2.0 * cells)
        if len(shape) == 1:  # few, long steps: V between depths also needs it two steps earlier, where the edge is near
            margin = np.maximum(margin, 3.0 * size / (method.steps or ONE_AXIS_STEPS))
        return np.stack([low - margin, high + margin], axis=1)
    try:
        pairs = np.asarray(method.domain, dtype=float)
        pairs = np.broadcast_to(pairs, (len(shape), 2))
    except (TypeError, ValueError):
        pairs = np.full((1, 2), np.nan)
    if not np.all(np.isfinite(pairs)) or np.any(pairs[:, 0] >= pairs[:, 1]):
        raise InvalidInput(
            f"ValueIteration(domain={method.domain!r}): (lower, upper) with lower < upper, or one such pair for each "
            f"of {len(shape)} states."
        )
    return pairs


def _hull(problem: ControlProblem) -> tuple[Array, Array] | None:
    """The least box (D,) that holds the bounds on states at all depths, None where there are none."""
    if "x" not in problem.bounds.names:
        return None
    low, high = hull(problem)
    start = problem.x0.reshape(-1)
    least, largest = (np.tile(end[0], problem.samples) for end in problem.state_box_at(np.zeros(1)))
    outside = np.flatnonzero((start < least) | (start > largest))
    if outside.size:
        s, i = divmod(int(outside[0]), problem.n)
        raise InvalidInput(
            f"initial: state {problem.states[i]} of sample {s} begins at {start[outside[0]]:g}, outside its bounds "  # type: ignore[index]
            f"[{least[outside[0]]:g}, {largest[outside[0]]:g}] of {problem.bounds!r}."
        )
    if np.any(low == high):
        raise NotSupported(
            f"ValueIteration: {problem.bounds!r} holds a state at one value, which leaves no grid; use Ipopt."
        )
    return low, high


def _grid(
    method: Options, domain: Array, shape: tuple[int, ...], given: dict[int, Array], periodic: tuple[int, ...]
) -> StateGrid:
    """Axes as given, or uniform over the domain; a periodic axis has no node at its upper end, which is the lower."""
    axes = []
    for i, ((low, high), n) in enumerate(zip(domain, shape, strict=True)):
        around = i in periodic
        axes.append(given[i] if i in given else circle_axis(low, high, n) if around else covering_axis(low, high, n))
        if around and (axes[i][0] < low or axes[i][-1] >= high):
            raise InvalidInput(f"ValueIteration(nodes=..., domain={method.domain!r}): nodes beyond their period.")
    periods = tuple(float(high - low) if i in periodic else 0.0 for i, (low, high) in enumerate(domain))
    return StateGrid(tuple(axes), periods)


def _bounded_grid(method: Options, domain: Array, shape: tuple[int, ...], bounds: tuple[Array, Array]) -> StateGrid:
    """Uniform axes over the domain within bounds on states, so that nodes lie on the bounds."""
    inside = np.stack([np.maximum(domain[:, 0], bounds[0]), np.minimum(domain[:, 1], bounds[1])], axis=1)
    if np.any(inside[:, 0] >= inside[:, 1]):
        raise InvalidInput(f"ValueIteration(domain={method.domain!r}): it lies outside the bounds on the states.")
    fixed = inside == np.stack(bounds, axis=1)
    axes = (fitted_axis(low, high, n, held) for (low, high), n, held in zip(inside, shape, fixed, strict=True))
    return StateGrid(tuple(axes))


def _step_count(method: Options, reach: _Reach, grid: StateGrid, scheme: str) -> int:
    """So many steps as were asked for, or as the grid asks for; InvalidInput where that is beyond all patience."""
    steps = _steps(method, reach, grid, scheme)
    if steps > MOST_STEPS:
        asked = f"steps={shown(method.steps)}" if method.steps is not None else f"courant={method.courant!r}"
        raise InvalidInput(
            f"ValueIteration({asked}): these are {steps:.3g} steps; at most {MOST_STEPS} are taken. Give fewer steps, "
            "a larger courant, fewer nodes, or a smaller domain."
        )
    return steps


def _steps(method: Options, reach: _Reach, grid: StateGrid, scheme: str) -> int:
    """Even, so that the splitting error of the two orders cancels; at least four."""
    if method.steps is not None:
        return int(method.steps)
    if method.courant is None and grid.dimension == 1 and scheme in SPLIT:
        return ONE_AXIS_STEPS
    if scheme in DERIVATIVES:
        assert reach.hamiltonian is not None
        cells = reach.problem.span * fastest_crossing(reach.hamiltonian, grid, reach.problem.span)
        if method.courant is not None or method.depths is None or reach.hamiltonian.time_dependent:
            return max(4, math.ceil(cells / (method.courant or STABLE[DERIVATIVES[scheme]])))
        parts = cells / STABLE[DERIVATIVES[scheme]]
        tried = range(max(4, math.ceil(parts / PARTS)), max(4, math.ceil(parts / 2.0)) + 1)
        return min(tried, key=lambda steps: steps * math.ceil(parts / steps))
    crossed = reach.problem.span * reach.speeds(grid) / grid.spacing
    courant = method.courant or (2.0 if grid.dimension == 2 and scheme in SPLIT else 1.0)
    steps = max(4, 2 * math.ceil(float(np.max(crossed)) / (2.0 * courant)))
    if scheme in GENERAL and method.courant is None:
        return min(max(FEWEST_GENERAL_STEPS, steps), MOST_UNTRIED_STEPS)
    return steps


def _stored(method: Options, horizon: float, steps: int, shape: tuple[int, ...], arrays: int) -> tuple[int, ...]:
    if method.depths is None:
        room = int(method.memory_limit // bytes_needed(shape, 1, 0)) - arrays
        stride = max(1, -(-steps // max(1, room - 1)))
        return tuple(range(steps, -1, -stride))[::-1] if steps % stride == 0 else (0, *range(steps, 0, -stride)[::-1])
    depths = np.asarray(method.depths, dtype=float)
    if depths.ndim != 1 or not np.all((depths >= 0.0) & (depths <= horizon)):
        raise InvalidInput(f"ValueIteration(depths={method.depths!r}): depths in [0, {horizon:g}].")
    return tuple(sorted({0, steps, *(int(k) for k in np.rint(depths / horizon * steps))}))


def _check_memory(method: Options, shape: tuple[int, ...], needed: int) -> None:
    if needed <= method.memory_limit:
        return
    D = len(shape)
    fits = int((method.memory_limit / (needed / math.prod(shape))) ** (1.0 / D))
    fits -= 1 - fits % 2
    advice = (
        f"{fits} nodes per axis fit"
        if fits >= FEWEST_NODES
        else f"not even {FEWEST_NODES} nodes per axis fit; value iteration is for about one to five states "
        "(all samples together), use the NLP or PMP route"
    )
    raise NotSupported(
        f"ValueIteration(nodes={method.nodes!r}): a grid of {shape[0]} nodes on each of {D} axes needs at least "
        f"{readable_bytes(needed)}, more than memory_limit = {readable_bytes(method.memory_limit)}; {advice}."
    )
