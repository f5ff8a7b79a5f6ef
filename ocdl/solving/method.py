"""The contract between ``solve`` and the routes: what a method is given and what it returns.

A method is a frozen set of options. Its one verb

    outcome = method.solve(problem, depth, start, progress=...)

gets a ``ControlProblem``, a ``DepthScheme`` and a ``Start`` (controls to begin from), keeps nothing on itself,
prints nothing, and returns an ``Outcome``: the trajectory it found (or its controls alone), a status and what it says
of itself. It never judges itself: cost, defects, feasibility and gap in a ``Solution`` come from the referee.
It stops early on KeyboardInterrupt and returns its best iterate with ``Status.INTERRUPTED``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ocdl.depth.control_shapes import PiecewiseConstant
from ocdl.depth.schemes import DepthScheme
from ocdl.errors import NotSupported
from ocdl.referee.equalities import check_equalities
from ocdl.referee.outcome import FEASIBLE, Outcome
from ocdl.referee.phases import PhasesOutcome
from ocdl.statement.control_set import ControlSet
from ocdl.statement.discrete import check_layers, refuse_discrete
from ocdl.statement.measurements import nodes_at
from ocdl.statement.noise import refuse_noise
from ocdl.statement.phases import Phases
from ocdl.statement.problem import ControlProblem
from ocdl.statement.spending import check_attainable

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """Where a method begins: controls u (Q, m) and parameters p (P,), inside their boxes.

    Where something is known of them also states x (N+1, S, n) at the nodes and their costates (N+1, S, n), Euclidean:
    routes that do not sweep may begin there.
    """

    u: Array
    p: Array
    x: Array | None = None
    costate: Array | None = None


@dataclass(frozen=True)
class Method:
    """Base of every route's options; subclasses are frozen dataclasses with ``solve``.

    ``constrained``: the route takes constraints on states, paths and ends, and bounds that depend on depth;
    ``bounded_states``: of these it takes bounds on states; ``any_controls``: it takes controls that vary in a layer;
    ``measured``: it takes measurements at given depths; ``continuous``: it solves the equations in continuous depth,
    which discrete layers do not have; ``budgets``: it keeps the integrals of controls that are given;
    ``in_blocks``: of dense layers it keeps no trajectory, and goes through the samples block by block;
    ``control_sets``: the kinds of control sets beyond boxes that it takes; ``linked``: it takes linked ``Phases``.
    """

    constrained: ClassVar[bool] = False
    bounded_states: ClassVar[bool] = False
    any_controls: ClassVar[bool] = False
    measured: ClassVar[bool] = False
    continuous: ClassVar[bool] = False
    budgets: ClassVar[bool] = False
    in_blocks: ClassVar[bool] = False
    control_sets: ClassVar[tuple[type[ControlSet], ...]] = ()
    linked: ClassVar[bool] = False

    def check(self, problem: ControlProblem, depth: DepthScheme) -> None:
        """Raise NotSupported where the route cannot take this problem or this shape of controls, InvalidInput where
        the controls cannot hold the equalities of path.
        """
        check_layers(problem, depth)
        self.check_constraints(problem)
        if problem.bounds.varies("u") and not self.constrained:
            raise NotSupported(f"{self.name}: bounds of the controls that depend on depth; use Ipopt.")
        if not isinstance(depth.controls, PiecewiseConstant) and not self.any_controls:
            raise NotSupported(f"{self.name}: it takes controls constant in a layer, not {depth.controls}; use Ipopt.")
        check_attainable(problem, depth)
        check_equalities(problem, depth)
        nodes_at(problem.stations, depth.mesh(problem.span))

    def check_phases(self, phases: Phases, depths: Sequence[DepthScheme]) -> None:
        """Raise what ``check`` raises of a phase, and NotSupported where the route takes no phases."""
        if not self.linked:
            raise NotSupported(f"{self.name}: it does not take linked phases; use Ipopt.")
        budgets = [budget for core in phases.cores for budget in core.budgets]
        if budgets:
            raise NotSupported(f"{self.name}: phases take no budgets; write {budgets[0]!r} as integral=....")
        for core, depth in zip(phases.cores, depths, strict=True):
            self.check(core, depth)

    def check_constraints(self, problem: ControlProblem) -> None:
        """Raise NotSupported where the route cannot take the constraints or the control set of this problem."""
        refuse_noise(self.name, problem)
        if self.continuous:
            refuse_discrete(self.name, problem.discrete, "use a method that sweeps the layers, such as LBFGSB or Ipopt")
        if problem.budgets and not self.budgets:
            raise NotSupported(
                f"{self.name}: it does not keep {', '.join(map(repr, problem.budgets))}; use Train or "
                "Ipopt(space='full'), or write the budget as integral=... for methods that take prescribed ends."
            )
        if problem.control_set is not None and not isinstance(problem.control_set, self.control_sets):
            raise NotSupported(
                f"{self.name}: it does not take the control set {problem.control_set!r} of this problem; Ipopt and "
                "ControlSetNeedleSteps take a Disc or a Polygon, DiscreteNeedleSteps takes a Finite set."
            )
        if problem.measurements is not None and not self.measured:
            raise NotSupported(
                f"{self.name}: it does not take measurements at given depths; use Ipopt, or ProjectedGradient where "
                "controls and parameters are all that is bounded."
            )
        taken = ("Box(x=...)",) if self.bounded_states else ()
        refused = [written for written in problem.constraints if written not in taken]
        if refused and not self.constrained:
            raise NotSupported(
                f"{self.name}: it takes bounds on {'states, ' if taken else ''}controls and parameters only, and this "
                f"problem is constrained by {', '.join(refused)}. "
                "Use Ipopt, for conditions at the ends also IndirectShooting or AugmentedLagrangian, or put the "
                "constraint into the cost as a penalty."
            )

    @property
    def feasible(self) -> float:
        """What a success of this method may violate a bound, a constraint or the state equation by."""
        return FEASIBLE

    @property
    def name(self) -> str:
        return type(self).__name__

    def solve(
        self, problem: ControlProblem, depth: DepthScheme, start: Start, *, progress: bool | None = None
    ) -> Outcome:
        """Solve ``problem`` on ``depth`` from ``start``; ``progress`` None shows a bar only on a terminal."""
        raise NotImplementedError

    def solve_phases(
        self,
        phases: Phases,
        depths: Sequence[DepthScheme],
        starts: Sequence[Start],
        *,
        progress: bool | None = None,
    ) -> PhasesOutcome:
        """Solve linked phases, each on its own depth scheme and from its own start, where the route is ``linked``."""
        raise NotImplementedError
