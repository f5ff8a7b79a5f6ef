"""Two neurons, c = (0, 1.2), from four starts: V against the best known cost, its feedback as a warm start, the
branches that local methods reach from twenty random controls, and the costates of all routes against ∇V.

    python benchmarks/hjb/two_neurons.py [--random 20]

Best known: the least cost that any run here finds. Right branch: within 1e-6 of it for IPOPT, 1e-4 for NeedleSteps
(whose switches lie on layers). Costates in function space, maximum over depth, along the trajectory of the rollout.
"""

import argparse

import numpy as np

import ocdl

STARTS = [(0.05, 0.2), (0.1, -0.2), (-0.3, 0.1), (0.02, -0.5)]
GRID = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(layers=50, degree=3))
LOCAL = {"Ipopt": (ocdl.Ipopt(), 1e-6), "NeedleSteps": (ocdl.NeedleSteps(), 1e-4)}


def problem(start: tuple[float, float]) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=list(start),
        target=[0.0, 1.2],
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


def distance(a, b) -> float:
    return float(np.max(np.abs(a.values - b.values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=20)
    count = parser.parse_args().random
    for start in STARTS:
        statement = problem(start)
        hjb = ocdl.solve(statement, GRID, ocdl.ValueIteration())
        warm = {n: ocdl.solve(statement, GRID, m, start=hjb, on_failure="return") for n, (m, _) in LOCAL.items()}
        cold = {
            n: [ocdl.solve(statement, GRID, m, seed=seed, on_failure="return").cost for seed in range(count)]
            for n, (m, _) in LOCAL.items()
        }
        best = min(hjb.cost, *(s.cost for s in warm.values()), *(c for costs in cold.values() for c in costs))
        value, error = hjb.claim["cost"], hjb.claim["value_error"]
        print(f"start {start}: best known {best:.8f}, proven lower bound {hjb.claim['lower_bound']:.6f}")
        print(f"  V − best {value - best:+.1e} (estimated {error:.1e}), rollout − best {hjb.cost - best:+.1e}")
        for name, (_, tolerance) in LOCAL.items():
            right = sum(cost - best <= tolerance for cost in cold[name])
            costate = distance(warm[name].costate, hjb.claim["costate"])
            print(
                f"  {name:12} warm − best {warm[name].cost - best:+.1e}; right branch from {right} of {count} random "
                f"starts, worst {max(cold[name]):.5f}; costate − ∇V {costate:.1e}"
            )
        own = warm["Ipopt"].claim["costate"]
        print(f"  IPOPT's multipliers − ∇V {distance(own, hjb.claim['costate']):.1e}")


if __name__ == "__main__":
    main()
