"""Rayleigh's tunnel-diode oscillator, damped at least cost, with and without constraints.

x' = y,  y' = −x + y (1.4 − 0.14 y²) + 4 u,  x(0) = −5, y(0) = −5,  J = ∫_0^T x² + u² dt, and one of

    "mixed":    T = 4.5,  u + x/6 ≤ 0                             J = 44.8044449
    "bounded":  T = 4.5,  |u| ≤ 1,  x(T) = 0, y(T) = 0            J = 44.7209391
    "free":     T = 2.5                                           J = 29.3760797

Source: Maurer and Augustin, in "Online optimization of large scale systems" (2001). "mixed" is problem 10.113 of Betts,
"Practical methods for optimal control using nonlinear programming" (3rd edition), and opty's example quotes 44.8044433
from it: shooting for the costates gives 44.8044449084, so the last two of those nine digits are not the problem's.
"free" is "Rayleigh unconstrained" of PROPT's manual, whose 29.376079656 shooting confirms. Shooting gives 44.7209390847
for "bounded", for which no digits were found in print.
"""

import ocdl

REFERENCE = 44.8044433
DIGITS = 2e-6
FREE_REFERENCE = 29.376079656
FREE_DIGITS = 5e-9

VARIANTS = {
    "mixed": {"horizon": 4.5, "path": lambda x, u: u + x[0] / 6},
    "bounded": {"horizon": 4.5, "final": [0.0, 0.0], "bounds": ocdl.Box(u=(-1, 1))},
    "free": {"horizon": 2.5},
}


def problem(*, variant: str = "mixed") -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "y"],
        controls=["u"],
        dynamics=lambda x, u: [x[1], -x[0] + x[1] * (1.4 - 0.14 * x[1] ** 2) + 4 * u],
        initial=[-5.0, -5.0],
        running=lambda x, u: x[0] ** 2 + u**2,
        **VARIANTS[variant],
    )


def grid(layers: int = 100) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=5, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
