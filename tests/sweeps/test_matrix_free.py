"""Sweeps without Jacobians equal the sweeps with them, for every scheme found."""

import numpy as np
import pytest
from families import name_of, schemes

import ocdl
from ocdl.sweeps.sweeper import Sweeper, matrix_free


def problem(samples, bound=1.0):
    generator = np.random.default_rng(samples)
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=generator.normal(size=(samples, 5)),
        target=generator.uniform(size=(samples, 2)),
        bounds=ocdl.Box(a=(-bound, bound), b=(-bound, bound)),
        readout=ocdl.Readout(outputs=2),
        regulariser=ocdl.Tikhonov(0.1),
    ).discretise(ocdl.GaussLegendre(5))


def swept(statement, depth, u, p):
    sweeper = Sweeper(statement, depth)
    trajectory = sweeper.state(u, p)
    adjoint = sweeper.costate(trajectory, u, p)
    gradients = [adjoint.gradient_u, adjoint.gradient_p]
    return [
        trajectory.x,
        trajectory.stages,
        sweeper.rates(trajectory, u, p),
        adjoint.costate,
        adjoint.stages,
        *gradients,
    ]


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("depth", list(schemes()), ids=name_of)
def test_they_agree_to_rounding(depth, samples, monkeypatch):
    statement = problem(samples)
    generator = np.random.default_rng(0)
    u, p = generator.uniform(-2, 2, (depth.count, statement.m)), generator.normal(size=statement.P)
    with_jacobians = swept(statement, depth, u, p)
    monkeypatch.setattr(matrix_free, "WIDE", 1)
    assert matrix_free.suits(statement, depth.tableau)
    for ours, theirs in zip(swept(statement, depth, u, p), with_jacobians, strict=True):
        assert np.max(np.abs(ours - theirs)) < 1e-13 * max(1.0, np.max(np.abs(theirs)))


def test_where_the_iteration_does_not_contract_newtons_method_takes_over(monkeypatch):
    statement, depth = problem(1, bound=30.0), ocdl.Radau(1, 2)
    generator = np.random.default_rng(0)
    u, p = generator.uniform(0, 30, (1, statement.m)), generator.normal(size=statement.P)
    with_jacobians = swept(statement, depth, u, p)
    monkeypatch.setattr(matrix_free, "WIDE", 1)
    layers = matrix_free.MatrixFreeLayers(statement, depth.tableau, 1)
    assert layers.forward(statement.x0, 1.0, u[0], p) is None
    for ours, theirs in zip(swept(statement, depth, u, p), with_jacobians, strict=True):
        assert np.max(np.abs(ours - theirs)) < 1e-10 * max(1.0, np.max(np.abs(theirs)))
