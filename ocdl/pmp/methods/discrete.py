"""Discrete networks: controls from a finite set, by the maximum principle, which needs no derivative in u.

H separates over the neurons. On every layer a neuron's controls are improved one by one, in turn, each to the value of
the finite set with the least H, all others held, until none changes: a needle. As many needles as lower the cost are
taken; where none does, single controls are changed one at a time, in the order of what H predicts.
Source: Li, Chen, Tai and E, J. Mach. Learn. Res. 18 (2018), sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import finite_array, is_whole
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.loop import Move, Moved, Update, descend
from ocdl.pmp.moves.quasi_newton import AllControls, Polish
from ocdl.pmp.moves.steps import Armijo
from ocdl.pmp.options import check_count, check_number
from ocdl.pmp.updates.needles import Needles
from ocdl.referee.outcome import Outcome
from ocdl.solving.method import Method, Start
from ocdl.statement.bounds import Box
from ocdl.statement.control_set import ControlSet, Finite
from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.sweeper import SweepFailed

Array = NDArray[np.float64]

PASSES = 5
BINARY = (-1.0, 1.0)


@dataclass(frozen=True)
class DiscreteNeedleSteps(Method):
    """Every control takes one of finitely many ``values``; needles on the Hamiltonian, then single exchanges.

    values: one finite set for all controls, e.g. ``(-1, 1)``, or one for each by name, e.g.
        ``{"a": (-1, 0, 1), "b": (-1, 1)}``; within the problem's box or its own finite set. By default that set, else
        (−1, 1). The start is rounded to the nearest values, ties
        by lot (``seed``). Trained parameters stay continuous: L-BFGS-B moves them.
    exchanges: how many single changes are tried at most where no set of needles lowers the cost.

    Every step lowers the cost. ``gap`` in the history is Σ h [H(u) − H(best found in the finite set)]; on layers of
    finite width it need not vanish, and a solve that no tried change can improve ends STALLED. The referee's gap is
    over the hull of the values, which for one sample is the same. Running costs in the controls are NotSupported.
    """

    control_sets: ClassVar[tuple[type[ControlSet], ...]] = (Finite,)

    values: Mapping[str, Sequence[float]] | Sequence[float] | None = None
    exchanges: int = 200
    seed: int = 0
    max_iterations: int = 500
    tolerance: float = 1e-9
    parameter_iterations: int = field(default=50)

    def __post_init__(self) -> None:
        for name in ("exchanges", "max_iterations", "parameter_iterations"):
            check_count(self.name, name, getattr(self, name))
        check_number(self.name, "tolerance", self.tolerance, 0.0, float("inf"), "the tolerance must be positive")
        if not is_whole(self.seed) or self.seed < 0:
            raise InvalidInput(f"{self.name}(seed={self.seed!r}): a seed is a whole number, at least 0.")
        for given in self._sets():
            numbers = finite_array(f"{self.name}(values=...)", given)
            if numbers.ndim != 1 or np.unique(numbers).size < 2:
                raise InvalidInput(f"{self.name}(values={self.values!r}): at least two different numbers are needed.")

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        if problem.has_running_cost:
            raise NotSupported(f"{self.name}: running costs and regularisers are not supported.")
        if problem.m == 0:
            raise NotSupported(f"{self.name}: it chooses values of controls, and this problem has none; use LBFGSB.")
        ground = Ground(problem, depth)
        allowed = _allowed(self.name, problem, self.values)
        set_ = _finite(problem, allowed)
        generator = np.random.default_rng(self.seed)
        u = np.column_stack(
            [_rounded(column, set_, generator) for column, set_ in zip(start.u.T, allowed, strict=True)]
        )
        moves: list[Move] = [Armijo(size=1.0, sufficient=1e-3, shrink=0.5, grow=2.0)]
        if problem.P:
            moves.append(Polish(lambda at, _: _parameters(at), self.parameter_iterations, 20, self.tolerance))
        moves.append(Exchanges(allowed, self.exchanges))
        outcome = descend(
            self.name,
            ground,
            Start(u, start.p),
            discrete_needles(allowed),
            moves,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            progress=progress,
        )
        own = problem.control_set is not None and problem.control_set == set_
        return outcome if own else replace(outcome, judge=replace(_hull(problem, allowed), control_set=set_))

    def _sets(self) -> list[Sequence[float]]:
        if self.values is None:
            return []
        return list(self.values.values()) if isinstance(self.values, Mapping) else [self.values]


def _allowed(
    name: str, problem: ControlProblem, values: Mapping[str, Sequence[float]] | Sequence[float] | None
) -> list[Array]:
    """The finite set of every control."""
    assert problem.layout is not None
    parts, (low, high) = problem.layout.controls, problem.control_box
    own = dict(problem.control_set.values) if isinstance(problem.control_set, Finite) else None
    given = values if values is not None else own or BINARY
    if isinstance(given, Mapping) and set(given) != {part.name for part in parts}:
        raise InvalidInput(
            f"{name}(values=...): sets for {[part.name for part in parts]} are needed; got {list(given)}."
        )
    by_part = {part.name: given[part.name] if isinstance(given, Mapping) else given for part in parts}
    for part, numbers in by_part.items():
        if own is not None and not set(np.asarray(numbers, dtype=float)) <= set(own[part]):
            raise InvalidInput(f"{name}(values={values!r}): not all of {part} are in {problem.control_set!r}.")
    sets = [np.unique(np.asarray(by_part[part.name], dtype=float)) for part in parts for _ in range(part.size)]
    for set_, least, most in zip(sets, low, high, strict=True):
        if set_[0] < least or set_[-1] > most:
            raise InvalidInput(f"{name}(values={values!r}): a value lies outside the box [{least:g}, {most:g}].")
    return sets


def _finite(problem: ControlProblem, allowed: list[Array]) -> Finite:
    """The values by name, of all controls of one name together."""
    assert problem.layout is not None
    ends = np.cumsum([part.size for part in problem.layout.controls])[:-1]
    groups = np.split(np.arange(len(allowed)), ends)
    named = zip(problem.layout.controls, groups, strict=True)
    return Finite(
        **{part.name: np.unique(np.concatenate([allowed[i] for i in group])).tolist() for part, group in named}
    )


def _hull(problem: ControlProblem, allowed: list[Array]) -> ControlProblem:
    """The problem with every control between its least and its largest value.

    For one sample and increasing σ the least H over the values is that over their hull, attained at its ends.
    """
    low, high = np.array([set_[0] for set_ in allowed]), np.array([set_[-1] for set_ in allowed])
    bounds = Box(u=(low, high), p=problem.bounds.interval("p", (problem.own_parameters,)))
    box = problem.velocity_box
    if box is not None:
        (a, b), (a_high, b_high) = (tuple(problem.unpack(end).values()) for end in (low, high))
        box = replace(box, a_lower=a, a_upper=a_high, b_lower=b, b_upper=b_high)
    return replace(problem, bounds=bounds, velocity_box=box)


def _rounded(column: Array, values: Array, generator: np.random.Generator) -> Array:
    distance = np.abs(column[:, None] - values)
    nearest = np.isclose(distance, distance.min(axis=1, keepdims=True), rtol=0.0, atol=1e-12)
    return np.array(values[np.argmax(nearest * generator.uniform(0.5, 1.0, nearest.shape), axis=1)])


def _parameters(iterate: Iterate) -> AllControls:
    return AllControls(iterate, np.zeros(0, dtype=np.intp))


def discrete_needles(allowed: list[Array]) -> Update:
    """The update that proposes, neuron by neuron, the best controls found in the finite sets."""

    def propose(iterate: Iterate) -> Needles:
        ground = iterate.ground
        groups, owner = ground.law.separated.groups, ground.law.separated.owner

        def hamiltonian(u: Array) -> Array:
            rates = ground.sweeper.rates(iterate.trajectory, u, iterate.p)
            by_rate = np.einsum("kisn,kisn->kn", iterate.stage_costates, rates)
            value = np.zeros((len(u), len(groups)))
            np.add.at(value.T, owner, by_rate.T)
            return value

        in_force = least = hamiltonian(iterate.u)
        best = iterate.u.copy()
        for _ in range(PASSES):
            before = least
            for place in groups.T:
                for choice in range(max(allowed[j].size for j in place)):
                    trial = best.copy()
                    trial[:, place] = [allowed[j][min(choice, allowed[j].size - 1)] for j in place]
                    value = hamiltonian(trial)
                    better = value < least - 1e-15 * (1.0 + np.abs(least))
                    best[:, place] = np.where(better, trial[:, place], best[:, place])
                    least = np.where(better, value, least)
            if np.array_equal(before, least):
                break
        of = np.empty(ground.problem.m, dtype=np.intp)
        of[groups] = np.arange(len(groups))[:, None]
        measure = np.broadcast_to(ground.sweeper.h[:, None], least.shape)
        return Needles(iterate, best, in_force - least, measure, of)

    return propose


@dataclass(frozen=True)
class Exchanges:
    """The first single change that lowers the cost, in the order of the linear prediction, of the first ``tries``."""

    allowed: list[Array]
    tries: int

    def __call__(self, iterate: Iterate, proposal: Needles) -> Moved | None:
        slope = iterate.adjoint.gradient_u
        changes = [
            (float(slope[k, j] * (value - iterate.u[k, j])), k, j, value)
            for k in range(len(iterate.u))
            for j, values in enumerate(self.allowed)
            for value in values
            if value != iterate.u[k, j]
        ]
        for predicted, k, j, value in sorted(changes)[: self.tries]:
            u = iterate.u.copy()
            u[k, j] = value
            try:
                following = iterate.ground.at(u, iterate.p)
            except SweepFailed:
                continue
            if following.cost < iterate.cost:
                return Moved(following, max(-predicted, 0.0))
        return None
