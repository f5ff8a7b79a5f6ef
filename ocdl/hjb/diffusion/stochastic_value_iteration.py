"""StochasticValueIteration: the second-order Hamilton–Jacobi–Bellman equation of a problem with noise, on a grid.

    −V_t = min_u { L + ⟨∇V, φ⟩ + ½ tr(σσᵀ ∇²V) + (k/2) |σᵀ∇V|² },   V(·, T) = ℓ,

where the last term is that of exponential costs, V = (1/k) log E e^{kJ}, ``risk=Exponential(k)``; without risk k = 0.
The scheme is that of a controlled Markov chain (``chain``), implicit in time (``march``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import fits_memory, is_whole
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb.diffusion.chain import Chain
from ocdl.hjb.diffusion.coefficients import Coefficients
from ocdl.hjb.diffusion.march import marched
from ocdl.hjb.diffusion.nodes import Nodes
from ocdl.hjb.diffusion.policy import LATTICE
from ocdl.hjb.diffusion.stochastic_value import StochasticValue
from ocdl.statement.problem import ControlProblem
from ocdl.statement.risk import Exponential

Array = NDArray[np.float64]

NODES = {1: 201, 2: 61, 3: 25}
STEPS = 64
FEWEST = 5


@dataclass(frozen=True)
class StochasticValueIteration:
    """V and its feedback for one to three states that noise moves, by a monotone scheme.

    box: (lower, upper) of the states, numbers or one for each state. At its edges the states are reflected, so that it
        should hold the paths that matter, and some: rollouts say what share of them ``left`` it.
    nodes: along every axis, a number or one for each state; by default 201, 61, 25 for 1, 2, 3 states.
    steps: of time, by default 64. Errors are of first order in them, in the nodes of second where noise dominates.

    No ``Method`` of ``solve``: a feedback under noise has no one trajectory that a referee could judge. Its check is
    ``rollout``, which simulates what V promises.
    """

    box: Sequence[Any]
    nodes: int | Sequence[int] | None = None
    steps: int = STEPS

    def __post_init__(self) -> None:
        if not (is_whole(self.steps) and self.steps >= 2):
            raise InvalidInput(
                f"StochasticValueIteration(steps={self.steps!r}): a whole number of at least 2 is needed."
            )

    def value_function(self, problem: ControlProblem, *, progress: bool | None = None) -> StochasticValue:
        """V on the grid, backwards from T; ``progress`` None shows a bar only on a terminal.

        Raises NotSupported for what has no place in the equation (constraints on states, parameters, free times or
        initial states, several samples, other risks), InvalidInput for boxes that do not fit, SolveFailed where V is
        not finite.
        """
        k = _checked(problem)
        return self._marched(problem, Coefficients(problem), self._grid(problem), int(self.steps), k, progress)

    def _marched(
        self,
        problem: ControlProblem,
        coefficients: Coefficients,
        nodes: Nodes,
        steps: int,
        k: float,
        progress: bool | None,
    ) -> StochasticValue:
        fits_memory(repr(self), "V and the controls", (steps + 1) * nodes.size * (1 + problem.m))
        t, chain = np.linspace(0.0, problem.span, steps + 1), Chain(coefficients, nodes, k)
        values, policy = marched(chain, t, progress)

        def coarser(which: str) -> StochasticValue:
            half = (nodes.halved(), steps) if which == "nodes" else (nodes, (steps + 1) // 2)
            return self._marched(problem, coefficients, *half, k, progress)

        return StochasticValue(
            problem,
            nodes,
            t,
            values.reshape(-1, *nodes.shape),
            policy.reshape(steps, *nodes.shape, -1),
            chain.rounder,
            coarser,
        )

    def _grid(self, problem: ControlProblem) -> Nodes:
        n, said = problem.n, "StochasticValueIteration"
        try:
            low, high = (np.broadcast_to(np.asarray(end, dtype=float), (n,)) for end in self.box)
        except (TypeError, ValueError):
            raise InvalidInput(
                f"{said}(box={self.box!r}): a pair (lower, upper) is needed, of numbers or of {n} for the states."
            ) from None
        if not (np.all(np.isfinite([low, high])) and np.all(low < high)):
            raise InvalidInput(f"{said}(box={self.box!r}): finite bounds, lower < upper, are needed.")
        given: Any = NODES[n] if self.nodes is None else self.nodes
        shape = [given] * n if is_whole(given) else list(given)
        if len(shape) != n or not all(is_whole(one) and one >= FEWEST for one in shape):
            raise InvalidInput(f"{said}(nodes={self.nodes!r}): {n} whole number(s) of at least {FEWEST} are needed.")
        x0 = problem.x0[0]
        if np.any((x0 < low) | (x0 > high)):
            raise InvalidInput(f"{said}(box={self.box!r}): the initial state {x0} lies outside.")
        return Nodes(low, high, tuple(int(one) for one in shape))


def _checked(problem: ControlProblem) -> float:
    """k of the exponential costs of a problem that the equation takes, 0 for means."""
    said = "StochasticValueIteration"
    if not isinstance(problem, ControlProblem):
        raise InvalidInput(f"{said}: give a ControlProblem; got {problem!r}.")
    if problem.noise is None:
        raise InvalidInput(f"{said}: the problem has no noise=...; take ValueIteration.")
    if problem.samples > 1:
        raise NotSupported(f"{said}: one sample is needed, and this problem has {problem.samples}.")
    if problem.n > max(NODES):
        raise NotSupported(f"{said}: up to {max(NODES)} states; this problem has {problem.n}.")
    if problem.P > 0:
        raise NotSupported(f"{said}: only controls may be free; this problem {problem.also_free}.")
    for name in ("measurements", "control_set", "budgets", "discrete"):
        if getattr(problem, name):
            raise NotSupported(f"{said}: {name}=... has no place in its equation.")
    if problem.constraints:
        raise NotSupported(f"{said}: {', '.join(problem.constraints)} of states that noise moves; state it as a cost.")
    if problem.m > max(LATTICE):
        raise NotSupported(f"{said}: up to {max(LATTICE)} controls; this problem has {problem.m}.")
    ends = np.concatenate(problem.control_box_at(np.linspace(0.0, problem.span, 65)))
    if not np.all(np.isfinite(ends)):
        raise InvalidInput(f"{problem.bounds!r}: {said} searches the controls, which need finite bounds.")
    if problem.risk is not None and not isinstance(problem.risk, Exponential):
        raise NotSupported(f"{said}: risk={problem.risk!r} has no equation of V; Exponential(k) has.")
    return 0.0 if problem.risk is None else float(problem.risk.k)
