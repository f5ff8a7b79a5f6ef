"""A unit mass moved from rest to rest with the least energy: the thrust falls linearly.

x' = v,  v' = u,  x(0) = 0, v(0) = 0,  x(T) = d, v(T) = 0,  J = ½ ∫_0^T u² dt.

u = −p_v with p_x constant, so u = (6 d/T²)(1 − 2 t/T),  p_x = −12 d/T³  and  J = 6 d²/T³, which is 6 for d = T = 1.
Source: `double_integrator_energy` of control-toolbox's CTProblems, with d = T = 1.
"""

import ocdl


def least_energy(distance: float, horizon: float) -> float:
    return 6 * distance**2 / horizon**3


REFERENCE = least_energy(1.0, 1.0)
DIGITS = 1e-8


def problem(*, distance: float = 1.0, horizon: float = 1.0) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "v"],
        controls=["u"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0.0, 0.0],
        final=[distance, 0.0],
        horizon=horizon,
        running=lambda u: u**2 / 2,
    )


def grid(layers: int = 10) -> ocdl.DepthScheme:
    """Controls linear in depth contain the optimal one."""
    return ocdl.Radau(layers=layers, degree=3, controls=ocdl.PiecewiseLinear())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
