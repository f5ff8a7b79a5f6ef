"""Problems of the HJB tests and their exact answers, written out independently of the package's own formulas."""

from functools import cache

import numpy as np
from scipy.integrate import solve_ivp

from ocdl.statement.activations import Tanh
from ocdl.statement.bounds import Box
from ocdl.statement.selection import SelectionProblem
from ocdl.statement.width import Midpoint

TANH = Tanh()
TWO_NEURON_STARTS = [(0.05, 0.2), (0.1, -0.2), (-0.3, 0.1), (0.02, -0.5)]


def selection(x0, target, *, activation=TANH, a=(-1, 1), b=(-1, 1), horizon=1.0, **more):
    """One sample with neurons at midpoints: J = ½ mean_i (f_i(T) − target_i)²."""
    x0 = np.atleast_1d(np.asarray(x0, dtype=float))
    return SelectionProblem(
        activation=activation, horizon=horizon, initial=x0,
        target=np.broadcast_to(np.asarray(target, dtype=float), x0.shape).copy(), bounds=Box(a=a, b=b), **more,
    ).discretise(Midpoint(x0.size))  # fmt: skip


def reachable_interval(f, activation, a, b, horizon=1.0):
    """One neuron: f' = σ(a⁻ − max(b⁻f, b⁺f)) and f' = σ(a⁺ − min(b⁻f, b⁺f)) from every entry of f (q,)."""
    return _interval(tuple(f), activation, a, b, horizon)


@cache
def _interval(f, activation, a, b, horizon):
    def flow(rate):
        return solve_ivp(lambda t, y: rate(y), (0.0, horizon), f, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]

    low = flow(lambda y: activation(a[0] - np.maximum(b[0] * y, b[1] * y)))
    high = flow(lambda y: activation(a[1] - np.minimum(b[0] * y, b[1] * y)))
    return low, high


def one_neuron_value(f, target, activation, a, b, horizon=1.0):
    """½ dist(target, reachable interval)²."""
    f = np.asarray(f)
    low, high = (v.reshape(f.shape) for v in reachable_interval(f.ravel(), activation, a, b, horizon))
    return 0.5 * np.maximum(0.0, np.maximum(low - target, target - high)) ** 2


def errors(computed, exact):
    """Sup and mean absolute error."""
    difference = np.abs(np.asarray(computed) - exact)
    return difference.max(), difference.mean()
