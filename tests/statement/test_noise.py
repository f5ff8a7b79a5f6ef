"""Noise in the statement: its shapes, what it may be, and that nothing leaves it out in silence."""

import casadi as ca
import numpy as np
import pytest
import scipy.stats
from families import concrete

import ocdl

METHODS = [cls for cls in concrete(ocdl.Method, "solve") if hasattr(ocdl, cls.__name__)]
GRID = ocdl.Radau(layers=4, degree=2)


def stated(noise=(0.0, 0.3), **fields):
    usual = {
        "dynamics": lambda x, u: [x[1], u[0]],
        "running": lambda u: u[0] ** 2,
        "terminal": lambda x: x[0] ** 2,
        "initial": [1.0, 0.0],
        "horizon": 1.0,
        "bounds": ocdl.Box(u=(-1, 1)),
    }
    return ocdl.ControlProblem(**{**usual, **fields}, noise=noise)


def sigma(problem):
    """σ at x = (2, 3), u = 5."""
    s = problem.symbols()
    function = ca.Function("sigma", [s["t"], s["x"], s["u"], s["p"]], [ca.densify(problem.evaluate("noise", **s))])
    return function(0.5, [2.0, 3.0], 5.0, [2.0] * problem.P).full()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0.0, 0.3], [[0.0], [0.3]]),
        (lambda x, u: [x[0], u[0]], [[2.0], [5.0]]),
        (np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]), [[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]),
        (lambda x: [[x[0], 0.0], [1.0, x[1]]], [[2.0, 0.0], [1.0, 3.0]]),
        (lambda x: np.diag([x[0], 1.0]), [[2.0, 0.0], [0.0, 1.0]]),
        (lambda x: ca.diag(x), [[2.0, 0.0], [0.0, 3.0]]),
    ],
)
def test_one_process_that_moves_all_states_or_a_matrix(given, expected):
    assert np.array_equal(sigma(stated(given)), expected)


def test_states_that_a_reduction_adds_have_none_and_a_free_horizon_scales_it():
    counted = stated(integral=lambda u: u[0] ** 2, bounds=ocdl.Box(u=(-1, 1), integral=(0, 1)))
    assert np.array_equal(ca.DM(counted.evaluate("noise", **counted.symbols())), [[0.0], [0.3], [0.0]])
    free = stated(horizon=ocdl.Free(1.0, 4.0))  # dX on depths t/T: √T σ dW
    assert sigma(free) == pytest.approx(np.sqrt(2.0) * np.array([[0.0], [0.3]]))


@pytest.mark.parametrize("given", [scipy.stats.levy_stable(1.5, 0.0), "levy", scipy.stats.norm(0.0, 1.0)])
def test_what_is_no_wiener_noise_is_refused_in_words(given):
    with pytest.raises(ocdl.NotSupported, match=r"Wiener processes.*Lévy noise jumps"):
        stated(given)


@pytest.mark.parametrize(
    "given", [[1.0], 0.3, lambda x: [[x[0], 1.0], [2.0]], lambda x: ["a", "b"], lambda x, w: x, [[1.0, 0.0]]]
)
def test_matrices_that_do_not_fit_are_refused(given):
    with pytest.raises(ocdl.InvalidInput, match="noise"):
        stated(given)


@pytest.mark.parametrize("cls", METHODS)
def test_every_method_refuses_it_by_name(cls):
    assert len(METHODS) > 20
    with pytest.raises(ocdl.NotSupported, match=r"noise=\.\.\..*StochasticValueIteration"):
        cls().check(stated(), GRID)
    with pytest.raises(ocdl.NotSupported, match=r"noise=\.\.\."):
        ocdl.solve(stated(), GRID, cls())


def test_so_does_whatever_else_would_leave_it_out():
    answer = ocdl.solve(stated(None), GRID, ocdl.Ipopt())
    u = answer["u"].values.reshape(-1, 1)
    for ask in (
        lambda: ocdl.simulate(stated(), u),
        lambda: ocdl.certify(stated(), GRID, u, np.zeros(0)),
        lambda: ocdl.polish(stated(), GRID, answer),
        lambda: ocdl.ValueIteration().value_function(stated()),
        lambda: ocdl.neighbouring(stated(), GRID, answer),
        lambda: ocdl.analysis.second_order(stated(), GRID, answer),
        lambda: ocdl.analysis.componentwise(stated()),
        lambda: ocdl.compile(stated(), GRID, ocdl.Ipopt()).solve(),
        lambda: ocdl.solve(ocdl.Phases([stated(), stated()]), GRID, ocdl.Ipopt()),
    ):
        with pytest.raises(ocdl.NotSupported, match=r"noise=\.\.\."):
            ask()
