"""What does a re-solve cost? A pendulum loop by ``ocdl.compile`` and by CasADi's Opti built once, both in one run.

    python benchmarks/solving/resolve.py [--many] [--against DIR]

50 receding starts, 20 layers of Radau 3, each warm-started from the last answer with equal tolerance and IPOPT options;
ours with the referee's verdict and certificate, Opti's with its solution alone. Both sides take turns, five times; the
least CPU seconds of each. Then what the smallest single solve takes: one neuron, 50 layers. ``--many``: 1,000 more
re-solves, the resident memory before and after, and how many IPOPT objects they made. ``--against``: the smallest solve
by another checkout of ocdl, too, in processes that take turns.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import casadi as ca
import numpy as np
from numpy.typing import NDArray

import ocdl

LAYERS, DEGREE, HORIZON, BOUND = 20, 3, 2.0, 5.0
RUNS, SOLVES, MANY = 5, 50, 1000
TOLERANCE = 1e-9
WARM = {"mu_init": 1e-4, "bound_push": 1e-6, "bound_frac": 1e-6}  # what Ipopt() takes for a start that is a solution
SCHEME = ocdl.Radau(LAYERS, DEGREE)

Array = NDArray[np.float64]


def rate(x: ca.SX, u: ca.SX) -> ca.SX:
    return ca.vertcat(x[1], ca.sin(x[0]) + u[0])


def running(x: ca.SX, u: ca.SX) -> ca.SX:
    return 0.5 * (x[0] ** 2 + 0.1 * x[1] ** 2 + 0.1 * u[0] ** 2)


def terminal(x: ca.SX) -> ca.SX:
    return 5.0 * (x[0] ** 2 + x[1] ** 2)


def starts(count: int) -> list[Array]:
    """Initial states along a loop: the last one a little on, and pushed."""
    found = [np.array([1.0, 0.0])]
    for k in range(count):
        found.append(0.98 * found[-1] + 0.02 * np.array([np.sin(0.3 * k), np.cos(0.2 * k)]))
    return found


class Ours:
    def __init__(self) -> None:
        problem = ocdl.ControlProblem(
            dynamics=rate,
            running=running,
            terminal=terminal,
            initial=[1.0, 0.0],
            horizon=HORIZON,
            bounds=ocdl.Box(u=(-BOUND, BOUND)),
        )
        self.plan = ocdl.compile(problem, SCHEME, ocdl.Ipopt(tolerance=TOLERANCE))
        self.last = self.plan.solve()

    def solve(self, x0: Array) -> tuple[float, int]:
        self.last = self.plan.solve(initial=x0, start=self.last)
        return self.last.cost, int(self.last.detail.split(" after ")[1].split()[0])


class Opti:
    """The same collocation: stage states, controls constant in a layer, the last stage the end of the layer.

    expand: its graph is flattened to scalars, which is faster and no default.
    """

    def __init__(self, expand: bool) -> None:
        A, b, h = SCHEME.tableau.A, SCHEME.tableau.b, HORIZON / LAYERS
        self.opti = opti = ca.Opti()
        self.x = opti.variable(2, LAYERS * DEGREE + 1)
        self.u = opti.variable(1, LAYERS)
        self.x0 = opti.parameter(2)
        cost = terminal(self.x[:, -1])
        opti.subject_to(self.x[:, 0] == self.x0)
        for k in range(LAYERS):
            start, stages = self.x[:, k * DEGREE], self.x[:, k * DEGREE + 1 : (k + 1) * DEGREE + 1]
            slopes = ca.horzcat(*[rate(stages[:, i], self.u[:, k]) for i in range(DEGREE)])
            opti.subject_to(ca.vec(stages - ca.repmat(start, 1, DEGREE) - h * slopes @ A.T) == 0)
            cost += h * sum(b[i] * running(stages[:, i], self.u[:, k]) for i in range(DEGREE))
        opti.subject_to(opti.bounded(-BOUND, self.u, BOUND))
        opti.minimize(cost)
        self.cost = cost
        scaling = {
            "obj_scaling_factor": LAYERS / HORIZON,
            "bound_relax_factor": 0.0,
            "mumps_pivot_order": 7,
        }
        ipopt = {"tol": TOLERANCE, "print_level": 0, "sb": "yes", **scaling, **WARM}
        opti.solver("ipopt", {"print_time": False, "expand": expand}, ipopt)
        opti.set_value(self.x0, [1.0, 0.0])
        self.last = opti.solve()

    def solve(self, x0: Array) -> tuple[float, int]:
        self.opti.set_value(self.x0, x0)
        self.opti.set_initial(self.x, self.last.value(self.x))
        self.opti.set_initial(self.u, self.last.value(self.u))
        self.last = self.opti.solve()
        return float(self.last.value(self.cost)), int(self.last.stats()["iter_count"])


def loop(side: Ours | Opti, points: list[Array]) -> tuple[Array, float]:
    """Costs and iterations, and CPU milliseconds a solve."""
    clock = time.process_time()
    found = np.array([side.solve(x0) for x0 in points])
    return found, 1e3 * (time.process_time() - clock) / len(points)


def resident() -> float:
    """Resident memory in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def smallest() -> None:
    """One neuron, 50 layers: statement, compilation, solve and verdict."""
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=0.5, target=0.2, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))
    )
    ocdl.solve(problem, ocdl.Grid(width=ocdl.Midpoint(1), depth=ocdl.Radau(50, 3)), ocdl.Ipopt())


def least(work: Callable[[], object]) -> float:
    """Least CPU milliseconds of some runs."""
    found = []
    for _ in range(RUNS):
        clock = time.process_time()
        work()
        found.append(1e3 * (time.process_time() - clock))
    return min(found)


def alone(checkout: str) -> float:
    """The smallest solve by a checkout of ocdl, in a process of its own."""
    command = f"import sys; sys.path[:0] = [{checkout!r}, {str(Path(__file__).parent)!r}]; import resolve"
    command += "; resolve.smallest(); print(resolve.least(resolve.smallest))"
    environment = os.environ | {"PYTHONPATH": checkout}
    said = subprocess.run([sys.executable, "-c", command], env=environment, check=True, capture_output=True, text=True)
    return float(said.stdout.split()[-1])


def compared(other: str) -> None:
    """The smallest solve here and by another checkout."""
    here = str(Path(__file__).parents[2])
    runs = [(alone(here), alone(str(Path(other).resolve()))) for _ in range(3)]
    ours, theirs = (min(run[side] for run in runs) for side in (0, 1))
    print(f"one neuron, 50 layers: {ours:.1f} ms here, {theirs:.1f} ms by {other}: {ours / theirs:.2f} times")


def repeated(side: Ours) -> None:
    """1,000 re-solves: memory, and IPOPT objects made on the way."""
    loop(side, starts(100))
    made, nlpsol = [], ca.nlpsol

    def counted(*arguments: object) -> object:
        made.append(arguments[0])
        return nlpsol(*arguments)

    ca.nlpsol, before = counted, resident()
    loop(side, starts(MANY))
    ca.nlpsol, after = nlpsol, resident()
    print(f"{MANY} re-solves: {before:.1f} MB before, {after:.1f} MB after; {len(made)} IPOPT objects made")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--many", action="store_true", help="1,000 re-solves and their memory")
    parser.add_argument("--against", metavar="DIR", help="another checkout, for the smallest solve")
    asked = parser.parse_args()
    points = starts(SOLVES)
    ours_side = Ours()
    sides = {"ocdl with referee": ours_side, "Opti": Opti(expand=False), "Opti expanded": Opti(expand=True)}
    runs = [{name: loop(side, points) for name, side in sides.items()} for _ in range(RUNS)]
    costs = [found[:, 0] for found, _ in runs[-1].values()]
    print(f"costs agree to {max(np.max(np.abs(other / costs[0] - 1.0)) for other in costs[1:]):.1e}")
    ms = {name: min(run[name][1] for run in runs) for name in sides}
    ours = ms["ocdl with referee"]
    for name, took in ms.items():
        iterations = runs[-1][name][0][:, 1].mean()
        print(f"{name}: {took:.2f} ms a solve, {iterations:.1f} iterations; ocdl takes {ours / took:.2f} times that")
    print(f"one neuron, 50 layers, a single solve: {least(smallest):.1f} ms")
    if asked.against:
        compared(asked.against)
    if asked.many:
        repeated(ours_side)


if __name__ == "__main__":
    main()
