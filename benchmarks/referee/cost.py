"""Does judging a network cost less than training it? CPU seconds of both, and the memory of the whole.

A residual network with readout, twenty explicit Euler layers ẋ = σ(W x + b), S samples with labels, Tikhonov's term and
a box, trained by L-BFGS-B for some iterations. The referee's seconds are all that a solution costs beside its method:
sweeps, gap, certificate, labels. Every case in a process of its own, for its peak memory.

``python benchmarks/referee/cost.py [--iterations 50] [--wide]``; ``--wide``: 784 channels, 100 images, five iterations.
Run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from typing import Any

import casadi as ca
import numpy as np

import ocdl

LAYERS, SAMPLES, WIDTHS = 20, (20, 100, 1000), (2, 8, 16, 64)
ACTIVATIONS = {"tanh": np.tanh, "relu": lambda z: ca.fmax(z, 0.0)}


def network(S: int, M: int, name: str) -> ocdl.ControlProblem:
    """Two classes told apart by the sign of x₁x₂, the other channels noise."""
    generator = np.random.default_rng(S + M)
    x = generator.normal(size=(S, M))
    sigma: Any = ACTIVATIONS[name]
    return ocdl.ControlProblem(
        lift=lambda x, u: ca.reshape(u[: M * M], M, M) @ x + u[M * M :],
        dynamics=lambda z: sigma(z),
        terminal=lambda x, p, d: 0.5 * (0.5 * (1 + ca.tanh(0.5 * (ca.dot(p[:M], x) + p[M]))) - d) ** 2,
        effort=lambda u: 0.5e-4 * ca.sumsqr(u),
        penalty=lambda p: 0.5e-4 * ca.sumsqr(p),
        initial=x,
        data=(x[:, :1] * x[:, 1:2] > 0.0).astype(float),
        controls=M * M + M,
        parameters=M + 1,
        horizon=1.0,
        columnwise=True,
        bounds=ocdl.Box(u=(-5, 5), p=(-20, 20)),
    )


def warmed_up() -> None:
    """What a process imports and compiles once is no cost of one solution."""
    ocdl.solve(network(2, 2, "tanh"), ocdl.ExplicitEuler(2), ocdl.LBFGSB(max_iterations=1), on_failure="return")


def run(S: int, M: int, name: str, iterations: int, send: Any) -> None:
    warmed_up()
    problem = network(S, M, name)
    generator = np.random.default_rng(1)
    u, p = generator.normal(size=(LAYERS, problem.m)) / np.sqrt(M), generator.normal(size=problem.P)
    clock = time.perf_counter()
    method = ocdl.LBFGSB(max_iterations=1, round_iterations=iterations, gap="gradient")
    solution = ocdl.solve(problem, ocdl.ExplicitEuler(LAYERS), method, start={"u": u, "p": p}, on_failure="return")
    seconds = time.perf_counter() - clock
    attributes = solution.tree.attrs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    referee = attributes.get("referee_seconds", seconds - solution.seconds)
    send.send((solution.seconds, referee, seconds, attributes.get("search", "?"), solution.gap, solution.cost, peak))


def row(S: int, M: int, name: str, iterations: int) -> None:
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=run, args=(S, M, name, iterations, send))
    process.start()
    send.close()
    try:
        method, referee, whole, search, gap, cost, peak = receive.recv()
        print(
            f"{S:5d} {M:4d} {name:5s} {method:9.2f} {referee:9.2f} {referee / method:7.2f} {whole:9.2f} "
            f"{search:9s} {gap:9.2e} {cost:9.3e} {peak:6.2f}",
            flush=True,
        )
    except EOFError:
        print(f"{S:5d} {M:4d} {name:5s} ended without an answer", flush=True)
    process.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--samples", type=int, nargs="*", default=SAMPLES)
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS)
    parser.add_argument("--wide", action="store_true")
    given = parser.parse_args()
    print("    S    M σ        method   referee   ratio     whole search          gap      cost    GiB")
    if given.wide:
        row(100, 784, "tanh", 5)
    else:
        for S in given.samples:
            for M in given.widths:
                for name in ACTIVATIONS:
                    row(S, M, name, given.iterations)
