"""A layer of a network on flat controls: its formulas for a ControlProblem, and its bounds.

The formulas are methods, so that a network can be sent to other processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Architecture, matrices, total
from ocdl.statement.bounds import Box
from ocdl.statement.budget import Budget
from ocdl.statement.layout import Part
from ocdl.statement.stability import Stability


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of n states: its formulas of flat controls, and their bounds."""

    architecture: Architecture
    n: int
    given: Box
    own: tuple[Part, ...]
    stability: Stability | None = None

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        unknown = set(self.given.names) - {*names, "x"}
        if unknown:
            raise InvalidInput(
                f"{self.given!r}: the controls of {type(self.architecture).__name__} are {', '.join(names)}, and x are "
                f"its states; got {', '.join(sorted(unknown))}."
            )

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Its ``own`` controls, and those that a constraint of stability lends."""
        return self.own if self.stability is None else (*self.own, *self.stability.parts(self.n))

    @property
    def size(self) -> int:
        return total(self.parts)

    @property
    def penalised(self) -> Array:
        """1 for its own controls and 0 for those that are lent, (m,)."""
        return np.repeat([1.0, 0.0], [total(self.own), self.size - total(self.own)])

    def formulas(self, tied: bool) -> dict[str, Any]:
        """Lift and dynamics of the controls, or of parameters in their place."""
        path = {} if self.stability is None else {"path": self.path}
        if self.architecture.by_depth:
            return {"dynamics": self.rate, **path}
        if tied:
            return {"lift": self.tied_lift, "dynamics": self.tied_dynamics}
        return {"lift": self.lift, "dynamics": self.dynamics, **path}

    def path(self, u: Any) -> Any:
        named = matrices(self.parts, u)
        M = self.architecture.operator(named, self.n)
        return self.stability.rows(M, u[total(self.own) :])  # type: ignore[union-attr]

    def budgets(self, horizon: float) -> tuple[Budget, ...]:
        """Of the architecture, and of the stability that is asked for."""
        sigma = getattr(self.architecture, "activation", None)
        lent = () if self.stability is None or sigma is None else self.stability.budgets(sigma)
        return (*self.architecture.budgets(horizon), *lent)

    def lift(self, x: Any, u: Any) -> Any:
        return self.architecture.lift(x, matrices(self.parts, u))

    def dynamics(self, x: Any, z: Any, u: Any) -> Any:
        return self.architecture.dynamics(x, z, matrices(self.parts, u))

    def tied_lift(self, x: Any, p: Any) -> Any:
        return self.lift(x, p)

    def tied_dynamics(self, x: Any, z: Any, p: Any) -> Any:
        return self.dynamics(x, z, p)

    def rate(self, t: Any, x: Any, u: Any) -> Any:
        return self.architecture.rate(t, x, matrices(self.parts, u))

    def check_tied(self, horizon: float) -> None:
        """Raise InvalidInput where the controls cannot be the same at all depths."""
        budgets = self.architecture.budgets(horizon)
        if self.architecture.by_depth:
            raise InvalidInput(f"tied=True: the layers of a {type(self.architecture).__name__} differ.")
        varying = [part.name for part in self.parts if self.given.varies(part.name)]
        if self.stability is not None:
            raise InvalidInput(
                f"tied=True, stability={self.stability!r}: it needs controls at every depth, and these are parameters; "
                "a kernel such as DissipativeKernel() has its property by itself."
            )
        if budgets:
            raise InvalidInput(f"tied=True: {self.architecture!r} gives ∫ {budgets[0].control} dt, which fixes it.")
        if varying:
            raise InvalidInput(f"tied=True: one {varying[0]} serves at all depths; its bounds are functions of t.")

    def box(self, of_head: tuple[Array, Array], tied: bool) -> Box:
        """The bounds of flat controls, parameters and states; ``of_head``: those of W and μ."""
        fixed = not any(box.varies(part.name) for part in self.parts for box in self._boxes)
        pair: Any = self._ends(0.0) if fixed else (self._lower, self._upper)
        held = tuple(np.concatenate(ends) for ends in zip(pair, of_head, strict=True)) if tied else of_head
        states = self.given.given("x") if "x" in self.given.names else None
        path = None if self.stability is None else self.stability.interval
        return Box(u=None if tied else pair, p=(held[0], held[1]), x=states, path=path)

    @property
    def _boxes(self) -> tuple[Box, ...]:
        lent = () if self.stability is None else (self.stability.bounds(self.n),)
        return (self.architecture.bounds(self.n), self.given, *lent)

    def _ends(self, t: float) -> tuple[Array, Array]:
        """Lower and upper bounds (m,) at depth t: what the architecture and the user ask for."""
        at, low, high = np.array([t]), [], []
        for part in self.parts:
            pairs = [box.interval_at(part.name, part.shape, at) for box in self._boxes]
            low.append(np.max([pair[0] for pair in pairs], axis=0).ravel())
            high.append(np.min([pair[1] for pair in pairs], axis=0).ravel())
        return np.concatenate(low), np.concatenate(high)

    def _lower(self, t: float) -> Array:
        return self._ends(t)[0]

    def _upper(self, t: float) -> Array:
        return self._ends(t)[1]
