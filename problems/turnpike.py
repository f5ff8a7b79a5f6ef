"""A turnpike: reach the cheap state at full speed, stay there on a singular arc, and leave it at the last moment.

x' = u,  |u| ≤ 1,  x(0) = 1,  x(2) = ½,  J = ∫_0^2 x² dt.

H = p u + x² and p' = −2 x. Where x ≠ 0 the control is bang-bang; p ≡ 0 forces x = 0 and u = 0. So u = −1 with
p = (1 − t)² until t = 1, u = 0 with p = 0 until t = 3/2, then u = 1 with p = −(t − 3/2)², and J = 1/3 + 1/24 = 3/8.
J is convex, x linear in u: the extremal is the optimum.
Source: `simple_integrator_nonsmooth_turnpike` of control-toolbox's CTProblems.
"""

import ocdl

HORIZON, BEGIN, END = 2.0, 1.0, 0.5
SWITCHES = (BEGIN, HORIZON - END)
REFERENCE = (BEGIN**3 + END**3) / 3
DIGITS = 1e-8


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x"],
        controls=["u"],
        dynamics=lambda u: u,
        initial=[BEGIN],
        final=[END],
        horizon=HORIZON,
        running=lambda x: x**2,
        bounds=ocdl.Box(u=(-1, 1)),
    )


def grid(layers: int = 20) -> ocdl.DepthScheme:
    """A multiple of four layers has nodes at both switches."""
    return ocdl.Radau(layers=layers, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
