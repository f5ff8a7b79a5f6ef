"""A hyper-sensitive problem: ten thousand units of time of which all but a few dozen at each end are rest.

x' = −x³ + u,  x(0) = 1.5, x(T) = 1,  T = 10000,  J = ½ ∫ x² + u² dt.

H = 0 up to e^{−2T}: ½ (x² + u²) + p (u − x³) = 0 with u = −p, hence p = −x³ ± √(x⁶ + x²), + on the way to rest, − on
the way from it, and J = ∫_0^{1.5} p dx + ∫_0^1 |p| dx, a quadrature, is 1.3308069049.
Source: Rao and Mease, Automatica 35 (1999); hyper-sensitive example of GPOPS-II and PSOPT, 1.3308069.
"""

import math

import numpy as np
from scipy.integrate import quad

import ocdl

FROM, TO, HORIZON = 1.5, 1.0, 10000.0


def least() -> float:
    """∫_0^{1.5} (−x³ + √(x⁶ + x²)) dx + ∫_0^1 (x³ + √(x⁶ + x²)) dx."""
    down = quad(lambda x: -(x**3) + x * math.sqrt(x**4 + 1), 0.0, FROM, epsabs=1e-13)[0]
    up = quad(lambda x: x**3 + x * math.sqrt(x**4 + 1), 0.0, TO, epsabs=1e-13)[0]
    return down + up


REFERENCE = least()
DIGITS = 1e-7
PUBLISHED, PUBLISHED_DIGITS = 1.3308069, 1e-7


def problem(*, horizon: float = HORIZON) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        dynamics=lambda x, u: -(x[0] ** 3) + u[0],
        initial=[FROM],
        final=[TO],
        horizon=horizon,
        running=lambda x, u: 0.5 * (x[0] ** 2 + u[0] ** 2),
    )


def grid(layers: int = 40) -> ocdl.DepthScheme:
    """Layers that grow by the same factor from both ends: 40 units of time are resolved at each."""
    half = np.geomspace(0.1, 1000.0, layers)
    return ocdl.Radau(
        layers=np.concatenate([half, half[::-1]]) * HORIZON / (2 * half.sum()), degree=3, controls=ocdl.PerStage()
    )


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
