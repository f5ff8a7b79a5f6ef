"""When does the bang-bang network switch, once the mesh is gone?

Eight neurons (problems/eight_neurons.py) from 13, 25 and 50 layers of three schemes: solved on layers, then polished in
continuous depth, where all starts end in the same network.
"""

import importlib.util
from pathlib import Path

import ocdl

path = Path(__file__).parent.parent / "problems" / "eight_neurons.py"
spec = importlib.util.spec_from_file_location("eight_neurons", path)
assert spec is not None and spec.loader is not None
eight_neurons = importlib.util.module_from_spec(spec)
spec.loader.exec_module(eight_neurons)

problem = eight_neurons.problem()
SCHEMES = [ocdl.ExplicitEuler(13), ocdl.ImprovedEuler(25), ocdl.Radau(layers=50, degree=3)]

rows = []
for depth in SCHEMES:
    grid = ocdl.Grid(width=ocdl.Midpoint(8), depth=depth)
    solution = ocdl.solve(problem, grid, ocdl.NeedleSteps(), on_failure="return")
    polished = ocdl.polish(problem, grid, solution)
    rows.append((f"{type(depth).__name__}, N = {depth.count}", solution.cost, polished.cost, polished.switches))

if __name__ == "__main__":
    print(f"{'start':>24} {'J on layers':>14} {'J polished':>18}")
    for name, coarse, cost, _ in rows:
        print(f"{name:>24} {coarse:14.10f} {cost:18.15f}")
    print("\nfunction  neuron  direction  depth")
    columns = ["function", "neuron", "direction", "depth"]
    for switch in rows[-1][-1][columns].to_dataframe().itertuples():
        print(f"{switch.function:>8} {switch.neuron:7d} {switch.direction:10d}  {switch.depth:.12f}")
