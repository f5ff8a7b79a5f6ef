"""What an activation declares of itself, checked on a sample; where it bends, found by bisection.

``smooth`` is C²: an interval of the sample over which σ, σ' or σ'' changes is halved towards the larger change. Of a
continuous function the change vanishes with the width; at a jump it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ocdl.batch import Batch
from ocdl.callables import called, numpy_on_casadi
from ocdl.errors import InvalidInput
from ocdl.interrupts import uninterrupted

Array = NDArray[np.float64]

REACH = 50.0  # an activation must be finite on [−REACH, REACH]
ROUNDING = 1e-12
HALVINGS = 44  # from a width of 1e-2 to 1e-15
UNEVEN = 0.47  # so that no half ends at a round number, where a formula's derivative may be undefined
JUMP = 1e-5  # relative change over a vanishing interval that is taken for a jump
SHOWN = 9  # digits of a place, and how near two are the same
NAMES = ("σ", "σ'", "σ''")


def sample() -> Array:
    """Evenly over [−REACH, REACH], and at every scale about 0 and beyond; at no round number."""
    even = np.linspace(-REACH, REACH, 4001) + 1e-3 * np.sqrt(2.0)
    scales = np.geomspace(1e-9, 1e4, 400)
    return np.unique(np.concatenate([even, scales, -np.sqrt(2.0) * scales]))


def same_on_arrays_and_expressions(said: str, sigma: Callable[[Any], Any]) -> ca.Function:
    """σ compiled, once it is sure that numpy and CasADi read the same function of each entry."""
    s = np.linspace(-REACH, REACH, 4001)
    with np.errstate(all="ignore"):
        values = called(f"{said}: the function", "an array", lambda: np.asarray(sigma(s), dtype=float))
    if values.shape != s.shape or not np.all(np.isfinite(values)):
        raise InvalidInput(
            f"{said}: the function must map an array to finite values of the same shape; on linspace(-50, 50, "
            f"{s.size}) it gave shape {values.shape}, {int(np.sum(~np.isfinite(values)))} values not finite."
        )
    symbol = ca.SX.sym("s")
    try:
        with uninterrupted(), numpy_on_casadi():
            compiled = ca.Function("sigma", [symbol], [sigma(symbol)])
    except Exception as error:  # the user's own function may raise what it likes
        raise InvalidInput(
            f"{said}: the function must also take CasADi expressions: write it with numpy's elementary functions, such "
            f"as np.tanh, np.exp, np.fmax. On an expression it raised {type(error).__name__}."
        ) from error
    wrong = ~(np.abs(compiled(s[None, :]).full().ravel() - values) <= 1e-9 * np.maximum(1.0, np.abs(values)))
    if np.any(wrong):
        raise InvalidInput(
            f"{said}: the function must act on each entry alone, and on CasADi expressions as on arrays; "
            f"at s = {s[np.argmax(wrong)]:g} the two differ."
        )
    return compiled


def decrease(sigma: ca.Function) -> float | None:
    """A place where σ decreases, if the sample shows one."""
    s, values = _finite(sigma)
    fall = np.diff(values) / np.maximum(1.0, np.abs(values[1:]))
    return float(s[np.argmin(fall)]) if np.any(fall < -ROUNDING) else None


def outside(sigma: ca.Function, lower: float, upper: float) -> float | None:
    """A place where σ leaves [lower, upper], if the sample shows one."""
    s, values = _finite(sigma)
    beyond = np.maximum(lower - values, values - upper) / np.maximum(1.0, np.abs(values))
    return float(s[np.argmax(beyond)]) if np.any(beyond > ROUNDING) else None


def value_range(sigma: ca.Function) -> tuple[float, float]:
    _, values = _finite(sigma)
    return float(values.min()), float(values.max())


def bend(sigma: ca.Function) -> tuple[str, float] | None:
    """Which of σ, σ', σ'' jumps, and where; None where σ is C² as far as the sample shows."""
    for name, places, sizes in _jumps(sigma):
        if places.size:
            return name, round(float(places[np.argmax(sizes)]), SHOWN)
    return None


def bends(sigma: ca.Function) -> Array:
    """All places where σ, σ' or σ'' jumps, as far as the sample shows them."""
    places = np.concatenate([places for _, places, _ in _jumps(sigma)])
    return places[np.unique(np.round(places, SHOWN), return_index=True)[1]]


def _jumps(sigma: ca.Function) -> Iterator[tuple[str, Array, Array]]:
    """Of σ, σ' and σ'': its name, where it jumps, and by how much relative to its size there."""
    derivatives = _derivatives(sigma)
    s = sample()
    values = derivatives(s)
    for order, name in enumerate(NAMES):
        yield name, *_jump(derivatives, order, s, values[order])


def _jump(derivatives: Callable[[Array], Array], order: int, s: Array, values: Array) -> tuple[Array, Array]:
    """Where the derivative changes over intervals that vanish, and how much, relative to its size about them."""
    left, right, at_left, at_right = s[:-1], s[1:], values[:-1], values[1:]
    size = 1.0 + np.maximum(np.abs(at_left), np.abs(at_right))
    for _ in range(HALVINGS):
        with np.errstate(invalid="ignore", over="ignore"):
            kept = np.abs(at_right - at_left) > JUMP * size  # where it is not finite nothing is said
        if not np.any(kept):
            return np.empty(0), np.empty(0)
        left, right, at_left, at_right, size = (part[kept] for part in (left, right, at_left, at_right, size))
        middle = left + UNEVEN * (right - left)
        at = derivatives(middle)[order]
        first = np.abs(at - at_left) >= np.abs(at_right - at)
        left, right = np.where(first, left, middle), np.where(first, middle, right)
        at_left, at_right = np.where(first, at_left, at), np.where(first, at, at_right)
    return right, np.abs(at_right - at_left) / size


def _derivatives(sigma: ca.Function) -> Callable[[Array], Array]:
    """σ, σ' and σ'' at s (K,), shape (3, K)."""
    s = ca.SX.sym("s")
    value = sigma(s)
    slope = ca.gradient(value, s)
    compiled = Batch(ca.Function("derivatives", [s], [ca.densify(ca.vertcat(value, slope, ca.gradient(slope, s)))]))
    return lambda at: compiled(at[None, :])[0]


def _finite(sigma: ca.Function) -> tuple[Array, Array]:
    """The sample and the values of σ there, where they are finite: far out it may overflow."""
    s = sample()
    values = sigma(s[None, :]).full().ravel()
    kept = np.isfinite(values)
    return s[kept], values[kept]
