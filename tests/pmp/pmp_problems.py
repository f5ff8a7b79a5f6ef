"""The problems these tests solve, with their exact answers."""

import numpy as np

import ocdl
from ocdl.solving.start import make_start

LOWEST, HIGHEST = -0.3323975739639906, 1.4563111674757971  # reachable from 0.5 by one tanh neuron, |a|, |b| ≤ 1, T = 1
ZERO_CROSSING = float(np.log(np.sinh(1.5) / np.sinh(1.0)))  # of |f| under f' = ∓tanh(1 + |f|), from |f| = 1/2


def selection(initial, target, *, box=None, activation=None):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh() if activation is None else activation,
        horizon=1.0,
        initial=initial,
        target=target,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)) if box is None else box,
    )


def eight_neurons():
    """Continuous-time optimum J = 0.968069497335."""
    return selection(lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y), lambda y: 3 * np.cos(2 * np.pi * y))


FAMILIES = {
    "far": lambda y: 3 * np.cos(2 * np.pi * y),
    "mixed": lambda y: 0.3 + np.cos(2 * np.pi * y) + 0.8 * (y > 0.5),
    "reachable": lambda y: 0.3 + 0.3 * np.cos(2 * np.pi * y),
}


def family(name):
    return selection(lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y), FAMILIES[name])


def linear_quadratic():
    """min ½∫ x² + u², ẋ = u, x(0) = 1: V = ½ tanh T, u = −tanh(T − t) x."""
    return ocdl.ControlProblem(
        dynamics=lambda u: [u[0]],
        running=lambda x, u: 0.5 * (x[0] ** 2 + u[0] ** 2),
        initial=[1.0],
        horizon=1.0,
    )


def network():
    """Six samples in two classes, four neurons, a trained readout and Tikhonov's term."""
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=np.random.default_rng(1).normal(size=(6, 4)),
        target=np.arange(6) % 2,
        readout=ocdl.Readout(outputs=1, link=ocdl.Logistic()),
        regulariser=ocdl.Tikhonov(1e-3),
        bounds=ocdl.Box(a=(-2, 2), b=(-2, 2)),
    )


def start(problem, depth, seed=None):
    return make_start(problem, depth, None, seed)
