"""Does every route reach the exact answer of one neuron, for a target inside, above and below its reach?

Exact: ½ dist(target, [f_min, f_max])² with the ends from two scalar differential equations.
"""

import numpy as np
from scipy.integrate import solve_ivp

import ocdl

HORIZON, START = 1.0, 0.5


def reach(sign: float) -> float:
    """f(T) of f' = ±tanh(1 + |f|), to 1e-13."""
    run = solve_ivp(lambda t, f: sign * np.tanh(1.0 + abs(f)), (0, HORIZON), [START], rtol=1e-13, atol=1e-14)
    return float(run.y[0, -1])


def problem(target: float) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=HORIZON,
        initial=START,
        target=target,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


# Falling, the neuron passes 0 at ln sinh 1.5 − ln sinh 1 and b changes sign there: a depth node must lie on it.
SWITCH = float(np.log(np.sinh(1.5) / np.sinh(1.0)))
MESH = [SWITCH / 30] * 30 + [(HORIZON - SWITCH) / 30] * 30
GRID = ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.Radau(layers=MESH, degree=3))
METHODS = [ocdl.Ipopt(), ocdl.NeedleSteps(), ocdl.ValueIteration()]

LOW, HIGH = reach(-1.0), reach(1.0)
rows = []
for target in (1.0, 3.0, -1.0):
    exact = 0.5 * max(LOW - target, target - HIGH, 0.0) ** 2
    for method in METHODS:
        solution = ocdl.solve(problem(target), GRID, method)
        value = solution.claim["cost"] if isinstance(method, ocdl.ValueIteration) else solution.cost
        rows.append((target, solution.method, value, value - exact, solution.status.name))

if __name__ == "__main__":
    print(f"reachable: [{LOW:.13f}, {HIGH:.13f}]")
    print(f"{'target':>7} {'method':>16} {'J, or V(f_I, 0)':>18} {'error':>10}  status")
    for target, name, value, error, status in rows:
        print(f"{target:7.1f} {name:>16} {value:18.12f} {error:10.1e}  {status}")
