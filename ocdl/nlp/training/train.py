"""The default: first-order steps, then what second derivatives are worth at this size and this residual."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ocdl.nlp.training.lbfgs import LBFGS
from ocdl.nlp.training.levenberg import LevenbergMarquardt
from ocdl.nlp.training.newton import NewtonCG
from ocdl.nlp.training.second_order import offers
from ocdl.nlp.training.walk import Ended, Training, Walk
from ocdl.referee.outcome import Status

PATIENCE = 5  # steps of L-BFGS for each unknown: they cost about as much as the polish
POLISH = 10  # steps of Newton's method that are a polish; where it needs more, the minimiser is still far
SMALL = 1e-3  # of J at the start: residuals are small below
SIDE = 2000  # unknowns from which on JᵀJ is not factorised
ENTRIES = 50_000_000  # of the residuals' Jacobian for each output, from which on it is not held
DAMPED = 200  # steps of Levenberg and Marquardt's method, after which the residuals are not small after all

TOLD = 4  # methods in turn that the detail names


@dataclass(frozen=True)
class Train(Training):
    """Trains by what suits the size and the residual, and says in the detail what that was and why.

    ``LBFGS`` first. Where J is a sum of squares and falls below a thousandth of its start, ``LevenbergMarquardt`` takes
    over. Where 5 steps of L-BFGS for each unknown were not enough, or it stalls, ``NewtonCG`` polishes: by then first
    order has cost what a polish costs, whatever the size. Where 10 Newton steps do not reach the tolerance, the
    minimiser is far, and L-BFGS goes on for twice as long; to the end where J has no second derivatives.
    """

    def descend(self, walk: Walk) -> Ended:
        stages = _Stages(walk, self)
        steps = PATIENCE * walk.point.v.size
        while not _over(ended := stages.first_order(steps)):
            if stages.small():
                ended = stages.squares()
            if stages.curved and not _over(ended):
                ended = stages.polish()
            if _over(ended) or ended.status is Status.STALLED or not stages.left:
                break
            steps *= 2
        return Ended(ended.status, stages.told())


class _Stages:
    """The methods in turn on one walk, and the ``story`` of which and why."""

    def __init__(self, walk: Walk, train: Train) -> None:
        self.walk, self.tolerance = walk, train.tolerance
        self.last, self.first = walk.iterations + train.max_iterations, walk.point.cost
        self.size = walk.point.v.size
        self.curved = offers(walk, "products")
        entries = self.size * walk.reduced.problem.samples
        self.summed = self.curved and self.size <= SIDE and entries <= ENTRIES and offers(walk, "rows")
        self.story: list[str] = []

    @property
    def left(self) -> int:
        """Steps that may still be taken."""
        return self.last - self.walk.iterations

    def told(self) -> str:
        """The story; of a long one the beginning and the end."""
        told = self.story
        if len(told) > TOLD:
            told = [*told[: TOLD - 1], f"{len(told) - TOLD} more in turn", told[-1]]
        return "; then ".join(told)

    def small(self) -> bool:
        """Whether this is a sum of squares that has become small."""
        return self.summed and self.walk.point.cost <= SMALL * self.first

    def first_order(self, steps: int) -> Ended:
        known = "" if self.curved else ", no second derivatives"
        why = "the minimiser is still far" if self.story else f"{self.size} unknowns{known}"
        return self._run(LBFGS(self.tolerance, steps if self.curved else self.left), why, enough=self.small)

    def squares(self) -> Ended:
        self.summed = False
        return self._run(LevenbergMarquardt(self.tolerance, DAMPED), f"the squares fell to {SMALL:g} of their start")

    def polish(self) -> Ended:
        return self._run(NewtonCG(self.tolerance, POLISH), "first order has cost as much as a polish")

    def _run(self, method: Training, why: str, **options: Any) -> Ended:
        before = self.walk.iterations
        ended = replace(method, max_iterations=min(method.max_iterations, self.left)).descend(self.walk, **options)
        steps = self.walk.iterations - before
        self.story.append(f"{method.name} ({why}), {steps} steps to a gradient of {self.walk.norm:.1e}")
        return ended


def _over(ended: Ended) -> bool:
    return ended.status in (Status.CONVERGED, Status.FAILED)
