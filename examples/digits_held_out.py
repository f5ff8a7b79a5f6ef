"""Does the direct route train a better network than gradient descent, on digits neither has seen?

Handwritten 0 against 8 (problems/digits.py): twenty training images, all others held out.
"""

import importlib.util
from pathlib import Path

import ocdl

path = Path(__file__).parent.parent / "problems" / "digits.py"
spec = importlib.util.spec_from_file_location("digits", path)
assert spec is not None and spec.loader is not None
digits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(digits)

problem, grid = digits.problem(), digits.grid()
train, held_out = ocdl.digits(classes=(0, 8), nodes=4, count=20, seed=0)

rows = []
for method in digits.methods():
    solution = ocdl.solve(problem, grid, method, on_failure="return")
    seen = ocdl.accuracy(ocdl.predict(problem, grid, solution), train.labels)
    unseen = ocdl.accuracy(ocdl.predict(problem, grid, solution, held_out.inputs), held_out.labels)
    rows.append((solution.method, solution.cost, solution.gap, seen, unseen, solution.seconds))

if __name__ == "__main__":
    print(f"{len(train.labels)} training digits, {len(held_out.labels)} held out")
    print(f"{'method':>18} {'J':>12} {'gap':>9} {'training':>9} {'held out':>9} {'seconds':>8}")
    for name, cost, gap, seen, unseen, seconds in rows:
        print(f"{name:>18} {cost:12.8f} {gap:9.1e} {seen:9.1%} {unseen:9.1%} {seconds:8.1f}")
