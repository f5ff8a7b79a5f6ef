"""Cart and pole: the least force that swings a pole up.

(m₁ + m₂) q₁'' + m₂ l (q₂'' cos q₂ − q₂'² sin q₂) = u,   l q₂'' + q₁'' cos q₂ + g sin q₂ = 0,
m₁ = 1, m₂ = 0.3, l = 0.5, g = 9.81,  |q₁| ≤ 2,  |u| ≤ 20,  (0, 0, 0, 0) → (1, π, 0, 0) in T = 2,  J = ∫ u² dt.

Source: Kelly, SIAM Rev. 59 (2017), section 6.
"""

import math

import casadi as ca
import numpy as np

import ocdl

CART, POLE, LENGTH, GRAVITY = 1.0, 0.3, 0.5, 9.81
AWAY, REACH, STRONGEST, HORIZON = 1.0, 2.0, 20.0, 2.0
REFERENCE = 58.8076674582  # refined to 1e-8
DIGITS = 1e-7
PUBLISHED, PUBLISHED_DIGITS = 58.81, 5e-3


def problem() -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        angle, speed, spin = x[1], x[2], x[3]
        s, c = ca.sin(angle), ca.cos(angle)
        down = CART + POLE * (1 - c**2)
        cart = LENGTH * POLE * s * spin**2 + u[0] + POLE * GRAVITY * c * s
        pole = LENGTH * POLE * c * s * spin**2 + u[0] * c + (CART + POLE) * GRAVITY * s
        return [speed, spin, cart / down, -pole / (LENGTH * down)]

    return ocdl.ControlProblem(
        states=["q1", "q2", "v1", "v2"],
        controls=["force"],
        dynamics=dynamics,
        initial=[0.0, 0.0, 0.0, 0.0],
        final=[AWAY, math.pi, 0.0, 0.0],
        horizon=HORIZON,
        running=lambda u: u[0] ** 2,
        bounds=ocdl.Box(u=(-STRONGEST, STRONGEST), x=([-REACH, -np.inf, -np.inf, -np.inf], [REACH] + 3 * [np.inf])),
    )


def start() -> dict[str, object]:
    """The straight line between the ends."""
    return {"u": [0.0], "x": lambda t: [AWAY * t / HORIZON, math.pi * t / HORIZON, AWAY / HORIZON, math.pi / HORIZON]}


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=40, degree=3, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
