"""Checks of the numbers a user gives to the methods of this route."""

from __future__ import annotations

import math

from ocdl.arrays import is_real, is_whole
from ocdl.errors import InvalidInput, NotSupported
from ocdl.statement.problem import ControlProblem


def check_count(method: str, name: str, value: object, least: int = 1) -> None:
    """InvalidInput unless ``value`` is a whole number, at least ``least``."""
    if not is_whole(value) or value < least:  # type: ignore[operator]
        raise InvalidInput(f"{method}({name}={value!r}): a whole number, at least {least}, is needed.")


def check_number(method: str, name: str, value: object, low: float, high: float, rule: str) -> None:
    """InvalidInput with ``rule`` unless ``value`` is a finite number strictly between ``low`` and ``high``."""
    if not (is_real(value) and math.isfinite(value) and low < value < high):  # type: ignore[arg-type, operator]
        raise InvalidInput(f"{method}({name}={value!r}): {rule}.")


def check_controls_only(method: str, problem: ControlProblem) -> None:
    """NotSupported where more than the controls is free, which no maximum principle on layers moves."""
    if problem.P:
        raise NotSupported(
            f"{method} moves controls only; this problem {problem.also_free}. "
            "Use NeedleSteps(), LBFGSB() or ProjectedGradient()."
        )
