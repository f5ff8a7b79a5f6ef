"""Dido's problem: the closed curve of length 1 around the largest area is a circle, 1/(4π) = 0.0795774715.

x' = u,  y' = v,  ∫_0^1 u² + v² dt = 1,  (x, y)(1) = (x, y)(0) = 0,  J = −½ ∫_0^1 x v − y u dt.

By the inequality of Cauchy and Schwarz the curve is no longer than 1, and of length 1 where its speed is constant: of
all ways to run through a curve the constraint picks that one.
Source: Pappus of Alexandria, Collection V; the isoperimetric inequality 4π · area ≤ length².
"""

import numpy as np

import ocdl

REFERENCE = -1 / (4 * np.pi)
DIGITS = 1e-8
PUBLISHED = -0.0795774715
PUBLISHED_DIGITS = 5e-11
COARSE = 8


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "y"],
        controls=["u", "v"],
        dynamics=lambda u: u,
        initial=[0.0, 0.0],
        horizon=1.0,
        running=lambda x, u: -(x[0] * u[1] - x[1] * u[0]) / 2,
        integral=lambda u: u[0] ** 2 + u[1] ** 2,
        bounds=ocdl.Box(integral=(1, 1)),
        periodic=True,
    )


def grid(layers: int = 40) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=3, controls=ocdl.PerStage())


def start() -> dict:
    """Once to and fro."""
    return {"u": lambda t: [np.cos(2 * np.pi * t), np.sin(2 * np.pi * t) / 2]}


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
