"""A unit mass moved from rest to rest in the least time: full thrust, then full brake.

x' = v,  v' = u,  |u| ≤ 1,  x(0) = 0, v(0) = 0,  x(T) = d, v(T) = 0,  T free,  J = T.

The costates are p_x = −1/√d, p_v = (t − √d)/√d and H = −1, so u = 1 until half time and −1 after it: J = 2 √d, which is
2 for d = 1.
Source: Bryson and Ho, "Applied optimal control" (1975), chapter 3.
"""

import math

import ocdl


def least_time(distance: float) -> float:
    return 2 * math.sqrt(distance)


REFERENCE = least_time(1.0)
DIGITS = 1e-8
SWITCH = 0.5  # as a share of T, for every distance


def problem(*, distance: float = 1.0) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "v"],
        controls=["u"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0.0, 0.0],
        final=[distance, 0.0],
        horizon=ocdl.Free(1e-3, 1e3, guess=1 + distance),
        terminal=lambda t: t,
        bounds=ocdl.Box(u=(-1, 1)),
    )


def grid(layers: int = 20) -> ocdl.DepthScheme:
    """An even number of layers has a node at the switch."""
    return ocdl.Radau(layers=layers, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
