"""Can a direct method find less than the optimum?

One neuron from −½ towards 3: b has to switch once, at t = ln(sinh 3/2) − ln(sinh 1), and J = ½ (3 − f(1))² has a closed
form. Controls of their own at every stage put the switch between two collocation points and gain what the quadrature
misses; controls held constant in a layer, or linear, can only lose. The certificate integrates each answer anew.
"""

import numpy as np

import ocdl

problem = ocdl.SelectionProblem(
    activation=ocdl.Tanh(), horizon=1.0, initial=-0.5, target=3.0, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))
)
# f' = tanh(1 − f) while f < 0, so that sinh(1 − f) = sinh(3/2) e^−t;
# then f' = tanh(1 + f), so that sinh(1 + f) = sinh(1) e^(t − switch)
switch = np.log(np.sinh(1.5) / np.sinh(1.0))
optimum = 0.5 * (3.0 - (np.arcsinh(np.sinh(1.0) * np.exp(1.0 - switch)) - 1.0)) ** 2

rows = []
for shape in (ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()):
    grid = ocdl.Grid(ocdl.Midpoint(1), ocdl.Gauss(layers=50, degree=3, controls=shape))
    solution = ocdl.solve(problem, grid, ocdl.Ipopt())
    found = solution.certificate
    rows.append((type(shape).__name__, solution.cost - optimum, found.cost - optimum, found.super_optimal))

refined = ocdl.refine(problem, ocdl.Grid(ocdl.Midpoint(1), ocdl.Gauss(50, 3)), ocdl.Ipopt(), tolerance=1e-9)

if __name__ == "__main__":
    print(f"optimum {optimum:.10f}, b switches at {switch:.10f}")
    print(f"{'controls':>18} {'J − J*':>10} {'re-integrated':>14}  flagged")
    for name, discrete, integrated, flagged in rows:
        print(f"{name:>18} {discrete:10.1e} {integrated:14.1e}  {'super-optimal' if flagged else ''}")
    print(f"{'refined mesh':>18} {refined.solution.cost - optimum:10.1e}")
    print(refined)
