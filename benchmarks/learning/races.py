"""Training races on the four sets of paper 001: five starts each, to the end, ours against PyTorch, JAX and NumPy.

    python benchmarks/learning/races.py [--torch PYTHON] [--jax PYTHON] [--cache FILE [--fresh]]

A ResNet of 20 layers in the plane with a trained readout, half squares, W, K ~ N(0, 1), β, μ = 0; Tikhonov 1e-4, and
no regulariser in the box [−10, 10]. PyTorch: Adam at the best of a few rates, its own L-BFGS (strong Wolfe), and
SciPy's L-BFGS-B (maxcor 20, ftol 1e-15) on its gradients, eager and compiled; JAX: the same on jit. Each side is a
process of its own, one thread, compilation apart; CPU seconds. Iterates are judged after the clock has stopped, all by
the adjoint of ``network.py``: gradients are projected, in the sup norm. ``--cache`` keeps the peers' runs for the next
time; what is reported is run in one go (``--fresh``).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from race import SciPy
from sides import NUMPY, Answer, Side, begin, ours, peers

import ocdl

SETS = {draw.__name__: draw()[0] for draw in (ocdl.donut1d, ocdl.donut2d, ocdl.squares, ocdl.spiral)}  # one draw each
SEEDS = (1, 2, 3, 4, 5)
RATES = (0.003, 0.01, 0.03, 0.1)
SMALL = 1e-9  # the gradient that is raced for
EAGER, COMPILED = f"eager, {SciPy}", f"compiled, {SciPy}"
OWN = (SciPy, "LBFGS", "Train")  # on our gradients; what is asked is asked of the package's methods


@dataclass(frozen=True)
class Setting:
    name: str
    weight: float
    box: float
    limit: float  # CPU seconds of a run

    def jobs(self, method: str, **more: float) -> list[Answer]:
        """One for each set and start."""
        how = {"weight": self.weight, "box": self.box, "limit": self.limit, "method": method, **more}
        data = {name: {"inputs": of.inputs.tolist(), "labels": of.labels.ravel().tolist()} for name, of in SETS.items()}
        return [{"what": "race", **data[name], "seed": seed, **how} for name, seed in product(SETS, SEEDS)]


TIKHONOV = Setting("Tikhonov 1e-4", 1e-4, np.inf, 20.0)
BOX = Setting("no regulariser, box 10", 0.0, 10.0, 5.0)
FIRST_ORDER = 4.0  # CPU seconds of PyTorch's own methods, which do not come to an end

Runs = dict[tuple[str, int], Answer]  # by set and start


@dataclass(frozen=True)
class Runner:
    """A method of a side."""

    side: Side
    method: str
    limit: float | None = None  # other than the setting's
    rated: bool = False  # its rate is to be tuned

    @property
    def name(self) -> str:
        return f"{self.side.name}: {self.method}"

    def runs(self, setting: Setting) -> Runs:
        jobs = dict(zip(product(SETS, SEEDS), setting.jobs(self.method), strict=True))
        if self.limit is not None:
            jobs = {key: {**job, "limit": self.limit} for key, job in jobs.items()}
        if self.rated:
            rates = self.tuned(jobs)
            jobs = {key: {**job, "rate": rates[key[0]]} for key, job in jobs.items()}
        return dict(zip(jobs, self.side.answers(list(jobs.values())), strict=True))

    def tuned(self, jobs: dict[tuple[str, int], Answer]) -> dict[str, float]:
        """The rate of each set that takes the first start lowest in a third of the time."""
        tries = list(product(SETS, RATES))
        short = [{**jobs[name, SEEDS[0]], "limit": FIRST_ORDER / 3, "rate": rate} for name, rate in tries]
        least = {key: min(answer["cost"]) for key, answer in zip(tries, self.side.answers(short), strict=True)}
        return {name: min(RATES, key=lambda rate: least[name, rate]) for name in SETS}


def runners(sides: list[Side], setting: Setting) -> list[Runner]:
    """All methods that take the setting; PyTorch's own L-BFGS knows no box."""
    found = []
    for side in sides:
        if side.name == "PyTorch":
            found += [Runner(side, EAGER), Runner(side, COMPILED)]
            found += [Runner(side, "compiled, Adam", FIRST_ORDER, rated=True)]
            found += [Runner(side, "compiled, own L-BFGS", FIRST_ORDER)] * bool(np.isinf(setting.box))
        else:
            found.append(Runner(side, SciPy))
    return [Runner(NUMPY, SciPy), *found]


class Cache:
    """The peers' runs, kept in a JSON file from one time to the next, or not at all."""

    def __init__(self, path: Path | None, fresh: bool) -> None:
        self.path = path
        self.kept: dict[str, list[Answer]] = (
            json.loads(path.read_text()) if path and path.exists() and not fresh else {}
        )

    def runs(self, runner: Runner, setting: Setting) -> Runs:
        key = f"{setting.name}: {runner.name}"
        if key not in self.kept:
            self.kept[key] = list(runner.runs(setting).values())
            if self.path:
                self.path.write_text(json.dumps(self.kept))
        return dict(zip(product(SETS, SEEDS), self.kept[key], strict=True))


def seconds_to(run: Answer, key: str, bound: float) -> float:
    """CPU seconds to the first iterate whose ``cost`` or ``slope`` is at most so much; ∞ if none is."""
    below = np.flatnonzero(np.asarray(run[key]) <= bound)
    return float(run["seconds"][below[0]]) if below.size else np.inf


def polish(run: Answer) -> float:
    """CPU seconds from a gradient of 1e-9 to the least gradient."""
    least = int(np.argmin(run["slope"]))
    return max(0.0, run["seconds"][least] - seconds_to(run, "slope", SMALL))


def final(run: Answer) -> float:
    """J at the end, or the least where a first-order rule has no end."""
    return float(min(run["cost"]))


def median(figure: Callable[[Answer], float], runs: Runs, name: str) -> float:
    return float(np.median([figure(runs[name, seed]) for seed in SEEDS]))


def print_runs(setting: Setting, results: dict[str, Runs]) -> None:
    print(f"\n{setting.name}: medians of {len(SEEDS)} starts, CPU seconds")
    print(f"{'':10}{'':40}{'to 1e-9':>9} {'of runs':>7}{'end':>8}{'least |∇J|':>12}{'J':>12}{'best J':>12}{'calls':>7}")
    for name, (who, runs) in product(SETS, results.items()):
        reached = sum(np.isfinite(seconds_to(runs[name, seed], "slope", SMALL)) for seed in SEEDS)
        print(
            f"{name:10}{who:40}{median(lambda run: seconds_to(run, 'slope', SMALL), runs, name):9.2f} {reached:4d}/5"
            f"{median(lambda run: run['seconds'][-1], runs, name):10.2f}"
            f"{median(lambda run: min(run['slope']), runs, name):12.1e}{median(final, runs, name):12.3e}"
            f"{min(final(runs[name, seed]) for seed in SEEDS):12.3e}"
            f"{median(lambda run: len(run['cost']), runs, name):7.0f}",
            flush=True,
        )


def ratios(peer: Runs, own: Runs, seconds: Callable[[Answer, Answer], float]) -> np.ndarray:
    """The peer's seconds over ours, run by run; ``seconds(run, run of the peer)``."""
    return np.array([seconds(peer[key], peer[key]) / seconds(own[key], peer[key]) for key in own])


def to_gradient(run: Answer, peer: Answer) -> float:
    """To 1e-9; of a peer that never comes there, to its end."""
    reached = seconds_to(run, "slope", SMALL)
    return float(run["seconds"][-1]) if run is peer and np.isinf(reached) else reached


def to_cost(run: Answer, peer: Answer) -> float:
    """To 1.02 times the J at which the peer ends."""
    return max(seconds_to(run, "cost", 1.02 * final(peer)), 1e-9)


def of_ours(results: dict[str, Runs]) -> list[tuple[str, Runs]]:
    """The package's methods."""
    return [(who, runs) for who, runs in results.items() if who.startswith("ocdl") and SciPy not in who]


def asked(results: dict[str, Runs]) -> list[tuple[str, float, str, bool]]:
    """What is asked of the races with Tikhonov: what, our figure, its bound, and whether it is met."""
    rows = []
    for who, own in of_ours(results):
        numba = who.startswith("ocdl, numba")
        for other in (f"PyTorch: {EAGER}", f"PyTorch: {COMPILED}", f"JAX: {SciPy}"):
            if other not in results:
                continue
            peer, said = results[other], f"{who} / {other}"
            found = ratios(peer, own, to_gradient)
            middle, worst = (8.0, 4.0) if numba and "JAX" not in other else (2.0 if "JAX" not in other else 1.0, 0.0)
            rows.append((f"{said}: to 1e-9, median", np.median(found), f"≥ {middle:g}", np.median(found) >= middle))
            if worst:
                rows.append((f"{said}: to 1e-9, worst", found.min(), f"≥ {worst:g}", found.min() >= worst))
            found = ratios(peer, own, to_cost)
            if numba and "PyTorch" in other:
                rows.append((f"{said}: to 1.02 J, median", np.median(found), "≥ 6", np.median(found) >= 6))
                rows.append((f"{said}: to 1.02 J, reached", np.mean(found > 0), "≥ 0.9", np.mean(found > 0) >= 0.9))
            excess = max(
                min(final(own[name, seed]) for seed in SEEDS) / min(final(peer[name, seed]) for seed in SEEDS)
                for name in SETS
            )
            rows.append((f"{said}: best of five, worst set", excess, "≤ 1.005", excess <= 1.005))
        worst_slope = max(min(run["slope"]) for run in own.values())
        longest = max(polish(run) for run in own.values())
        rows.append((f"{who}: least |∇J|, worst", worst_slope, "≤ 1e-11", worst_slope <= 1e-11))
        rows.append((f"{who}: from 1e-9 to there, s, worst", longest, "≤ 1", longest <= 1.0))
        over = max(run["around"] - 0.2 * run["seconds"][-1] for run in own.values())
        rows.append((f"{who}: solve less 1.2 of its method, s, worst", over, "≤ 0.1", over <= 0.1))
    return rows


def asked_in_box(results: dict[str, Runs]) -> list[tuple[str, float, str, bool]]:
    """The unregularised variant: J of ours after 3 s against what the best peer ends with, medians of the starts."""
    rows = []
    others = {who: runs for who, runs in results.items() if who.startswith(("PyTorch", "JAX"))}
    for who, own in of_ours(results):
        early = {name: median(lambda run: after(run, 3.0), own, name) for name in SETS}
        if others:
            theirs = {name: min(median(final, runs, name) for runs in others.values()) for name in SETS}
            better = sum(early[name] <= theirs[name] for name in SETS)
            rows.append((f"{who}: better after 3 s on", better, "≥ 3", better >= 3))
        rows.append((f"{who}: spiral after 3 s", early["spiral"], "≤ 1e-4", early["spiral"] <= 1e-4))
    return rows


def after(run: Answer, seconds: float) -> float:
    """The least J within so many seconds."""
    return float(np.min(np.asarray(run["cost"])[np.asarray(run["seconds"]) <= seconds]))


def raced(setting: Setting, sides: list[Side], methods: list[str], cache: Cache) -> dict[str, Runs]:
    results = {runner.name: cache.runs(runner, setting) for runner in runners(sides, setting)}
    for own in (Runner(side, method) for side, method in product(ours(), methods)):
        results[own.name] = own.runs(setting)
    starts = [[run["cost"][0] for run in runs.values()] for runs in results.values()]
    if not np.ptp(starts, axis=0).max() < 1e-14:
        raise SystemExit("The sides did not start from the same networks.")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, help="a JSON file of the peers' runs")
    parser.add_argument("--fresh", action="store_true", help="run the peers, too, whatever the cache has")
    parser.add_argument("--methods", nargs="*", default=OWN, help="of ours")
    given = begin(parser)
    cache, rows = Cache(given.cache, given.fresh), []
    for setting, table in ((TIKHONOV, asked), (BOX, asked_in_box)):
        results = raced(setting, peers(given), given.methods, cache)
        print_runs(setting, results)
        rows += table(results)
    print()
    for what, figure, bound, met in rows:
        print(f"{what:80}{figure:10.3g}   {bound:10}{'met' if met else 'MISSED'}")
    sys.exit(0 if all(met for *_, met in rows) else 1)


if __name__ == "__main__":
    main()
