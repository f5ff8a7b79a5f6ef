"""Does it matter to a network by which Runge–Kutta scheme its layers step?

ẏ = tanh(Ky + β) with one K and β a layer, on donut1d; the schemes of Benning et al. (2019), figures 13 to 15.
"""

import numpy as np

import ocdl

train, test = ocdl.donut1d(count=60)
problem = ocdl.network(ocdl.Residual(), train.inputs, train.labels, regulariser=ocdl.Tikhonov(1e-4), horizon=1.5)
method = ocdl.LBFGSB(gap="gradient", max_iterations=1, round_iterations=40)

LAYERS = 15
draw = np.random.default_rng(1)
start = {
    "K": draw.standard_normal((LAYERS, 2, 2)),
    "beta": np.zeros((LAYERS, 2)),
    "W": draw.standard_normal((1, 2)),
    "mu": np.zeros(1),
}

rows = []
for scheme in (ocdl.ExplicitEuler, ocdl.ImprovedEuler, ocdl.Kutta3, ocdl.Kutta4):
    depth = scheme(LAYERS)
    solution = ocdl.solve(problem, depth, method, start=start, on_failure="return")
    seen = ocdl.accuracy(ocdl.predict(problem, depth, solution), train.labels)
    unseen = ocdl.accuracy(ocdl.predict(problem, depth, solution, test.inputs), test.labels)
    rows.append((scheme.__name__, solution.cost, seen, unseen, solution.seconds))

if __name__ == "__main__":
    print(f"{'scheme':>14} {'J':>10} {'training':>9} {'test':>7} {'seconds':>8}")
    for name, cost, seen, unseen, seconds in rows:
        print(f"{name:>14} {cost:10.6f} {seen:9.1%} {unseen:7.1%} {seconds:8.1f}")
