"""A line search down to the rounding of the cost: Wolfe's conditions, at last Hager and Zhang's approximate ones.

    J(α) ≤ J(0) + δ α J'(0),   |J'(α)| ≤ σ |J'(0)|,                                     (Wolfe)
    J(α) ≤ J(0) + noise,       σ J'(0) ≤ J'(α) ≤ (2δ − 1) J'(0)                         (approximate)

The second needs no difference of costs: it is what lets gradients fall to 1e-11 where J no longer changes.
Sources: Moré and Thuente, ACM TOMS 20 (1994); Hager and Zhang, SIAM J. Optim. 16 (2005), section 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ocdl.nlp.training.walk import Point

DECREASE, CURVATURE = 1e-3, 0.9  # δ and σ
TRIALS = 40
MARGIN = 0.1  # a trial keeps this share of the bracket off its ends
STRETCH = 4.0  # of a step that is too short, at most so many times its last growth
SHRINK = 0.2  # of a step into NaN


class Trial(NamedTuple):
    """The step length α, the point there, and J'(α)."""

    length: float
    point: Point
    slope: float

    @property
    def cost(self) -> float:
        return self.point.cost


def wolfe(at: Callable[[float], Trial], here: Trial, first: float, longest: float, noise: float) -> Trial | None:
    """A step length in (0, longest] that meets the conditions, the longest itself where J still falls there, the best
    of ``TRIALS`` where none was found; None where J falls nowhere. ``here``: α = 0; ``first``: tried first.
    """
    low, high, before = here, None, None
    length, ceiling = min(first, longest), math.inf
    for count in range(TRIALS):
        trial = at(length)
        if not (math.isfinite(trial.cost) and math.isfinite(trial.slope)):
            ceiling = length
            length = low.length + SHRINK * (length - low.length)
            continue
        decreased = trial.cost <= here.cost + DECREASE * length * here.slope
        flat = abs(trial.slope) <= CURVATURE * abs(here.slope)
        if decreased and (flat or (trial.slope < 0.0 and length == longest)):
            return trial
        level = trial.cost <= here.cost + noise
        if level and flat and trial.slope <= (2.0 * DECREASE - 1.0) * here.slope:
            return trial
        if trial.slope >= 0.0 or not (decreased or level):
            high = trial
        else:
            low, before = trial, low
        if high is None:
            length = min(_beyond(before, low), longest, 0.5 * (low.length + ceiling))
        else:
            length = _between(low, high, noise, bisect=count % 3 == 2)
        if length == low.length or (high is not None and length == high.length):
            break
    return low if low.cost < here.cost else None


def _beyond(before: Trial | None, low: Trial) -> float:
    """Where the slope would vanish, were it linear; from 1.1 to ``STRETCH`` times the last growth beyond ``low``."""
    assert before is not None
    grown, fallen = low.length - before.length, low.slope - before.slope
    ahead = -low.slope * grown / fallen if fallen > 0.0 else math.inf
    return low.length + min(max(ahead, 1.1 * grown), STRETCH * grown)


def _between(low: Trial, high: Trial, noise: float, *, bisect: bool) -> float:
    """The minimiser of the cubic through both ends, or of their slopes alone where the costs differ by noise."""
    width = high.length - low.length
    share = 0.5
    if not bisect:
        if abs(high.cost - low.cost) > 10.0 * noise:
            share = _cubic(width, low, high)
        elif high.slope > low.slope:
            share = low.slope / (low.slope - high.slope)
    return low.length + width * min(max(share, MARGIN), 1.0 - MARGIN)


def _cubic(width: float, low: Trial, high: Trial) -> float:
    """The minimiser of the cubic, as a share of the bracket."""
    middle = low.slope + high.slope - 3.0 * (high.cost - low.cost) / width
    root = math.sqrt(max(middle**2 - low.slope * high.slope, 0.0))
    below = high.slope - low.slope + 2.0 * root
    return 1.0 - (high.slope + root - middle) / below if below > 0.0 else 0.5
