"""Does judging a network cost less than training it? CPU seconds of both, the gap by default and thorough, the memory.

A residual network with readout, twenty explicit Euler layers ẋ = σ(W x + b), S samples with labels, Tikhonov's term and
a box, trained by L-BFGS-B for some iterations. The referee: sweeps, gap, certificate, labels; first: a
first-order certificate, which is asked for before, so that it shares nothing. Every case in a
process of its own, for its peak memory.

``python benchmarks/referee/cost.py [--iterations 50] [--thorough] [--wide]``; ``--wide``: drawn controls, 784 channels,
100 images, beside the CPU seconds of one gradient of the cost. Run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import casadi as ca
import numpy as np

import ocdl
from ocdl.referee.judgement import judged
from ocdl.solving.method import Start
from ocdl.sweeps.sweeper import Sweeper

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


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what came of it."""
    clock = time.process_time()
    found = work()
    return time.process_time() - clock, found


def trained(problem: ocdl.ControlProblem, iterations: int) -> tuple[float, ocdl.Outcome]:
    generator = np.random.default_rng(1)
    start = Start(generator.normal(size=(LAYERS, problem.m)) / np.sqrt(problem.n), generator.normal(size=problem.P))
    method = ocdl.LBFGSB(max_iterations=1, round_iterations=iterations, gap="gradient")
    return seconds(lambda: method.solve(problem, ocdl.ExplicitEuler(LAYERS), start, progress=False))


def one_gradient(problem: ocdl.ControlProblem) -> tuple[float, ocdl.Outcome]:
    generator, sweeper = np.random.default_rng(1), Sweeper(problem, ocdl.ExplicitEuler(LAYERS))
    u, p = generator.normal(size=(LAYERS, problem.m)) / np.sqrt(problem.n), generator.normal(size=problem.P)
    sweeper.costate(sweeper.state(u, p), u, p)  # compiled
    took, _ = seconds(lambda: sweeper.costate(sweeper.state(u, p), u, p))
    return took, ocdl.Outcome(u, p, ocdl.Status.STALLED, "drawn")


def run(S: int, M: int, name: str, iterations: int, thorough: bool, send: Any) -> None:
    warmed_up()
    problem, depth = network(S, M, name), ocdl.ExplicitEuler(LAYERS)
    method, outcome = trained(problem, iterations) if iterations else one_gradient(problem)
    how: dict[str, Any] = {"method": "", "seconds": method}
    first, _ = seconds(lambda: judged(problem, depth, outcome, certificate="first order", **how))
    referee, solution = seconds(lambda: judged(problem, depth, outcome, **how))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    longer, more = float("nan"), float("nan")
    if thorough:
        longer, verdict = seconds(lambda: ocdl.certify(problem, depth, outcome.u, outcome.p, thorough=True))
        more = verdict.gap
    send.send((method, first, referee, solution.search, solution.gap, more, longer, peak))


def row(S: int, M: int, name: str, iterations: int, thorough: bool) -> None:
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=run, args=(S, M, name, iterations, thorough, send))
    process.start()
    send.close()
    try:
        method, first, referee, search, gap, more, longer, peak = receive.recv()
        print(
            f"{S:5d} {M:4d} {name:5s} {method:8.2f} {first:8.3f} {referee:8.2f} {referee / method:6.2f} {search:9s} "
            f"{gap:10.3e} {more:10.3e} {longer:9.2f} {peak:6.2f}",
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
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--wide", action="store_true")
    given = parser.parse_args()
    print("    S    M σ       method    first  referee  ratio search           gap   thorough   seconds    GiB")
    if given.wide:
        row(100, 784, "tanh", 0, False)
    else:
        for S in given.samples:
            for M in given.widths:
                for name in ACTIVATIONS:
                    row(S, M, name, given.iterations, given.thorough)
