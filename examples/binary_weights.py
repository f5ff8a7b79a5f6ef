"""How good is a network with all weights in {−1, 1}, trained by the maximum principle?

Handwritten 0 against 8 (problems/digits.py without its regulariser, |W|, |μ| ≤ 20): twenty training images, all others
held out. The maximum principle needs no derivative in the controls, so a finite control set is as good as a box.
"""

import importlib.util
from pathlib import Path

import numpy as np

import ocdl

path = Path(__file__).parent.parent / "problems" / "digits.py"
spec = importlib.util.spec_from_file_location("digits", path)
assert spec is not None and spec.loader is not None
digits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(digits)

problem, grid = digits.problem().replace(regulariser=None), digits.grid()
train, held_out = ocdl.digits(classes=(0, 8), nodes=4, count=20, seed=0)
unit = problem.replace(bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)))
RUNS = [
    ("a, b in {-1, 1}", unit, ocdl.DiscreteNeedleSteps(values=(-1, 1), exchanges=20, max_iterations=40)),
    ("a, b in [-1, 1]", unit, ocdl.ProjectedGradient(max_iterations=100)),
    ("a, b in [-5, 5]", problem, ocdl.ProjectedGradient(max_iterations=100)),
]

rows = []
for name, statement, method in RUNS:
    solution = ocdl.solve(statement, grid, method, on_failure="return")
    seen = ocdl.accuracy(ocdl.predict(statement, grid, solution), train.labels)
    unseen = ocdl.accuracy(ocdl.predict(statement, grid, solution, held_out.inputs), held_out.labels)
    values = np.unique(np.concatenate([solution.a.values.ravel(), solution.b.values.ravel()])).size
    rows.append((name, solution.method, values, solution.cost, seen, unseen, solution.seconds))

if __name__ == "__main__":
    print(f"{len(train.labels)} training digits, {len(held_out.labels)} held out")
    print(f"{'controls':>16} {'method':>20} {'values':>7} {'J':>10} {'training':>9} {'held out':>9} {'seconds':>8}")
    for name, method, values, cost, seen, unseen, seconds in rows:
        print(f"{name:>16} {method:>20} {values:7d} {cost:10.6f} {seen:9.1%} {unseen:9.1%} {seconds:8.1f}")
