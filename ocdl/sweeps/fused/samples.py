"""The samples of a cost, read block by block: where their arrays are memory-mapped, no more of them is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocdl.statement.problem import ControlProblem
from ocdl.sweeps.fused.form import Terminal
from ocdl.sweeps.fused.terminal import terminal_form

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Initial states x_0 (S, n), data d (S, ·) and weights ω (S,) of samples, and what an error of theirs costs."""

    problem: ControlProblem
    x_0: Array
    d: Array
    omega: Array

    @classmethod
    def of(cls, problem: ControlProblem) -> Samples:
        """All of a problem."""
        return cls(problem, problem.x0, np.asarray(problem.data), np.asarray(problem.weights))

    @cached_property
    def terminal(self) -> Terminal:
        return terminal_form(self.problem)

    def blocks(self, size: int) -> Iterator[slice]:
        """All samples, so many at a time."""
        S = self.omega.size
        return (slice(begin, min(begin + size, S)) for begin in range(0, S, size))

    def initial(self, p: Array, block: slice) -> Array:
        """x_0 of a block, with the initial states that are free at p (P,)."""
        return self.x_0[block] if not self.problem.free_initial else self.problem.initial_states(p)[block]

    def moved_initial(self, dp: Array, block: slice) -> Array | None:
        """How that moves with p by dp; None where nothing is free."""
        problem = self.problem
        if not problem.free_initial:
            return None
        moved = np.zeros(self.x_0.shape)
        for k, place in enumerate(problem.free_initial, start=problem.own_parameters):
            moved[place] = dp[k]
        return moved[block]

    def add_free(self, in_p: Array, p_0: Array, block: slice) -> None:
        """Add the costates of the initial states that are free, parameters of single samples."""
        for k, (sample, i) in enumerate(self.problem.free_initial, start=self.problem.own_parameters):
            if block.start <= sample < block.stop:
                in_p[k] += p_0[sample - block.start, i]
