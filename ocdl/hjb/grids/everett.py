"""V between two nodes of a line, and its least value between them: the formulas of the split scheme, written once.

``before``, ``p``, ``q``, ``after`` are the bends δ²V at the node before the cell, at its two nodes ``left`` and
``right``, and at the node after it. The heuristics are told in ``sweeps``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ocdl.hjb.grids.arithmetic import choose, larger, smaller

SPIKE = 0.75  # share of one bend in the moduli of four from which on V' has a kink at its node
KINKED = 0.93  # between √½, what √|p − before| + √|after − q| over √|jump| is at a kink of V'', and √(4/3) elsewhere


def spiked(before: Any, p: Any, q: Any, after: Any) -> Any:
    """Whether one of four bends outweighs the others."""
    largest = larger(larger(abs(before), abs(p)), larger(abs(q), abs(after)))
    return largest > SPIKE * ((abs(before) + abs(p)) + (abs(q) + abs(after)))


def spared(before: Any, p: Any, q: Any, after: Any) -> Any:
    """The bends p and q where one of four outweighs the others: if it is one of the two, the other in its place."""
    largest = larger(larger(abs(before), abs(p)), larger(abs(q), abs(after)))
    return choose(abs(p) == largest, q, p), choose((abs(q) == largest) & (abs(p) != largest), p, q)


def everett(s: Any, left: Any, right: Any, p: Any, q: Any, fourth_left: Any, fourth_right: Any) -> Any:
    """The interpolant of sixth order at left + s (Everett's form), with the fourth differences at both nodes."""
    u = 1.0 - s
    ss, uu = s * s, u * u
    found = left + s * (right - left) + u * (uu - 1.0) / 6.0 * (p + (uu - 4.0) / 20.0 * fourth_left)
    return found + s * (ss - 1.0) / 6.0 * (q + (ss - 4.0) / 20.0 * fourth_right)


def limited(found: Any, s: Any, left: Any, right: Any, p: Any, q: Any) -> Any:
    """``found`` within the range of the two nodes and a parabola between them whose bend is the harmonic mean of p
    and q, weighted as by the cubic; zero where their signs differ."""
    agree = p * q > 0.0
    bend = choose(agree, 3.0 * p * q, 0.0) / choose(agree, (2.0 - s) * q + (1.0 + s) * p, 1.0)
    parabola = left + s * (right - left) - 0.5 * s * (1.0 - s) * bend
    least, most = smaller(smaller(left, right), parabola), larger(larger(left, right), parabola)
    return smaller(larger(found, least), most)


def dip(low: Any, high: Any, left: Any, right: Any, before: Any, p: Any, q: Any, after: Any) -> Any:
    """The least value between left + low and left + high; infinite where V does not turn in the cell.

    The bends tell a kink of V'' at s = θ: for two parabolas that touch there, p − before = ½ jump (1 − θ)² and
    after − q = ½ jump θ². Otherwise the cell is one parabola with the harmonic mean of p and q.
    """
    rise, leap = right - left, after - before
    near, far = np.sqrt(abs(p - before)), np.sqrt(abs(after - q))
    kinked = ((p - before) * leap >= 0.0) & ((after - q) * leap >= 0.0)
    kinked = kinked & (near + far > 0.0) & (near + far < KINKED * np.sqrt(abs(leap)))
    convex = (p > 0.0) & (q > 0.0)
    mean = 2.0 * p * q / choose(convex, p + q, 1.0)
    kink = choose(kinked, far, 0.0) / choose(kinked, near + far, 1.0)
    first, last, jump = choose(kinked, before, mean), choose(kinked, after, mean), choose(kinked, leap, 0.0)
    slope = rise - 0.5 * first - 0.5 * jump * (1.0 - kink) * (1.0 - kink)
    turns = (kinked | convex) & (slope < 0.0) & (slope + first + jump * (1.0 - kink) > 0.0)
    early = slope + first * kink >= 0.0
    s = choose(early, -slope, jump * kink - slope) / choose(turns, choose(early, first, last), 1.0)
    s = smaller(larger(s, low), high)
    beyond = larger(s - kink, 0.0)
    return choose(turns, left + s * (slope + 0.5 * first * s) + 0.5 * jump * beyond * beyond, np.inf)
