"""SX functions by numpy: every instruction gives what CasADi gives, on any number of columns."""

import casadi as ca
import numpy as np
import pytest
from families import rich

import ocdl
from ocdl import batch
from ocdl.batch import Batch
from ocdl.sweeps.sweeper import Sweeper
from ocdl.vectorised import BINARY, CHUNK, UNARY, Vectorised, vectorises

COLUMNS = np.concatenate([np.linspace(-2.5, 2.5, 60), [0.0, -0.0, 1.0, -1.0, 0.5]])


def both(function, *arguments):
    columns = arguments[0].shape[1]
    return Vectorised(function)(list(arguments), columns), function.map(columns)(*arguments)


@pytest.mark.parametrize("operation", [*UNARY, *BINARY])
def test_every_instruction_is_casadis(operation):
    x, y = ca.SX.sym("x"), ca.SX.sym("y")
    value = ca.SX.unary(operation, x) if operation in UNARY else ca.SX.binary(operation, x, y)
    function = ca.Function("f", [x, y], [value])
    assert vectorises(function)
    first, second = (part.reshape(1, -1) for part in np.meshgrid(COLUMNS, COLUMNS[::7]))
    (ours,), casadis = both(function, first, second)
    assert np.sum(np.isfinite(ours)) > 10
    np.testing.assert_allclose(ours, casadis.full(), rtol=4e-15, atol=1e-15)


@pytest.mark.parametrize("columns", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 3])
def test_chunks_fit_together(columns):
    x, p = ca.SX.sym("x", 2), ca.SX.sym("p")
    function = ca.Function("f", [x, p], [ca.vertcat(x[0] * p, ca.tanh(x[1]), 3.0), ca.horzcat(x, 2 * x, p + x)])
    given = np.random.default_rng(0).normal(size=(2, columns))
    ours = Vectorised(function)([given, np.full((1, 1), 0.3)], columns)
    expected = function.map(columns)(given, np.full((1, columns), 0.3))
    for mine, casadis in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, casadis.full(), rtol=4e-15)


def test_what_numpy_cannot_do_is_left_to_casadi():
    x = ca.MX.sym("x", 2)
    assert not vectorises(ca.Function("f", [x], [x[0]]))
    y = ca.SX.sym("y", 2)
    assert not vectorises(ca.Function("f", [y], [ca.diag(y)]))


def test_a_batch_of_many_columns_is_the_batch_of_few(monkeypatch):
    """Shared, layered and summed arguments and results, by numpy and by CasADi."""
    problem = rich(3)
    s = problem.symbols()
    value = ca.dot(problem.rate(*s.values()), s["x"])
    function = ca.Function("f", list(s.values()), [value, ca.gradient(value, s["u"])])
    generator = np.random.default_rng(0)
    given = [generator.normal(size=shape) for shape in ((1, 12), (2, 12), (2, 4), (2,), (2, 12))]
    casadis = Batch(function, shared=(3,), summed=(1,), layered=(2,))(*given)
    monkeypatch.setattr(batch, "MANY", 1)
    ours = Batch(function, shared=(3,), summed=(1,), layered=(2,))(*given)
    for mine, theirs in zip(ours, casadis, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-13)


def test_sweeps_are_the_same_by_numpy(monkeypatch):
    problem, depth = rich(3), ocdl.Radau(3, 2)
    u, p = np.full((3, 2), 0.4), np.array([0.2, -0.3])
    results = []
    for many in (10**9, 1):
        monkeypatch.setattr(batch, "MANY", many)
        sweeper = Sweeper(problem, depth)
        trajectory = sweeper.state(u, p)
        results.append((sweeper.cost(trajectory, u, p), sweeper.costate(trajectory, u, p)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-14)
    np.testing.assert_allclose(results[0][1].gradient_u, results[1][1].gradient_u, rtol=1e-12)
    np.testing.assert_allclose(results[0][1].gradient_p, results[1][1].gradient_p, rtol=1e-12)
