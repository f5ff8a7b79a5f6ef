"""A layer of a network on flat controls: its formulas for a ControlProblem, and its bounds.

The formulas are methods, so that a network can be sent to other processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ocdl.arrays import Array
from ocdl.errors import InvalidInput
from ocdl.networks.architecture import Architecture, matrices, total
from ocdl.statement.bounds import Box
from ocdl.statement.layout import Part


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of n states: its formulas of flat controls, and their bounds."""

    architecture: Architecture
    n: int
    given: Box
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        unknown = set(self.given.names) - {*names, "x"}
        if unknown:
            raise InvalidInput(
                f"{self.given!r}: the controls of {type(self.architecture).__name__} are {', '.join(names)}, and x are "
                f"its states; got {', '.join(sorted(unknown))}."
            )

    @property
    def size(self) -> int:
        return total(self.parts)

    def formulas(self, tied: bool) -> dict[str, Any]:
        """Lift and dynamics of the controls, or of parameters in their place."""
        if self.architecture.by_depth:
            return {"dynamics": self.rate}
        if tied:
            return {"lift": self.tied_lift, "dynamics": self.tied_dynamics}
        return {"lift": self.lift, "dynamics": self.dynamics}

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
        return Box(u=None if tied else pair, p=(held[0], held[1]), x=states)

    @property
    def _boxes(self) -> tuple[Box, Box]:
        return self.architecture.bounds(self.n), self.given

    def _ends(self, t: float) -> tuple[Array, Array]:
        """Lower and upper bounds (m,) at depth t: what the architecture and the user ask for."""
        at, low, high = np.array([t]), [], []
        for part in self.parts:
            pairs = [box.interval_at(part.name, part.shape, at) for box in self._boxes]
            low.append(np.maximum(pairs[0][0], pairs[1][0]).ravel())
            high.append(np.minimum(pairs[0][1], pairs[1][1]).ravel())
        return np.concatenate(low), np.concatenate(high)

    def _lower(self, t: float) -> Array:
        return self._ends(t)[0]

    def _upper(self, t: float) -> Array:
        return self._ends(t)[1]
