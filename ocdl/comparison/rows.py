"""The figures of a comparison: one row a method, one difference a pair, one failure where there is no solution."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why a method has no solution: a short ``status``, its own words, and the exception where there was one."""

    status: str
    message: str
    error: BaseException | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table; None where a method has no such figure.

    cost, gap, feasibility: the referee's. excess, relative: over the best cost, absolute and as a fraction.
    claimed: the cost the route itself reports (V(f_I, 0) for value iteration). own_costate: maximum distance of the
    costate it reports (multipliers, ∇V) from the referee's, or from satisfying the adjoint equation, in function space.
    """

    method: str
    cost: float | None = None
    excess: float | None = None
    relative: float | None = None
    gap: float | None = None
    gap_is_exact: bool | None = None
    feasibility: float | None = None
    claimed: float | None = None
    own_costate: float | None = None
    seconds: float | None = None
    status: str = ""
    message: str = ""


@dataclass(frozen=True)
class Difference:
    """How far two solutions lie apart: maximum over depth, samples and width; ``controls_mean``: their mean."""

    first: str
    second: str
    state: float
    costate: float
    controls: float
    controls_mean: float
