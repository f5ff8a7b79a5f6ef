"""Time to the first solution and peak memory, ocdl against its peers: same problem, mesh, guess and IPOPT options.

``ocdl`` is Ipopt, as all peers are; ``ocdl reduced`` is InteriorPoint, whose compilation counts as solving.
Peers: rockit; CasADi's Opti, written by hand; one ``Function.map`` over the layers and ``nlpsol``, written by hand;
YAPSS (whose controls differ at the three points of a layer, so its cost may be lower). Each side solves in a process of
its own, one after the other, with one thread. The peers need an environment of their own:

    python -m venv PEER && PEER/bin/pip install rockit-meco yapss
    python benchmarks/nlp/against_peers.py PEER/bin/python [--seconds 600] [--figure FILE]

CPU seconds, imports apart: ``build`` from the statement to the call of IPOPT, ``solve`` in IPOPT. A run longer than
``--seconds`` by the clock is stopped, and the CPU seconds it got are shown. Several runs (``--repeats``) give the least
build and solve of each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from typing import Any

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
IPOPT = {"tol": 1e-8, "max_iter": 1000, "bound_relax_factor": 0.0, "obj_scaling_factor": float(N * M)}
QUIET = {"print_time": False, "record_time": True, "ipopt": {**IPOPT, "print_level": 0, "sb": "yes"}}
A = np.array([[0.1968154772236605, -0.0655354258501984, 0.0237709743482202],
              [0.3944243147390873, 0.2920734116652284, -0.0415487521259979],
              [0.3764030627004673, 0.5124858261884216, 0.1111111111111111]])  # Radau IIA of order 5
"""

REPORT = """
total = time.process_time() - clock
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"cost": float(cost), "build": total - solve, "solve": solve, "memory": memory}))
"""

OCDL = """
import casadi as ca, ocdl
class Clocked:  # around the NLP solver that ocdl builds
    seconds = 0.0
    def __init__(self, *arguments): self.solver = create(*arguments)
    def __getattr__(self, name): return getattr(self.solver, name)
    def __call__(self, **arguments):
        clock = time.process_time()
        found = self.solver(**arguments)
        Clocked.seconds += time.process_time() - clock
        return found
create, ca.nlpsol = ca.nlpsol, Clocked
clock = time.process_time()
problem = ocdl.SelectionProblem(
    activation=ocdl.Tanh(), horizon=1.0, initial=initial, target=target, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))
)
from ocdl.solving.compile import discretised
from ocdl.solving.start import make_start
statement, depth = discretised(problem, ocdl.Grid(ocdl.Midpoint(M), ocdl.Radau(N, 3)))
method = ocdl.Ipopt(tolerance=1e-8)
cost = method.solve(statement, depth, make_start(statement, depth, None, None), progress=False).claim["cost"]
solve = Clocked.seconds
"""

REDUCED = (
    OCDL.replace("ocdl.Ipopt", "ocdl.InteriorPoint")
    .replace(
        "cost = method.solve(",
        "begun = time.process_time()\ncost = method.solve(",
    )
    .replace("solve = Clocked.seconds", "solve = time.process_time() - begun")
)

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
ocp.solver("ipopt", {**QUIET, "expand": True})
ocp.method(DirectCollocation(N=N, degree=3, scheme="radau"))
found = ocp.solve()
cost, solve = found.value(ocp.objective), found.stats["t_proc_total"]
"""

OPTI = """
import casadi as ca
clock = time.process_time()
opti = ca.Opti()
x, h = opti.variable(M, S), 1.0 / N
opti.set_initial(x, initial.T)
opti.subject_to(ca.vec(x) == initial.ravel())
for _ in range(N):
    a, b = opti.variable(M), opti.variable(M, M)
    opti.subject_to(opti.bounded(-1, a, 1))
    opti.subject_to(opti.bounded(-1, ca.vec(b), 1))
    stages = [opti.variable(M, S) for _ in range(3)]
    slopes = [ca.tanh(ca.repmat(a, 1, S) - b @ stage / M) for stage in stages]
    for i, stage in enumerate(stages):
        opti.set_initial(stage, initial.T)
        opti.subject_to(ca.vec(stage) == ca.vec(x + h * sum(A[i, j] * slopes[j] for j in range(3))))
    x = stages[-1]
opti.minimize(ca.sumsqr(x - target.T) / (2 * M * S))
opti.solver("ipopt", {**QUIET, "expand": True})
found = opti.solve()
cost, solve = found.value(opti.f), found.stats()["t_proc_total"]
"""

MAP = """
import casadi as ca
clock = time.process_time()
h, n = 1.0 / N, M * S
x, a, b = ca.SX.sym("x", M, S), ca.SX.sym("a", M), ca.SX.sym("b", M, M)
stages = [ca.SX.sym(f"X{i}", M, S) for i in range(3)]
slopes = [ca.tanh(ca.repmat(a, 1, S) - b @ stage / M) for stage in stages]
rows = [ca.vec(stages[i] - x - h * sum(A[i, j] * slopes[j] for j in range(3))) for i in range(3)]
layer = ca.Function("layer", [ca.vec(x), *map(ca.vec, stages), a, ca.vec(b)], [ca.vertcat(*rows)])
start, points = ca.MX.sym("start", n), [ca.MX.sym(f"X{i}", n, N) for i in range(3)]
a, b = ca.MX.sym("a", M, N), ca.MX.sym("b", M * M, N)
g = layer.map(N)(ca.horzcat(start, points[2][:, :-1]), *points, a, b)
cost = ca.sumsqr(points[2][:, -1] - target.ravel()) / (2 * n)
w = ca.vertcat(start, *map(ca.vec, points), ca.vec(a), ca.vec(b))
solver = ca.nlpsol("solver", "ipopt", {"x": w, "f": cost, "g": ca.vec(g)}, QUIET)
states = np.concatenate([initial.ravel()] + 3 * N * [initial.ravel()])
box = np.ones((M + M * M) * N)
free = np.full(3 * N * n, np.inf)
low, high = (np.concatenate([initial.ravel(), sign * free, sign * box]) for sign in (-1, 1))
found = solver(x0=np.concatenate([states, 0 * box]), lbx=low, ubx=high, lbg=0, ubg=0)
cost, solve = float(found["f"]), solver.stats()["t_proc_total"]
"""

YAPSS = """
import yapss
import yapss._private.solver as inside
from yapss.math import tanh
run = inside._solve_ipopt_problem
def clocked(*arguments, **named):
    global solve
    clock = time.process_time()
    result = run(*arguments, **named)
    solve = time.process_time() - clock
    return result
inside._solve_ipopt_problem = clocked
clock = time.process_time()
problem = yapss.Problem(name="layers", nx=[M * S], nu=[M + M * M])
def objective(arg):
    arg.objective = sum((arg.phase[0].final_state - target.ravel()) ** 2) / (2 * M * S)
def continuous(arg):
    f, u = arg.phase[0].state, arg.phase[0].control
    sums = [[sum(u[M + i * M + j] * f[s * M + j] for j in range(M)) for i in range(M)] for s in range(S)]
    arg.phase[0].dynamics[:] = [tanh(u[i] - sums[s][i] / M) for s in range(S) for i in range(M)]
problem.functions.objective, problem.functions.continuous = objective, continuous
bounds, guess = problem.bounds.phase[0], problem.guess.phase[0]
bounds.initial_time.lower = bounds.initial_time.upper = 0.0
bounds.final_time.lower = bounds.final_time.upper = 1.0
bounds.initial_state.lower[:] = bounds.initial_state.upper[:] = initial.ravel()
bounds.control.lower[:], bounds.control.upper[:] = -1.0, 1.0
guess.time, guess.state = [0.0, 1.0], [[value, value] for value in initial.ravel()]
guess.control = [[0.0, 0.0]] * (M + M * M)
problem.mesh.phase[0].collocation_points, problem.mesh.phase[0].fraction = N * (3,), N * (1.0 / N,)
problem.spectral_method, problem.derivatives.method, problem.derivatives.order = "lgr", "auto", "second"
problem.ipopt_options.print_level, problem.ipopt_options.sb = 0, "yes"
problem.scale.objective = 1.0 / IPOPT.pop("obj_scaling_factor")
for name, value in IPOPT.items():
    setattr(problem.ipopt_options, name, value)
cost = problem.solve().objective
"""

SIDES = {"ocdl": OCDL, "ocdl reduced": REDUCED, "rockit": ROCKIT, "Opti": OPTI, "Function.map": MAP, "YAPSS": YAPSS}

Result = dict[str, float] | str


def run(python: str, program: str, case: tuple[int, int, int], seconds: float) -> Result:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [python, "-W", "ignore", "-c", DATA + program + REPORT, *map(str, case)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
    except subprocess.TimeoutExpired:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return f"> {spent:.0f} s (stopped after {seconds:.0f} s)"
    if done.returncode:
        return f"failed: {(done.stderr.strip() or 'no message').splitlines()[-1][:60]}"
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def least(results: list[Result]) -> Result:
    """Of each figure; what stopped or failed once stays so."""
    for result in results:
        if isinstance(result, str):
            return result
    runs: list[Any] = results
    return {key: min(result[key] for result in runs) for key in runs[0]}


def total(result: dict[str, float]) -> float:
    return result["build"] + result["solve"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", help="a Python with rockit-meco and yapss")
    parser.add_argument("--seconds", type=float, default=600.0, help="bound of each run")
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many of the cases, smallest first")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--figure", help="draw the table there")
    given = parser.parse_args()
    print("  S   M   N   side            build s   solve s   total s    ratio     GB          cost")
    table: dict[tuple[int, int, int], dict[str, Result]] = {}
    for case in CASES[: given.cases]:
        results = table.setdefault(case, {})
        for side in given.sides:
            python = sys.executable if side.startswith("ocdl") else given.peer
            result = least([run(python, SIDES[side], case, given.seconds) for _ in range(given.repeats)])
            results[side] = result
            print(f"{case[0]:3d} {case[1]:3d} {case[2]:3d}   {side:13}{shown(result, results.get('ocdl'))}", flush=True)
    if given.figure:
        draw(table, given.figure)


def shown(result: Result, ours: Result | None) -> str:
    if isinstance(result, str):
        return f" {result}"
    ratio = f"{total(result) / total(ours):9.1f}" if isinstance(ours, dict) else 9 * " "
    seconds = f"{result['build']:10.3f}{result['solve']:10.3f}{total(result):10.3f}"
    return f"{seconds}{ratio}{result['memory']:7.2f}{result['cost']:14.8f}"


def draw(table: dict[tuple[int, int, int], dict[str, Result]], path: str) -> None:
    """Bars of build, solve and memory; a stopped run is an open bar up to the CPU seconds it got."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(12, 4), layout="constrained")
    sides = list(next(iter(table.values())))
    width = 0.8 / len(sides)
    panels = {"build": "build, CPU s", "solve": "solve, CPU s", "memory": "peak memory, GB"}
    for axes, (key, label) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for k, results in enumerate(table.values()):
            for i, side in enumerate(sides):
                result, at = results[side], k + (i - (len(sides) - 1) / 2) * width
                if isinstance(result, dict):
                    axes.bar(at, result[key], width, color=f"C{i}")
                elif key == "build" and result.startswith(">"):
                    axes.bar(at, float(result.split()[1]), width, facecolor="none", edgecolor=f"C{i}", hatch="//")
        axes.set_yscale("linear" if key == "memory" else "log")
        axes.set_xlim(-0.6, len(table) - 0.4)
        axes.set_xticks(range(len(table)), [f"S = {case[0]}\nM = {case[1]}" for case in table])
        axes.set_ylabel(label)
    handles = [Patch(color=f"C{i}", label=side) for i, side in enumerate(sides)]
    handles.append(Patch(facecolor="none", edgecolor="k", hatch="//", label="stopped, build and solve"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize="small")
    figure.suptitle(f"First solution, N = {next(iter(table))[2]} layers, Radau 3, one thread")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
