"""Budgets: integrals of controls over the depth that are given, such as the sum of all time steps of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ocdl.arrays import is_real
from ocdl.errors import InvalidInput


@dataclass(frozen=True)
class Budget:
    """∫_0^T u_j dt = ``total`` for the control j of this name or number.

    With u_j ≥ 0 the values h_k u_j of the layers lie on a simplex: the learnt time steps of Benning et al. (2019),
    section 5. Methods that project take it as it is.
    """

    control: int | str
    total: float

    def __post_init__(self) -> None:
        if not (is_real(self.total) and math.isfinite(self.total)):
            raise InvalidInput(f"Budget(total={self.total!r}): the total is a finite number.")
