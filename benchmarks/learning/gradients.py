"""What one gradient costs: ours against PyTorch, JAX and an adjoint by hand, on the same network and point.

    python benchmarks/learning/gradients.py [--torch PYTHON] [--jax PYTHON]

PyTorch and JAX live where they are installed: name their interpreters, or let this one serve. Every side runs in a
process of its own, one after the other, one thread each, in float64; CPU milliseconds (all threads, should a side start
some), the least of many calls, compilation and a first call apart. Nothing is timed whose cost and gradient differ from
the adjoint's by more than 1e-12. Of PyTorch (eager, and compiled by ``torch.compile``) and JAX the best of several
spellings counts (see ``in_torch.py``, ``in_jax.py``).
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from sides import NUMPY, Answer, Side, begin, ours, peers

SIZES = [(1000, 2, 20), (1000, 8, 20), (1000, 64, 20), (10_000, 2, 20), (10_000, 64, 20)]  # S, width, layers
IN_SAMPLES = [(samples, 2, 20) for samples in (1000, 2000, 4000, 8000, 16000)]
IN_LAYERS = [(1000, 2, layers) for layers in (10, 20, 40, 80, 160)]
LEAST = {"JAX": {(1000, 2): 1.0, (1000, 8): 0.5, (1000, 64): 0.5}}  # the peer's time over ours, with numba
ALONE = {2: 1.0, 8: 1.0, 64: 1 / 1.1}  # PyTorch's over ours with NumPy alone, by width
MOST = {(10_000, 2): 3.5, (10_000, 64): 520.0}  # milliseconds of ours
GROWTH = (0.9, 1.1)
COMPILED = " compiled"  # by torch.compile

Size = tuple[int, int, int]
Times = dict[str, dict[Size, float]]


def measured(sides: list[Side], sizes: list[Size]) -> Times:
    """Milliseconds of each side's best way at each size, once it has been seen to compute the same."""
    jobs = [{"what": "gradient", "samples": S, "width": n, "layers": N} for S, n, N in sizes]
    references = NUMPY.answers(jobs)
    answers = {NUMPY.name: references} | {side.name: side.answers(jobs) for side in sides}
    for name, found in answers.items():
        for size, answer, reference in zip(sizes, found, references, strict=True):
            check(f"{name} at {size}", answer, reference)
    return {
        name + kind: dict(zip(sizes, (best(name, answer, kind) for answer in found), strict=True))
        for name, found in answers.items()
        for kind in (("", COMPILED) if name == "PyTorch" else ("",))
    }


def check(what: str, answer: Answer, reference: Answer) -> None:
    error = np.abs(np.subtract(answer["gradient"], reference["gradient"])).max()
    error = max(error, abs(answer["cost"] - reference["cost"]))
    if not error <= 1e-12:
        raise SystemExit(f"{what}: cost and gradient differ from the adjoint's by {error:.1e}.")


def best(name: str, answer: Answer, kind: str) -> float:
    """The least of the side's ways, compiled or not; which one it is goes to standard error."""
    times = {way: time for way, time in answer["milliseconds"].items() if ("compiled" in way) == (kind == COMPILED)}
    way = min(times, key=times.__getitem__)
    print(f"    {name}: {way}, {times[way]:.3g} ms", file=sys.stderr)
    return times[way]


def exponent(times: dict[Size, float], sizes: list[Size], along: int) -> float:
    """The slope of log time over log size, by least squares."""
    return float(np.polyfit(np.log([size[along] for size in sizes]), np.log([times[size] for size in sizes]), 1)[0])


def asked(times: Times) -> list[tuple[str, float, str, bool]]:
    """What is asked of one gradient: what, our figure, the bound, and whether it is met."""
    rows = []
    for side in (name for name in times if name.startswith("ocdl")):
        own = times[side]
        for size in SIZES:
            S, n, _ = size
            bounds = {}
            if side == "ocdl, numba":
                bounds = {peer: least[S, n] for peer, least in LEAST.items() if (S, n) in least and peer in times}
            else:
                bounds = {peer: ALONE[n] for peer in times if peer.startswith("PyTorch")}
            for peer, least in bounds.items():
                ratio = times[peer][size] / own[size]
                rows.append((f"{side}, S = {S}, width {n}: {peer} / ours", ratio, f"≥ {least:.2g}", ratio >= least))
            if side == "ocdl, numba" and (S, n) in MOST:
                rows.append(
                    (f"{side}, S = {S}, width {n}: ms", own[size], f"≤ {MOST[S, n]:g}", own[size] <= MOST[S, n])
                )
        for word, sizes, along in (("S", IN_SAMPLES, 0), ("layers", IN_LAYERS, 2)):
            slope = exponent(own, sizes, along)
            rows.append((f"{side}: growth in {word}", slope, "0.9 to 1.1", GROWTH[0] <= slope <= GROWTH[1]))
    return rows


def batch_steps(sides: list[Side]) -> dict[str, float]:
    """Milliseconds of a step of Adam on 100 of 10,000 samples."""
    job = {"what": "batch_step", "samples": 10_000, "width": 2, "batch": 100}
    able = (side for side in sides if side.name != "JAX")
    return {side.name: side.answers([job])[0]["milliseconds"].popitem()[1] for side in able}


def print_times(times: Times, sizes: list[Size]) -> None:
    """Milliseconds, and in brackets how many times ours (the first side of it) that is."""
    own = next(name for name in times if name.startswith("ocdl"))
    print(f"{'ms a gradient':16}" + "".join(f"{f'{S}, {n}, {N}':>18}" for S, n, N in sizes), " S, width, layers")
    for name, row in times.items():
        cells = (f"{row[size]:10.3g} ({row[size] / times[own][size]:5.2f})" for size in sizes)
        print(f"{name:16}" + "".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sides = [*peers(begin(parser)), *ours()]
    times = measured(sides, SIZES)
    print_times(times, SIZES)
    grown = measured(ours(), sorted({*IN_SAMPLES, *IN_LAYERS}))
    for sizes in (IN_SAMPLES, IN_LAYERS):
        print_times(grown, sizes)
    rows = asked({name: row | grown.get(name, {}) for name, row in times.items()})
    for name, figure in batch_steps(sides).items():
        print(f"{name:16}{figure:10.3g} ms a step of Adam on 100 of 10,000 samples of width 2, 20 layers")
        if name.startswith("ocdl"):
            rows.append((f"{name}: mini-batch step, ms", figure, "≤ 1", figure <= 1.0))
    for what, figure, bound, met in rows:
        print(f"{what:50}{figure:10.3g}   {bound:12}{'met' if met else 'MISSED'}")
    sys.exit(0 if all(met for *_, met in rows) else 1)


if __name__ == "__main__":
    main()
