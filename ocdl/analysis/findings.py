"""What a theorem says of a case at hand: each hypothesis with the number that was measured, and the conclusion.

A theorem speaks only where all of its hypotheses hold; where one does not, it says nothing, and ``says`` tells which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ocdl.tables import plain_table, plain_text


@dataclass(frozen=True)
class Hypothesis:
    """``statement``, such as "B_s ≥ 0"; ``measured``, such as its smallest eigenvalue; what it may be at least.

    It holds where measured ≥ least − slack, with the ``slack`` that rounding is allowed.
    """

    statement: str
    measured: float
    least: float = 0.0
    slack: float = 0.0

    @classmethod
    def declared(cls, statement: str, holds: bool) -> Self:
        """A hypothesis that is true or false, and nothing is measured of it."""
        return cls(statement, 1.0 if holds else 0.0, 1.0)

    @property
    def holds(self) -> bool:
        return bool(self.measured >= self.least - self.slack)


@dataclass(frozen=True)
class Finding:
    """``theorem``, with its source; ``hypotheses``; ``conclusion``, in words, not said where one fails."""

    theorem: str
    hypotheses: tuple[Hypothesis, ...]
    conclusion: str

    @property
    def applies(self) -> bool:
        """All hypotheses hold."""
        return all(one.holds for one in self.hypotheses)

    @property
    def failing(self) -> tuple[Hypothesis, ...]:
        return tuple(one for one in self.hypotheses if not one.holds)

    @property
    def says(self) -> str:
        if self.applies:
            return self.conclusion
        return "nothing, as it is not so that " + "; ".join(one.statement for one in self.failing)

    def __str__(self) -> str:
        table = plain_table()
        for name in ("hypothesis", "measured", "at least", "holds"):
            table.add_column(name, justify="right" if name in ("measured", "at least") else "left")
        for h in self.hypotheses:
            table.add_row(h.statement, f"{h.measured:.6g}", f"{h.least:g}", "yes" if h.holds else "no")
        return plain_text([self.theorem, table, f"says: {self.says}"])
