"""The hanging chain: a chain of given length between two points has the least potential energy.

x' = u,  E' = x √(1 + u²),  s' = √(1 + u²),  x(0) = 1, x(1) = 3,  E(0) = s(0) = 0, s(1) = L = 4,  T = 1,  J = E(1).

The chain is the catenary x = λ + c cosh((t − m)/c):  L² − (x(1) − x(0))² = (2 c sinh(1/2c))² gives c, and
tanh((½ − m)/c) = (x(1) − x(0))/L its lowest point m. Hence J = λ L + ∫ c cosh²((t − m)/c) dt = 5.0684801110.
Multipliers: λ is minus the costate of s, and H = c.
Source: problem 4 of COPS 3.0 (Dolan, Moré and Munson, ANL/MCS-TM-273, 2004), whose trapezoidal rule with 100, 200, 400
steps falls towards it: 5.06978, 5.06892, 5.06862; Cesari, "Optimization: theory and applications" (1983), for the
statement.
"""

import math

from scipy.optimize import brentq

import ocdl

START, END, LENGTH = 1.0, 3.0, 4.0


def catenary() -> tuple[float, float, float]:
    """(λ, c, m) of x = λ + c cosh((t − m)/c)."""
    drop = math.sqrt(LENGTH**2 - (END - START) ** 2)
    c = brentq(lambda c: 2 * c * math.sinh(1 / (2 * c)) - drop, 0.1, 1.0, xtol=1e-15)
    lowest = 0.5 - c * math.atanh((END - START) / LENGTH)
    return START - c * math.cosh(lowest / c), c, lowest


LEVEL, SHAPE, LOWEST = catenary()


def energy() -> float:
    """λ L + ∫ c cosh²((t − m)/c) dt."""
    low, high = -LOWEST, 1 - LOWEST
    return LEVEL * LENGTH + SHAPE * (0.5 + 0.25 * SHAPE * (math.sinh(2 * high / SHAPE) - math.sinh(2 * low / SHAPE)))


REFERENCE = energy()
DIGITS = 1e-9


def problem(*, length: float = LENGTH) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "energy", "length"],
        controls=["slope"],
        dynamics=lambda x, u: [u[0], x[0] * (1 + u[0] ** 2) ** 0.5, (1 + u[0] ** 2) ** 0.5],
        initial=[START, 0.0, 0.0],
        final=[END, None, length],
        horizon=1.0,
        terminal=lambda x: x[1],
    )


def start() -> dict[str, object]:
    """The parabola x = 4 t² − 2 t + 1 through both ends."""
    return {"u": lambda t: [8 * t - 2], "x": lambda t: [4 * t**2 - 2 * t + 1, LENGTH * t, LENGTH * t]}


def grid() -> ocdl.DepthScheme:
    return ocdl.Gauss(layers=40, degree=3, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
