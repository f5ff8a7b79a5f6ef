"""The brachistochrone: the wire down which a bead slides fastest is a cycloid.

x' = v sin θ,  y' = −v cos θ,  v' = g cos θ,  (x, y, v)(0) = (0, 10, 0),  (x, y)(T) = (10, 5),  g = 9.80665,
T free,  J = T.

The cycloid x = R (φ − sin φ), 10 − y = R (1 − cos φ) through the end gives φ_f by
(φ − sin φ)/(1 − cos φ) = 2, and T = φ_f √(R/g) = 1.8016031222.
Source: Bernoulli (1696); the numbers are those of the first example of Dymos (Falck et al., J. Open Source Softw. 6,
2809 (2021)), which prints 1.8016.
"""

import math

import casadi as ca
from scipy.optimize import brentq

import ocdl

GRAVITY, AWAY, DOWN = 9.80665, 10.0, 5.0


def least_time() -> float:
    """φ √(R/g) of the cycloid through (AWAY, −DOWN)."""
    angle = brentq(lambda a: (a - math.sin(a)) / (1 - math.cos(a)) - AWAY / DOWN, 0.1, 2 * math.pi - 0.1, xtol=1e-14)
    return angle * math.sqrt(DOWN / (1 - math.cos(angle)) / GRAVITY)


REFERENCE = least_time()
DIGITS = 1e-8
PUBLISHED, PUBLISHED_DIGITS = 1.8016, 5e-5


def problem() -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        speed, angle = x[2], u[0]
        return [speed * ca.sin(angle), -speed * ca.cos(angle), GRAVITY * ca.cos(angle)]

    return ocdl.ControlProblem(
        states=["x", "y", "v"],
        controls=["angle"],
        dynamics=dynamics,
        initial=[0.0, 10.0, 0.0],
        final=[AWAY, 10.0 - DOWN, None],
        horizon=ocdl.Free(0.1, 10.0),
        terminal=lambda t: t,
        bounds=ocdl.Box(u=(0.0, math.pi)),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=20, degree=3, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
