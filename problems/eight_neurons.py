"""Steer a sine profile beyond its reach: the optimal network is bang-bang.

∂t f = tanh(a − ∫ b f dz),  |a| ≤ 1, |b| ≤ 1,  T = 1,  f_I = 0.3 + ½ sin 2πy,
J = ½ ∫ (f(y,T) − 3 cos 2πy)² dy, on eight cells with mixed signs.

Optimum in continuous depth, by indirect shooting at 1e-12: J = 0.968069497335.
"""

import numpy as np

import ocdl

OPTIMUM = 0.968069497335


def problem(*, horizon: float = 1.0) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=horizon,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: 3 * np.cos(2 * np.pi * y),
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


def grid(*, layers: int = 50) -> ocdl.Grid:
    return ocdl.Grid(width=ocdl.Midpoint(8), depth=ocdl.Radau(layers=layers, degree=3))


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.NeedleSteps(), ocdl.SuccessiveApproximations()]
