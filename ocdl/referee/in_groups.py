"""The first-order certificate of more samples than memory should hold trajectories of: one group after the other.

Cost, gradients and Hamiltonian are weighted means over the samples, violations the largest of all: with W_g the weight
of group g, J = Σ_g W_g J_g of the problems of these samples alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.schemes import DepthScheme
from ocdl.referee.certify import Verdict, certify
from ocdl.referee.stationarity import stationarity
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import Adjoint, SweepFailed

Array = NDArray[np.float64]

MANY = 30_000_000  # states at all stages, from which on trajectories are not kept
GROUP = 500_000  # of those of a group
KEPT = 1000  # samples whose states and costates are in the answer


def many(problem: ControlProblem, depth: DepthScheme) -> bool:
    """Whether the samples are so many, and nothing but their sums is asked for."""
    plain = not (problem.constraints or problem.free_initial) and problem.measurements is None
    return plain and problem.samples * _of_one(problem, depth) > MANY


def certified_in_groups(
    problem: ControlProblem, depth: DepthScheme, u: Array, p: Array
) -> tuple[ControlProblem, Verdict]:
    """The problem of the first samples, with the verdict on all of which theirs are the trajectories.

    Raises SweepFailed, which says among which samples.
    """
    kept = np.arange(min(KEPT, problem.samples))
    few = problem.on_samples(kept)
    shown = certify(few, depth, u, p, first_order=True)
    whole = reduce(_both, _groups(problem, depth, u, p))
    found = stationarity(problem, depth, u, p, whole.adjoint.gradient_u, whole.adjoint.gradient_p)
    return few, replace(
        whole,
        trajectory=shown.trajectory,
        adjoint=_with_costates(whole.adjoint, shown.adjoint, _weight(problem, kept)),
        stationarity=found,
        state_defect=shown.state_defect,
        costate_defect=shown.costate_defect,
    )


def _with_costates(whole: Adjoint, shown: Adjoint, weight: float) -> Adjoint:
    """The gradients of all samples, and the costates of those shown, which weigh so much."""
    curves = weight * shown.costate, weight * shown.stages
    return Adjoint(*curves, whole.gradient_u, whole.gradient_p, weight * shown.weighted)


def _weight(problem: ControlProblem, rows: NDArray[np.intp]) -> float:
    return float(np.sum(np.asarray(problem.weights)[rows]))


def _of_one(problem: ControlProblem, depth: DepthScheme) -> int:
    """States at all stages of one sample."""
    return depth.count * depth.tableau.stages * problem.n


def _groups(problem: ControlProblem, depth: DepthScheme, u: Array, p: Array) -> Iterator[Verdict]:
    """The verdict on every group, its means times the weight of the group."""
    S, size = problem.samples, max(1, GROUP // _of_one(problem, depth))
    for begin in range(0, S, size):
        rows = np.arange(begin, min(begin + size, S))
        try:
            verdict = certify(problem.on_samples(rows), depth, u, p, first_order=True)
        except SweepFailed as error:
            raise SweepFailed(f"of samples {begin} to {rows[-1]}, counted from {begin}: {error}") from None
        weight, adjoint = _weight(problem, rows), verdict.adjoint
        adjoint = replace(adjoint, gradient_u=weight * adjoint.gradient_u, gradient_p=weight * adjoint.gradient_p)
        yield replace(verdict, cost=weight * verdict.cost, hamiltonian=weight * verdict.hamiltonian, adjoint=adjoint)


def _both(one: Verdict, other: Verdict) -> Verdict:
    """What is summed and what is the largest of two groups; the rest of the second."""
    first, second = one.adjoint, other.adjoint
    adjoint = replace(
        second,
        gradient_u=first.gradient_u + second.gradient_u,
        gradient_p=first.gradient_p + second.gradient_p,
    )
    return replace(
        other,
        cost=one.cost + other.cost,
        hamiltonian=one.hamiltonian + other.hamiltonian,
        adjoint=adjoint,
        feasibility=max(one.feasibility, other.feasibility),
        violations={name: max(value, other.violations[name]) for name, value in one.violations.items()},
    )
