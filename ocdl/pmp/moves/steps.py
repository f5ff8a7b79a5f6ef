"""How far to follow a proposal: all the way, a fixed step, by Armijo's rule, or by an adaptive penalty."""

from __future__ import annotations

import numpy as np

from ocdl.pmp.iterate import Iterate, Trial
from ocdl.pmp.loop import Moved, Proposal, costate_vanishes
from ocdl.referee.outcome import Status
from ocdl.sweeps.sweeper import SweepFailed


class FullStep:
    """Take all that is proposed, as printed; knows a cycle by controls and parameters it has seen, exactly."""

    def __init__(self) -> None:
        self.seen: dict[bytes, int] = {}

    def __call__(self, iterate: Iterate, proposal: Proposal) -> Moved | None:
        if costate_vanishes(iterate):
            return Moved(iterate, 0.0, Status.REACHABLE, f"Cost {iterate.cost:.1e}.")
        self.seen.setdefault(_bits(iterate), len(self.seen))
        trial = proposal.trial(proposal.largest)
        if trial is None:
            return None
        now, before = len(self.seen), self.seen.get(_bits(trial))
        following = iterate.ground.at(trial.u, trial.p)
        if before is None:
            return Moved(following, trial.predicted)
        detail = f"Cycle of length {now - before}, entered at iterate {before}."
        return Moved(following, trial.predicted, Status.CYCLE, detail)


def _bits(at: Iterate | Trial) -> bytes:
    return at.u.tobytes() + at.p.tobytes()


class FixedStep:
    """Take the same size every time, whatever it costs."""

    def __init__(self, size: float) -> None:
        self.size = size

    def __call__(self, iterate: Iterate, proposal: Proposal) -> Moved | None:
        trial = proposal.trial(self.size)
        return None if trial is None else Moved(iterate.ground.at(trial.u, trial.p), trial.predicted)


class Armijo:
    """The largest tried size whose decrease is at least ``sufficient`` times the predicted one.

    Starts from the size that the proposal suggests, else from the last accepted one times ``grow``, and shrinks it by
    ``shrink``; a sweep that fails is a step too long. Gives up where less than ``least`` times the gap is left to gain.
    """

    def __init__(self, *, size: float, sufficient: float, shrink: float, grow: float, least: float = 0.0) -> None:
        self.size, self.sufficient, self.shrink, self.grow = size, sufficient, shrink, grow
        self.least = least

    def __call__(self, iterate: Iterate, proposal: Proposal) -> Moved | None:
        size = min(self.size if proposal.suggested is None else proposal.suggested, proposal.largest)
        while (trial := proposal.trial(size)) is not None and trial.predicted >= self.least * proposal.gap:
            try:
                following = iterate.ground.at(trial.u, trial.p)
            except SweepFailed:
                following = None
            if following is not None and following.cost <= iterate.cost - self.sufficient * trial.predicted:
                self.size = min(self.grow * size, proposal.largest)
                return Moved(following, trial.predicted)
            size *= self.shrink
        return None


class AdaptivePenalty:
    """The rule of the sequential quadratic Hamiltonian method: proposals are sized by the inverse of a penalty.

    A trial u⁺ is accepted where J falls by at least ``sufficient`` ‖u⁺ − u‖² in function space; then the penalty is
    multiplied by ``relax`` < 1. Otherwise it is multiplied by ``tighten`` > 1 and the proposal asked again.
    Source: Breitenbach and Borzì, J. Optim. Theory Appl. 183 (2019), algorithm 1.
    """

    LARGEST = 1e16

    def __init__(self, *, penalty: float, sufficient: float, tighten: float, relax: float) -> None:
        self.penalty, self.sufficient, self.tighten, self.relax = penalty, sufficient, tighten, relax

    def __call__(self, iterate: Iterate, proposal: Proposal) -> Moved | None:
        in_u, in_p = iterate.ground.metric
        while self.penalty <= self.LARGEST:
            trial = proposal.trial(1.0 / self.penalty)
            if trial is None:
                return None
            distance = np.sum(in_u * (trial.u - iterate.u) ** 2) + np.sum(in_p * (trial.p - iterate.p) ** 2)
            try:
                following = iterate.ground.at(trial.u, trial.p)
            except SweepFailed:
                following = None
            if following is not None and following.cost < iterate.cost - self.sufficient * float(distance):
                self.penalty *= self.relax
                return Moved(following, trial.predicted)
            self.penalty *= self.tighten
        return None
