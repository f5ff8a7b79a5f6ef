"""Maximum-principle gap against CPU seconds, all methods of the indirect route.

One sample, M = 16, N = 200 Euler layers, box ±1, far, mixed and reachable targets; and S = 5, 20 samples, M = 4,
N = 20, box ±3. Each method from the centre of the box until it ends or its CPU seconds are over.

The gap is the same for all, whatever a method looks at itself: with one sample the maximum-principle gap in closed form
at the best iterate so far, with several what a unit projected gradient step would gain there, since the global gap of a
layer has no closed form. It is computed from the states and costates of the sweeps that the method makes anyway, and
its own time is taken off the clock. A time in the table is when the gap first fell to 1e-3, 1e-6, 1e-9; sums of both
kinds of sweeps and of compilation are in it.
"""

import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np

import ocdl
from ocdl.pmp import IndirectShooting, ProjectedNewton
from ocdl.pmp.iterate import Ground, Iterate
from ocdl.pmp.updates.needles import needles
from ocdl.solving.compile import discretised
from ocdl.solving.method import Method
from ocdl.solving.start import make_start

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LEVELS = (1e-3, 1e-6, 1e-9)
TARGETS = {
    "far": lambda y: 3 * np.cos(2 * np.pi * y),
    "mixed": lambda y: 0.3 + np.cos(2 * np.pi * y) + 0.8 * (y > 0.5),
    "reachable": lambda y: 0.3 + 0.3 * np.cos(2 * np.pi * y),
}
MANY, PATIENCE = 100_000, 3.0
METHODS = {
    "MSA": ocdl.SuccessiveApproximations(),
    "needle steps": ocdl.NeedleSteps(),
    "needle steps, no polish": ocdl.NeedleSteps(polish=False, max_iterations=MANY),
    "L-BFGS-B": ocdl.LBFGSB(),
    "projected Newton": ProjectedNewton(),
    "shooting": IndirectShooting(),
    "conditional gradient": ocdl.ConditionalGradient(tolerance=1e-9, max_iterations=MANY),
    "projected gradient": ocdl.ProjectedGradient(tolerance=1e-9, max_iterations=MANY),
    "gradient descent": ocdl.GradientDescent(tolerance=1e-9, max_iterations=MANY),
    "PAM": ocdl.ProximalAlternatingMinimisation(tolerance=1e-9, max_iterations=MANY),
    "SQH": ocdl.SequentialQuadraticHamiltonian(max_iterations=MANY),
    "E-MSA": ocdl.ExtendedSuccessiveApproximations(penalty=0.1, adaptive=True, max_iterations=MANY),
}


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


class Watch:
    """The gap of every iterate better than all before, by the CPU seconds at which it was found; ends the method."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begin, self.aside = seconds, time.process_time(), 0.0
        self.best, self.rows = np.inf, []

    def see(self, iterate: Iterate) -> None:
        now = time.process_time()
        if now - self.begin - self.aside > self.seconds:
            raise KeyboardInterrupt  # as Ctrl-C, which returns the best iterate
        if iterate.cost < self.best:
            self.best = iterate.cost
            self.rows.append((now - self.begin - self.aside, self._gap(iterate)))
        self.aside += time.process_time() - now

    @staticmethod
    def _gap(iterate: Iterate) -> float:
        ground = iterate.ground
        copy = replace(iterate)  # so that the method still pays for its own costate
        sweeps, watch, ground.watch = ground.sweeps, ground.watch, lambda: None
        gap = needles(copy).gap if ground.law.closed_form else copy.control_gain
        ground.sweeps, ground.watch = sweeps, watch
        return float(gap)


def watched(method: Method, problem, grid, seconds: float) -> tuple[ocdl.Outcome, Watch]:
    """The outcome after about ``seconds`` CPU seconds, and what was seen until then."""
    statement, depth = discretised(problem, grid)
    begin = make_start(statement, depth, None, None)
    watch, at = Watch(seconds), Ground.at

    def seen(ground, u, p):
        iterate = at(ground, u, p)
        watch.see(iterate)
        return iterate

    signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    Ground.at = seen
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE * seconds)  # where no sweep comes for long
    try:
        outcome = method.solve(statement, depth, begin, progress=False)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        Ground.at = at
    return outcome, watch


def main(folder: Path, seconds: float) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(15, 9), sharey=True, constrained_layout=True)
    heads = "".join(f"{level:9.0e}" for level in LEVELS)
    print(f"{'case':>10} {'method':>24} {heads} {'CPU s':>8} {'J':>14} {'gap':>9}  status")
    for axis, (name, (problem, grid)) in zip(axes.flat, CASES.items(), strict=False):
        for place, (label, method) in enumerate(METHODS.items()):
            if name.startswith("S") and label == "shooting":
                continue
            outcome, watch = watched(method, problem, grid, seconds)
            rows = np.array(watch.rows)
            first = [rows[rows[:, 1] <= level, 0][:1] for level in LEVELS]
            times = "".join(f"{time[0]:9.2f}" if time.size else f"{'-':>9}" for time in first)
            style = {"color": f"C{place % 10}", "ls": "-" if place < 10 else "--", "lw": 1.2, "label": label}
            axis.loglog(rows[:, 0], np.maximum(rows[:, 1], 1e-16), **style)
            print(
                f"{name:>10} {label:>24} {times} {rows[-1, 0]:8.2f} {watch.best:14.9f} {rows[-1, 1]:9.1e}  "
                f"{outcome.status.name}",
                flush=True,
            )
        axis.set(title=name, xlabel="CPU seconds", ylim=(1e-14, None))
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("gap of the best iterate")
    axes[-1, -1].axis("off")
    axes[-1, -1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", fontsize=11)
    figure.savefig(folder / "gap_against_seconds.png", dpi=110)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path("."),
        float(sys.argv[2]) if len(sys.argv) > 2 else 10.0,
    )
