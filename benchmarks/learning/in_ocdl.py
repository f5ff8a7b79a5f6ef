"""Our side: the same network as a statement, and its ``ReducedCost``. ``--without-numba`` hides numba from it."""

import sys
import time
from contextlib import suppress
from unittest import mock

if "--without-numba" in sys.argv:
    sys.modules["numba"] = None  # type: ignore[assignment]

import casadi as ca
import numpy as np
from network import Network, example, milliseconds
from race import Job, Record, SciPy, Sine, lbfgsb
from sides import Answer, serve

import ocdl
from ocdl.sweeps.reduced import ReducedCost

COMPILED: set[tuple[type, str]] = set()


def problem(network: Network, box: float = np.inf) -> ocdl.ControlProblem:
    if not network.head:
        return sine(network)
    ends = (-box, box)
    return ocdl.network(
        ocdl.Residual(),
        network.inputs,
        network.labels,
        readout=ocdl.Readout(weight=ends, bias=ends),
        regulariser=ocdl.Tikhonov(network.weight) if network.weight else None,
        bounds=ocdl.Box(K=ends, beta=ends),
    )


def sine(network: Network) -> ocdl.ControlProblem:
    n = network.width
    return ocdl.ControlProblem(
        lift=lambda x, u: ca.reshape(u[: n * n], n, n).T @ x + u[n * n :],
        dynamics=lambda z: np.tanh(z),
        terminal=lambda x, d: (ca.sum1(x) - d[0]) ** 2,
        initial=network.inputs,
        data=network.labels[:, None],
        horizon=network.horizon,
        controls=n * n + n,
        columnwise=True,
    )


def gradient(samples: int, width: int, layers: int) -> Answer:
    network, w = example(samples, width, layers)
    cost = ReducedCost(problem(network), ocdl.ExplicitEuler(layers))
    value, slope = cost.value_and_gradient(w)
    times = {"ReducedCost": milliseconds(lambda: cost.value_and_gradient(w))}
    return {"cost": value, "gradient": slope.tolist(), "milliseconds": times}


def named(job: Job | Sine) -> dict[str, np.ndarray]:
    """The start by the names of controls and parameters."""
    w, network = job.start, job.network
    if not network.head:
        return {"u": w.reshape(network.layers, -1)}
    K, b = network.layered(w)
    P = network.parameters
    return {"K": K, "beta": b[:, :, 0], "W": w[None, : P - 1], "mu": w[P - 1 : P]}


def solved(statement: ocdl.ControlProblem, depth: ocdl.DepthScheme, job: Job | Sine) -> Record:
    """``ocdl.solve`` by the method of that name, its evaluations recorded; the clock begins at the first."""
    record = Record(job.start, job.limit)
    inner = ReducedCost.value_and_gradient

    def recorded(self: ReducedCost, w: np.ndarray) -> tuple[float, np.ndarray]:
        if len(record.points) == 1:
            record.begin = time.process_time()
        found = inner(self, w)
        record(w)
        return found

    method = getattr(ocdl, job.method)(tolerance=1e-11)
    with mock.patch.object(ReducedCost, "value_and_gradient", recorded), suppress(StopIteration):
        clock = time.process_time()
        solution = ocdl.solve(statement, depth, method, start=named(job), on_failure="return", progress=False)
        record.around = time.process_time() - clock - float(solution.history["cpu_seconds"][-1])
    return record


def run(job: Job | Sine) -> Answer:
    statement, depth = problem(job.network, job.box), ocdl.ExplicitEuler(job.network.layers)
    if job.method == SciPy:
        return lbfgsb(ReducedCost(statement, depth).value_and_gradient, job).judged(job)
    if (type(job), job.method) not in COMPILED:  # what numba compiles on first use stays out of the race
        solved(statement, depth, job)
        COMPILED.add((type(job), job.method))
    record = solved(statement, depth, job)
    return record.judged(job) | {"around": record.around}


def batch_step(samples: int, width: int, batch: int) -> Answer:
    """Milliseconds of a step of Adam on a mini-batch, by the history's clock, the full loss never asked for."""
    network, w = example(samples, width, 20)
    statement, depth = problem(network), ocdl.ExplicitEuler(20)
    steps = 1000
    method = ocdl.StochasticGradient(batch=batch, max_iterations=steps, evaluate=steps, tolerance=1e-300)
    P = network.parameters
    times = []
    for _ in range(3):
        clock = time.process_time()
        method.solve(statement, depth, ocdl.Start(w[P:].reshape(20, -1), w[:P]), progress=False)
        times.append(1e3 * (time.process_time() - clock) / steps)
    return {"milliseconds": {"StochasticGradient": min(times)}}


if __name__ == "__main__":
    serve(
        {
            "gradient": gradient,
            "batch_step": batch_step,
            "race": lambda **job: run(Job(**job)),
            "sine": lambda **job: run(Sine(**job)),
        }
    )
