"""The componentwise reachable box of one sample at its horizon: proven bounds, and which of them a control attains.

The bounds are those of the comparison system, in which hi_i is driven by whichever ends of the other neurons suit it
best. One control attains hi_i where these wishes can be granted at once: hi_i wants, of each neuron j, hi_j or lo_j
throughout, these ends want ends in turn, and no neuron is wanted at both. Then the state with θ_j = ±1 accordingly *is*
the bound. So it is for one neuron (two scalar equations), and where all wish for the same ends (Kamke's condition).
Where wishes clash, as where a neuron at lo_i would have others large of which each wants it at hi_i, the bound is
outer only, and the largest x_i(T) that was found bounds from inside.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2; Walter, "Differential and
Integral Inequalities", section II.12.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.reachability.comparison import Comparison, reachable_box
from ocdl.analysis.reachability.search import Steps, searched, starts
from ocdl.analysis.reachability.stated import TOLERANCE, Sample, one_sample
from ocdl.arrays import Array
from ocdl.solving.compile import Problem
from ocdl.statement.width import Width

LOW, HIGH = 0, 1
WISHES = 256  # steps over which they are read
BOUND = 1024  # steps of the bounds
LAYERS, EACH, SEARCHES = 6, 4, 5


@dataclass(frozen=True, eq=False)
class ReachableBox:
    """low, high (M,): proven bounds of x(T). attained (2, M): the least and largest x_i(T) of simulated controls.

    controls: for each end, of the least and then of the largest x_i, M pairs (times, rows).
    findings: for each end, of the least and then of the largest x_i, whether one control attains the bound.
    """

    low: Array
    high: Array
    attained: Array
    controls: tuple[tuple[tuple[Array, Array], ...], ...]
    findings: tuple[tuple[Finding, ...], ...]

    @property
    def exact(self) -> Array:
        """(2, M): the bound is proven to be attained, to the accuracy of its integration."""
        return np.array([[finding.applies for finding in row] for row in self.findings])

    @property
    def gap(self) -> Array:
        """(2, M): between what is proven and what is attained."""
        return np.abs(np.stack([self.low, self.high]) - self.attained)


def componentwise(problem: Problem, width: Width | None = None) -> ReachableBox:
    """The box of all x(T) that controls of one sample can reach; problem and width as in ``reachable``."""
    sample = one_sample("componentwise", problem, width)
    bounds = np.stack(reachable_box(sample.box, sample.x0, sample.horizon, BOUND))
    coarse = np.stack(reachable_box(sample.box, sample.x0, sample.horizon, BOUND // 4))
    wishes = _wishes(sample)
    M = sample.box.width
    attained, controls, findings = np.empty((2, M)), [], []
    for end in (LOW, HIGH):
        rows = []
        for i in range(M):
            theta = _granted(wishes, end, i)
            given = _sought(sample, end, i, float(bounds[end, i])) if theta is None else theta
            pieces = sample.pieces(given)
            attained[end, i] = sample.simulated(pieces)[i]
            slack = float(np.abs(bounds - coarse)[end, i]) + 100.0 * TOLERANCE
            gap = float(np.abs(bounds[end, i] - attained[end, i]))
            rows.append((pieces, _finding(end, i, theta is not None, gap, slack)))
        controls.append(tuple(pieces for pieces, _ in rows))
        findings.append(tuple(finding for _, finding in rows))
    return ReachableBox(bounds[LOW], bounds[HIGH], attained, tuple(controls), tuple(findings))


def _wishes(sample: Sample) -> Array:
    """What hi_i and lo_i want of neuron j: (2, M, M, 2), whether it ever wants lo_j, and whether it ever wants hi_j."""
    tube = Comparison(sample.box).tube(sample.x0, sample.x0, sample.horizon, WISHES)
    low, high = tube.nodes
    found = []
    for split, sign in zip(sample.extremes.splits, (-1.0, 1.0), strict=True):
        at_low, at_high = (
            sign * (split.rising[..., None] * np.maximum(f, 0.0) + split.falling[..., None] * np.minimum(f, 0.0))
            for f in (low, high)
        )
        tie = 1e-9 * (1.0 + np.abs(at_low) + np.abs(at_high))  # both ends begin at x^0
        found.append(np.stack([(at_low > at_high + tie).any(axis=2), (at_high > at_low + tie).any(axis=2)], axis=-1))
    return np.stack(found)


def _granted(wishes: Array, end: int, i: int) -> Array | None:
    """ϑ (1, M) that grants all wishes of this end, and of those it wants; None where they clash."""
    ends, waiting = {i: end}, [i]
    while waiting:
        k = waiting.pop()
        for j in range(wishes.shape[1]):
            wanted = [e for e in (LOW, HIGH) if wishes[ends[k], k, j, e]] if j != k else []
            if len(wanted) == 2 or (wanted and ends.get(j, wanted[0]) != wanted[0]):
                return None
            if wanted and j not in ends:
                ends[j] = wanted[0]
                waiting.append(j)
    return np.array([[1.0 if ends.get(j, HIGH) == HIGH else -1.0 for j in range(wishes.shape[1])]])


def _sought(sample: Sample, end: int, i: int, bound: float) -> Array:
    """ϑ (layers, M) that brings x_i(T) as close to its bound as a search finds, pushed to ±1 where that helps."""
    steps = Steps(sample.extremes, sample.x0, sample.horizon, LAYERS, EACH)
    aim = np.full((SEARCHES, sample.box.width), np.nan)
    aim[:, i] = bound
    theta = np.tanh(searched(steps, aim, starts(SEARCHES, LAYERS, sample.box.width))[0])
    every = np.concatenate([theta, np.sign(theta)])
    x = steps.states(every)[-1, :, i]
    return np.asarray(every[np.argmax(x if end == HIGH else -x)])


def _finding(end: int, i: int, granted: bool, gap: float, slack: float) -> Finding:
    name = f"{'largest' if end == HIGH else 'least'} x_{i + 1}(T)"
    return Finding(
        f"The comparison bound of the {name} is attained where its wishes do not clash (Müller; Walter, II.12)",
        (
            Hypothesis.declared("each neuron is wanted at one and the same end throughout", granted),
            Hypothesis("minus the distance of the simulated state from the bound", -gap, 0.0, slack),
        ),
        f"the bound is the {name}, and θ = ±1 attains it",
    )
