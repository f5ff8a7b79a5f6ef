"""Costs with known minimisers, in the clothes of a ``ReducedCost``."""

from types import SimpleNamespace

import numpy as np
from scipy.optimize import rosen, rosen_der, rosen_hess

import ocdl


class Analytic:
    """J(w) with its gradient, and where given Hessian (size, size) and residuals with their Jacobian, J = ½|ρ|² + E."""

    def __init__(self, cost, size, *, low=-np.inf, high=np.inf, metric=1.0, budgets=(), hessian=None, rows=None):
        self.cost, self.size, self.evaluations, self.asked = cost, size, 0, []
        self.bounds = np.broadcast_to(low, size).astype(float), np.broadcast_to(high, size).astype(float)
        self.metric = np.broadcast_to(metric, size).astype(float)
        self.problem = SimpleNamespace(budgets=budgets, budgeted=[0] * len(budgets), m=1, P=0, span=1.0, samples=1)
        self.problem.coefficient_box = lambda depth: [bound[:, None] for bound in self.bounds]
        self.depth = ocdl.ExplicitEuler(size)
        self.has_products, self.has_rows, self.rows = hessian is not None, rows is not None, rows
        self.residuals = lambda w: rows(w)[0]
        self.products = lambda w: SimpleNamespace(hessian=lambda v: hessian(w) @ v)

    def split(self, w):
        return w[:, None], np.zeros(0)

    def value(self, w):
        return self.value_and_gradient(w)[0]

    def value_and_gradient(self, w):
        self.evaluations += 1
        self.asked.append(w)
        return self.cost(w)


def rosenbrock(size, **changes):
    return Analytic(lambda w: (rosen(w), rosen_der(w)), size, **{"hessian": rosen_hess} | changes)


def quadratic(size, spread=1e3, seed=0, **changes):
    """½ wᵀA w − bᵀw with eigenvalues from 1 to 1/``spread``; A and b."""
    generator = np.random.default_rng(seed)
    basis = np.linalg.qr(generator.normal(size=(size, size)))[0]
    A = basis * np.geomspace(1.0, 1.0 / spread, size) @ basis.T
    b = A @ generator.normal(size=size) * 2.0
    return Analytic(lambda w: (0.5 * w @ A @ w - b @ w, A @ w - b), size, hessian=lambda w: A, **changes), A, b


def learning(samples=30, **changes):
    """A small selection problem with a trained readout, Tikhonov, and bounds some of which press."""
    generator = np.random.default_rng(3)
    statement = {
        "activation": ocdl.Tanh(),
        "horizon": 1.0,
        "initial": generator.normal(size=(samples, 2)),
        "target": generator.uniform(size=samples),
        "readout": ocdl.Readout(weight=(-0.1, 0.1), bias=(-1, 1)),
        "regulariser": ocdl.Tikhonov(1e-3),
        "bounds": ocdl.Box(a=(-2, 2), b=(-2, 2)),
    }
    return ocdl.SelectionProblem(**statement | changes).discretise(ocdl.Midpoint(2))
