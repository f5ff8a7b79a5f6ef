"""The buckled beam between two walls: a non-convex problem with a bound on the state, touched at two points.

x' = sin θ,  θ' = u,  |x| ≤ 0.05,  |θ| ≤ 1,  x = θ = 0 at t = 0 and t = 1,  J = ∫_0^1 u² + α cos θ dt,  α = 350.

A clamped beam of length 1 under the load α, deflected by x and inclined by θ. The straight beam is an extremal with
J = α; the optimum is a double bow, antisymmetric about t = ½, that touches both walls. Its costates follow the pendulum
p_θ' = α sin θ − p_x cos θ with p_x constant between the touches, and shooting for p_θ(0), both values of p_x and the
time of the touch gives J = 344.8761334891.
Source: Maurer and Mittelmann, Optim. Control Appl. Methods 12 (1991); `clnlbeam` of CUTEst and of Mittelmann's AMPL-NLP
benchmark, 20000 trapezoidal steps, for which IPOPT is reported to find 3.448761e+02 (benchmark report of
github.com/jkitchin/pounce).
"""

import casadi as ca
import numpy as np

import ocdl

REFERENCE = 344.8761
DIGITS = 5e-5
TOUCH = 0.31228  # and 1 − TOUCH


def problem(*, load: float = 350.0, wall: float = 0.05) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "theta"],
        controls=["u"],
        dynamics=lambda x, u: [ca.sin(x[1]), u],
        initial=[0.0, 0.0],
        final=[0.0, 0.0],
        horizon=1.0,
        running=lambda x, u: u**2 + load * ca.cos(x[1]),
        bounds=ocdl.Box(x=([-wall, -1], [wall, 1])),
    )


def grid(layers: int = 20) -> ocdl.DepthScheme:
    """As many layers on each of the three bows: the walls are felt at nodes and stages only."""
    arcs = np.diff([0.0, TOUCH, 1 - TOUCH, 1.0])
    return ocdl.Radau(layers=np.repeat(arcs / layers, layers), degree=5, controls=ocdl.PerStage())


def start() -> dict[str, object]:
    """A double bow: from the straight beam, an extremal, no descent begins."""

    def bow(t: float) -> list[float]:
        low, high = 2 * np.pi, 4 * np.pi
        return [0.03 * (np.sin(low * t) - np.sin(high * t) / 2), 0.03 * low * (np.cos(low * t) - np.cos(high * t))]

    return {"x": bow}


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
