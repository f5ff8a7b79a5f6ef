"""A harmonic oscillator brought to rest in the least time by a bounded force.

x' = v,  v' = u − x,  |u| ≤ 1,  x(0) = a, v(0) = 0,  x(T) = 0, v(T) = 0,  T free,  J = T.

In the plane (x, v) a constant force u turns the state clockwise about (u, 0) with angular velocity 1. For 0 < a ≤ 2
the optimal path is an arc about (−1, 0), of radius 1 + a, and one about (1, 0), of radius 1, which ends at the origin.
They meet at x_s = a (a + 2)/4, v_s < 0, so

    t_s = arccos((1 + x_s)/(1 + a)),  T = t_s + arccos(1 − x_s),  which is 1.8234765819 for a = 1.

The costate turns too: p_v = −sin(t − t_s)/sin(T − t_s), which is −1 at T because H = −1.
Source: Pontryagin et al., "The mathematical theory of optimal processes" (1962), chapter I, section 5.
"""

import math

import ocdl


def switch(displacement: float) -> float:
    """Where u changes from −1 to 1."""
    return math.acos((1 + displacement * (displacement + 2) / 4) / (1 + displacement))


def least_time(displacement: float) -> float:
    return switch(displacement) + math.acos(1 - displacement * (displacement + 2) / 4)


SWITCH = switch(1.0)
REFERENCE = least_time(1.0)
DIGITS = 1e-8


def problem(*, displacement: float = 1.0) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "v"],
        controls=["u"],
        dynamics=lambda x, u: [x[1], u - x[0]],
        initial=[displacement, 0.0],
        final=[0.0, 0.0],
        horizon=ocdl.Free(0.1, 10, guess=2.0),
        terminal=lambda t: t,
        bounds=ocdl.Box(u=(-1, 1)),
    )


def grid(layers: int = 10, *, displacement: float = 1.0) -> ocdl.DepthScheme:
    """As many layers on each arc."""
    share = switch(displacement) / least_time(displacement)
    return ocdl.Radau(layers=[arc / layers for arc in (share, 1 - share) for _ in range(layers)], degree=4)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
