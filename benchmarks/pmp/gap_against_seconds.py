"""Maximum-principle gap against seconds, all methods of the indirect route.

One sample, M = 16, N = 200 Euler layers, box ±1, far, mixed and reachable targets; and S = 5, 20 samples, M = 4,
N = 20, box ±3. Each method from the centre of the box, its own learning curve; one figure, and a table of the ends.
"""

import sys
import time
from pathlib import Path

import matplotlib
import numpy as np

import ocdl

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TARGETS = {
    "far": lambda y: 3 * np.cos(2 * np.pi * y),
    "mixed": lambda y: 0.3 + np.cos(2 * np.pi * y) + 0.8 * (y > 0.5),
    "reachable": lambda y: 0.3 + 0.3 * np.cos(2 * np.pi * y),
}
METHODS = [
    ocdl.SuccessiveApproximations(),
    ocdl.NeedleSteps(),
    ocdl.NeedleSteps(polish=False),
    ocdl.LBFGSB(),
    ocdl.ConditionalGradient(tolerance=1e-9, max_iterations=300),
    ocdl.ProjectedGradient(tolerance=1e-9, max_iterations=300),
    ocdl.GradientDescent(tolerance=1e-9, max_iterations=300),
    ocdl.SequentialQuadraticHamiltonian(max_iterations=20),
]


def one_sample(target):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=target,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    ), ocdl.Grid(width=ocdl.Midpoint(16), depth=ocdl.ExplicitEuler(200))


def many(samples):
    initial, target = np.random.default_rng(samples).normal(size=(2, samples, 4))
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=initial,
        target=target,
        bounds=ocdl.Box(a=(-3, 3), b=(-3, 3)),
    ), ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(20))


CASES = {name: one_sample(target) for name, target in TARGETS.items()} | {f"S = {S}": many(S) for S in (5, 20)}


def main(folder: Path) -> None:
    figure, axes = plt.subplots(1, len(CASES), figsize=(4 * len(CASES), 3.6), constrained_layout=True)
    print(f"{'case':>10} {'method':>32} {'J':>14} {'gap':>9} {'sweeps':>7} {'seconds':>8}  status")
    for axis, (name, (problem, grid)) in zip(axes, CASES.items(), strict=True):
        for method in METHODS:
            clock = time.perf_counter()
            solution = ocdl.solve(problem, grid, method, on_failure="return")
            label = method.name + ("" if getattr(method, "polish", True) else " (no polish)")
            history = solution.history
            axis.loglog(history["seconds"], np.maximum(history["gap"], 1e-16), label=label, lw=1)
            print(
                f"{name:>10} {label:>32} {solution.cost:14.9f} {solution.gap:9.1e} {int(history['sweeps'][-1]):7d} "
                f"{time.perf_counter() - clock:8.2f}  {solution.status.name}",
                flush=True,
            )
        axis.set(title=name, xlabel="seconds", ylabel="the method's own gap")
    axes[0].legend(fontsize=6)
    figure.savefig(folder / "gap_against_seconds.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("."))
