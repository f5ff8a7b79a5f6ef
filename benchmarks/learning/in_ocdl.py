"""Our side: the same network as a statement, and its ``ReducedCost``. ``--without-numba`` hides numba from it."""

import sys

if "--without-numba" in sys.argv:
    sys.modules["numba"] = None  # type: ignore[assignment]

import casadi as ca
import numpy as np
from network import Network, example, milliseconds
from race import lbfgsb, network_of
from sides import Answer, serve

import ocdl
from ocdl.sweeps.reduced import ReducedCost


def problem(network: Network) -> ocdl.ControlProblem:
    n, weight = network.width, network.weight
    link = ocdl.Logistic()
    return ocdl.ControlProblem(
        lift=lambda x, u: ca.reshape(u[: n * n], n, n).T @ x + u[n * n :],
        dynamics=lambda z: np.tanh(z),
        terminal=lambda x, p, d: 0.5 * (link(ca.dot(p[:n], x) + p[n]) - d[0]) ** 2,
        effort=lambda u: 0.5 * weight * ca.sumsqr(u),
        penalty=lambda p: 0.5 * weight * ca.sumsqr(p),
        initial=network.inputs,
        data=network.labels[:, None],
        horizon=1.0,
        controls=n * n + n,
        parameters=n + 1,
        columnwise=True,
    )


def gradient(samples: int, width: int, layers: int) -> Answer:
    network, w = example(samples, width, layers)
    cost = ReducedCost(problem(network), ocdl.ExplicitEuler(layers))
    value, slope = cost.value_and_gradient(w)
    times = {"ReducedCost": milliseconds(lambda: cost.value_and_gradient(w))}
    return {"cost": value, "gradient": slope.tolist(), "milliseconds": times}


def race(name: str, seed: int, weight: float, box: float, limit: float, method: str) -> Answer:
    network = network_of(name, weight)
    cost = ReducedCost(problem(network), ocdl.ExplicitEuler(network.layers))
    return lbfgsb(cost.value_and_gradient, network.start(seed), box, limit).judged(network, box)


if __name__ == "__main__":
    serve({"gradient": gradient, "race": race})
