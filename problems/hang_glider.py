"""The hang glider: how far a glider flies through a thermal.

x' = v,  y' = w,  m v' = −L s − D c,  m w' = L c − D s − m g,  with the updraft U = 2.5 (1 − r) e^{−r},
r = (x/100 − 2.5)²,  W = w − U, V = √(v² + W²), s = W/V, c = v/V,  L = ½ ρ S V² c_L,  D = ½ ρ S V² (c₀ + c₁ c_L²),
0 ≤ c_L ≤ 1.4,  m = 100, g = 9.80665, ρ = 1.13, S = 14, c₀ = 0.034, c₁ = 0.069662,
(0, 1000, 13.2275675, −1.28750052) → (free, 900, 13.2275675, −1.28750052),  T free,  J = −x(T).

Source: Bulirsch, Nerz, Pesch and von Stryk, in "Optimal control" (1993); problem 11 of COPS 3.0 (Dolan, Moré and
Munson, ANL/MCS-TM-273, 2004), which prints 1248.02 to 1248.03.
"""

import casadi as ca
import numpy as np

import ocdl

MASS, GRAVITY, DENSITY, WING, C0, C1 = 100.0, 9.80665, 1.13, 14.0, 0.034, 0.069662
SPEED, SINK = 13.2275675, -1.28750052
REFERENCE = -1248.03102416  # refined to 1e-8
DIGITS = 5e-6
PUBLISHED, PUBLISHED_DIGITS = -1248.02, 2e-2


def problem() -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        away, v, w = x[0], x[2], x[3]
        r = (away / 100 - 2.5) ** 2
        sink = w - 2.5 * (1 - r) * ca.exp(-r)
        V = ca.sqrt(v**2 + sink**2)
        force = 0.5 * DENSITY * WING * V
        lift, drag = force * u[0], force * (C0 + C1 * u[0] ** 2)  # both over V
        return [v, w, (-lift * sink - drag * v) / MASS, (lift * v - drag * sink) / MASS - GRAVITY]

    return ocdl.ControlProblem(
        states=["x", "y", "v", "w"],
        controls=["lift"],
        dynamics=dynamics,
        initial=[0.0, 1000.0, SPEED, SINK],
        final=[None, 900.0, SPEED, SINK],
        horizon=ocdl.Free(10.0, 200.0, guess=100.0),
        terminal=lambda x: -x[0],
        bounds=ocdl.Box(u=(0.0, 1.4), x=([0.0, -np.inf, 0.0, -np.inf], np.inf)),
    )


def start() -> dict[str, object]:
    """The glide in still air that COPS starts from; depths are t/T."""
    return {"u": [1.0], "x": lambda t: [1250.0 * t, 1000.0 - 100.0 * t, SPEED, SINK]}


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=60, degree=3, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
