"""Which controls does Tikhonov choose for a target within reach?

Those of least norm: with pre-activation s = a − ∫ b f, they are a = s/(1 + ∫f²) and b(y,z) = −s(y) f(z)/(1 + ∫f²),
of rank one whatever the width. Checked on the network that IPOPT finds, where f is taken mid-layer.
"""

import numpy as np

import ocdl

GRID = ocdl.Grid(width=ocdl.GaussLegendre(6), depth=ocdl.ImplicitMidpoint(layers=40))


def problem(weight: float) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: 0.2 + 0.6 * np.cos(2 * np.pi * y),
        regulariser=ocdl.Tikhonov(weight),
    )


def distance_from_least_norm(solution: ocdl.Solution) -> float:
    """max |b − b*| over depth and width, relative to max |b|."""
    w = GRID.width.on((0, 1)).weights
    f = solution.tree["stages/stage_state"].isel(stage=0, sample=0).values
    s = solution.a.values - np.einsum("tij,tj->ti", solution.b.values, w * f)
    least = -s[:, :, None] * f[:, None, :] / (1.0 + np.sum(w * f**2, axis=1))[:, None, None]
    return float(np.max(np.abs(solution.b.values - least)) / np.max(np.abs(solution.b.values)))


rows = []
for weight in (1e-1, 1e-2, 1e-3, 1e-4):
    solution = ocdl.solve(problem(weight), GRID, ocdl.Ipopt(tolerance=1e-11))
    miss = solution.state.isel(t=-1, sample=0) - np.asarray(0.2 + 0.6 * np.cos(2 * np.pi * solution.state["y"]))
    rows.append((weight, solution.cost, float(np.sqrt(np.mean(miss**2))), distance_from_least_norm(solution)))

if __name__ == "__main__":
    print("  weight           J   rms miss of target   distance of b from least norm")
    for weight, cost, miss, distance in rows:
        print(f"{weight:8.0e}  {cost:.8f}   {float(miss):.3e}            {distance:.1e}")
