"""How far can the best network found be from the best there is?

Two neurons whose IPOPT solution is only a local optimum: value iteration finds a better one, and a proven lower bound,
which holds whatever the grid, says how much better any other could be.
"""

import ocdl

GRID = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(layers=50, degree=3))
WORSE = {"a": -0.5, "b": 0.5}  # a start on the wrong side
NODES = (21, 41, 81, 161)

problem = ocdl.SelectionProblem(
    activation=ocdl.Tanh(),
    horizon=1.0,
    initial=[0.02, -0.5],
    target=[0.0, 1.2],
    bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
)

local = ocdl.solve(problem, GRID, ocdl.Ipopt(), start=WORSE)
rollout = ocdl.solve(problem, GRID, ocdl.ValueIteration())
best = ocdl.solve(problem, GRID, ocdl.Ipopt(), start=rollout)
bounds = {nodes: ocdl.lower_bound(problem.discretise(GRID.width), nodes=nodes) for nodes in NODES}
gaps = {nodes: best.cost - bound.value for nodes, bound in bounds.items()}

if __name__ == "__main__":
    print(f"IPOPT from a wrong start   {local.cost:.8f}")
    print(f"value iteration, rolled out {rollout.cost:.8f}")
    print(f"IPOPT from that rollout    {best.cost:.8f}")
    for nodes, bound in bounds.items():
        print(f"no control costs less than {bound.value:.8f} ({bound.argument}); gap {gaps[nodes]:.1e}")
