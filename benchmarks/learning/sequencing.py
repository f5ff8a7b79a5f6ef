"""Is a deep network trained sooner, or better, from shallow ones? Grid sequencing against training it at once.

    python benchmarks/learning/sequencing.py [--layers 40] [--coarse 1e-5]

A ResNet with a trained readout on the four sets of paper 001, Tikhonov 1e-4, five starts, to a gradient of 1e-9, in
one process, one thread, CPU seconds of the whole calls, compilation apart. ``sequence`` trains 5, 10, 20, ... layers,
the coarse ones to a gradient of ``--coarse``, and repeats their controls; its start is K, W ~ N(0, 1) on 5 layers.
"At once" starts from a draw for each of its layers, or from the very start of the sequence, each draw repeated.
The last layers are trained by ``Train`` or, being near, by ``NewtonCG``. Ratios above 1 are in favour of the sequence.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import ocdl

SETS = {draw.__name__: draw()[0] for draw in (ocdl.donut1d, ocdl.donut2d, ocdl.squares, ocdl.spiral)}  # one draw each
SEEDS = (1, 2, 3, 4, 5)
COARSEST = 5
TOLERANCE = 1e-9
Begin = dict[str, np.ndarray]


@dataclass(frozen=True)
class Run:
    """J by CPU seconds from the first to the last, and the gradient at the end."""

    seconds: np.ndarray
    costs: np.ndarray
    gradient: float

    @property
    def cost(self) -> float:
        return float(self.costs[-1])

    def seconds_to(self, cost: float) -> float:
        """To the first J of at most so much; ∞ if there is none."""
        below = np.flatnonzero(self.costs <= cost)
        return float(self.seconds[below[0]]) if below.size else np.inf


def start(seed: int, distinct: int, layers: int) -> Begin:
    """So many draws, each repeated, on so many layers."""
    draw = np.random.default_rng(seed)
    kernels = draw.standard_normal((distinct, 2, 2))
    return {"K": np.repeat(kernels, layers // distinct, axis=0), "W": draw.standard_normal((1, 2))}


def timed(solve: Callable[[], ocdl.Solution], before: float = 0.0) -> tuple[ocdl.Solution, Run]:
    """A solve whose clock begins at ``before``; what comes before and after its method is charged to its start."""
    clock = time.process_time()
    solution = solve()
    whole = time.process_time() - clock
    history = solution.history
    inside = history["cpu_seconds"].values
    return solution, Run(
        before + whole - inside[-1] + inside, history["cost"].values, float(history["gradient"].values[-1])
    )


def at_once(problem: ocdl.ControlProblem, layers: int, begin: Begin) -> Run:
    depth, how = ocdl.ExplicitEuler(layers), {"start": begin, "certificate": "first order", "on_failure": "return"}
    return timed(lambda: ocdl.solve(problem, depth, ocdl.Train(tolerance=TOLERANCE), **how))[1]


def in_sequence(problem: ocdl.ControlProblem, layers: int, begin: Begin, coarse: ocdl.Method, last: ocdl.Method) -> Run:
    """``sequence`` up to half the layers, then the last grid: the two parts of one call, to see J in the second."""
    how = {"certificate": "first order", "progress": False}
    clock = time.process_time()
    half = ocdl.sequence(
        problem, [ocdl.ExplicitEuler(count) for count in doubled(layers)[:-1]], coarse, start=begin, **how
    )
    before = time.process_time() - clock
    depth = ocdl.ExplicitEuler(layers)
    return timed(lambda: ocdl.solve(problem, depth, last, start=half, on_failure="return", **how), before)[1]


def doubled(layers: int) -> list[int]:
    """5, 10, ... up to so many."""
    counts = [COARSEST]
    while counts[-1] < layers:
        counts.append(2 * counts[-1])
    if counts[-1] != layers:
        raise SystemExit(f"--layers {layers}: {COARSEST} times a power of 2 is needed.")
    return counts


def raced(problem: ocdl.ControlProblem, layers: int, seed: int, coarse: ocdl.Method) -> dict[str, Run]:
    few, many = start(seed, COARSEST, COARSEST), start(seed, layers, layers)
    return {
        "at once": at_once(problem, layers, many),
        "at once, same start": at_once(problem, layers, start(seed, COARSEST, layers)),
        "sequence, Train": in_sequence(problem, layers, few, coarse, ocdl.Train(tolerance=TOLERANCE)),
        "sequence, NewtonCG": in_sequence(problem, layers, few, coarse, ocdl.NewtonCG(tolerance=TOLERANCE)),
    }


def print_set(name: str, races: list[dict[str, Run]]) -> None:
    for who in races[0]:
        runs = [race[who] for race in races]
        seconds = [run.seconds[-1] for run in runs]
        costs = [run.cost for run in runs]
        print(
            f"{name:10}{who:22}{np.median(seconds):9.2f}{min(seconds):7.2f}{max(seconds):7.2f}{np.median(costs):12.5f}"
            f"{min(costs):10.5f}{max(costs):10.5f}{max(run.gradient for run in runs):10.1e}",
            flush=True,
        )


def print_ratios(races: dict[str, list[dict[str, Run]]]) -> None:
    """At once over the sequence, of all sets and starts."""
    print(f"\n{'':60}{'median':>8}{'worst':>8}{'best':>8}{'above 1':>9}")
    for peer in ("at once", "at once, same start"):
        for own in ("sequence, Train", "sequence, NewtonCG"):
            pairs = [(race[peer], race[own]) for of in races.values() for race in of]
            figures = {
                "seconds to the end": [p.seconds[-1] / o.seconds[-1] for p, o in pairs],
                "seconds to 1.02 × its J": [
                    p.seconds_to(1.02 * p.cost) / o.seconds_to(1.02 * p.cost) for p, o in pairs
                ],
                "J": [p.cost / o.cost for p, o in pairs],
            }
            for what, found in figures.items():
                above = f"{sum(ratio > 1.0 for ratio in found)}/{len(found)}"
                print(
                    f"{f'{peer} / {own}: {what}':60}{np.median(found):8.2f}{min(found):8.2f}{max(found):8.2f}{above:>9}"
                )
            best = [min(race[peer].cost for race in of) / min(race[own].cost for race in of) for of in races.values()]
            print(f"{f'{peer} / {own}: best J of five, by set':60}" + "".join(f"{ratio:8.3f}" for ratio in best))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--coarse", type=float, default=1e-5, help="the gradient to which coarse nets are trained")
    given = parser.parse_args()
    coarse, races = ocdl.Train(tolerance=given.coarse), {}
    print(f"{given.layers} layers, CPU seconds and J: median, least, most of {len(SEEDS)} starts; the largest gradient")
    for name, of in SETS.items():
        problem = ocdl.network(ocdl.Residual(), of.inputs, of.labels, regulariser=ocdl.Tikhonov(1e-4))
        if not races:
            raced(problem, given.layers, 0, coarse)  # kernels are compiled
        races[name] = [raced(problem, given.layers, seed, coarse) for seed in SEEDS]
        print_set(name, races[name])
    print_ratios(races)


if __name__ == "__main__":
    main()
