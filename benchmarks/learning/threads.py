"""What a second thread is worth: one gradient, its samples spread over one thread and over two.

    python benchmarks/learning/threads.py

Wall-clock seconds of one and two threads in turn, the ratio of their medians and of their least. Where other work is on
the machine, two threads do not have two cores: beside it stands what two free cores would give, the CPU time of one
thread over what the caller does alone plus half of the rest of two. The gradients are the same to the bit, or it stops.
"""

import time

import numpy as np

import ocdl
from ocdl.sweeps.reduced import ReducedCost

SIZES = [(100_000, 4), (10_000, 64)]  # S, width; 20 layers
ROUNDS, LEAST = 15, 1.6


def example(samples: int, width: int) -> tuple[ReducedCost, np.ndarray]:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1.0, 1.0, (samples, width))
    labels = (inputs[:, 0] * inputs[:, 1] > 0.0).astype(float)
    problem = ocdl.network(ocdl.Residual(), inputs, labels, regulariser=ocdl.Tikhonov(1e-4))
    cost = ReducedCost(problem, ocdl.ExplicitEuler(20))
    return cost, 0.1 * rng.standard_normal(cost.size)


def seconds(cost: ReducedCost, w: np.ndarray) -> tuple[float, float, float]:
    """Of one gradient: wall clock, CPU of all threads, CPU of this thread."""
    clocks = time.perf_counter, time.process_time, time.thread_time
    begun = [clock() for clock in clocks]
    cost.value_and_gradient(w)
    wall, cpu, own = (clock() - begin for clock, begin in zip(clocks, begun, strict=True))
    return wall, cpu, own


def main() -> None:
    print(f"{'S':>8}{'width':>7}{'one, ms':>10}{'two, ms':>10}{'ratio':>8}{'of least':>10}{'two free cores':>16}")
    for samples, width in SIZES:
        cost, w = example(samples, width)
        times: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
        gradients = []
        for threads in times:
            with ocdl.spread(threads=threads):
                gradients.append(cost.value_and_gradient(w)[1])
        if not np.array_equal(*gradients):
            raise SystemExit(f"S = {samples}, width {width}: two threads have another gradient than one.")
        for _ in range(ROUNDS):
            for threads, found in times.items():
                with ocdl.spread(threads=threads):
                    cost.value_and_gradient(w)
                    found.append(seconds(cost, w))
        one, two = (np.array(found) for found in times.values())
        median, least = (call(one[:, 0]) / call(two[:, 0]) for call in (np.median, np.min))
        free = np.min(one[:, 1]) / np.min(two[:, 2] + (two[:, 1] - two[:, 2]) / 2)
        walls = f"{1e3 * np.median(one[:, 0]):10.1f}{1e3 * np.median(two[:, 0]):10.1f}"
        print(f"{samples:8}{width:7}{walls}{median:8.2f}{least:10.2f}{free:16.2f}   (at least {LEAST} is asked)")


if __name__ == "__main__":
    main()
