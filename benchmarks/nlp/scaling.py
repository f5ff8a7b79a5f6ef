"""Does scaling help IPOPT? Iterations and costs with nothing, variables, and variables, rows and objective scaled.

    python benchmarks/nlp/scaling.py

All ordinary problems of problems/, and three in units that suit no solver: an ascent from the moon in metres, kilograms
and radians with a limit of dynamic pressure in pascals, a transfer between orbits in SI units whose end condition is of
the order of 1e14, and a reactor in moles a cubic millimetre with a rate limit of the order of 1e-6.

Measured: all 48 solves converge, to costs that agree to 3e-6; in all 353 iterations with nothing scaled, 360 with
variables, 351 with rows and objective too, which takes 23 for 47 (double_integrator_time), 30 for 78 (ascent) and 13
for 18 (reactor), but 85 for 12 (hanging_chain): no choice is the better one throughout; variables are the default.
"""

import importlib
import sys
import time
from pathlib import Path

import casadi as ca
import numpy as np

import ocdl

PROBLEMS = Path(__file__).parents[2] / "problems"
SCALES = ("none", "units", "rows")
GRAVITY, EARTH, LEO = 9.81, 3.986e14, 6.678e6


def ascent() -> ocdl.ControlProblem:
    """To 100 km and 1500 m/s with least fuel, dynamic pressure at most 25 kPa."""

    def dynamics(x, u):  # type: ignore[no-untyped-def]
        _, v, m = x[0], x[1], x[2]
        return [v, u[0] / m - GRAVITY - drag(x) / m, -u[0] / 3000.0]

    def density(h):  # type: ignore[no-untyped-def]
        return 1.2 * ca.exp(-h / 8000.0)

    def drag(x):  # type: ignore[no-untyped-def]
        return 0.5 * density(x[0]) * x[1] ** 2 * 0.5

    return ocdl.ControlProblem(
        states=["h", "v", "m"],
        controls=["thrust"],
        dynamics=dynamics,
        path=lambda x: 0.5 * density(x[0]) * x[1] ** 2 - 25e3,
        initial=[0.0, 0.0, 2e4],
        final=[1e5, 1500.0, None],
        horizon=ocdl.Free(60.0, 400.0, guess=150.0),
        terminal=lambda x: -x[2],
        bounds=ocdl.Box(u=(0.0, 5e5), x=([0.0, -100.0, 4e3], [2e5, 4e3, 2e4])),
    )


def transfer() -> ocdl.ControlProblem:
    """Widest circular orbit in ten hours of constant thrust; the end is circular: r v² = μ."""
    thrust, flow = 20.0, 6e-4

    def dynamics(t, x, u):  # type: ignore[no-untyped-def]
        r, vr, vt = x[0], x[1], x[2]
        a = thrust / (1000.0 - flow * t)
        return [vr, vt**2 / r - EARTH / r**2 + a * ca.sin(u[0]), -vr * vt / r + a * ca.cos(u[0])]

    return ocdl.ControlProblem(
        states=["r", "vr", "vt"],
        controls=["angle"],
        dynamics=dynamics,
        boundary=lambda xT: [xT[0] * xT[2] ** 2 - EARTH, xT[1]],
        initial=[LEO, 0.0, float(np.sqrt(EARTH / LEO))],
        horizon=36000.0,
        terminal=lambda x: -x[0],
        bounds=ocdl.Box(u=(-1.5, 1.5), x=([6e6, -3e3, 1e3], [5e7, 3e3, 9e3])),
    )


def reactor() -> ocdl.ControlProblem:
    """Most product of a feed of 1e-6 mol/mm³ at rates that may not exceed 2e-7."""
    return ocdl.ControlProblem(
        states=["feed", "product"],
        controls=["temperature"],
        dynamics=lambda x, u: [-rate(x, u), rate(x, u) - 4e2 * ca.exp(-3000.0 / u[0]) * x[1]],
        path=lambda x, u: rate(x, u) - 2e-7,
        initial=[1e-6, 0.0],
        horizon=10.0,
        terminal=lambda x: -x[1],
        bounds=ocdl.Box(u=(298.0, 398.0)),
    )


def rate(x, u):  # type: ignore[no-untyped-def]
    return 4e2 * ca.exp(-2500.0 / u[0]) * x[0]


OWN = {
    "ascent": (ascent, ocdl.Radau(40, degree=3)),
    "transfer": (transfer, ocdl.Radau(60, degree=3, controls=ocdl.PiecewiseLinear())),
    "reactor": (reactor, ocdl.Radau(30, degree=3)),
}


def stated() -> dict[str, tuple[ocdl.ControlProblem, object, object]]:
    sys.path.insert(0, str(PROBLEMS))
    found: dict[str, tuple[ocdl.ControlProblem, object, object]] = {}
    for path in sorted(PROBLEMS.glob("*.py")):
        module = importlib.import_module(path.stem)
        if hasattr(module, "grid") and isinstance(module.problem(), ocdl.ControlProblem):
            start = module.start() if hasattr(module, "start") else None
            found[path.stem] = module.problem(), module.grid(), start
    return found | {name: (make(), grid, None) for name, (make, grid) in OWN.items()}


def row(problem: ocdl.ControlProblem, grid: object, start: object, scale: str) -> tuple[int, str]:
    """Iterations; and they, seconds, cost, infeasibility and status as text."""
    began = time.process_time()
    method = ocdl.Ipopt(scale=scale, max_iterations=500)
    solution = ocdl.solve(problem, grid, method, start=start, on_failure="return")
    seconds = time.process_time() - began
    iterations = len(solution.history["cost"]) - 1
    figures = f"{solution.cost:15.8g} {solution.feasibility:8.1e} {solution.status.name:>12}"
    return iterations, f"{iterations:5} {seconds:6.2f} s {figures}"


if __name__ == "__main__":
    print(f"{'':26}" + "".join(f"{scale:^52}" for scale in SCALES))
    total = dict.fromkeys(SCALES, 0)
    for name, case in stated().items():
        solved = {scale: row(*case, scale) for scale in SCALES}
        total = {scale: total[scale] + solved[scale][0] for scale in SCALES}
        print(f"{name:26}" + " |".join(text for _, text in solved.values()), flush=True)
    print("iterations in all:", total)
