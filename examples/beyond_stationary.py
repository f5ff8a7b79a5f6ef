"""Does the maximum principle improve an answer that no gradient can improve?

Five samples, four neurons, ten Euler layers, |a|, |b| ≤ 3. IPOPT converges to a local optimum: its Hamiltonian gap by
local search is zero. By global search, neuron by neuron, it is not, and needle steps along that gap lower the cost.
"""

import numpy as np

import ocdl

GRID = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(10))


def problem(seed: int) -> ocdl.SelectionProblem:
    initial, target = np.random.default_rng(seed).normal(size=(2, 5, 4))
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=initial,
        target=target,
        bounds=ocdl.Box(a=(-3, 3), b=(-3, 3)),
    )


rows = []
for seed in range(4):
    direct = ocdl.solve(problem(seed), GRID, ocdl.Ipopt(), seed=seed)
    gaps = ocdl.principle_gaps(problem(seed), GRID, direct)
    onward = ocdl.solve(problem(seed), GRID, ocdl.NeedleSteps(starts=4), start=direct, on_failure="return")
    rows.append((seed, direct.cost, float(gaps["local"].sum()), float(gaps["global"].sum()), onward.cost))

if __name__ == "__main__":
    print(f"{'seed':>4} {'IPOPT':>10} {'local gap':>10} {'global gap':>11} {'needles':>10} {'gained':>7}")
    for seed, direct_cost, local, global_, cost in rows:
        print(f"{seed:4d} {direct_cost:10.6f} {local:10.1e} {global_:11.1e} {cost:10.6f} {1 - cost / direct_cost:7.2%}")
