"""Problems of ordinary control to the first solution: ocdl against Opti and rockit, whole processes, one after another.

Every file of problems/ that states a ``ControlProblem`` with a REFERENCE and an Ipopt among its methods is solved on
``--layers`` equal layers of Radau 3 with controls constant in a layer, by IPOPT with its own defaults but tol = 1e-8:

- ``ocdl``: the file as it is, ``ocdl.solve(problem, grid, Ipopt())`` with the file's start if it has one;
- ``Opti``: the collocation written by hand on the same formulas, which it loads as compiled CasADi functions;
- ``rockit``: the same formulas handed to ``Ocp`` and ``DirectCollocation``.

The peers begin with the file's states where it gives them, else on the straight line between the ends that are
prescribed, and with the file's controls, else at the middle of their box. Seconds are CPU seconds of the whole process,
imports included; a failure is a run that ends without success, or whose cost is off the reference by more than
``--apart`` · (1 + |J|), which the layers do not explain, or, of ocdl's, a feasibility above 1e-6.

``lines`` is the length of ocdl's statement: the lines of ``problem()``, ``start()`` and of what these use of the file,
without docstrings, comments and blank lines. The peers are given the formulas that the statement yields and have none.

All sides run in one environment, with one CasADi:

    python -m venv PEER && PEER/bin/pip install rockit-meco .
    PEER/bin/python benchmarks/nlp/ordinary.py [--layers 40] [NAME ...]
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import casadi as ca
import numpy as np

import ocdl

PROBLEMS = Path(__file__).parents[2] / "problems"

OCDL = """
import importlib.util, json, sys
import ocdl
spec = importlib.util.spec_from_file_location("stated", sys.argv[1])
stated = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stated)
start = stated.start() if hasattr(stated, "start") else None
depth = ocdl.Radau(layers=int(sys.argv[2]), degree=3)
found = ocdl.solve(stated.problem(), depth, ocdl.Ipopt(tolerance=1e-8), start=start, on_failure="return")
print(json.dumps({"cost": found.cost, "ok": not found.status.failed, "missed": found.feasibility}))
"""

GIVEN = """
import json, sys
import casadi as ca, numpy as np
given = json.load(open(sys.argv[1] + "/given.json"))
f = {name: ca.Function.load(sys.argv[1] + f"/{name}.casadi") for name in given["functions"]}
N, n, m, free = given["N"], given["n"], given["m"], given["free"]
bounds = {name: [np.array(end, float) for end in pair] for name, pair in given["bounds"].items()}
x_guess, u_guess = np.array(given["x"]), np.array(given["u"])
QUIET = {"print_time": False, "expand": True, "ipopt": {"tol": 1e-8, "print_level": 0, "sb": "yes"}}
def rows(subject_to, value, low, high):
    for i in range(low.size):
        if low[i] == high[i]:
            subject_to(value[i] == low[i])
        elif np.isfinite(low[i]) and np.isfinite(high[i]):
            subject_to(low[i] <= (value[i] <= high[i]) if rockit else opti.bounded(low[i], value[i], high[i]))
        elif np.isfinite(low[i]):
            subject_to(value[i] >= low[i])
        elif np.isfinite(high[i]):
            subject_to(value[i] <= high[i])
"""

OPTI = (
    GIVEN
    + """
rockit = False
opti = ca.Opti()
A = np.array([[0.1968154772236605, -0.0655354258501984, 0.0237709743482202],
              [0.3944243147390873, 0.2920734116652284, -0.0415487521259979],
              [0.3764030627004673, 0.5124858261884216, 0.1111111111111111]])  # Radau IIA of order 5
b, c = A[-1], A.sum(axis=1)
T = opti.variable() if free else given["horizon"]
if free:
    rows(opti.subject_to, T, *bounds["T"])
    opti.set_initial(T, given["horizon"])
x = first = opti.variable(n)
opti.set_initial(x, x_guess[0])
rows(opti.subject_to, x, *bounds["x0"])
h, cost = T / N, 0
for k in range(N):
    u = opti.variable(m)
    opti.set_initial(u, u_guess)
    rows(opti.subject_to, u, *bounds["u"])
    stages, at = [opti.variable(n) for _ in range(3)], [h * (k + c[i]) for i in range(3)]
    slopes = [f["dynamics"](t, stage, u) for t, stage in zip(at, stages)]
    for i, stage in enumerate(stages):
        opti.set_initial(stage, x_guess[k] + c[i] * (x_guess[k + 1] - x_guess[k]))
        opti.subject_to(stage == x + h * sum(A[i, j] * slopes[j] for j in range(3)))
        rows(opti.subject_to, stage, *bounds["x"])
        if "path" in f:
            rows(opti.subject_to, f["path"](at[i], stage, u), *bounds["path"])
        if "running" in f:
            cost += h * b[i] * f["running"](at[i], stage, u)
    x = stages[-1]
rows(opti.subject_to, x, *bounds["xT"])
if "boundary" in f:
    rows(opti.subject_to, f["boundary"](first, x, T), *bounds["boundary"])
if "terminal" in f:
    cost += f["terminal"](T, x)
opti.minimize(cost)
opti.solver("ipopt", QUIET)
try:
    value, ok = float(opti.solve().value(cost)), True
except RuntimeError:
    value, ok = float(opti.debug.value(cost)), False
print(json.dumps({"cost": value, "ok": ok, "missed": 0.0}))
"""
)

ROCKIT = (
    GIVEN
    + """
from rockit import DirectCollocation, FreeTime, Ocp
rockit = True
ocp = Ocp(T=FreeTime(given["horizon"]) if free else given["horizon"])
x, u, t = ocp.state(n), ocp.control(m), 0.0
if any(f[name].which_depends("i0", ["o0"])[0] for name in ("dynamics", "running", "path") if name in f):
    t = ocp.state()  # ocp.t is no argument of the right-hand side
    ocp.set_der(t, 1.0)
    ocp.subject_to(ocp.at_t0(t) == 0.0)
ocp.set_der(x, f["dynamics"](t, x, u))
if free:
    rows(ocp.subject_to, ocp.T, *bounds["T"])
rows(ocp.subject_to, ocp.at_t0(x), *bounds["x0"])
rows(ocp.subject_to, ocp.at_tf(x), *bounds["xT"])
rows(lambda row: ocp.subject_to(row, include_last=False), u, *bounds["u"])
rows(lambda row: ocp.subject_to(row, grid="integrator_roots"), x, *bounds["x"])
if "path" in f:
    rows(lambda row: ocp.subject_to(row, grid="integrator_roots"), f["path"](t, x, u), *bounds["path"])
if "boundary" in f:
    rows(ocp.subject_to, f["boundary"](ocp.at_t0(x), ocp.at_tf(x), ocp.T), *bounds["boundary"])
cost = 0
if "running" in f:
    cost += ocp.integral(f["running"](t, x, u))
if "terminal" in f:
    cost += f["terminal"](ocp.T, ocp.at_tf(x))
ocp.add_objective(cost)
nodes = np.linspace(0.0, given["horizon"], N + 1)
line = ca.interpolant("line", "linear", [nodes.tolist()], x_guess.ravel().tolist())
ocp.set_initial(x, line(ocp.t))  # 0.6.7 breaks off over states at nodes
ocp.set_initial(u, u_guess)
ocp.solver("ipopt", QUIET)
ocp.method(DirectCollocation(N=N, degree=3, scheme="radau"))
try:
    found, ok = ocp.solve(), True
except RuntimeError:
    found, ok = ocp.non_converged_solution, False
print(json.dumps({"cost": float(found.value(ocp.objective)), "ok": ok, "missed": 0.0}))
"""
)

PEERS = {"Opti": OPTI, "rockit": ROCKIT}


def stated(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def statement_lines(source: str) -> int:
    """Lines with code of ``problem``, ``start`` and of all that these use at the module's level, docstrings apart."""
    defined: dict[str, ast.stmt] = {}
    for part in ast.parse(source).body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            defined[part.name] = part
        elif isinstance(part, (ast.Assign, ast.AnnAssign)):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            defined |= {name.id: part for to in targets for name in ast.walk(to) if isinstance(name, ast.Name)}
    wanted, used = ["problem", "start"], set()
    while wanted:
        part = defined.pop(wanted.pop(), None)
        if part is not None and part not in used:
            used.add(part)
            wanted += [name.id for name in ast.walk(part) if isinstance(name, ast.Name)]
    return sum(len(code_lines(part, source.splitlines())) for part in used)


def code_lines(part: ast.stmt, lines: list[str]) -> set[int]:
    """Numbers of the lines of a statement that are neither blank nor comment nor within a docstring."""
    own = {at for at in range(part.lineno, part.end_lineno + 1) if lines[at - 1].split("#")[0].strip()}
    for inner in ast.walk(part):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(inner) is not None:
            own -= set(range(inner.body[0].lineno, inner.body[0].end_lineno + 1))
    return own


def suits(module: ModuleType) -> bool:
    """One sample of ordinary control without parameters, which IPOPT solves."""
    if not hasattr(module, "REFERENCE"):
        return False
    problem = module.problem()
    direct = any(isinstance(method, ocdl.Ipopt) for method in module.methods())
    plain = isinstance(problem, ocdl.ControlProblem) and problem.samples == 1 and not problem.own_parameters
    return bool(direct and plain and not problem.free_initial)


def written(module: ModuleType, layers: int, folder: str) -> None:
    """Formulas, bounds and guesses of a problem, in files that need nothing but CasADi."""
    problem = module.problem()
    t, x, u = ca.SX.sym("t"), ca.SX.sym("x", problem.n), ca.SX.sym("u", problem.m)
    x0, xT, T = ca.SX.sym("x0", problem.n), ca.SX.sym("xT", problem.n), ca.SX.sym("T")
    p, d = ca.SX.sym("p", 0), ca.SX.sym("d", 0)
    free = problem.has_free_horizon
    plain = replace(problem, horizon=1.0, layout=None, parameter_metric=None)  # whose formulas are on true times
    given = {"t": t, "x": x, "u": u, "p": p, "d": d}
    found: dict[str, ca.Function] = {}
    for role in ("dynamics", "running", "path"):
        if getattr(problem, role) is not None:
            found[role] = ca.Function(role, [t, x, u], [plain.evaluate(role, **given)])
    if problem.terminal is not None:
        found["terminal"] = ca.Function("terminal", [T, x], [plain.evaluate("terminal", **given | {"t": T})])
    if problem.boundary is not None:
        rows = plain.evaluate("boundary", x0=x0, xT=xT, t=T, p=p, d=d)
        found["boundary"] = ca.Function("boundary", [x0, xT, T], [rows])
    for name, function in found.items():
        function.save(f"{folder}/{name}.casadi")
    end = np.zeros(1)
    pairs: dict[str, Any] = {
        "u": problem.control_box_at(end),
        "x": problem.state_box_at(end),
        "x0": (problem.x0, problem.x0),
    }
    pairs |= {"xT": problem.final_box if problem.final is not None else pairs["x"]}
    pairs |= {role: problem.interval_at(role, end) for role in ("path", "boundary") if role in found}
    horizon = problem.horizon
    pairs["T"] = (horizon.lower, horizon.upper) if isinstance(horizon, ocdl.Free) else (horizon, horizon)
    bounds = {name: [np.ravel(value).astype(float).tolist() for value in pair] for name, pair in pairs.items()}
    length = float(horizon.begin if isinstance(horizon, ocdl.Free) else horizon)
    states, controls = guesses(problem, module, layers, length)
    (Path(folder) / "given.json").write_text(
        json.dumps(
            {"functions": list(found), "N": layers, "n": problem.n, "m": problem.m, "free": free, "horizon": length}
            | {"bounds": bounds, "x": states.tolist(), "u": controls.tolist()}
        ),
        encoding="utf-8",
    )


def guesses(problem: ocdl.ControlProblem, module: ModuleType, layers: int, length: float) -> tuple[Any, Any]:
    """States at the nodes (N+1, n) and controls (m,) to begin with."""
    given = module.start() if hasattr(module, "start") else {}
    low, high = (np.ravel(end) for end in problem.control_box_at(np.zeros(1)))
    finite = np.isfinite(low) & np.isfinite(high)
    controls = np.where(
        finite, 0.5 * (np.where(finite, low, 0.0) + np.where(finite, high, 0.0)), np.clip(0.0, low, high)
    )
    span = 1.0 if problem.has_free_horizon else length
    at = np.linspace(0.0, span, layers + 1)
    if "u" in given:
        u = given["u"](span / 2) if callable(given["u"]) else given["u"]
        controls = np.ravel(np.asarray(u, float))[: problem.m]
    if "x" in given:
        return np.array([np.ravel(np.asarray(given["x"](t), float)) for t in at]), controls
    begin, end = np.ravel(problem.x0), np.ravel(problem.x0).copy()
    if problem.final is not None:
        below, above = (np.ravel(v) for v in problem.final_box)
        end = np.where(below == above, below, end)
    return begin + (at / span)[:, None] * (end - begin), controls


def run(command: list[str], seconds: float) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)
        said = (
            json.loads(done.stdout.strip().splitlines()[-1])
            if done.stdout.strip()
            else {"ok": False, "cost": np.nan, "missed": 0.0}
        )
    except subprocess.TimeoutExpired:
        said = {"ok": False, "cost": np.nan, "missed": 0.0}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return said | {"seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def failed(result: dict[str, Any], reference: float, apart: float) -> bool:
    off = not abs(result["cost"] - reference) <= apart * (1.0 + abs(reference))
    return not result["ok"] or result["missed"] > 1e-6 or off


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of problem files; by default all")
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--apart", type=float, default=0.02)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    sides = ["ocdl", *PEERS]
    print(f"{'':24}" + "".join(f"{side + ' J':>16}{'s':>7}" for side in sides) + f"{'reference':>16}{'lines':>7}")
    failures, slower, lines = dict.fromkeys(sides, 0), 0, []
    for path in sorted(PROBLEMS.glob("*.py")):
        module = stated(path)
        if (arguments.names and path.stem not in arguments.names) or not suits(module):
            continue
        with tempfile.TemporaryDirectory() as folder:
            written(module, arguments.layers, folder)
            commands = {"ocdl": [sys.executable, "-W", "ignore", "-c", OCDL, str(path), str(arguments.layers)]}
            commands |= {name: [sys.executable, "-W", "ignore", "-c", text, folder] for name, text in PEERS.items()}
            results = {name: run(command, arguments.seconds) for name, command in commands.items()}
        line = f"{path.stem:24}"
        for side in sides:
            lost = failed(results[side], module.REFERENCE, arguments.apart)
            failures[side] += lost
            line += f"{results[side]['cost']:>15.8g}{'!' if lost else ' '}{results[side]['seconds']:>7.2f}"
        lines.append(statement_lines(path.read_text(encoding="utf-8")))
        print(line + f"{module.REFERENCE:>16.8g}{lines[-1]:>7}", flush=True)
        slower += results["ocdl"]["seconds"] > max(results[name]["seconds"] for name in PEERS)
    print(f"{len(lines)} problems; failures (!): " + ", ".join(f"{side} {failures[side]}" for side in sides))
    print(f"ocdl slower than both peers: {slower} times; lines of a statement: {np.median(lines):.0f} in the median")


if __name__ == "__main__":
    main()
