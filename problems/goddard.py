"""Goddard's rocket: the thrust that carries a sounding rocket highest has a singular arc.

h' = v,  v' = (u − D)/m − 1/h²,  m' = −u/c,  D = 310 v² e^{−500 (h − 1)},  c = ½,  0 ≤ u ≤ 3.5,
h(0) = 1, v(0) = 0, m(0) = 1,  m(T) = 0.6,  T free,  J = −h(T)

(scaled by the earth's radius, its gravity and the mass at the start). Where T is free H = 0, and then the singular arc
lies on the surface m/h² = D (1 + v/c), whatever the costates. Full thrust up to that surface, along it until the fuel
is spent, and a coast until v = 0 give h(T) = 1.0128369183.
Source: problem 10 of COPS 3.0 (Dolan, Moré and Munson, ANL/MCS-TM-273, 2004), which prints 1.01283, without its bounds
h ≥ 1, v ≥ 0, 0.6 ≤ m ≤ 1, which bind nowhere else than here; Tsiotras and Kelley, Automatica 27 (1991), for the
surface.
"""

import casadi as ca
import numpy as np
from scipy.integrate import solve_ivp

import ocdl

DRAG, DECAY, EXHAUST, FULL, EMPTY = 310.0, 500.0, 0.5, 3.5, 0.6


def drag(h: float, v: float) -> float:
    return DRAG * v**2 * np.exp(-DECAY * (h - 1))


def off_surface(h: float, v: float, m: float) -> float:
    """m/h² − D (1 + v/c)."""
    return m / h**2 - drag(h, v) * (1 + v / EXHAUST)


def singular_thrust(h: float, v: float, m: float) -> float:
    """u along the surface: d/dt of its equation is linear in u."""
    D = drag(h, v)
    in_h = -2 * m / h**3 + DECAY * D * (1 + v / EXHAUST)
    in_v = -2 * D / v * (1 + v / EXHAUST) - D / EXHAUST
    in_m = 1 / h**2
    return (in_v * (D / m + 1 / h**2) - in_h * v) / (in_v / m - in_m / EXHAUST)


def arc(thrust, end, t, x):
    """Time and state where ``end`` vanishes, under ``thrust``, both functions of the state."""

    def rate(_, x):
        h, v, m = x
        u = thrust(*x)
        return [v, (u - drag(h, v)) / m - 1 / h**2, -u / EXHAUST]

    def event(_, x):
        return end(*x)

    event.terminal = True
    found = solve_ivp(rate, (t, 1.0), x, events=event, method="DOP853", rtol=1e-13, atol=1e-15)
    return found.t[-1], found.y[:, -1]


FIRST_SWITCH, _at = arc(lambda h, v, m: FULL, off_surface, 0.0, [1.0, 0.0, 1.0])
SECOND_SWITCH, _at = arc(singular_thrust, lambda h, v, m: m - EMPTY, FIRST_SWITCH, _at)
HORIZON, _at = arc(lambda h, v, m: 0.0, lambda h, v, m: v, SECOND_SWITCH, _at)
REFERENCE = -float(_at[0])
DIGITS = 1e-8
PUBLISHED, PUBLISHED_DIGITS = -1.01283, 1e-5  # truncated, not rounded


def problem() -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        h, v, m = x[0], x[1], x[2]
        return [v, (u[0] - drag(h, v)) / m - 1 / h**2, -u[0] / EXHAUST]

    return ocdl.ControlProblem(
        states=["h", "v", "m"],
        controls=["thrust"],
        dynamics=dynamics,
        initial=[1.0, 0.0, 1.0],
        final=[None, None, EMPTY],
        horizon=ocdl.Free(0.05, 1, guess=0.2),
        terminal=lambda x: -x[0],
        bounds=ocdl.Box(u=(0, FULL)),
    )


def grid(layers: int = 20) -> ocdl.DepthScheme:
    """As many layers on each of the three arcs."""
    arcs = np.diff([0.0, FIRST_SWITCH, SECOND_SWITCH, HORIZON]) / HORIZON
    return ocdl.Radau(layers=np.repeat(arcs / layers, layers), degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
