"""A rocket of two stages over a flat earth without air: the tangent of the steering is linear in time through both.

y' = v_y,  v_x' = (F/m) cos θ,  v_y' = (F/m) sin θ − g,  m' = −F/c,  from rest;  y(T) = 0.3, v_x(T) = 2.5, v_y(T) = 0,
J = −m(T)

in units of g and the mass at the start. The first stage burns for 0.9 with F = 1.6, c = 2.5 and drops 0.05; the second
one, F = 0.45, c = 3.5, for as long as it takes. The costates of v_x and of y are constant and those of v_y linear in
time, across the staging, too, as the jump is one of the mass alone. So tan θ = α − β t, and α, β, T follow from the
three conditions at the end, which are integrals of smooth functions of time alone.
Source: Bryson and Ho, Applied Optimal Control (1975), section 2.7, for the law of the linear tangent.
"""

from typing import Any

import casadi as ca
import numpy as np
import scipy

import ocdl

GRAVITY, BURN, DROPPED = 1.0, 0.9, 0.05
FORCE, EXHAUST = {"first": 1.6, "second": 0.45}, {"first": 2.5, "second": 3.5}
HEIGHT, SPEED = 0.3, 2.5
FLOW = {name: FORCE[name] / EXHAUST[name] for name in FORCE}
LIGHT = 1.0 - FLOW["first"] * BURN - DROPPED  # the mass at the start of the second stage


def missed(unknown: np.ndarray) -> np.ndarray:
    """What the conditions at the end are missed by, for α, β and the time T."""
    alpha, beta, end = unknown
    nodes, weights = np.polynomial.legendre.leggauss(40)
    total = np.array([-HEIGHT - GRAVITY * end**2 / 2, -SPEED, -GRAVITY * end])
    for name, a, b, mass in (("first", 0.0, BURN, 1.0), ("second", BURN, end, LIGHT)):
        t = a + (b - a) * (nodes + 1) / 2
        push = FORCE[name] / (mass - FLOW[name] * (t - a))
        theta = np.arctan(alpha - beta * t)
        rates = np.stack([(end - t) * push * np.sin(theta), push * np.cos(theta), push * np.sin(theta)])
        total += rates @ weights * (b - a) / 2
    return total


ALPHA, BETA, END = scipy.optimize.fsolve(missed, [1.0, 0.5, 2.0], xtol=1e-14)
REFERENCE = -(LIGHT - FLOW["second"] * (END - BURN))
DIGITS = 1e-9


def stage(name: str, **given: Any) -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        push = FORCE[name] / x[3]
        return [x[2], push * ca.cos(u), push * ca.sin(u) - GRAVITY, -FLOW[name]]

    return ocdl.ControlProblem(states=["y", "vx", "vy", "m"], controls=["theta"], dynamics=dynamics, **given)


def problem() -> ocdl.Phases:
    return ocdl.Phases(
        {
            "first": stage("first", initial=[0.0, 0.0, 0.0, 1.0], horizon=BURN),
            "second": stage(
                "second",
                initial=[ocdl.Free()] * 4,
                final=[HEIGHT, SPEED, 0.0, None],
                horizon=ocdl.Free(0.1, LIGHT / FLOW["second"], guess=1.0),
                terminal=lambda x: -x[3],
            ),
        },
        jumps={"second": lambda x: [x[0], x[1], x[2], x[3] - DROPPED]},
    )


def grid(layers: int = 3) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=5, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
