"""Values at the nodes of a grid: the terminal loss, where value iteration begins, and what the user tabulates."""

from __future__ import annotations

from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import finite_array
from ocdl.callables import called
from ocdl.errors import InvalidInput
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.grids.interpolation import interpolate, linear_weights, weights_on
from ocdl.statement.problem import ControlProblem

Array = NDArray[np.float64]


def terminal_values(problem: ControlProblem, grid: StateGrid) -> Array:
    """Σ_s ω_s ℓ_s at every node of a grid of the states of all samples, one sample after the other."""
    if problem.samples == 1:
        return _sample_values(problem, grid, 0)
    n, total = problem.n, np.zeros(grid.shape)
    for s, weight in enumerate(np.asarray(problem.weights)):
        own = _sample_values(problem, StateGrid(grid.axes[s * n : (s + 1) * n]), s)
        total += weight * own.reshape(*(1,) * (s * n), *own.shape, *(1,) * (grid.dimension - (s + 1) * n))
    return total


def given_values(option: str, given: Any, grid: StateGrid, fine: StateGrid) -> Array:
    """An array of the ``fine`` grid's shape, read off at the nodes of the ``grid``, or a function of states x (..., D)
    evaluated there; empty where None is given.
    """
    if given is None:
        return np.zeros(0)
    said = f"ValueIteration({option}=...)"
    states = grid.states()
    of, found = fine, given
    if callable(given):
        of, found = grid, called(said, f"x of shape {states.shape}", given, states)
    table = finite_array(said, found)
    if table.shape != of.shape:
        raise InvalidInput(f"{said}: values of shape {of.shape} are needed, one at every node; got {table.shape}.")
    if of is grid:
        return table.copy()
    x = fine.inside(states.reshape(-1, grid.dimension))
    return interpolate(table, weights_on(fine, linear_weights, x)).reshape(grid.shape)


def _sample_values(problem: ControlProblem, grid: StateGrid, sample: int, block: int = 4096) -> Array:
    """The terminal loss of one sample at every node of its own states.

    A loss without mixed derivatives is a sum over the axes, ℓ(x) = ℓ(r) + Σ_i [ℓ(r with r_i = x_i) − ℓ(r)], and costs
    a line of values for each; any other is evaluated in blocks of one size, for which CasADi builds one function.
    """
    if problem.n == 1:
        return problem.terminal_loss(grid.axes[0][:, None], sample=sample)
    values = np.empty(grid.shape)
    if _separable(problem, sample):
        middle = 0.5 * (grid.lower + grid.upper)
        base = float(problem.terminal_loss(middle, sample=sample))
        values[...] = base
        for i, axis in enumerate(grid.axes):
            line = np.tile(middle, (axis.size, 1))
            line[:, i] = axis
            values += (problem.terminal_loss(line, sample=sample) - base).reshape(-1, *(1,) * (grid.dimension - 1 - i))
        return values
    flat, shape = values.reshape(-1), grid.shape
    size = min(block, flat.size)
    for k in range(0, flat.size, size):
        first = min(k, flat.size - size)  # the last block overlaps
        index = np.unravel_index(np.arange(first, first + size), shape)
        states = np.stack([axis[i] for axis, i in zip(grid.axes, index, strict=True)], axis=-1)
        flat[first : first + size] = problem.terminal_loss(states, sample=sample)
    return values


def _separable(problem: ControlProblem, sample: int) -> bool:
    """Whether ∂ℓ/∂x_i depends on x_i alone, for every i."""
    x = ca.SX.sym("x", problem.n)
    loss = problem.terminal_function(x, np.zeros(problem.P), np.asarray(problem.data)[sample])[0]
    slope = ca.gradient(loss, x)
    others = [ca.vertcat(*(x[j] for j in range(problem.n) if j != i)) for i in range(problem.n)]
    return not any(ca.depends_on(slope[i], rest) for i, rest in enumerate(others))
