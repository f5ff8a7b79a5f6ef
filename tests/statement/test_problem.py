"""ControlProblem: shapes, formulas, and sentences for what does not fit."""

import casadi as ca
import numpy as np
import pytest
from families import rich, scalar
from hypothesis import given
from hypothesis import strategies as st

import ocdl


def test_sizes_names_and_weights():
    problem = rich(3)
    assert (problem.n, problem.m, problem.P, problem.samples, problem.lifted) == (2, 2, 2, 3, 2)
    assert problem.states == ("x0", "x1") and problem.controls == ("u0", "u1") and problem.parameters == ("p0", "p1")
    assert problem.weights.sum() == pytest.approx(1.0, rel=1e-15) and problem.has_running_cost
    named = scalar(states=["speed"], controls=["force"])
    assert named.layout.coords["state"][1] == ["speed"] and named.controls == ("force",)


@pytest.mark.parametrize("initial", [[1, 2], (1.0, 2.0), np.array([1, 2]), [[1, 2]], ca.DM([1, 2]).full().ravel()])
def test_initial_values_in_many_spellings(initial):
    problem = scalar(dynamics=lambda x, u: [u[0], x[0]], initial=initial)
    np.testing.assert_array_equal(problem.x0, [[1.0, 2.0]])
    assert problem.x0.dtype == float


@pytest.mark.parametrize(
    "dynamics",
    [
        lambda x, u: [u[0] - x[0], np.tanh(x[1])],
        lambda x, u: (u[0] - x[0], np.tanh(x[1])),
        lambda u, x: ca.vertcat(u - x[0], ca.tanh(x[1])),
        lambda x, u: np.array([u[0] - x[0], np.tanh(x[1])]),
    ],
    ids=["list", "tuple", "casadi", "array"],
)
def test_dynamics_in_many_spellings(dynamics):
    problem = scalar(dynamics=dynamics, initial=[0.5, 0.2])
    np.testing.assert_allclose(problem.rate(0, [0.5, 0.2], [1.0], [], []).full()[:, 0], [0.5, np.tanh(0.2)])


@pytest.mark.parametrize("value", [2, 2.0, np.int64(2), np.float64(2), ca.DM(2), [2], ca.SX(2)])
def test_constants_are_expressions(value):
    problem = scalar(dynamics=lambda: value, terminal=lambda: value, running=lambda: value)
    assert float(problem.rate(0, [0.0], [0.0], [], [])) == 2.0
    assert problem.terminal_loss(np.zeros((3, 1))) == pytest.approx([2.0] * 3)
    assert isinstance(problem.evaluate("running"), ca.SX)


@given(x=st.lists(st.floats(-3, 3), min_size=2, max_size=2), sample=st.integers(0, 2))
def test_terminal_loss_of_any_state(x, sample):
    problem = rich(3)
    d, p = problem.data[sample], np.array([0.4, -1.0])
    expected = np.exp(0.3 * x[0]) * d[1] + (x[1] - p[0]) ** 2
    assert problem.terminal_loss(x, p, sample) == pytest.approx(expected, rel=1e-13, abs=1e-13)
    assert problem.terminal_loss(np.tile(x, (2, 4, 1)), p, sample).shape == (2, 4)


def test_a_lift_is_eliminated_where_it_is_not_given():
    problem = scalar(lift=lambda x, u: x * u, dynamics=lambda z: z + 1)
    assert float(problem.rate(0, [3.0], [2.0], [], [])) == 7.0
    assert float(problem.evaluate("dynamics", ca.DM, z=ca.DM(5))) == 6.0


def test_terminal_time_is_known():
    problem = scalar(terminal=lambda t, x: t * x[0], horizon=3)
    assert problem.terminal_loss([2.0]) == pytest.approx(6.0)


WRONG = [
    # what was written, and what the message must say
    ({"initial": 3.0}, ["initial", "(n,)", "got ()"]),
    ({"initial": []}, ["initial", "got (0,)"]),
    ({"initial": np.zeros((1, 1, 1))}, ["initial", "(1, 1, 1)"]),
    ({"initial": None}, ["initial", "real numbers", "NoneType"]),
    ({"initial": [1, None]}, ["initial", "NoneType"]),
    ({"initial": [1, 2j]}, ["initial", "complex"]),
    ({"initial": np.array([1 + 0j])}, ["initial", "complex"]),
    ({"initial": "0.5"}, ["initial", "text"]),
    ({"initial": [[1, 2], [3]]}, ["initial", "different lengths"]),
    ({"initial": np.array([1, object()], dtype=object)}, ["initial", "object"]),
    ({"initial": [0.5, np.nan]}, ["initial", "nan", "index 1"]),
    ({"initial": [[0.5], [np.inf]]}, ["initial", "inf", "(1, 0)"]),
    ({"initial": lambda: 3}, ["initial", "function"]),
    ({"horizon": 0}, ["horizon=0", "positive finite"]),
    ({"horizon": -1.0}, ["horizon=-1.0", "positive finite"]),
    ({"horizon": np.nan}, ["horizon=nan"]),
    ({"horizon": np.inf}, ["horizon=inf"]),
    ({"horizon": "1"}, ["horizon='1'"]),
    ({"horizon": None}, ["horizon=None"]),
    ({"horizon": True}, ["horizon=True"]),
    ({"horizon": [1.0]}, ["horizon=[1.0]"]),
    ({"dynamics": None}, ["dynamics=None", "function of t, x, u, p, d, z"]),
    ({"dynamics": "3"}, ["dynamics='3'"]),
    ({"dynamics": lambda q: q}, ["dynamics", "t, x, u, p, d, z", "got q"]),
    ({"dynamics": lambda x, *rest: x}, ["dynamics", "got rest"]),
    ({"dynamics": lambda x: None}, ["dynamics", "NoneType"]),
    ({"dynamics": lambda x: [None]}, ["dynamics", "NoneType"]),
    ({"dynamics": lambda x: "x"}, ["dynamics", "str"]),
    ({"dynamics": lambda x: ca.MX(1)}, ["dynamics", "MX"]),
    ({"dynamics": lambda x, u: [x[0], u[0]]}, ["dynamics", "1 state(s) need 1 derivative(s)", "got 2"]),
    ({"dynamics": lambda x: ca.SX(1, 2)}, ["dynamics", "(1, 2)"]),
    ({"dynamics": lambda x: 1 / 0}, ["dynamics", "x of length 1", "ZeroDivisionError"]),
    ({"dynamics": lambda x: x[3]}, ["dynamics", "x of length 1", "out of bounds"]),
    ({"dynamics": lambda x: x + ca.SX.sym("wind")}, ["dynamics", "its own arguments", "wind"]),
    ({"dynamics": lambda z: z}, ["dynamics", "takes z", "no lift"]),
    ({"lift": lambda z: z}, ["lift", "got z"]),
    ({"lift": lambda x: x + ca.SX.sym("wind"), "dynamics": lambda z: z}, ["wind"]),
    ({"terminal": "3"}, ["terminal='3'", "function of t, x, p, d"]),
    ({"terminal": lambda u: u}, ["terminal", "got u"]),
    ({"terminal": lambda x: [x, x]}, ["terminal", "one number", "got 2"]),
    ({"running": lambda x: [x, x]}, ["running", "one number", "got 2"]),
    ({"running": lambda x: x[5]}, ["running", "x of length 1"]),
    ({"effort": lambda x: x}, ["effort", "t, u, p", "got x"]),
    ({"penalty": lambda u: u}, ["penalty", "from p", "got u"]),
    ({"bounds": (-1, 1)}, ["bounds=(-1, 1)", "ocdl.Box(u=(-1, 1))"]),
    ({"bounds": None}, ["bounds=None"]),
    ({"bounds": ocdl.Box(a=(0, 1))}, ["Box(a=(0, 1))", "u, p, x, path and boundary", "'a'"]),
    ({"bounds": ocdl.Box(u=([0, 0], 1))}, ["Box(u=...)", "(1,)", "(2,)"]),
    ({"controls": -1}, ["controls=-1", "negative"]),
    ({"controls": "u"}, ["controls='u'"]),
    ({"controls": True}, ["controls=True"]),
    ({"controls": 1.0}, ["controls=1.0"]),
    ({"controls": ["u", 3]}, ["controls=['u', 3]"]),
    ({"states": ["a", "b"]}, ["states", "2 given", "has 1"]),
    ({"parameters": None}, ["parameters=None"]),
    ({"data": [[1], [2]]}, ["data", "(1, k)", "(2, 1)"]),
    ({"data": [[np.nan]]}, ["data", "nan"]),
    ({"weights": [1, 2]}, ["weights", "1 positive", "[1. 2.]"]),
    ({"weights": [0]}, ["weights", "[0.]"]),
    ({"weights": ["a"]}, ["weights", "text"]),
    ({"state_metric": [-1]}, ["state_metric", "positive", "-1"]),
    ({"control_metric": [1, 2]}, ["control_metric", "1 positive"]),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_what_does_not_fit_is_named(changes, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        scalar(**changes)
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert "\n" not in message and "casadi/core" not in message and "0x" not in message, message
    assert message.endswith("."), message


def test_a_function_that_hides_its_arguments_is_named():
    with pytest.raises(ocdl.InvalidInput, match=r"dynamics: .* lambda"):
        scalar(dynamics=max)


def test_a_number_of_states_is_enough():
    problem = ocdl.ControlProblem(states=2, dynamics=lambda x, u: [x[1], u[0]], initial=[0.0, 1.0], horizon=1.0)
    assert problem.states == ("x0", "x1")
