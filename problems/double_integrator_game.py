"""A mass that one player brings to rest at the origin and another pushes away: Isaacs' equation in closed form.

x' = v,  v' = u + d,  |u| ≤ 1 minimises, |d| ≤ D < 1 maximises  J = ½ (x(T)² + v(T)²),  x(0) = v(0) = 1.

In ∂_tV + v ∂_xV + min_u max_d (u + d) ∂_vV = 0 both players have a term of their own, so that min max = max min = −(1 −
D) |∂_vV|: lower and upper value coincide, and are the value of one control with the authority 1 − D. Its optimum
switches once, or reaches the origin at rest by T, where V = 0. From (1, 1) it brakes throughout, a = 1 − D:
J = ½ ((1 + T − ½aT²)² + (1 − aT)²), which is 1.65625 for D = ½, T = 1.
Source: Isaacs, "Differential Games" (1965); the switching curve: Bryson and Ho, "Applied Optimal Control" (1975).
"""

import casadi as ca
import numpy as np

import ocdl


def least_cost(x, *, authority: float = 0.5, horizon: float = 1.0, switches: int = 4001):
    """V(x, 0) at states x (q, 2), the least over ``switches`` times of a switch; shape (q,)."""
    position, speed = x[:, :1], x[:, 1:]
    s, found = np.linspace(0.0, horizon, switches), np.full(len(x), np.inf)
    for u in (-authority, authority):
        end = speed + u * (2.0 * s - horizon)
        way = position + speed * horizon + u * (s * (horizon - s) + 0.5 * s**2 - 0.5 * (horizon - s) ** 2)
        found = np.minimum(found, 0.5 * (way**2 + end**2).min(axis=1))
    side = np.where(authority * position > -0.5 * speed * np.abs(speed), 1.0, -1.0)
    root = np.sqrt(np.maximum(0.5 * speed**2 + side * authority * position, 0.0))
    return np.where(((side * speed + 2.0 * root) / authority)[:, 0] <= horizon, 0.0, found)


def braking(push: float, horizon: float) -> float:
    """J from (1, 1)."""
    a = 1.0 - push
    return 0.5 * ((1.0 + horizon - 0.5 * a * horizon**2) ** 2 + (1.0 - a * horizon) ** 2)


VALUE = braking(0.5, 1.0)


def problem(*, push: float = 0.5, horizon: float = 1.0) -> ocdl.ControlProblem:
    """Control 1, ``d``, is the disturbance: ``ocdl.ValueIteration(disturbance=["d"])``."""
    return ocdl.ControlProblem(
        states=["x", "v"],
        controls=["u", "d"],
        dynamics=lambda x, u: [x[1], u[0] + u[1]],
        initial=[1.0, 1.0],
        horizon=horizon,
        terminal=lambda x: 0.5 * ca.sumsqr(x),
        bounds=ocdl.Box(u=([-1, -push], [1, push])),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Kutta4(40)


def methods() -> list[ocdl.Method]:
    return []  # the routes minimise over all controls; the game is asked of ``value_function``
