"""Times: where the depths of a problem begin and how far they go, each given or chosen by the solver.

Routes work on depths τ in [0, span] of the core, the true time is

    t = t0 + τ,  span the horizon,   or   t = t0 + horizon · τ,  span 1, where the horizon is free;   T = t0 + horizon.

What is free is a parameter, behind all others: p = [..., t0, horizon].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ocdl.arrays import SMALLEST, is_real, shown
from ocdl.errors import InvalidInput
from ocdl.statement.bounds import Free

NAMES = ("t0", "T")  # by which formulas take the times


@dataclass(frozen=True)
class Times:
    """The initial time and the horizon, numbers or ``Free``."""

    t0: float | Free
    horizon: float | Free

    @property
    def free(self) -> dict[str, Free]:
        """What is free of both, by its name, in the order of the parameters."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Free)}

    @property
    def span(self) -> float:
        """The length of the core's depths: the horizon, or 1 where it is free."""
        return 1.0 if isinstance(self.horizon, Free) else self.horizon

    def begin(self, p: Any) -> Any:
        """t0, for parameters p (P,): numbers or CasADi's."""
        return p[-len(self.free)] if isinstance(self.t0, Free) else self.t0

    def scale(self, p: Any) -> Any:
        """dt/dτ: the horizon where it is free, else 1."""
        return p[-1] if isinstance(self.horizon, Free) else 1.0

    def at(self, depth: Any, p: Any) -> Any:
        """The true time of the core's ``depth``."""
        scaled = depth * p[-1] if isinstance(self.horizon, Free) else depth
        return scaled if self.t0 == 0.0 else self.begin(p) + scaled

    def end(self, p: Any) -> Any:
        """T."""
        return self.at(self.span, p)

    def shifted(self, depth: Any) -> Any:
        """The true time where no time is free; elsewhere nothing depends on it but through formulas."""
        return depth if isinstance(self.t0, Free) else depth + self.t0


def check_t0(t0: Any) -> None:
    """Raise InvalidInput where the initial time is no finite number."""
    if not isinstance(t0, Free) and not (is_real(t0) and math.isfinite(t0)):
        raise InvalidInput(f"t0={shown(t0)}: the initial time must be a finite number, or Free(lower, upper).")


def check_horizon(horizon: Any) -> None:
    """Raise InvalidInput where T is no positive finite number."""
    if not is_real(horizon) or not math.isfinite(horizon) or horizon < SMALLEST:
        raise InvalidInput(
            f"horizon={shown(horizon)}: the horizon T must be a positive finite number, at least {SMALLEST:.1e}."
        )
