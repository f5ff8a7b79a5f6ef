"""Is a target reachable, and by which controls? A verdict with a certificate either way, for one sample.

Yes: a curve from x^0 to the target whose velocities all lie in the velocity box (``curves``), and rank-one controls,
constant on few pieces, that ``simulate`` has carried out. No: no trajectory passes from x^0 to the target
(``corridor``). Unknown: neither was found.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2 and Remark 4.1: where a target is
reachable, the costate of an optimal control vanishes, and the maximum principle says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from ocdl.analysis.findings import Finding, Hypothesis
from ocdl.analysis.reachability.comparison import reachable_box
from ocdl.analysis.reachability.corridor import Corridor
from ocdl.analysis.reachability.curves import Curve
from ocdl.analysis.reachability.search import LAST, Steps, searched, starts
from ocdl.analysis.reachability.stated import Sample, one_sample
from ocdl.arrays import Array, is_whole
from ocdl.errors import InvalidInput
from ocdl.solving.compile import Problem
from ocdl.statement.width import Width

EACH = 4  # Runge–Kutta steps of a layer in the search
CORNERS = (40, 320)  # of a curve, for each layer
CLOSE, GAIN = 1e-9, 0.8  # controls are corrected until they end so close, or gain too little
HALF_WIDTHS = 40  # tried for a margin, each half the one before


class Verdict(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Reachability:
    """What is known of a target (M,), and why.

    margin: all targets within it, in each component, have the same verdict; 0 where it is unknown.
    controls: (times, rows) for ``simulate``, constant on each piece, the closest that were found; ``distance``: from
        the target, Euclidean, of the end of their simulation at a tolerance of 1e-11.
    curve: to the target, of velocities inside the velocity box, where the verdict is yes. finding: the certificate.
    """

    verdict: Verdict
    target: Array
    margin: float
    distance: float
    controls: tuple[Array, Array]
    curve: Curve | None
    finding: Finding

    def __str__(self) -> str:
        return f"{self.verdict} within {self.margin:.2g}, nearest end {self.distance:.2g} away\n{self.finding}"


def reachable(
    problem: Problem,
    width: Width | None = None,
    target: Any = None,
    *,
    layers: int = 8,
    steps: int = 128,
    searches: int = 16,
    halvings: int = 6,
) -> Reachability:
    """Whether the state of one sample can be ``target`` at the horizon, whatever the controls in their box.

    problem: one sample, increasing σ and a finite box of controls. width: that of a SelectionProblem. target: (M,), a
    function of the nodes, or a number; that of the problem by default. layers: on which controls are sought, from
    ``searches`` starts. steps: of the corridor that excludes; halvings: how often what is left of it is cut in two.
    Raises NotSupported where the sample has no velocity box, or bounds on its states.
    """
    counts = {"layers": layers, "steps": steps, "searches": searches, "halvings": halvings}
    for name, value in counts.items():
        if not (is_whole(value) and value >= (name != "halvings")):
            raise InvalidInput(f"reachable({name}={value!r}): a positive whole number is needed.")
    sample = one_sample("reachable", problem, width)
    c = sample.target(target)
    phi, controls, distance = _nearest(sample, c, layers, searches)
    outside, excluding = _margin_of_no(sample, c, steps, 0)
    if excluding is None and (curve := _curve(sample, c, phi, layers)) is not None:
        return Reachability(Verdict.YES, c, curve.margin, distance, controls, curve, _reached(curve))
    if excluding is None:
        outside, excluding = _margin_of_no(sample, c, steps, halvings)
    if excluding is None:
        gap = float(Corridor.from_start(sample.extremes, sample.x0, sample.horizon, steps).to(c[None], c[None]).gap[0])
        return Reachability(Verdict.UNKNOWN, c, 0.0, distance, controls, None, _open(distance, gap))
    return Reachability(Verdict.NO, c, outside, distance, controls, None, excluding)


def _nearest(sample: Sample, c: Array, layers: int, searches: int) -> tuple[Array, tuple[Array, Array], float]:
    """φ (searches, layers, M) of all searches, and of the nearest the controls and the distance of their simulation.

    The search goes on with what its few steps are wrong by put right, until the simulation ends at the target.
    """
    steps, tried = Steps(sample.extremes, sample.x0, sample.horizon, layers, EACH), []
    phi, off = searched(steps, np.repeat(c[None], searches, axis=0), starts(searches, layers, c.size))
    one, near = phi[[int(np.argmin(off))]], CLOSE * (1.0 + float(np.abs(c).max()))
    while True:
        controls = sample.pieces(np.tanh(one[0]))
        end = sample.simulated(controls)
        tried.append((float(np.linalg.norm(end - c)), controls))
        if tried[-1][0] <= near or (len(tried) > 1 and tried[-1][0] > GAIN * tried[-2][0]):
            break
        wrong = end - steps.states(np.tanh(one))[-1, 0]
        one, _ = searched(steps, (c - wrong)[None], one, LAST)
    distance, controls = min(tried, key=lambda pair: pair[0])
    return phi, controls, distance


def _curve(sample: Sample, c: Array, phi: Array, layers: int) -> Curve | None:
    """Of the curves near what was found the one with most slack, if that is enough."""
    for each in CORNERS:
        steps = Steps(sample.extremes, sample.x0, sample.horizon, layers, each)
        states = steps.states(np.tanh(phi))
        curves = [Curve.through(sample.extremes, steps.times, states[:, s], c) for s in range(len(phi))]
        best = max(curves, key=lambda curve: curve.slack)
        if best.slack >= -best.rounding:
            return best
    return None


def _margin_of_no(sample: Sample, c: Array, steps: int, halvings: int) -> tuple[float, Finding | None]:
    """The largest half-width, of those tried, of a box of targets that is proven out of reach, and why."""
    low, high = reachable_box(sample.box, sample.x0, sample.horizon)
    outside = float(np.max(np.maximum(c - high, low - c)))
    if outside > 0.0:
        return outside, _excluded("the comparison system", outside)
    by = f"a corridor in up to {2**halvings} parts" if halvings else "a corridor to the target"
    every = Corridor.from_start(sample.extremes, sample.x0, sample.horizon, steps)
    if not every.excludes(c, c, halvings):
        return 0.0, None
    for margin in float(np.max(high - low)) * 0.5 ** np.arange(1, HALF_WIDTHS):
        if every.excludes(c - margin, c + margin, halvings):
            return float(margin), _excluded(by, float(margin))
    return 0.0, _excluded(by, 0.0)


SOURCE = "Liu and Markowich, section 4.2"


def _reached(curve: Curve) -> Finding:
    inside = Hypothesis("σ(s⁻(y)) ≤ ẏ ≤ σ(s⁺(y)) along a polygon y to the target", curve.slack, 0.0, curve.rounding)
    return Finding(
        f"What moves with attainable velocities is a trajectory ({SOURCE}; Filippov 1962)",
        (Hypothesis.declared("the attainable velocities of one sample are a box (σ increasing)", True), inside),
        "the target is reached",
    )


def _excluded(by: str, margin: float) -> Finding:
    return Finding(
        f"Every trajectory stays between the bounds of {by} (Müller 1927; {SOURCE})",
        (
            Hypothesis.declared("the attainable velocities of one sample are a box (σ increasing)", True),
            Hypothesis("no state within this distance of the target is between the bounds", margin),
        ),
        "the target is out of reach",
    )


def _open(distance: float, gap: float) -> Finding:
    return Finding(
        f"Neither a curve to the target nor an empty corridor was found ({SOURCE})",
        (
            Hypothesis("minus the distance from the target of the nearest end that was found", -distance),
            Hypothesis("minus the width of the corridor where it is narrowest", gap),
            Hypothesis.declared("one of the two is proven", False),
        ),
        "whether the target is reached",
    )
