"""Networks on one grid after another, of given controls or trained each from the one before, and what lies between two.

A state and a control are functions of y and t: in y as the width's own basis says, constant in a layer. The distance of
two states is the largest at the nodes of the coarser depth, ‖·‖ in L²(Y); weakly, that of their ∫ f g dy for some g; of
two controls it is that in L² of y, z and t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import Array, finite_array
from ocdl.callables import called
from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import InvalidInput, NotSupported
from ocdl.referee.certify import FIRST_ORDER
from ocdl.referee.solution import Solution
from ocdl.solving.compile import Problem, compile, discretised
from ocdl.solving.guesses import guessed
from ocdl.solving.method import Method
from ocdl.solving.start import make_start
from ocdl.statement.problem import ControlProblem
from ocdl.statement.selection import Grid
from ocdl.statement.width import Width, intervals
from ocdl.sweeps.sweeper import Sweeper

TESTS = 4


@dataclass(frozen=True, eq=False)
class Level:
    """A network on one grid: nodes t (N+1,), states x (N+1, S, n), controls by name (N, *shape), cost.

    width, domain: None where the states are no function of y.
    """

    core: ControlProblem
    depth: DepthScheme
    width: Width | None
    domain: Any
    t: Array
    x: Array
    controls: Mapping[str, Array]
    p: Array
    cost: float

    @classmethod
    def of(cls, plan: tuple[Any, Any, ControlProblem, DepthScheme], u: Array, p: Array, x: Array, cost: float) -> Level:
        """Of a problem and its grid, with the finite-dimensional problem and the scheme that they make."""
        problem, grid, core, depth = plan
        if not isinstance(depth.controls, PiecewiseConstant):
            raise NotSupported(
                f"thermodynamic_limit: controls constant in each layer are needed; {depth!r} has others."
            )
        assert core.layout is not None
        width, domain = (grid.width, problem.domain) if isinstance(grid, Grid) else (None, None)
        t = np.asarray(core.times.at(depth.mesh(core.span), p))
        return cls(core, depth, width, domain, t, x, core.layout.unpack(core.layout.controls, u), p, cost)

    @property
    def layers(self) -> int:
        return len(self.t) - 1

    @property
    def weights(self) -> Array:
        """Of the inner product of states, (n,)."""
        return np.asarray(self.core.state_metric)

    @property
    def spacing(self) -> float:
        """The width of a cell, as a share of Y's; 1 where there is none."""
        return 1.0 if self.width is None else float(self.weights.size ** (-1.0 / len(intervals(self.domain))))

    @property
    def bound(self) -> float:
        """Σ ‖control‖_∞ + ‖f_I‖_∞, C_3 of (A2) and C_4 of (A3)."""
        return float(
            sum(np.max(np.abs(one), initial=0.0) for one in self.controls.values()) + np.max(np.abs(self.x[0]))
        )

    @property
    def varies(self) -> bool:
        """Whether the controls differ from layer to layer."""
        return any(bool(np.any(one[1:] != one[:-1])) for one in self.controls.values())

    def moments(self, tests: Callable[[Array], Any] | None) -> Array:
        """∫ f g dy at all nodes, (N+1, S, G), for the test functions g; of what is no function of y its entries."""
        if self.width is None:
            return self.x
        y = self.width.on(self.domain).points
        values = cosines(y, self.domain) if tests is None else called("tests", "the width nodes y", tests, y.copy())
        g = np.atleast_2d(finite_array("tests", values))
        if g.shape[1:] != self.weights.shape:
            raise InvalidInput(f"tests: values (G, M) at the {self.weights.size} nodes are needed; got {g.shape}.")
        return np.asarray((self.x * self.weights) @ g.T)

    def at(self, t: Array) -> Array:
        """States (K, S, n) at depths t (K,), linear between nodes."""
        return along(self.t, self.x, t)

    def onto(self, finer: Level) -> Array:
        """(n of the finer, n): nodal values there of the functions that nodal values here stand for."""
        if self.width is None or finer.width is None:
            return np.eye(self.weights.size)
        return self.width.interpolation(self.domain, finer.width.on(finer.domain).points)


def given(problem: Problem, grid: Grid | DepthScheme, controls: Any) -> Level:
    """The network of given controls, taken as they are: by name, or a function of the grid that returns them."""
    numbers = called("controls", f"{grid!r}", controls, grid) if callable(controls) else controls
    core, depth = discretised(problem, grid)
    begun = make_start(core, depth, None, None)
    assert core.layout is not None
    names = {part.name for part in core.layout.controls}
    if not isinstance(numbers, Mapping) or not names <= set(numbers):
        raise InvalidInput(f"thermodynamic_limit(controls=...): give all of {', '.join(sorted(names))} by name.")
    found = guessed(core, depth, numbers, begun, ("thermodynamic_limit", "controls"))
    states = Sweeper(core, depth).state(found.u, found.p)
    return Level.of((problem, grid, core, depth), found.u, found.p, states.x, np.nan)


def trained(
    problem: Problem, grid: Grid | DepthScheme, method: Method, start: Any, seed: int | None
) -> tuple[Level, Solution]:
    """The network of a trained solution, and that solution."""
    plan = compile(problem, grid, method)
    solution = plan.solve(start=start, seed=seed, certificate=FIRST_ORDER)
    answer = solution.answer
    assert answer is not None
    made = (problem, grid, plan.core, plan.depth)
    return Level.of(made, answer.u, answer.p, answer.x, solution.cost), solution


def apart(coarse: Level, fine: Level) -> float:
    """max over depths and samples of ‖f_coarse − f_fine‖."""
    difference = coarse.x @ coarse.onto(fine).T - fine.at(coarse.t)
    return float(np.sqrt(np.sum(fine.weights * difference**2, axis=-1)).max())


def weakly_apart(coarse: Level, fine: Level, tests: Callable[[Array], Any] | None) -> float:
    """max over depths, samples and test functions g of |∫ (f_coarse − f_fine) g dy|."""
    there = along(fine.t, fine.moments(tests), coarse.t)
    return float(np.abs(coarse.moments(tests) - there).max())


def controls_apart(coarse: Level, fine: Level) -> dict[str, float]:
    """Of every control the distance in L² of y, z and t, those of other dimensions summed."""
    cuts = np.union1d(coarse.t, fine.t)
    h, middle = np.diff(cuts), 0.5 * (cuts[:-1] + cuts[1:])
    rows = [np.clip(np.searchsorted(one.t, middle) - 1, 0, one.layers - 1) for one in (coarse, fine)]
    onto, found = coarse.onto(fine), {}
    assert coarse.core.layout is not None
    for part in coarse.core.layout.controls:
        old, new = coarse.controls[part.name], fine.controls[part.name]
        of_width = [axis for axis, dim in enumerate(part.dims, start=1) if dim in ("y", "z") and fine.width is not None]
        for axis in of_width:
            old = np.moveaxis(np.tensordot(onto, old, axes=(1, axis)), 0, axis)
        squares = (old[rows[0]] - new[rows[1]]) ** 2
        for axis in of_width:
            squares = squares * fine.weights.reshape([-1 if k == axis else 1 for k in range(squares.ndim)])
        found[part.name] = float(np.sqrt(h @ squares.reshape(h.size, -1).sum(axis=1)))
    return found


def along(t: Array, values: Array, at: Array) -> Array:
    """Values (K, ...) at depths ``at``, linear between those at t."""
    i: NDArray[np.intp] = np.clip(np.searchsorted(t, at, side="right") - 1, 0, t.size - 2)
    c = ((at - t[i]) / (t[i + 1] - t[i])).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray((1.0 - c) * values[i] + c * values[i + 1])


def cosines(y: Array, domain: Any) -> Array:
    """1, cos πk(y − lower)/|Y| for k < TESTS, of every component of y, (G, M)."""
    pairs, axes = intervals(domain), np.atleast_2d(y.T)
    scaled = [(axis - lower) / (upper - lower) for (lower, upper), axis in zip(pairs, axes, strict=True)]
    return np.stack([np.ones(len(y)), *(np.cos(np.pi * k * one) for one in scaled for k in range(1, TESTS))])
