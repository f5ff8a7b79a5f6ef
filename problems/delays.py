"""Delays in state and control: what is steered now acts two units later on a state of one unit ago.

x'(t) = x(t − 1) u(t − 2),  x = 1 on [−1, 0],  u = 0 on [−2, 0),  T = 3,  J = ∫ x² + u² dt.

No control acts before t = 2, so that x = 1 until then and x' = u(t − 2) after: J = 2 + tanh 1 = 2.761594156.
Source: Göllmann, Kern and Maurer, Optim. Control Appl. Meth. 30 (2009), section 5.1, J = 2.76159416.
"""

import math

import ocdl

REFERENCE = 2 + math.tanh(1)
DIGITS = 1e-9


def delayed() -> ocdl.DelayProblem:
    return ocdl.DelayProblem(
        states=["x"],
        controls=["u"],
        dynamics=lambda x_lag, u_lag: x_lag * u_lag,
        initial=[1.0],
        horizon=3.0,
        state_lag=1.0,
        control_lag=2.0,
        history=1.0,
        control_history=0.0,
        running=lambda x, u: x**2 + u**2,
    )


def problem() -> ocdl.ControlProblem:
    return delayed().stacked()


def grid(layers: int = 10) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=3, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
