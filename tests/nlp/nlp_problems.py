"""Small problems that several tests of the direct route use."""

import numpy as np
from families import selection

import ocdl


def convex(**changes):
    """A strongly convex effort makes the optimum unique: time, data, parameters, running cost, penalty, weights."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda t, x, u, p, d: [x[1] + 0.1 * t, np.tanh(u[0]) - 0.3 * x[0] + p[0] * d[0]],
            "running": lambda x, u: 0.5 * x[0] ** 2 + 0.1 * u[0] * x[1],
            "effort": lambda u: 0.5 * u[0] ** 2,
            "penalty": lambda p: 0.5 * p[0] ** 2,
            "terminal": lambda x, p: (x[0] - 1.0) ** 2 + 0.1 * p[0] * x[1],
            "initial": [[0.2, 0.1], [1.0, -0.5], [-0.4, 0.3], [0.6, 0.0]],
            "data": [[1.0], [0.5], [-1.0], [0.3]],
            "weights": [1.0, 2.0, 1.0, 0.5],
            "horizon": 1.5,
            "controls": 1,
            "parameters": 1,
            "bounds": ocdl.Box(u=(-0.2, 0.5), p=(-1, 0.05)),
        }
        | changes
    )


def learning(samples=4, **changes):
    """A selection problem with trained readout, weights and regulariser: unlike neurons, controls and parameters."""
    generator = np.random.default_rng(1)
    statement = {
        "initial": generator.normal(size=(samples, 3)),
        "target": generator.uniform(size=samples),
        "readout": ocdl.Readout(weight=(-2, 2), bias=(-2, 2)),
        "regulariser": ocdl.Tikhonov(1e-2),
        "weights": generator.uniform(1, 2, samples),
        "bounds": ocdl.Box(a=(-2, 2), b=(-2, 2)),
    }
    return selection(**statement | changes).discretise(ocdl.Trapezoid(3))
