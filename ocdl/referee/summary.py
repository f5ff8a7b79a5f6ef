"""A summary of an answer: what presses on which bound where, and the arcs of every control.

A value is at a bound where it is nearer than ``ACTIVE`` of the interval, or of its own range where that is not bounded
on both sides. A control is classified layer by layer; one or two layers in which it is between opposite bounds are a
switch, at the depth that leaves its integral there as it is:  ∫ θ dt = the time at the upper bound,
θ = (u − u⁻)/(u⁺ − u⁻).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.arrays import Array
from ocdl.referee.certificate import principle
from ocdl.referee.names import PRICE, SPENT, entry_names
from ocdl.referee.outcome import Status
from ocdl.referee.sampling import Dense
from ocdl.statement.budget import Budget

ACTIVE = 1e-6
CLOSE = 1e-5  # interior-point answers keep off a bound where no multiplier presses: such stretches go on
BANG = 1e-4  # the same of controls: interior-point answers reach their bounds late near a switch
SWITCH = 2  # layers
MOST_LISTED = 12
LOWER, UPPER, FIXED = "lower", "upper", "fixed"
SINGULAR, INTERIOR, CONSTRAINED = "singular", "interior", "constrained"
HORIZON = "horizon"  # the parameter that a free one is
QUADRATURE = 10  # points in a layer


@dataclass(frozen=True)
class Parameter:
    """A parameter, or what else was free, and the bound it is at: "lower", "upper" or none."""

    name: str
    value: float
    lower: float
    upper: float
    at: str


@dataclass(frozen=True)
class Contact:
    """A constraint at its lower or upper ``bound`` from ``start`` to ``end``; a ``touch`` lasts less than a layer."""

    name: str
    side: str
    bound: float
    start: float
    end: float

    @property
    def touch(self) -> bool:
        return self.start == self.end

    def __str__(self) -> str:
        return f"{self.start:.6g}" if self.touch else f"{self.start:.6g} … {self.end:.6g}"


@dataclass(frozen=True)
class Spending:
    """A control whose integral is given, and its multiplier ν: what a little more of it would lower J by, per unit."""

    control: str
    total: float
    multiplier: float

    def __str__(self) -> str:
        return f"∫ {self.control} dt = {self.total:.8g}, multiplier {self.multiplier:.6g}"


@dataclass(frozen=True)
class Arc:
    """A stretch of a control: "lower" or "upper" bound, or "fixed"; between bounds "constrained" (a row of states or
    path is active), "singular" (H affine in the control) or "interior" (H curved, or not looked at).
    """

    kind: str
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.kind} {self.start:.6g} … {self.end:.6g}"


@dataclass(frozen=True)
class Summary:
    """What a user asks of an answer first. ``active``: constraints at a bound, in order of depth, by name; ``arcs``: of
    every control, by name; of ``discrete`` layers a switch is between two of them. ``known`` is false where a file was
    saved without its bounds: both are then empty.
    """

    method: str
    status: Status
    detail: str
    cost: float
    gap: float
    gap_is_exact: bool
    feasibility: float
    horizon: float
    layers: int
    scheme: str
    parameters: tuple[Parameter, ...]
    active: tuple[Contact, ...]
    arcs: Mapping[str, tuple[Arc, ...]]
    known: bool
    discrete: bool = False
    search: str = ""
    stationarity: float = float("nan")
    budgets: tuple[Spending, ...] = ()

    @property
    def switching_times(self) -> dict[str, tuple[float, ...]]:
        """Where the arcs of each control meet."""
        return {name: tuple(arc.start for arc in arcs[1:]) for name, arcs in self.arcs.items()}

    def __str__(self) -> str:
        found = principle(self.gap, self.gap_is_exact, self.search, self.stationarity)
        head = [
            f"{self.method}: {self.status.value}" + (f" {self.detail}" if self.detail else ""),
            f"  cost J        {self.cost:.10g}, {found}, infeasibility {self.feasibility:.1e}",
            f"  horizon       {self.horizon:.10g}{self._at_horizon}, {self.layers} {'discrete ' * self.discrete}layers",
        ]
        return "\n".join([*head, *self.structure_lines()])

    def structure_lines(self) -> list[str]:
        """Parameters, active constraints and arcs, a line each."""
        spending = _first(f"  budget        {one}" for one in self.budgets)
        lines = [*self._parameter_lines(), *spending, *self._active_lines(), *self._arc_lines()]
        return lines if self.known else [*lines, "  active        not known: saved without its bounds"]

    def _parameter_lines(self) -> list[str]:
        return _first(
            f"  parameter     {p.name} = {p.value:.8g}" + (f", at its {p.at} bound" if p.at else "")
            for p in self.parameters
            if p.name != HORIZON
        )

    @property
    def _at_horizon(self) -> str:
        return "".join(f", at its {p.at} bound" for p in self.parameters if p.name == HORIZON and p.at)

    def _active_lines(self) -> list[str]:
        def whose(contact: Contact) -> tuple[str, str]:
            return contact.name, contact.side

        groups = [(key, list(found)) for key, found in groupby(sorted(self.active, key=whose), whose)]
        groups.sort(key=lambda group: group[1][0].start)
        return _first(
            f"  active        {name} at its {side} bound {found[0].bound:.6g}: t = {', '.join(map(str, found))}"
            for (name, side), found in groups
        )

    def _arc_lines(self) -> list[str]:
        return _first(f"  control       {name}: {', '.join(map(str, arcs))}" for name, arcs in self.arcs.items())


def _first(lines: Iterator[str]) -> list[str]:
    """The first lines, and how many more there are."""
    every = list(lines)
    more = len(every) - MOST_LISTED
    return every if more <= 0 else [*every[:MOST_LISTED], f"{every[0][:16]}... and {more} more"]


class Answered(Protocol):
    """What of a solution is summarised."""

    @property
    def attrs(self) -> dict[Any, Any]: ...

    @property
    def method(self) -> str: ...

    @property
    def status(self) -> Status: ...

    @property
    def detail(self) -> str: ...

    @property
    def cost(self) -> float: ...

    @property
    def gap(self) -> float: ...

    @property
    def gap_is_exact(self) -> bool: ...

    @property
    def search(self) -> str: ...

    @property
    def stationarity(self) -> float: ...

    @property
    def feasibility(self) -> float: ...

    @property
    def horizon(self) -> float: ...

    @property
    def controls(self) -> dict[str, xr.DataArray]: ...

    @property
    def parameters(self) -> dict[str, xr.DataArray]: ...

    def group(self, name: str) -> xr.Dataset: ...


def budgeted(budgets: Sequence[Budget], multipliers: Array) -> dict[str, float]:
    """The totals of budgets and their multipliers ν, as attributes of a solution."""
    found: dict[str, float] = {}
    for budget, multiplier in zip(budgets, multipliers, strict=True):
        found |= {f"{SPENT}{budget.control}": budget.total, f"{PRICE}{budget.control}": float(multiplier)}
    return found


def _spending(attrs: Mapping[Any, Any]) -> tuple[Spending, ...]:
    names = [str(name).removeprefix(SPENT) for name in attrs if str(name).startswith(SPENT)]
    return tuple(Spending(name, float(attrs[SPENT + name]), float(attrs.get(PRICE + name, np.nan))) for name in names)


def summarised(solution: Answered, dense: Dense) -> Summary:
    """The summary of a solution on the layers of ``dense``."""
    held = solution.group("limits")
    active = tuple(sorted(_contacts(solution, held, dense.t), key=lambda contact: contact.start))
    return Summary(
        method=solution.method,
        status=solution.status,
        detail=solution.detail,
        cost=solution.cost,
        gap=solution.gap,
        gap_is_exact=solution.gap_is_exact,
        feasibility=solution.feasibility,
        horizon=solution.horizon,
        layers=dense.t.size - 1,
        scheme=str(solution.attrs["scheme"]),
        parameters=tuple(_parameters(solution.parameters, held)),
        active=active,
        budgets=_spending(solution.attrs),
        arcs=_arcs(solution.controls, held, dense, active, 0 if solution.attrs.get("discrete", False) else SWITCH),
        known="parameter_lower" in held,
        search=solution.search,
        stationarity=solution.stationarity,
        discrete=bool(solution.attrs.get("discrete", False)),
    )


def near(values: Array, bound: Array, low: Array, high: Array, part: float) -> NDArray[np.bool_]:
    """Where values (K, ...) are at ``bound``, one of the ends ``low`` < ``high`` of their intervals."""
    with np.errstate(invalid="ignore"):
        width, own = high - low, np.maximum(np.ptp(values, axis=0), np.abs(bound))
        unit = np.where(np.isfinite(width), width, np.where(own > 0.0, own, 1.0))
        return np.asarray((np.abs(values - bound) <= part * unit) & np.isfinite(bound) & (width > 0.0))


# -- parameters -----------------------------------------------------------------------------------------


def _parameters(parameters: Mapping[str, xr.DataArray], held: xr.Dataset) -> Iterator[Parameter]:
    names = [name for symbol, array in parameters.items() for name in entry_names(array, symbol)]
    values = np.concatenate([np.zeros(0), *(np.ravel(array.values) for array in parameters.values())])
    unknown = np.full(values.size, np.inf)
    low, high = (held.get(f"parameter_{side}", bound) for side, bound in ((LOWER, -unknown), (UPPER, unknown)))
    low, high = np.asarray(low), np.asarray(high)
    at_low, at_high = (near(values[None], end, low, high, ACTIVE)[0] for end in (low, high))
    for i, name in enumerate(names):
        at = LOWER if at_low[i] else UPPER if at_high[i] else ""
        yield Parameter(name, float(values[i]), float(low[i]), float(high[i]), at)


# -- constraints -----------------------------------------------------------------------------------------


def _contacts(solution: Answered, held: xr.Dataset, t: Array) -> Iterator[Contact]:
    nodes, stages = solution.group("nodes")["states"], solution.group("stages")["stage_state"]
    stage_t = solution.group("stages")["depth"].values
    S, T = nodes.sizes["sample"], t[-1:]
    if "state_lower" in held:
        parts = [(t, nodes, "state")] + [(stage_t, stages, "stage_state")] * ("stage_state_lower" in held)
        rows = [_rows(depths, array.values, held, name, S) for depths, array, name in parts]
        yield from _touched(_named(entry_names(nodes, "f"), S), t, *_in_order(rows))
    if "path" in held:
        path = _rows(stage_t, held["path"].values, held, "path", S)
        yield from _touched(_path_names(held, S), t, *_in_order([path]))
    if "boundary" in held:
        names = [f"boundary row {i}" for i in range(held.sizes["boundary"])]
        yield from _touched(_named(names, S), t, *_rows(T, held["boundary"].values, held, "boundary", S))


def _path_names(held: xr.Dataset, samples: int) -> list[str]:
    """Of every sample and row; a row that is imposed on the first sample alone is the same for all."""
    names = [f"path row {i}" for i in range(held.sizes["path"])]
    others = [held[f"path_{side}"].isel(sample=slice(1, None)) for side in (LOWER, UPPER)]
    single = [not any(np.any(np.isfinite(end.isel(path=i))) for end in others) for i in range(len(names))]
    told = np.array(_named(names, samples)).reshape(samples, -1)
    return [str(name) for name in np.where(single, names, told).ravel()]


def _named(names: list[str], samples: int) -> list[str]:
    if samples == 1:
        return names
    return [f"{name} of sample {s}" for s in range(samples) for name in names]


def _rows(depths: Array, values: Array, held: xr.Dataset, name: str, samples: int) -> tuple[Array, ...]:
    """Depths (K,), values, lower and upper ends (K, samples · rows)."""
    ends = (held[f"{name}_{side}"].values for side in (LOWER, UPPER))
    return np.ravel(depths), *(array.reshape(np.size(depths), -1) for array in (values, *ends))


def _in_order(parts: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    """All rows by depth, those at equal depths once: what is given first."""
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    _, first = np.unique(joined[0].round(14), return_index=True)
    return tuple(column[first] for column in joined)


def _touched(names: list[str], t: Array, depths: Array, values: Array, low: Array, high: Array) -> Iterator[Contact]:
    for side, bound in ((LOWER, low), (UPPER, high)):
        at, close = (near(values, bound, low, high, part) for part in (ACTIVE, CLOSE))
        for i in np.flatnonzero(at.any(axis=0)):
            for first, last in _runs(close[:, i]):
                places = first + np.flatnonzero(at[first : last + 1, i])
                if places.size:
                    start, end = float(depths[places[0]]), float(depths[places[-1]])
                    layer = int(np.clip(np.searchsorted(t, start, side="right") - 1, 0, t.size - 2))
                    if end - start < t[layer + 1] - t[layer]:
                        start = end = float(depths[places[np.argmin(np.abs(values - bound)[places, i])]])
                    yield Contact(names[i], side, float(bound[places[0], i]), start, end)


def _runs(at: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], at, [False]]).astype(int)))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


# -- controls --------------------------------------------------------------------------------------------


def _arcs(
    controls: Mapping[str, xr.DataArray], held: xr.Dataset, dense: Dense, active: Sequence[Contact], switch: int
) -> dict[str, tuple[Arc, ...]]:
    if "control_lower" not in held:
        return {}
    names = [name for symbol, array in controls.items() for name in entry_names(array, symbol)]
    rows = [(array.values.reshape(-1, *array.shape[1 + ("stage" in array.dims) :])) for array in controls.values()]
    u = np.concatenate([array.reshape(len(array), -1) for array in rows], axis=1)
    low, high = (np.broadcast_to(held[f"control_{side}"].values, u.shape) for side in (LOWER, UPPER))
    columns = dense.shape.columns(dense.t.size - 1, dense.c.size)
    at_low, at_high = (near(u, end, low, high, BANG)[columns].all(axis=1) for end in (low, high))  # (N, m)
    points, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    means = 0.5 * weights @ dense.shape.weights(0.5 * (1.0 + points), dense.c)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.einsum("q,kqm->km", means, ((u - low) / (high - low))[columns])
    between = np.where(held["affine"].values == 1, SINGULAR, INTERIOR)
    kinds = np.select([at_low & at_high, at_low, at_high], [FIXED, LOWER, UPPER], between)
    kinds[:, np.all(low == high, axis=0)] = FIXED
    middle = 0.5 * (dense.t[1:] + dense.t[:-1])
    pressed = np.any([(c.start <= middle) & (middle <= c.end) for c in active] or [middle < 0.0], axis=0)
    kinds = np.where(pressed[:, None] & np.isin(kinds, (SINGULAR, INTERIOR)), CONSTRAINED, kinds)
    return {name: tuple(_of_layers(kinds[:, i], share[:, i], dense.t, switch)) for i, name in enumerate(names)}


def _of_layers(kinds: Any, share: Array, t: Array, most: int) -> Iterator[Arc]:
    """Arcs from the kind of every layer, (N,), and the share of it spent at the upper bound; at ``most`` so many layers
    between opposite bounds are a switch.
    """
    runs = _settled(kinds)
    kept: list[tuple[str, float]] = []
    switch = None
    for i, (kind, a, b) in enumerate(runs):
        around = _around(runs, i)
        if sorted(around) == [LOWER, UPPER] and kind in (SINGULAR, INTERIOR) and b - a <= most:
            upper = np.diff(t)[a:b] @ share[a:b]
            switch = float(t[a] + upper if around[0] == UPPER else t[b] - upper)
        else:
            kept.append((kind, float(t[a]) if switch is None else switch))
            switch = None
    stops = [start for _, start in kept[1:]] + [float(t[-1])]
    yield from (Arc(kind, start, stop) for (kind, start), stop in zip(kept, stops, strict=True))


def _of_kind(kinds: Any) -> list[tuple[str, int, int]]:
    """Kind, first layer and the one behind of every run."""
    ends = np.append(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1, len(kinds))
    return [(str(kinds[end - 1]), int(begin), int(end)) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _settled(kinds: Any) -> list[tuple[str, int, int]]:
    """The runs, where one or two layers at the ends of a constrained arc, which it shares, are part of it."""
    runs, settled = _of_kind(kinds), kinds.copy()
    for i, (kind, a, b) in enumerate(runs):
        if kind in (SINGULAR, INTERIOR) and b - a <= SWITCH and CONSTRAINED in _around(runs, i):
            settled[a:b] = CONSTRAINED
    return _of_kind(settled)


def _around(runs: list[tuple[str, int, int]], i: int) -> list[str]:
    """The kinds before and behind."""
    return [run[0] for run in (*runs[max(i - 1, 0) : i], *runs[i + 1 : i + 2])]
