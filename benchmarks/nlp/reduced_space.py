"""How much does the reduced space save where many samples share the controls? All sides in one run, CPU seconds.

The same problem, mesh and start: IPOPT in full space; IPOPT on the controls alone, with the oracle's exact Hessian or,
where there are too many of them, a limited-memory one; and the interior-point method whose Newton step is Riccati's
recursion. Costs are the referee's: where they differ, the methods have found different local optima. ``--seconds``
bounds each run. Run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import runpy
import time
from pathlib import Path

import casadi as ca
import numpy as np

import ocdl

METHODS = {
    "full": lambda tolerance: ocdl.Ipopt(space="full", reduction="none", tolerance=tolerance),
    "reduced": lambda tolerance: ocdl.Ipopt(space="reduced", reduction="none", tolerance=tolerance),
    "interior point": lambda tolerance: ocdl.InteriorPoint(tolerance=tolerance),
}
PROBLEMS = Path(__file__).parents[2] / "problems"


def far_targets(S: int, M: int, N: int) -> tuple[ocdl.SelectionProblem, ocdl.Grid]:
    initial, target = np.random.default_rng(0).normal(size=(2, S, M))
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=initial, target=target, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))
    )
    return problem, ocdl.Grid(ocdl.Midpoint(M), ocdl.Radau(N, 3))


def digits() -> tuple[ocdl.SelectionProblem, ocdl.Grid]:
    module = runpy.run_path(str(PROBLEMS / "digits.py"))
    return module["problem"](), module["grid"]()


def residual_network(K: int) -> tuple[ocdl.ControlProblem, ocdl.DepthScheme]:
    """The squares of paper 001: K noisy points, label x₁x₂ > 0, twenty residual layers, Tikhonov 1e-4, random start."""
    generator = np.random.default_rng(0)
    points = generator.uniform(-0.7, 0.7, (K, 2))
    labels = (points[:, :1] * points[:, 1:] > 0).astype(float)
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: ca.tanh(ca.reshape(u[:4], 2, 2) @ x + u[4:]),
        initial=points + 0.1 * generator.normal(size=(K, 2)),
        horizon=1.0,
        terminal=lambda x, p, d: 0.5 * (0.5 * (1 + ca.tanh(0.5 * (ca.dot(p[:2], x) + p[2]))) - d) ** 2,
        effort=lambda u: 0.5e-4 * ca.sumsqr(u),
        penalty=lambda p: 0.5e-4 * ca.sumsqr(p),
        controls=6,
        parameters=3,
        data=labels,
    )
    return problem, ocdl.ExplicitEuler(20)


CASES = {
    "digits": (digits, (), 1e-7),
    "S = 1, M = 8, N = 50": (far_targets, (1, 8, 50), 1e-8),
    "S = 5, M = 8, N = 50": (far_targets, (5, 8, 50), 1e-8),
    "S = 20, M = 8, N = 10": (far_targets, (20, 8, 10), 1e-8),
    "S = 20, M = 8, N = 50": (far_targets, (20, 8, 50), 1e-8),
    "squares, K = 200": (residual_network, (200,), 1e-8),
    "squares, K = 1000": (residual_network, (1000,), 1e-8),
}


def run(case: str, method: str, answers: multiprocessing.Queue) -> None:
    make, arguments, tolerance = CASES[case]
    problem, grid = make(*arguments)
    start = None
    if isinstance(problem, ocdl.ControlProblem):
        generator = np.random.default_rng(1)
        start = {"u": generator.normal(size=(grid.count, problem.m)), "p": generator.normal(size=problem.P)}
        start["u"][:, 4:] = 0.0
    clock = time.process_time()
    solution = ocdl.solve(problem, grid, METHODS[method](tolerance), start=start, on_failure="return")
    answers.put((time.process_time() - clock, solution.cost, len(solution.history["cost"]) - 1, solution.status.name))


def measured(case: str, method: str, seconds: float) -> tuple[float, str]:
    """CPU seconds and the line to print; infinite where the run was stopped."""
    answers: multiprocessing.Queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=run, args=(case, method, answers))
    process.start()
    try:
        spent, cost, iterations, status = answers.get(timeout=seconds)
    except Exception:  # queue.Empty, whatever the child died of
        process.terminate()
        return np.inf, f"> {seconds:.0f} s of wall time (stopped)"
    process.join()
    return spent, f"{spent:8.2f} s   {iterations:4d} iterations   J = {cost:.10f}   {status.lower()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=900.0, help="bound of each run, wall time")
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="names of cases, all by default")
    given = parser.parse_args()
    for case in given.cases:
        print(f"\n{case}")
        full = None
        for method in METHODS:
            seconds, line = measured(case, method, given.seconds)
            full = seconds if full is None else full
            faster = "" if method == "full" or not np.isfinite(seconds) else f"   {full / seconds:.1f} × full"
            print(f"  {method:15} {line}{faster}", flush=True)


if __name__ == "__main__":
    main()
