"""Is a start carried over from a coarser mesh ever slower than a cold one? Iterations and CPU seconds, both in one run.

    python benchmarks/nlp/transfer.py [--sequence]

Every problem file with a reference: cold on its own grid, and from its solution on a third of the layers, the least of
five runs each. ``--sequence`` adds the far target with M = 64, N = 200: directly, and through M = 32, N = 100 (the
coarse solve counts).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ocdl
from ocdl.campaign.problem_file import read_problem_file

PROBLEMS = Path(__file__).parents[2] / "problems"


RUNS = 5


def timed(work: Callable[[], ocdl.Solution], runs: int = 1) -> tuple[ocdl.Solution, float]:
    """The answer and the least CPU seconds of some runs."""
    least = float("inf")
    for _ in range(runs):
        clock = time.process_time()
        answer = work()
        least = min(least, time.process_time() - clock)
    return answer, least


def row(name: str, cold: tuple[ocdl.Solution, float], warm: tuple[ocdl.Solution, float]) -> None:
    iterations = [answer.history["cost"].size - 1 for answer, _ in (cold, warm)]
    print(
        f"{name:24} {iterations[0]:5d} {iterations[1]:5d}   {cold[1]:8.2f} {warm[1]:8.2f}   {warm[1] / cold[1]:5.2f}"
        f"   {cold[0].cost:.9g} {warm[0].cost:.9g}"
    )


def transfer(path: Path) -> None:
    stated = read_problem_file(path, {})
    coarse = stated.grid.with_layers(max(4, stated.grid.count // 3))
    before = ocdl.solve(stated.problem, coarse, ocdl.Ipopt(), start=stated.start, on_failure="return")
    answers: list[Any] = [
        timed(lambda start=start: ocdl.solve(stated.problem, stated.grid, ocdl.Ipopt(), start=start), RUNS)
        for start in (stated.start, before)
    ]
    row(path.stem, *answers)


def sequence() -> None:
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: 3 * np.cos(2 * np.pi * y),
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )
    grids = [ocdl.Grid(ocdl.Midpoint(M), ocdl.Radau(N, 3)) for M, N in ((32, 100), (64, 200))]
    cold = timed(lambda: ocdl.solve(problem, grids[-1], ocdl.Ipopt(), progress=False))
    warm = timed(lambda: ocdl.sequence(problem, grids, ocdl.Ipopt(), progress=False))
    row("far, M = 64, N = 200", cold, warm)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sequence", action="store_true")
    print(f"{'problem':24} {'iterations':>11}   {'CPU seconds':>17}   ratio   cost J (cold, carried over)")
    for file in sorted(PROBLEMS.glob("*.py")):
        if "\nREFERENCE" in file.read_text(encoding="utf-8"):
            transfer(file)
    if arguments.parse_args().sequence:
        sequence()
