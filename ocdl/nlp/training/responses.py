"""Games between controls of one problem: a saddle by alternating best responses.

    J(u, w*) ≥ J(u*, w*) ≥ J(u*, w)  for all u, w:     lower = min_u J(u, w),  upper = max_w J(u, w),

for controls in open loop, some of which minimise and others, the ``maximisers``, maximise the same J. The response of
each side is an ordinary minimisation; both move a share θ of the way to theirs, which is halved where upper − lower
does not fall.
Source: Başar and Olsder, "Dynamic noncooperative game theory" (1999), sections 4.3 and 6.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array, is_real, is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, SolveFailed
from ocdl.nlp.training.lbfgs import LBFGS
from ocdl.nlp.training.walk import Training
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.reduced import GradientCost, ReducedCost

SMALLEST = 1e-4  # share of the way


@dataclass(frozen=True, eq=False)
class SaddlePoint:
    """Controls u (Q, m), the ``value`` J there, and the ``lower`` and ``upper`` value that best responses leave.

    history (rounds, 2): lower and upper value of every round.
    """

    u: Array
    p: Array
    value: float
    lower: float
    upper: float
    history: Array

    @property
    def gap(self) -> float:
        """upper − lower: what both sides together could gain by responding; 0 at a saddle."""
        return self.upper - self.lower


def saddle(
    problem: ControlProblem,
    depth: DepthScheme,
    maximisers: Sequence[str],
    *,
    method: Training | None = None,
    rounds: int = 100,
    tolerance: float = 1e-6,
) -> SaddlePoint:
    """The saddle of J between the controls named in ``maximisers`` and all others, from controls of 0, or in their box.

    method: what finds responses, ``LBFGS()`` by default. tolerance: on upper − lower, relative to 1 + |J|.
    Raises InvalidInput for names that no control has, and where one side has none; SolveFailed where a response has no
    end, as that of a disturbance whose price is too low, and where the rounds are over.
    """
    side = _sides(problem, depth, maximisers)
    if not (is_whole(rounds) and rounds >= 1):
        raise InvalidInput(f"saddle(rounds={rounds!r}): a whole number, at least 1, is needed.")
    if not (is_real(tolerance) and 0.0 < tolerance < 1.0):
        raise InvalidInput(f"saddle(tolerance={tolerance!r}): it must lie between 0 and 1.")
    reduced, method = ReducedCost(problem, depth), LBFGS() if method is None else method
    method.check(problem, depth)
    here = _Round.at(reduced, np.clip(np.zeros(reduced.size), *reduced.bounds), side, method)
    history, share = [(here.lower, here.upper)], 1.0
    while len(history) < rounds and here.gap > tolerance * (1.0 + abs(here.upper)) and share >= SMALLEST:
        there = _Round.at(reduced, here.w + share * (here.answer - here.w), side, method)
        history.append((there.lower, there.upper))
        here, share = (there, share) if there.gap < here.gap else (here, 0.5 * share)
    if here.gap > tolerance * (1.0 + abs(here.upper)):
        raise SolveFailed(
            f"saddle: after {len(history)} rounds best responses leave a gap of {here.gap:.1e} between lower and upper "
            "value; raise rounds, or there is no saddle in open loop."
        )
    return SaddlePoint(*reduced.split(here.w), reduced.value(here.w), here.lower, here.upper, np.array(history))


@dataclass(frozen=True, eq=False)
class _Round:
    """All controls w, what both sides answer, and the values that these answers have against w."""

    w: Array
    answer: Array
    lower: float
    upper: float

    @classmethod
    def at(cls, reduced: ReducedCost, w: Array, side: NDArray[np.bool_], method: Training) -> _Round:
        down, lower = _response(reduced, w, ~side, 1.0, method)
        up, upper = _response(reduced, w, side, -1.0, method)
        return cls(w, np.where(side, up, down), lower, upper)

    @property
    def gap(self) -> float:
        return self.upper - self.lower


def _sides(problem: ControlProblem, depth: DepthScheme, maximisers: Sequence[str]) -> NDArray[np.bool_]:
    """Which of (p, u_0, …) maximise."""
    names = list(problem.controls)  # type: ignore[arg-type]
    unknown = isinstance(maximisers, str) or any(name not in names for name in maximisers)
    if unknown or not 0 < len(maximisers) < len(names):
        raise InvalidInput(
            f"saddle(maximisers={maximisers!r}): a list of some, not all, of the controls "
            f"{', '.join(map(repr, names))} is needed."
        )
    of_layer = np.array([name in maximisers for name in names])
    return np.concatenate([np.zeros(problem.P, dtype=bool), np.tile(of_layer, depth.control_rows)])


def _response(
    reduced: ReducedCost, w: Array, side: NDArray[np.bool_], sign: float, method: Training
) -> tuple[Array, float]:
    """All controls where those of one side answer the others of w, and J there. Raises SolveFailed."""
    answer = _Answer(reduced, w, side, sign)
    found = method.minimise(answer, w[side], progress=False)
    if found.status.failed:
        who = "the maximisers" if sign < 0.0 else "the minimisers"
        raise SolveFailed(f"saddle: no best response of {who}, and so no saddle in open loop: {found.detail}")
    return reduced.join(found.u, found.p), sign * float(found.claim["cost"])


class _Answer(GradientCost):
    """± J as a function of the entries of w that one side has, the others held."""

    def __init__(self, reduced: ReducedCost, w: Array, side: NDArray[np.bool_], sign: float) -> None:
        super().__init__(reduced)
        self.held, self.side, self.sign = w, side, sign

    def _all(self, v: Array) -> Array:
        w = self.held.copy()
        w[self.side] = v
        return w

    def split(self, w: Array) -> tuple[Array, Array]:
        return self.nominal.split(self._all(w))

    @property
    def bounds(self) -> tuple[Array, Array]:
        low, high = self.nominal.bounds
        return low[self.side], high[self.side]

    @property
    def metric(self) -> Array:
        return self.nominal.metric[self.side]

    def value_and_gradient(self, w: Array) -> tuple[float, Array]:
        self.evaluations += 1
        value, gradient = self.nominal.value_and_gradient(self._all(w))
        return self.sign * value, self.sign * gradient[self.side]
