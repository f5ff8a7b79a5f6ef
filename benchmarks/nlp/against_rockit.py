"""Time to the first solution and peak memory, ocdl against rockit: same problem, mesh and IPOPT tolerance, one run.

Each side solves in a process of its own, one after the other, with one thread. rockit needs its own environment:

    python -m venv PEER && PEER/bin/pip install rockit-meco
    python benchmarks/nlp/against_rockit.py PEER/bin/python

CPU seconds from the statement to the solution, imports apart. ``--seconds`` bounds each run, and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

CASES = [(1, 1, 50), (1, 8, 50), (5, 8, 50), (20, 8, 50)]  # samples S, width M, layers N; Radau 3

DATA = """
import json, resource, sys, time
import numpy as np
S, M, N = map(int, sys.argv[1:4])
if S == 1:
    y = (np.arange(M) + 0.5) / M
    initial = (0.3 + 0.5 * np.sin(2 * np.pi * y))[None] if M > 1 else np.array([[0.5]])
    target = (3 * np.cos(2 * np.pi * y))[None] if M > 1 else np.array([[3.0]])
else:
    initial, target = np.random.default_rng(0).normal(size=(2, S, M))
"""

REPORT = """
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"cost": float(cost), "seconds": time.process_time() - clock, "memory": memory}))
"""

OURS = """
import ocdl
clock = time.process_time()
problem = ocdl.SelectionProblem(
    activation=ocdl.Tanh(), horizon=1.0, initial=initial, target=target, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))
)
from ocdl.solve import discretised
from ocdl.start import make_start
statement, depth = discretised(problem, ocdl.Grid(ocdl.Midpoint(M), ocdl.Radau(N, 3)))
method = ocdl.Ipopt(tolerance=1e-8)
cost = method.solve(statement, depth, make_start(statement, depth, None, None), progress=False).claim["cost"]
"""

ROCKIT = """
import casadi as ca
from rockit import DirectCollocation, Ocp
clock = time.process_time()
ocp = Ocp(T=1.0)
f, a, b = ocp.state(M * S), ocp.control(M), ocp.control(M * M)
states = ca.reshape(f, M, S)
rate = ca.tanh(ca.repmat(a, 1, S) - ca.reshape(b, M, M).T @ states / M)
ocp.set_der(f, ca.vec(rate))
ocp.subject_to(ocp.at_t0(f) == initial.ravel())
ocp.subject_to(-1 <= (a <= 1), include_last=False)
ocp.subject_to(-1 <= (b <= 1), include_last=False)
ocp.add_objective(ocp.at_tf(ca.sumsqr(f - target.ravel())) / (2 * M * S))
ocp.set_initial(f, initial.ravel())
quiet = {"print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes", "ipopt.tol": 1e-8, "expand": True}
ocp.solver("ipopt", quiet)
ocp.method(DirectCollocation(N=N, degree=3, scheme="radau"))
cost = ocp.solve().value(ocp.objective)
"""


def run(python: str, program: str, case: tuple[int, int, int], seconds: float) -> dict[str, float] | str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [python, "-W", "ignore", "-c", DATA + program + REPORT, *map(str, case)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return f"> {seconds:.0f} s (stopped)"
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1][:60]}"
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def shown(result: dict[str, float] | str) -> str:
    if isinstance(result, str):
        return f"{result:>34}"
    return f"{result['seconds']:9.2f} s {result['memory']:6.2f} GB {result['cost']:12.8f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", help="a Python with rockit-meco")
    parser.add_argument("--seconds", type=float, default=600.0, help="bound of each run")
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the cases, smallest first")
    given = parser.parse_args()
    print("  S   M   N                              ocdl                            rockit   ratio")
    for case in CASES[: given.cases]:
        ours = run(sys.executable, OURS, case, given.seconds)
        theirs = run(given.peer, ROCKIT, case, given.seconds)
        ratio = "" if isinstance(ours, str) or isinstance(theirs, str) else f"{theirs['seconds'] / ours['seconds']:.1f}"
        print(f"{case[0]:3d} {case[1]:3d} {case[2]:3d} {shown(ours)} {shown(theirs)}   {ratio}", flush=True)


if __name__ == "__main__":
    main()
