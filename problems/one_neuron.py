"""One neuron against its exact answer.

f' = tanh(a − b f),  f(0) = f_I = 0.5,  |a| ≤ 1, |b| ≤ 1,  T = 1,  J = ½ (f(T) − target)².

The fastest rise is f' = tanh(1 + |f|) and the fastest fall f' = −tanh(1 + |f|), so the reachable states at T are
the interval [−0.3323975739639906, 1.4563111674757971] and the least cost is half the squared distance of the target
from it: J = 1.1914876058 for the target 3. Inside the interval J = 0 and the costate vanishes: many controls are
optimal.
Source: Liu and Markowich, "Selection dynamics for deep neural networks", section 4.2.
"""

import ocdl


def problem(*, initial: float = 0.5, target: float = 3.0) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=initial,
        target=target,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


def grid() -> ocdl.Grid:
    return ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.Radau(layers=50, degree=3))


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.NeedleSteps(), ocdl.SuccessiveApproximations(), ocdl.ValueIteration()]
