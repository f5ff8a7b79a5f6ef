"""L-BFGS in function space, with boxes and budgets by an active set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocdl.arrays import is_whole
from ocdl.errors import InvalidInput
from ocdl.nlp.training.feasible import Feasible
from ocdl.nlp.training.line_search import Trial, wolfe
from ocdl.nlp.training.memory import Memory
from ocdl.nlp.training.model import descends, minimiser
from ocdl.nlp.training.walk import Ended, Point, Training, Walk
from ocdl.referee.outcome import Status

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LBFGS(Training):
    """Limited-memory quasi-Newton steps on controls and parameters; bounds and budgets are kept by an active set.

    Each step goes to the minimiser of gᵀd + ½ dᵀB d that keeps them. Reaches the rounding of J: gradients of 1e-11 of
    smooth costs near 1.

    memory: pairs kept.
    Sources: Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995); Hager and Zhang, SIAM J. Optim. 16 (2005).
    """

    memory: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.memory) or self.memory < 1:
            raise InvalidInput(f"{self.name}(memory={self.memory!r}): a whole number, at least 1, is needed.")

    def descend(self, walk: Walk, enough: Callable[[], bool] = lambda: False) -> Ended:
        """``enough``: whether somebody else takes over here."""
        memory = Memory(walk.point.v.size, self.memory)
        last = walk.iterations + self.max_iterations
        while (ended := walk.stop(self.tolerance, last)) is None:
            if enough():
                return Ended(Status.ACCEPTABLE, f"gradient {walk.norm:.1e}")
            found = advanced(walk, memory)
            if found is None and memory.count:
                memory.forget()
                found = advanced(walk, memory)
            if found is None:
                return walk.stalled(self.tolerance)
            memory.add(found.v - walk.point.v, found.gradient - walk.point.gradient)
            walk.move(found)
        return ended


def advanced(walk: Walk, memory: Memory) -> Point | None:
    """The next point, None where no step along the direction of ``memory`` lowers J."""
    here, feasible = walk.point, walk.feasible
    step = direction(feasible, memory, here)
    slope = float(here.gradient @ step)
    if not slope < 0.0:
        return None
    first = 1.0 if memory.count else 1.0 / float(step @ step) ** 0.5

    def at(length: float) -> Trial:
        point = walk.at(feasible.project(here.v + length * step))
        return Trial(length, point, float(point.gradient @ step))

    found = wolfe(at, Trial(0.0, here, slope), first, feasible.longest(here.v, step), walk.noise)
    return None if found is None else found.point


def direction(feasible: Feasible, memory: Memory, here: Point) -> Array:
    """A step along which J falls and that stays feasible: to the model's minimiser, else to Π(v − γ g)."""
    v, g = here.v, here.gradient
    step = None if feasible.bounded and feasible.held(v, g).any() else -memory.times(g)
    if step is None or not feasible.contains(v + step):
        step = minimiser(memory, feasible, v, g)
    return step if descends(step, g) else feasible.project(v - memory.gamma * g) - v
