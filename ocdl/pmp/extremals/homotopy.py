"""Indirect shooting on the layers of a depth scheme: from a start with costates at once, else by a homotopy in ε."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.arrays import Array
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.pmp.extremals.layered import LayeredExtremal, end_multipliers
from ocdl.pmp.extremals.newton import newton
from ocdl.pmp.extremals.system import Unknowns
from ocdl.referee.outcome import FEASIBLE, Outcome, Status
from ocdl.solving.method import Start
from ocdl.statement.problem import ControlProblem

LARGER = (1.0, 10.0, 100.0, 1000.0)
CONCAVE = -1e-6  # relative curvature of H in the controls below which they are no minimiser
SLOWEST = 0.9  # factor from one ε to the next beyond which the homotopy gives up


@dataclass(frozen=True)
class Homotopy:
    """ε from 1 by ``factor`` to ``smallest``, then 0; Newton's method with so many ``iterations`` for each.

    Where ε = 1 leaves the problem too hard to begin with, from one of ``LARGER``.
    """

    smallest: float
    factor: float
    iterations: int

    def solve(self, problem: ControlProblem, depth: DepthScheme, start: Start) -> Outcome:
        """The extremal of ``problem`` on the layers of ``depth``."""
        if np.any(depth.tableau.b <= 0.0):
            raise NotSupported(
                f"{depth!r}: the adjoint of a layer needs a scheme with weights b_i > 0, such as Radau or Gauss."
            )
        extremal = LayeredExtremal(problem, depth)
        w, solved = self._at_once(extremal, start)
        if solved:
            return _outcome(extremal, w, Status.CONVERGED, "From the start's costates at once.")
        return self._gradually(extremal, start)

    def _at_once(self, extremal: LayeredExtremal, start: Start) -> tuple[Array, bool]:
        w = extremal.guess(start)
        return newton(extremal.equations, w, 0.0, self.iterations) if start.costate is not None else (w, False)

    def _gradually(self, extremal: LayeredExtremal, start: Start) -> Outcome:
        """Each solution starts the next; a failure of Newton's method takes the square root of the factor."""
        remedy = "Start from an answer of Ipopt." if start.costate is None else "Scale the states to about 1."
        begun = self._begun(extremal, extremal.guess(start))
        if begun is None:
            said = f"Newton's method finds no solution from this start, not even smoothed by ε = {LARGER[-1]:g}."
            return Outcome(start.u, start.p, Status.FAILED, f"{said} {remedy}")
        (at, first), factor = begun, self.factor
        reached = first
        while factor <= SLOWEST:
            epsilon = 0.0 if reached <= self.smallest * (1.0 + 1e-9) else max(factor * reached, self.smallest)
            w, solved = newton(extremal.equations, at, epsilon, self.iterations)
            if solved and epsilon == 0.0:
                return _outcome(extremal, w, Status.CONVERGED, f"ε fell from {first:g} to {reached:.1g}, then to 0.")
            if solved:
                at, reached = w, epsilon
            elif epsilon == 0.0:
                break
            else:
                factor = np.sqrt(factor)
        said = f"Newton's method ended at ε = {reached:.1g} of the smoothed problem. {remedy}"
        return _outcome(extremal, at, Status.STALLED, said)

    def _begun(self, extremal: LayeredExtremal, guess: Array) -> tuple[Array, float] | None:
        """The solution of a smoothed problem, and its ε."""
        for epsilon in LARGER:
            w, solved = newton(extremal.equations, guess, epsilon, self.iterations)
            if solved:
                return w, epsilon
        return None


def _outcome(extremal: LayeredExtremal, w: Array, status: Status, detail: str) -> Outcome:
    numbers, u = extremal.answer(w)
    if extremal.curvature(w) < CONCAVE:
        status, detail = Status.NO_EXTREMAL, f"{detail} The controls do not minimise H: it is concave in them."
    outside = _outside(extremal, numbers)
    if outside:
        status, detail = Status.FAILED, f"{detail} {outside}"
    return as_outcome(extremal.problem, extremal.depth, numbers, u, status, detail)


def _outside(extremal: LayeredExtremal, numbers: Unknowns) -> str:
    """Which state leaves its bounds, which are taken as slack between the ends; empty where none does."""
    problem, t = extremal.problem, extremal.t
    low, high = problem.state_box_at(t)
    x = numbers.x.T
    over = np.maximum(low - x, x - high)[1:]
    k, i = np.unravel_index(int(np.argmax(over)), over.shape)
    if over[k, i] <= FEASIBLE:
        return ""
    assert problem.states is not None
    return (
        f"It takes bounds on states as slack between the ends, and {problem.states[int(i)]} leaves its own by "
        f"{over[k, i]:.2g}: use Ipopt."
    )


def as_outcome(
    problem: ControlProblem, depth: DepthScheme, numbers: Unknowns, u: Array, status: Status, detail: str
) -> Outcome:
    """An outcome with the system's own states, costates and multipliers, and controls u (Q, m)."""
    costate = numbers.costate.T[:, None]
    return Outcome(
        u,
        np.clip(numbers.p.ravel(), *problem.parameter_box),
        status,
        detail,
        claim={"costate": costate},
        multipliers=end_multipliers(problem, depth, numbers),
        x=numbers.x.T[:, None],
        stages=numbers.X.T.reshape(depth.count, depth.tableau.stages, 1, problem.n),
        costate=costate,
    )
