"""The default: first-order steps, then what second derivatives are worth at this size and this residual."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ocdl.nlp.training.lbfgs import LBFGS
from ocdl.nlp.training.levenberg import LevenbergMarquardt
from ocdl.nlp.training.newton import NewtonCG
from ocdl.nlp.training.second_order import offers
from ocdl.nlp.training.walk import Ended, Training, Walk
from ocdl.referee.outcome import Status

PATIENCE = 5  # steps of L-BFGS for each unknown: about the gradients that Newton's polish costs
SMALL = 1e-3  # of J at the start: residuals are small below
SIDE = 2000  # unknowns or residuals, the fewer of them, from which on JᵀJ is not factorised
DAMPED = 200  # steps of Levenberg and Marquardt's method, after which residuals are not small after all


@dataclass(frozen=True)
class Train(Training):
    """Trains by what suits the size and the residual, and says in the detail what that was and why.

    ``LBFGS`` first. Where J is a sum of squares that falls below a thousandth of its start, ``LevenbergMarquardt``
    takes over; where 5 steps of L-BFGS for each unknown were not enough, or it stalls, ``NewtonCG``: by then it has
    cost what the polish costs. Without second derivatives L-BFGS goes on to the end.
    """

    def descend(self, walk: Walk) -> Ended:
        size, first, last = walk.point.v.size, walk.point.cost, walk.iterations + self.max_iterations
        curved = offers(walk, "products")
        squares = curved and size <= SIDE and offers(walk, "rows")
        story = []

        def run(method: Training, why: str, **options: object) -> Ended:
            before = walk.iterations
            limited = replace(method, max_iterations=min(method.max_iterations, last - before))
            ended = limited.descend(walk, **options)
            story.append(f"{method.name} ({why}), {walk.iterations - before} steps to a gradient of {walk.norm:.1e}")
            return ended

        def small() -> bool:
            return squares and walk.point.cost <= SMALL * first

        steps = PATIENCE * size if curved else self.max_iterations
        why = f"{size} unknowns" if curved else f"{size} unknowns, no second derivatives"
        ended = run(LBFGS(self.tolerance, steps), why, enough=small)
        if small() and not _over(ended):
            ended = run(LevenbergMarquardt(self.tolerance, DAMPED), f"the squares fell to {SMALL:g} of their start")
        if curved and not _over(ended):
            ended = run(NewtonCG(self.tolerance), "quasi-Newton steps were not enough")
        return Ended(ended.status, "; then ".join(story))


def _over(ended: Ended) -> bool:
    return ended.status in (Status.CONVERGED, Status.FAILED)
