"""Re-entry of the space shuttle: bank and angle of attack that reach the largest cross range.

h' = V sin γ,  φ' = V cos γ sin ψ/(r cos θ),  θ' = V cos γ cos ψ/r,  V' = −D/m − g sin γ,
γ' = L cos β/(m V) + cos γ (V/r − g/V),  ψ' = L sin β/(m V cos γ) + V cos γ sin ψ sin θ/(r cos θ),
r = R + h, g = μ/r², D = ½ c_D S ρ V², L = ½ c_L S ρ V², ρ = ρ₀ e^{−h/h_r}, c_L = a₀ + a₁ α̂, c_D = b₀ + b₁ α̂ + b₂ α̂²
(α̂ in degrees),  |α| ≤ 90°,  −89° ≤ β ≤ 1°,
(260000 ft, 0, 0, 25600 ft/s, −1°, 90°) → (80000 ft, ·, ·, 2500 ft/s, −5°, ·),  T free,  J = −θ(T) in degrees.

Lengths are in 10⁵ ft and speeds in 10⁴ ft/s here.
Source: Betts, "Practical methods for optimal control and estimation using nonlinear programming" (2010), section 6.1,
which prints θ(T) = 34.1412° and T = 2008.59 s.
"""

import math

import casadi as ca
import numpy as np

import ocdl

DEGREE = math.pi / 180
RADIUS, MU = 20902900.0, 0.14076539e17
DENSITY, DECAY, WING, MASS = 0.002378, 23800.0, 2690.0, 203000 / 32.174
LIFT, DRAG = (-0.20704, 0.029244), (0.07854, -0.61592e-2, 0.621408e-3)
FAR, FAST = 1e5, 1e4

REFERENCE = -34.1411843536  # refined to 1e-6
DIGITS = 5e-6
PUBLISHED, PUBLISHED_DIGITS = -34.1412, 5e-5


def problem() -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        h, theta, V, gamma, psi = FAR * x[0], x[2], FAST * x[3], x[4], x[5]
        alpha, beta = u[0], u[1]
        r = RADIUS + h
        g = MU / r**2
        push = 0.5 * WING * DENSITY * ca.exp(-h / DECAY) * V / MASS  # over V
        degrees = alpha / DEGREE
        lift = push * (LIFT[0] + LIFT[1] * degrees)
        drag = push * V * (DRAG[0] + DRAG[1] * degrees + DRAG[2] * degrees**2)
        along = V * ca.cos(gamma) / r
        return [
            V * ca.sin(gamma) / FAR,
            along * ca.sin(psi) / ca.cos(theta),
            along * ca.cos(psi),
            (-drag - g * ca.sin(gamma)) / FAST,
            lift * ca.cos(beta) + ca.cos(gamma) * (V / r - g / V),
            lift * ca.sin(beta) / ca.cos(gamma) + along * ca.sin(psi) * ca.tan(theta),
        ]

    steep = 89 * DEGREE
    return ocdl.ControlProblem(
        states=["h", "phi", "theta", "V", "gamma", "psi"],
        controls=["alpha", "beta"],
        dynamics=dynamics,
        initial=[2.6, 0.0, 0.0, 2.56, -DEGREE, 90 * DEGREE],
        final=[0.8, None, None, 0.25, -5 * DEGREE, None],
        horizon=ocdl.Free(500.0, 4000.0, guess=2000.0),
        terminal=lambda x: -x[2] / DEGREE,
        bounds=ocdl.Box(
            u=([-90 * DEGREE, -steep], [90 * DEGREE, DEGREE]),
            x=([0.0, -np.inf, -steep, 0.01, -steep, -np.inf], [np.inf, np.inf, steep, np.inf, steep, np.inf]),
        ),
    )


def start() -> dict[str, object]:
    """A glide, swept from the entry: 20° of attack, banked by 60°."""
    return {"u": [20 * DEGREE, -60 * DEGREE]}


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=40, degree=3, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
