"""Sensitivities: how an answer moves with the numbers of its problem, and where it goes without another solve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl import xr
from ocdl.errors import InvalidInput
from ocdl.nlp.neighbourhood.linearised import Direction, Linearised, Response
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]

ROUNDING = 1e-9
QUANTITIES = {"initial": "x(0)", "parameters": "held parameters", "final": "x(T)", "data": "data"}


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for other numbers, to first order in u, x and p and to second order in the cost J, without a solve.

    u (Q, m), clipped to its box, p (P,), x (N+1, S, n). ``crossed``: how many bounds and constraints are left or met on
    the way, by the linearised solution; where it is not 0 the prediction is of a smaller order.
    """

    cost: float
    u: Array
    p: Array
    x: Array
    crossed: int
    _problem: ControlProblem = field(repr=False)

    def __repr__(self) -> str:
        crossed = f"{self.crossed} bounds crossed" if self.crossed else "no bound crossed"
        return f"<ocdl.Prediction: cost {self.cost:.10g}, {crossed}>"

    @property
    def start(self) -> dict[str, Array]:
        """The same by name, for ``solve(start=...)`` on the same grid."""
        layout = self._problem.layout
        assert layout is not None
        named = layout.unpack(layout.controls, self.u) | layout.unpack(layout.parameters, self.p)
        return {**named, layout.state.name: self.x.reshape(*self.x.shape[:2], *layout.state.shape)}


class Sensitivities:
    """Of a linearised answer; its figures are those of ``NeighbouringExtremals.sensitivity`` and ``predicted``."""

    def __init__(self, linearised: Linearised) -> None:
        self.linearised, self.transcription = linearised, linearised.transcription
        self.problem, self.places = self.transcription.problem, self.transcription.places

    def dataset(self, quantity: str) -> xr.Dataset:
        """The labelled derivatives of cost, states, controls and parameters."""
        response, labels = self._response(quantity), self._theta(quantity)[1]
        places, q, moved = self.places, len(labels), response.variables
        S, n, t = self.problem.samples, self.problem.n, self._true(self.transcription.t)
        return xr.Dataset(
            {
                "cost": ("theta", response.slope),
                "cost_curvature": (("theta", "theta_"), response.curved),
                "states": (("t", "sample", "state", "theta"), moved[places.x].reshape(t.size, S, n, q)),
                "controls": (("t_control", "control", "theta"), moved[places.u]),
                "parameters": (("parameter", "theta"), moved[places.p]),
            },
            coords={
                "theta": labels,
                "theta_": labels,
                "t": t,
                "t_control": self._true(self.transcription.control_depths),
                "state": _names(self.problem.states),
                "control": _names(self.problem.controls),
            },
        )

    def predicted(self, other: ControlProblem, cost: float) -> Prediction:
        """The solution for the numbers of ``other``, from an answer of this ``cost``."""
        lin, places = self.linearised, self.places
        moves, w, rows = self._moves(other), lin.w.copy(), lin.multipliers.copy()
        if moves:
            steps = [move for _, move in moves]
            response = lin.response(_together([self._direction(name) for name, _ in moves]))
            step = np.concatenate(steps)
            w, rows = w + response.variables @ step, rows + response.multipliers @ step
            cost += float(response.slope @ step + 0.5 * step @ response.curved @ step)
        low, high = other.coefficient_box(self.transcription.depth)
        crossed = self._crossed(w, rows)
        return Prediction(cost, np.clip(w[places.u], low, high), w[places.p], w[places.x], crossed, self.problem)

    def _true(self, depths: Array) -> Array:
        return np.asarray(self.problem.times.at(depths, self.linearised.w[self.places.p]))

    def _theta(self, quantity: str) -> tuple[NDArray[np.int64], list[str]]:
        """Places in w of what a quantity holds, none for data, and names of its numbers."""
        if not isinstance(quantity, str) or quantity not in QUANTITIES:
            raise InvalidInput(f"sensitivity({quantity!r}): one of {', '.join(map(repr, QUANTITIES))} is needed.")
        places, (low, high) = self.places, self.transcription.bounds()
        S, names = self.problem.samples, _names(self.problem.states)
        ends = [f"{name}{f'[{s}]' if S > 1 else ''}" for s in range(S) for name in names]
        if quantity == "data":
            labels = [f"d[{s}, {j}]" for s, j in np.ndindex(*np.shape(self.problem.data))]
            every = np.zeros(len(labels), dtype=np.int64)
            held = np.ones(len(labels), dtype=bool)
        else:
            own = self.problem.own_parameters
            every, labels = {
                "initial": (places.x[0].ravel(), ends),
                "final": (places.x[-1].ravel(), ends),
                "parameters": (places.p[:own], _names(self.problem.parameters)),
            }[quantity]
            held = low[every] >= high[every]
        if not np.any(held):
            raise InvalidInput(f"sensitivity({quantity!r}): this problem gives no numbers for {QUANTITIES[quantity]}.")
        return every[held], [label for label, one in zip(labels, held, strict=True) if one]

    def _direction(self, quantity: str) -> Direction:
        return self.linearised.by_data() if quantity == "data" else self.linearised.moving(self._theta(quantity)[0])

    def _response(self, quantity: str) -> Response:
        self._theta(quantity)
        return self.linearised.response(self._direction(quantity))

    def _moves(self, other: ControlProblem) -> list[tuple[str, Array]]:
        """What has moved, by quantity, in the order of ``_theta``."""
        lin, S = self.linearised, self.problem.samples
        moves = []
        for name, new in (("initial", other.x0.ravel()), ("parameters", other.parameter_box[0])):
            every = self.places.x[0].ravel() if name == "initial" else self.places.p
            step = np.zeros(lin.w.size)
            step[every] = np.where(np.isfinite(new), new, 0.0) - lin.w[every]
            known = self._theta_or_none(name)
            if known.size and np.any(step[known]):
                moves.append((name, step[known]))
        d = (np.asarray(other.data) - np.asarray(self.problem.data)).reshape(S, -1)
        return [*moves, ("data", d.ravel())] if np.any(d) else moves

    def _theta_or_none(self, quantity: str) -> NDArray[np.int64]:
        try:
            return self._theta(quantity)[0]
        except InvalidInput:
            return np.zeros(0, dtype=np.int64)

    def _crossed(self, w: Array, multipliers: Array) -> int:
        """Bounds that free variables leave, and active rows and bounds whose multipliers turn."""
        lin = self.linearised
        low, high = self.transcription.bounds()
        below, above = lin.row_bounds
        outside = ~lin.active.held & ((w < low - ROUNDING) | (w > high + ROUNDING))
        one_sided = lin.active.rows & (below < above)
        turned = one_sided & (multipliers * lin.multipliers < 0.0)
        return int(np.sum(outside) + np.sum(turned))


def _together(directions: list[Direction]) -> Direction:
    """Directions side by side; what two of them have in common in the Lagrangian is in the mixed terms."""
    moved, mixed, rows = (
        np.concatenate([getattr(d, name) for d in directions], axis=1) for name in ("moved", "mixed", "rows")
    )
    curved = np.zeros((moved.shape[1],) * 2)
    at = 0
    for d in directions:
        curved[at : at + d.slope.size, at : at + d.slope.size] = d.curved
        at += d.slope.size
    return Direction(moved, mixed, rows, np.concatenate([d.slope for d in directions]), curved)


def _names(given: Any) -> list[str]:
    return [str(name) for name in given or ()]
