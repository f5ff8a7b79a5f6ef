"""SelectionProblem: the method of lines, and sentences for what does not fit."""

import numpy as np
import pytest
from families import activations, rules, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl import Grid, Midpoint


@pytest.mark.parametrize("sigma", activations(), ids=repr)
@given(seed=st.integers(0, 99), M=st.integers(1, 4))
def test_the_layer_is_the_printed_formula(sigma, seed, M):
    """∂t f(y_i) = σ(a_i − Σ_j w_j b_ij f_j)."""
    problem = selection(activation=sigma).discretise(ocdl.GaussLegendre(M))
    g = np.random.default_rng(seed)
    f, a, b = g.normal(size=M), g.normal(size=M), g.normal(size=(M, M))
    u = problem.pack(a=a[None], b=b[None])[0]
    expected = [float(sigma(a[i] - sum(problem.state_metric * b[i] * f))) for i in range(M)]
    rate = problem.rate(0, f, u, [], problem.data[0]).full()[:, 0]
    np.testing.assert_allclose(rate, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(problem.control_metric[:M], problem.state_metric)
    assert problem.control_metric[M:].reshape(M, M)[0, -1] == problem.state_metric[0] * problem.state_metric[-1]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.__name__)
def test_every_rule_discretises(rule):
    problem = selection(domain=(-1, 1)).discretise(rule(5))
    y = problem.layout.coords["y"][1]
    np.testing.assert_allclose(problem.x0[0], 0.3 + 0.5 * np.sin(2 * np.pi * y))
    np.testing.assert_allclose(problem.data[0], 3 * np.cos(2 * np.pi * y))
    assert problem.state_metric.sum() == pytest.approx(2.0) and problem.m == 5 + 25


def test_bounds_reach_their_controls():
    a, b = np.array([0.0, 1.0]), np.array([[1.0, 2.0], [3.0, 4.0]])
    problem = selection(bounds=ocdl.Box(a=(-9, a), b=(b, 9))).discretise(Midpoint(2))
    low, high = problem.control_box
    np.testing.assert_array_equal(problem.unpack(high)["a"], a)
    np.testing.assert_array_equal(problem.unpack(low)["b"], b)
    free = selection(bounds=ocdl.Box(a=(-1, 1))).discretise(Midpoint(2))
    assert np.all(np.isinf(free.unpack(free.control_box[0])["b"]))


@pytest.mark.parametrize(
    ("given_", "rows"),
    [
        (0.5, [[0.5, 0.5]]),
        (np.float64(0.5), [[0.5, 0.5]]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6]]),
        (lambda y: y, [[0.25, 0.75]]),
        (lambda y: [y, 2 * y], [[0.25, 0.75], [0.5, 1.5]]),
        (lambda y: 1, [[1, 1]]),
    ],
)
def test_data_in_many_spellings(given_, rows):
    problem = selection(initial=given_, target=0).discretise(Midpoint(2))
    np.testing.assert_array_equal(problem.x0, rows)
    assert problem.data.shape == problem.x0.shape
    same = selection(initial=given_, target=given_).discretise(Midpoint(2))
    np.testing.assert_array_equal(same.data, rows)


def test_replace_changes_only_what_it_names():
    problem = selection()
    other = problem.replace(horizon=2.0)
    assert other.horizon == 2.0 and other.initial is problem.initial and problem.horizon == 1.0


WRONG = [
    ({"horizon": -1}, ["horizon=-1", "positive finite"]),
    ({"horizon": "1"}, ["horizon='1'"]),
    ({"activation": "tanh"}, ["activation='tanh'", "ocdl.Tanh()"]),
    ({"activation": ocdl.Tanh}, ["activation=<class", "ocdl.Tanh()"]),
    ({"activation": np.tanh}, ["activation=", "ocdl.Tanh()"]),
    ({"loss": "mse"}, ["loss='mse'", "ocdl.HalfSquare()"]),
    ({"bounds": (-1, 1)}, ["bounds=(-1, 1)", "ocdl.Box(a=(-1, 1))"]),
    ({"bounds": ocdl.Box(u=(-1, 1))}, ["Box(u=(-1, 1))", "a, b and f", "'u'"]),
    ({"regulariser": 0.1}, ["regulariser=0.1", "Tikhonov"]),
    ({"readout": 1}, ["readout=1", "Readout"]),
    ({"domain": (1, 0)}, ["domain=(1, 0)", "lower < upper"]),
    ({"domain": "unit"}, ["domain='unit'"]),
]
WRONG_ON_A_GRID = [
    ({"initial": [1, 2]}, ["initial", "(3,) or (S, 3)", "got (2,)"]),
    ({"initial": []}, ["initial", "got (0,)"]),
    ({"initial": np.zeros((0, 3))}, ["initial", "got (0, 3)"]),
    ({"initial": None}, ["initial", "NoneType"]),
    ({"initial": [1, 2j, 3]}, ["initial", "complex"]),
    ({"initial": ["a", "b", "c"]}, ["initial", "text"]),
    ({"initial": [[1, 2, 3], [4]]}, ["initial", "different lengths"]),
    ({"initial": [0, np.nan, 1]}, ["initial", "nan", "index 1"]),
    ({"initial": lambda y: np.log(y - 1)}, ["initial", "nan", "index 0"]),
    ({"initial": lambda y: 1 / 0}, ["initial", "y, shape (3,)", "ZeroDivisionError: division by zero"]),
    ({"initial": lambda y, z: y}, ["initial", "TypeError"]),
    ({"initial": lambda y: None}, ["initial", "NoneType"]),
    ({"initial": lambda y: y[:2]}, ["initial", "got (2,)"]),
    ({"initial": lambda y: y[:, None]}, ["initial", "got (3, 1)"]),
    ({"target": np.nan}, ["target", "got nan."]),
    ({"target": [1, 2]}, ["target", "got (2,)"]),
    ({"target": np.zeros((2, 3))}, ["target", "1 sample(s)", "2 rows"]),
    ({"target": lambda y: y + 1j}, ["target", "complex"]),
    ({"weights": [1, 2]}, ["weights", "1 positive sample weights"]),
    ({"domain": ((0, 1), (0, 1))}, ["Midpoint(count=3)", "2-dimensional", "TensorProduct"]),
    ({"bounds": ocdl.Box(a=([-1, -1], 1))}, ["Box(a=...)", "(3,)", "(2,)"]),
    ({"bounds": ocdl.Box(b=(-1, np.ones(3)))}, ["Box(b=...)", "(3, 3)", "(3,)"]),
    ({"readout": ocdl.Readout(weight=(np.zeros((2, 3)), 1)), "target": 1}, ["Readout(weight=...)", "(1, 3)", "(2, 3)"]),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_a_wrong_statement_is_named_at_once(changes, said):
    check(lambda: selection(**changes), said)


@pytest.mark.parametrize(("changes", "said"), WRONG_ON_A_GRID)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_data_that_do_not_fit_the_grid_are_named(changes, said):
    check(lambda: selection(**changes).discretise(Midpoint(3)), said)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Grid(width=8, depth=ocdl.Radau(3)), ["Grid(width=8)", "Midpoint(8)"]),
        (lambda: Grid(width=Midpoint, depth=ocdl.Radau(3)), ["Grid(width=<class", "Midpoint(8)"]),
        (lambda: Grid(width=Midpoint(3), depth=3), ["Grid(depth=3)", "Radau(layers=50, degree=3)"]),
        (lambda: Grid(width=Midpoint(3), depth=ocdl.Radau), ["Grid(depth=<class", "Radau(layers=50, degree=3)"]),
        (lambda: selection().discretise(3), ["discretise(3)", "Midpoint(8)"]),
        (lambda: selection().discretise(Grid(Midpoint(3), ocdl.Kutta4(1))), ["discretise(Grid(", "Midpoint(8)"]),
    ],
)
def test_wrong_grids_are_named(make, said):
    check(make, said)


def check(make, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make()
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert "\n" not in message and message.endswith("."), message
