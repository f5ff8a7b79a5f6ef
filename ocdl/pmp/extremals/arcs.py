"""Arcs of a control: where it lies on a bound, where it is free, where it is singular, from an answer on a mesh.

A control rests on its lower or upper bound (bang), or lies between them: there H_u = 0 determines it where H is curved
in it (interior), and d²/dt² H_u = 0 where H is affine in it (singular). Single layers between two bangs round a switch,
which is set where it keeps the layer's mean. A run in which an affine control lies between its bounds, or its switching
function is negligible, is singular from ``LEAST`` layers on.
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi as ca
import numpy as np

from ocdl.arrays import Array
from ocdl.pmp.extremals.system import local_function, local_symbols
from ocdl.statement.problem import ControlProblem

ON_BOUND = 1e-3  # of the interval: a control that near lies on its bound
NEGLIGIBLE = 1e-3  # of its largest value: a switching function that small decides nothing
LEAST = 3  # layers of a singular arc

LOWER, UPPER, INTERIOR, SINGULAR = "lower", "upper", "interior", "singular"
BANG = (LOWER, UPPER)


@dataclass(frozen=True)
class Arc:
    """``control`` by name is ``kind`` from depth ``begin`` to ``end``: "lower" or "upper", on that bound; "interior",
    H_u = 0 where H is curved in it; "singular", d²/dt² H_u = 0 where H is affine in it.
    """

    control: str
    kind: str
    begin: float
    end: float


@dataclass(frozen=True, eq=False)
class Structure:
    """The arcs of all controls between common breaks: kinds of A arcs, a tuple of m words each, and their widths."""

    kinds: tuple[tuple[str, ...], ...]
    widths: Array

    def without(self, a: int) -> Structure:
        """The structure without arc ``a``, half of whose width goes to each neighbour."""
        kinds, widths = list(self.kinds), self.widths.copy()
        for neighbour in (a - 1, a + 1):
            widths[min(max(neighbour, 0), widths.size - 1)] += 0.5 * max(widths[a], 0.0)
        del kinds[a]
        widths = np.delete(widths, a)
        for b in reversed(range(1, len(kinds))):
            if kinds[b] == kinds[b - 1]:
                widths[b - 1] += widths[b]
                del kinds[b]
                widths = np.delete(widths, b)
        return Structure(tuple(kinds), widths * (float(self.widths.sum()) / float(widths.sum())))

    def arcs(self, names: tuple[str, ...], scale: float) -> tuple[Arc, ...]:
        """Control by control, arcs of the same kind joined; depths times ``scale``."""
        t, found = scale * np.append(0.0, np.cumsum(self.widths)), []
        for c, name in enumerate(names):
            begin = 0
            for a in range(1, len(self.kinds) + 1):
                if a == len(self.kinds) or self.kinds[a][c] != self.kinds[begin][c]:
                    found.append(Arc(name, self.kinds[begin][c], float(t[begin]), float(t[a])))
                    begin = a
        return tuple(found)


def structure(problem: ControlProblem, t: Array, u: Array, x: Array, costate: Array, p: Array) -> Structure:
    """The arcs of controls u (N, m), constant on layers between nodes t (N+1,), with x and costate (N+1, n) there."""
    affine = affine_controls(problem)
    gradient = _gradient(problem, t, u, x, costate, p)
    runs = [_runs(problem, c, t, u[:, c], gradient[:, c], affine[c]) for c in range(problem.m)]
    breaks = np.unique(np.concatenate([[begin for begin, _ in own] for own in runs]))
    kinds = tuple(tuple(_at(own, begin) for own in runs) for begin in breaks)
    return Structure(kinds, np.diff(np.append(breaks, t[-1])))


def affine_controls(problem: ControlProblem) -> list[bool]:
    """Whether H is affine in each control."""
    symbols, _, H = local_symbols(problem)
    curvature = ca.hessian(H, symbols["u"])[0].sparsity()
    return [not curvature.has_nz(c, c) for c in range(problem.m)]


def _gradient(problem: ControlProblem, t: Array, u: Array, x: Array, costate: Array, p: Array) -> Array:
    """H_u in the middle of every layer, (N, m)."""
    symbols, _, H = local_symbols(problem)
    slope = local_function("slope", symbols, [ca.gradient(H, symbols["u"])])
    middle = [0.5 * (values[1:] + values[:-1]) for values in (t, x, costate)]
    given = middle[0][None], middle[1].T, u.T, np.tile(p[:, None], (1, u.shape[0])), middle[2].T
    return np.asarray(slope.map(u.shape[0])(*given).full().T)


def _runs(
    problem: ControlProblem, c: int, t: Array, u: Array, gradient: Array, affine: bool
) -> list[tuple[float, str]]:
    """(begin, kind) of the arcs of one control, in order."""
    low, high = (float(end[c]) for end in problem.control_box)
    width = high - low if np.isfinite(high - low) else 1.0 + float(np.max(np.abs(u)))
    place = np.where(u <= low + ON_BOUND * width, -1, np.where(u >= high - ON_BOUND * width, 1, 0))
    between = INTERIOR
    if affine:
        between = SINGULAR
        undecided = np.abs(gradient) <= NEGLIGIBLE * np.max(np.abs(gradient))
        place = np.where(undecided & (_width_of_runs((place == 0) | undecided) >= LEAST), 0, place)
    edges = np.flatnonzero(np.diff(place)) + 1
    pieces = list(zip(np.append(0, edges), np.append(edges, u.size), strict=True))
    words = {-1: LOWER, 0: between, 1: UPPER}
    found: list[tuple[float, str]] = []
    for begin, end in pieces:
        kind, at = words[int(place[begin])], float(t[begin])
        if kind == SINGULAR and end - begin < LEAST:
            if found and end < u.size:
                share = float(np.average((u[begin:end] - low) / width, weights=np.diff(t)[begin:end]))
                ahead = share if found[-1][1] == UPPER else 1.0 - share
                kind, at = words[int(place[end])], at + ahead * float(t[end] - t[begin])
            elif end < u.size:
                kind = words[int(place[end])]
            else:
                continue
        if not found or found[-1][1] != kind:
            found.append((at, kind))
    found = found or [(0.0, between)]
    return [(0.0, found[0][1]), *found[1:]]


def _width_of_runs(mask: Array) -> Array:
    """For every entry the length of the run of equal entries that it lies in."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(mask.astype(int))) + 1, [mask.size]])
    return np.repeat(np.diff(edges), np.diff(edges))


def _at(runs: list[tuple[float, str]], depth: float) -> str:
    return [kind for begin, kind in runs if begin <= depth][-1]
