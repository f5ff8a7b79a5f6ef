"""Budgets: integrals of controls over the depth that are given, such as the sum of all time steps of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ocdl.arrays import is_real, is_whole
from ocdl.errors import InvalidInput
from ocdl.statement.layout import Part

ROUNDING = 1e-9  # by which a total may lie outside what its bounds allow


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

    def place(self, controls: Sequence[str], parts: Sequence[Part]) -> int:
        """The number of its control among those of these names, which are also the entries of ``parts``.

        Raises InvalidInput where there is no such control, or a part of several.
        """
        names, begins = list(controls), dict[str, tuple[int, int]]()
        for part in parts:
            begins[part.name] = sum(size for _, size in begins.values()), part.size
        if self.control in names:
            return names.index(str(self.control))
        if is_whole(self.control) and 0 <= int(self.control) < len(names):
            return int(self.control)
        begin, size = begins.get(str(self.control), (0, 0))
        if size == 1:
            return begin
        several = f"{self.control} has {size} entries; give the number of one" if size else "there is no such control"
        known = ", ".join([*names[:12], *(["..."] if len(names) > 12 else []), *begins])
        raise InvalidInput(
            f"{self!r}: {several}. Known are {known}; a control with a bounded rate is a state, whose integral is "
            "given by integral=...."
        )

    def check(self, least: float, most: float, where: str) -> None:
        """Raise InvalidInput where the integral, which bounds leave between ``least`` and ``most``, cannot be so."""
        slack = ROUNDING * (1.0 + abs(self.total))
        if not least - slack <= self.total <= most + slack:
            raise InvalidInput(
                f"{self!r}: within the bounds of {self.control} its integral {where} lies in [{least:g}, {most:g}]."
            )
