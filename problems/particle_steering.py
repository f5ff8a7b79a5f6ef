"""Particle steering: the direction of a constant thrust that reaches a height and a speed soonest.

y₁'' = a cos u,  y₂'' = a sin u,  a = 100,  |u| ≤ π/2,  at rest at the origin,
y₂(T) = 5,  y₁'(T) = 45,  y₂'(T) = 0,  J = T.

The linear tangent law tan u = κ (1 − 2 t/T) leaves two unknowns: 45 = a T arsinh(κ)/κ and
5 = a T² (κ √(1 + κ²) − arsinh κ)/(4 κ²).  Hence T = 0.5545708783.
Source: problem 9 of COPS 3.0 (Dolan, Moré and Munson, ANL/MCS-TM-273, 2004), whose trapezoidal rule with 100, 200, 400
steps gives 0.554595, 0.554577, 0.554572; Bryson and Ho, "Applied optimal control" (1975), section 2.4, for the law.
"""

import math

import casadi as ca
from scipy.optimize import brentq

import ocdl

THRUST, HEIGHT, SPEED = 100.0, 5.0, 45.0


def time(tangent: float) -> float:
    """T at which the law of tan u(0) = κ has the speed asked for."""
    return SPEED * tangent / (THRUST * math.asinh(tangent))


def height(tangent: float) -> float:
    """y₂(T) of that law."""
    rise = tangent * math.sqrt(1 + tangent**2) - math.asinh(tangent)
    return THRUST * time(tangent) ** 2 * rise / (4 * tangent**2)


TANGENT = brentq(lambda tangent: height(tangent) - HEIGHT, 0.1, 10.0, xtol=1e-14)
REFERENCE = time(TANGENT)
DIGITS = 1e-10
PUBLISHED, PUBLISHED_DIGITS = 0.55457, 5e-6


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["y1", "y2", "v1", "v2"],
        controls=["angle"],
        dynamics=lambda x, u: [x[2], x[3], THRUST * ca.cos(u[0]), THRUST * ca.sin(u[0])],
        initial=[0.0, 0.0, 0.0, 0.0],
        final=[None, HEIGHT, SPEED, 0.0],
        horizon=ocdl.Free(0.1, 10, guess=1.0),
        terminal=lambda t: t,
        bounds=ocdl.Box(u=(-math.pi / 2, math.pi / 2)),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=20, degree=4, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
