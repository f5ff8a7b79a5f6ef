"""How often does a local method stop in a worse extremal, and does value iteration find the right branch?

Two neurons with c = (0, 1.2) from four starting states, each from ten random controls.
"""

import numpy as np

import ocdl

STATES = [(0.05, 0.2), (0.1, -0.2), (-0.3, 0.1), (0.02, -0.5)]
GRID = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(layers=50, degree=3))


def problem(state: tuple[float, float]) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=list(state),
        target=[0.0, 1.2],
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


rows = []
for state in STATES:
    hjb = ocdl.solve(problem(state), GRID, ocdl.ValueIteration())
    local = np.array([ocdl.solve(problem(state), GRID, ocdl.Ipopt(), seed=seed).cost for seed in range(10)])
    warm = ocdl.solve(problem(state), GRID, ocdl.Ipopt(), start=hjb)
    best = min(local.min(), warm.cost)
    rows.append((state, hjb.claim["cost"], hjb.cost, warm.cost, best, int(np.sum(local > best + 1e-6)), local.max()))

if __name__ == "__main__":
    print("start           V(f_I, 0)   rollout   IPOPT from rollout   best known   worse of 10   worst")
    for state, *costs, worse, worst in rows:
        value, rollout, warm, best = (f"{cost:.8f}" for cost in costs)
        print(f"{state!s:15} {value}  {rollout}  {warm}         {best}   {worse:5d}        {worst:.6f}")
