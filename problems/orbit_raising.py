"""Orbit raising: the thrust direction that reaches the highest circular orbit in a given time.

r' = v,  v' = w²/r − 1/r² + a u₁,  w' = −v w/r + a u₂,  a = 0.1405/(1 − 0.0749 t),  u₁² + u₂² = 1,
(r, v, w)(0) = (1, 0, 1),  v(T) = 0, w(T) = r(T)^{−½},  T = 3.32,  J = −r(T).

Source: Bryson and Ho, "Applied optimal control" (1975), section 2.5; example of GPOPS-II and ICLOCS, r(T) = 1.5252777.
"""

import casadi as ca

import ocdl

THRUST, BURN = 0.1405, 0.0749
REFERENCE = -1.52527770065  # refined to 1e-8
DIGITS = 1e-10
PUBLISHED, PUBLISHED_DIGITS = -1.5252777, 5e-8


def problem() -> ocdl.ControlProblem:
    def dynamics(t: ca.SX, x: ca.SX, u: ca.SX) -> list[ca.SX]:
        r, v, w, a = x[0], x[1], x[2], THRUST / (1 - BURN * t)
        return [v, w**2 / r - 1 / r**2 + a * u[0], -v * w / r + a * u[1]]

    return ocdl.ControlProblem(
        states=["r", "v", "w"],
        controls=["radial", "tangential"],
        dynamics=dynamics,
        initial=[1.0, 0.0, 1.0],
        final=[None, 0.0, None],
        horizon=3.32,
        terminal=lambda x: -x[0],
        path=lambda u: u[0] ** 2 + u[1] ** 2 - 1,
        boundary=lambda xT: xT[2] - xT[0] ** -0.5,
        bounds=ocdl.Box(u=(-1.1, 1.1), path=(0.0, 0.0)),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=40, degree=3, controls=ocdl.PerStage())


def start() -> dict[str, object]:
    return {"u": [0.0, 1.0]}


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
