"""Formulas: pure, of their own arguments, without NaN, and of columns together what they are apart."""

import math
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from families import rich, scalar, selection
from scipy.interpolate import CubicSpline

import ocdl

SPLINE = CubicSpline(range(5), [0.0, 1.0, 0.5, 0.2, 0.1])


class Counter:
    """A formula whose value depends on how often it was asked."""

    def __init__(self):
        self.count = 0

    def __call__(self, x):
        self.count += 1
        return self.count * x[0]


def assigning(x, u):
    x[0] = 2.0 * x[0]
    return u - x


WRONG = [
    ({"dynamics": lambda x, u: u - math.sin(x)}, ["dynamics", "constant NaN", "ca.sin or np.sin"]),
    ({"running": lambda x, u: math.cos(x[0]) + u[0]}, ["running", "constant NaN"]),
    ({"effort": lambda u: math.exp(u)}, ["effort", "constant NaN"]),
    ({"terminal": lambda x: float(x)}, ["terminal", "constant NaN"]),
    ({"dynamics": lambda x, u: SPLINE(x) + u}, ["dynamics", "constant NaN", "ca.interpolant"]),
    ({"running": lambda x: ca.fmax(x[0] * np.nan, 1.0)}, ["running", "constant NaN"]),
    ({"dynamics": lambda x, u: u - np.random.default_rng().random() * x}, ["dynamics", "two evaluations differ"]),
    ({"terminal": Counter()}, ["terminal", "two evaluations differ"]),
    ({"path": Counter()}, ["path", "two evaluations differ"]),
    ({"dynamics": assigning}, ["dynamics", "assigns to its argument x"]),
    ({"path": lambda x: []}, ["path", "returns no row"]),
    ({"boundary": lambda xT: ()}, ["boundary", "returns no row"]),
    ({"path": lambda x: None}, ["path", "NoneType, as of a function without return"]),
    ({"boundary": lambda xT: None}, ["boundary", "NoneType"]),
    ({"dynamics": lambda x, u: u if x > 0 else -u}, ["dynamics", "ca.if_else(condition, one, other)"]),
    ({"effort": lambda u: 10**400}, ["effort", "about 10**400"]),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_what_is_no_formula_is_named(changes, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        scalar(**changes)
    assert all(part in str(caught.value) for part in said), str(caught.value)
    assert "casadi/core" not in str(caught.value) and "\n" not in str(caught.value)


def test_functions_of_numbers_of_many_states_are_explained():
    for function in (lambda x, u: [math.sin(x), u[0]], lambda x, u: [SPLINE(x)[0], u[0]]):
        with pytest.raises(ocdl.InvalidInput, match=r"dynamics: called with .*; of a symbol write ca\.sin or np\.sin"):
            scalar(dynamics=function, initial=[0.5, 0.2])


def test_formulas_that_are_pure_are_left_alone():
    assert rich(2).n == 2
    logarithm = scalar(
        running=lambda x: ca.if_else(x[0] > 2.0, ca.log(x[0] - 2.0), 0.0)
    )  # NaN at places, not a constant
    assert logarithm.has_running_cost
    table = ca.interpolant("table", "linear", [[0.0, 1.0, 2.0]], [0.0, 1.0, 0.5])
    assert float(scalar(dynamics=lambda x, u: u - table(x)).rate(0, [1.5], [1.0], [], [])) == pytest.approx(0.25)


# -- columns together and apart -----------------------------------------------------------------------


def columns(**changes):
    generator = np.random.default_rng(0)
    given = {
        "lift": lambda x, u: u[:2] - x,
        "dynamics": lambda z: np.tanh(z),
        "terminal": lambda x: ca.sumsqr(x),
        "initial": generator.normal(size=(300, 2)),
        "horizon": 1.0,
        "controls": 2,
        "columnwise": True,
    }
    return ocdl.ControlProblem(**given | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lift": lambda x, u: u[:2] - x * x[0]}, ["columnwise=True", "together", "x[0, :]"]),
        ({"dynamics": lambda z: z / ca.norm_2(z[:])}, ["columnwise=True", "together"]),
        ({"dynamics": lambda z: ca.tanh(z) + ca.sum2(z)}, ["columnwise=True"]),
        ({"dynamics": lambda x: ca.vertcat(x[0], x[1])}, ["columnwise=True", "shape (2, 1), apart (2, 3)"]),
        ({"dynamics": lambda t, z: t * z}, ["columnwise=True: dynamics may take x, u, p and z only; it takes t"]),
        ({"dynamics": lambda z: np.random.default_rng().random() * z}, ["dynamics", "two evaluations differ"]),
    ],
)
def test_a_formula_that_mixes_columns_is_refused(changes, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        columns(**changes)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_a_formula_that_keeps_columns_apart_costs_the_same_with_and_without():
    problem, u = columns(lift=lambda x, u: u[:2] - x * ca.repmat(x[0, :], 2, 1)), np.full((4, 2), 0.3)
    costs = [
        ocdl.certify(stated, ocdl.Kutta4(4), u, np.zeros(0)).cost
        for stated in (problem, replace(problem, columnwise=False))
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-12)
    assert selection().discretise(ocdl.Midpoint(2)).columnwise


# -- names, counts and ends ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"controls": ["u", "u"]}, ["controls=['u', 'u']", "there twice"]),
        ({"states": ["x", "x"], "initial": [0, 0], "dynamics": lambda x: x}, ["states=['x', 'x']"]),
        ({"parameters": ["k", "l", "k"]}, ["parameters", "'k'"]),
        ({"controls": 10**9}, ["controls=1000000000", "GB", "this machine has"]),
        ({"parameters": 10**400}, ["parameters=about 10**400"]),
        ({"weights": [1e308, 1e308], "initial": [[0], [1]]}, ["weights", "finite sum"]),
        ({"weights": [5e-324, 1], "initial": [[0], [1]]}, ["weights", "2.2e-308"]),
        ({"weights": [1e-300, 1e10], "initial": [[0], [1]]}, ["weights, normalised to sum 1"]),
        ({"state_metric": [5e-324]}, ["state_metric", "2.2e-308"]),
        ({"horizon": 5e-324}, ["horizon=5e-324", "2.2e-308"]),
        ({"horizon": 10**400}, ["horizon=about 10**400"]),
        ({"horizon": ca.SX.sym("T")}, ["horizon=SX(T)"]),
        ({"initial": ca.SX.sym("x", 1)}, ["initial", "CasADi symbol"]),
        ({"data": [ca.MX.sym("d")]}, ["data", "CasADi symbol"]),
        ({"bounds": ocdl.Box(x=(-0.2, 0.2))}, ["initial: state x0 of sample 0 is 0.5", "Box(x=...)", "[-0.2, 0.2]"]),
        ({"bounds": ocdl.Box(x=(lambda t: t, 2))}, []),
        ({"bounds": ocdl.Box(x=(lambda t: 0.6 + t, 2))}, ["initial: state x0", "[0.6, 2]"]),
        ({"initial": [ocdl.Free(3, 4)], "bounds": ocdl.Box(x=(0, 1))}, ["initial: state x0", "in [3, 4]", "[0, 1]"]),
        ({"final": [3.0], "bounds": ocdl.Box(x=(0, 1))}, ["final: state x0", "is 3", "[0, 1]"]),
    ],
)
def test_names_counts_and_ends(changes, said):
    if not said:
        assert scalar(**changes).n == 1
        return
    with pytest.raises(ocdl.InvalidInput) as caught:
        scalar(**changes)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_an_initial_profile_outside_its_box_is_named_as_written():
    box = ocdl.Box(a=(-1, 1), b=(-1, 1), f=(-1, 1))
    with pytest.raises(ocdl.InvalidInput, match=r"initial: state f\[1\] of sample 0 is 1.5, and Box\(f=...\)"):
        selection(initial=[0.5, 1.5], target=0.0, bounds=box).discretise(ocdl.Midpoint(2))


def test_a_column_of_casadi_numbers_is_one_state():
    assert scalar(initial=ca.DM([1, 2]), dynamics=lambda x, u: [x[1], u[0]]).x0.tolist() == [[1.0, 2.0]]
