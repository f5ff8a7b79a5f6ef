"""A target within reach, made well posed by Tikhonov.

∂t f = tanh(a − ∫ b f dz),  T = 1,  f_I = 0.3 + ½ sin 2πy,  f̃ = 0.2 + 0.6 cos 2πy,
J = ½ ∫ (f(y,T) − f̃)² dy + (λ/2) (∫∫ a² dy dt + ∫∫∫ b² dz dy dt), no box.

Without λ the least cost is 0, the costate vanishes and the maximum principle says nothing (Liu and Markowich,
remark 4.1). With λ > 0 the controls of least norm are singled out: with pre-activation s = a − ∫ b f they are
a = s/(1 + ∫f²), b = −s f/(1 + ∫f²).
"""

import numpy as np

import ocdl


def problem(*, weight: float = 1e-3) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: 0.2 + 0.6 * np.cos(2 * np.pi * y),
        regulariser=ocdl.Tikhonov(weight) if weight else None,
    )


def grid() -> ocdl.Grid:
    return ocdl.Grid(width=ocdl.GaussLegendre(6), depth=ocdl.Gauss(layers=20, degree=2))


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.NeedleSteps(), ocdl.ProjectedGradient()]
