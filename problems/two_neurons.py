"""Two neurons with several extremals: local methods may end in a worse one, value iteration finds the right branch.

∂t f = tanh(a − ∫ b f dz) on two cells,  f_I = (0.02, −0.5),  |a| ≤ 1, |b| ≤ 1,  T = 1,
J = ½ ∫ (f(T) − c)² dy with c = (0, 1.2).

The first neuron's own target is within reach, so it is free to make an excursion that raises ∫|f| and speeds the second
neuron up; it can do so upwards or downwards, and each side holds an extremal of the maximum principle. From the
start given here IPOPT and the needle steps both stop in the worse one (J ≈ 0.1856), 0.7 % above the
other (J ≈ 0.1843), with a maximum-principle gap that does not betray it. Other starting states of interest:
(0.05, 0.2), (0.1, −0.2), (−0.3, 0.1).
"""

import ocdl


def problem(*, first: float = 0.02, second: float = -0.5) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=[first, second],
        target=[0.0, 1.2],
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


def grid() -> ocdl.Grid:
    return ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(layers=50, degree=3))


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.NeedleSteps(), ocdl.ValueIteration()]


def start() -> dict[str, float]:
    """Constant controls from which the local methods begin."""
    return {"a": -0.5, "b": 0.5}
