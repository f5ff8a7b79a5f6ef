"""Does it matter where the samples are: in memory, in a file, or on a cluster that loses a worker?

Points of [−1, 1]⁴, labelled by whether they lie in a ball, in a residual network of 20 layers. Inputs and labels stand
in files and are memory-mapped; costs, gradients and the certificate are summed block by block, in one order, so that
neither threads nor workers change a bit of the answer. Here on few samples;

    python examples/million_samples.py 1000000

trains on so many, then on the processes of a local Dask cluster of which one is killed, and says what both took.
"""

import os
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import ocdl

DEPTH = ocdl.ExplicitEuler(20)
LBFGS = ocdl.LBFGS(max_iterations=30)
AT_ONCE = 100_000
RADIUS = 1.15  # of the ball: about half of the points are in it


def written(folder: Path, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (S, 4) and labels (S,), written part by part and memory-mapped."""
    rng = np.random.default_rng(0)
    files = [folder / name for name in ("inputs.npy", "labels.npy")]
    inputs = np.lib.format.open_memmap(files[0], "w+", float, (samples, 4))
    labels = np.lib.format.open_memmap(files[1], "w+", float, (samples,))
    for begin in range(0, samples, AT_ONCE):
        part = slice(begin, min(begin + AT_ONCE, samples))
        inputs[part] = rng.uniform(-1.0, 1.0, inputs[part].shape)
        labels[part] = np.linalg.norm(inputs[part], axis=1) < RADIUS
    inputs.flush()
    labels.flush()
    return np.load(files[0], mmap_mode="r"), np.load(files[1], mmap_mode="r")


def trained(inputs: np.ndarray, labels: np.ndarray, method: ocdl.Method = LBFGS) -> ocdl.Solution:
    problem = ocdl.network(ocdl.Residual(), inputs, labels, regulariser=ocdl.Tikhonov(1e-4))
    return ocdl.solve(problem, DEPTH, method, seed=1, certificate="first order", on_failure="return", progress=False)


def by_batches(samples: int, batch: int) -> ocdl.StochasticGradient:
    """Two epochs."""
    return ocdl.StochasticGradient(step=0.01, batch=batch, max_iterations=2 * -(-samples // batch))


with tempfile.TemporaryDirectory() as folder:
    mapped = written(Path(folder), 5000)
    costs = {"in a file": trained(*mapped).cost, "in memory": trained(*(np.array(part) for part in mapped)).cost}
    with ocdl.spread(threads=2):
        costs["by two threads"] = trained(*mapped).cost
    first, batches = trained(*mapped, ocdl.LBFGS(max_iterations=0)).cost, trained(*mapped, by_batches(5000, 100)).cost


def loses_a_worker(client, after: float) -> threading.Timer:
    """Kill one of the worker processes later on."""
    victim = next(iter(client.run(os.getpid).values()))
    timer = threading.Timer(after, os.kill, (victim, signal.SIGKILL))
    timer.start()
    return timer


def told(name: str, inputs: np.ndarray, labels: np.ndarray, method: ocdl.Method) -> ocdl.Solution:
    clock = time.perf_counter()
    solution = trained(inputs, labels, method)
    seconds, peak = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:24}{solution.cost:.15g}{seconds:8.1f} s, peak {peak:.0f} MB of this process", flush=True)
    return solution


def many(samples: int) -> None:
    import distributed  # the extra "cluster"

    with tempfile.TemporaryDirectory() as folder:
        inputs, labels = written(Path(folder), samples)
        here = told("L-BFGS, one thread", inputs, labels, LBFGS)
        told("Adam, two epochs", inputs, labels, by_batches(samples, 1000))
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        with cluster, distributed.Client(cluster) as client, ocdl.spread(client=client):
            timer = loses_a_worker(client, after=0.3 * here.seconds)
            there = told("L-BFGS, a worker killed", inputs, labels, LBFGS)
            timer.join()
        print(f"the costs differ by {abs(here.cost - there.cost):.1e}, the controls by {apart(here, there):.1e}")


def apart(one: ocdl.Solution, other: ocdl.Solution) -> float:
    return max(float(np.max(np.abs(one[name].values - other[name].values))) for name in one.controls)


if __name__ == "__main__":
    print(f"J at the start {first:.6f}, after 30 steps of L-BFGS")
    for name, cost in costs.items():
        print(f"    {name:16}{cost:.15g}")
    print(f"after two epochs of Adam {batches:.6f}")
    if len(sys.argv) > 1:
        many(int(sys.argv[1]))
