"""Tables: values, derivatives, beyond their points, in formulas of every kind, and what bounds keep inside."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.batch import MANY, Batch
from ocdl.vectorised import vectorises

X, Y = np.linspace(0.0, 3.0, 7), np.linspace(-1.0, 1.0, 5)
KINDS = ("linear", "bspline")


def one(kind, points=X):
    return ocdl.Table(points, np.sin(points), kind=kind, name="sine")


def two(kind):
    return ocdl.Table((X, Y), np.sin(X)[:, None] * (1 + Y**2), kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_its_values(kind):
    np.testing.assert_allclose(one(kind)(X), np.sin(X), atol=1e-14)
    np.testing.assert_allclose(two(kind)(X[:, None], Y), two(kind).values, atol=1e-14)
    assert isinstance(one(kind)(1.5), float) and one(kind)(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(("kind", "order"), [("linear", 2), ("bspline", 4)])
def test_a_table_approaches_its_function_at_its_order(kind, order):
    at = np.linspace(0.0, 3.0, 301)
    coarse, fine = (np.max(np.abs(one(kind, np.linspace(0, 3, k))(at) - np.sin(at))) for k in (33, 65))
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.4)


def test_a_bspline_has_two_derivatives():
    x = ca.SX.sym("x", 2)
    value = two("bspline")(x[0], x[1])
    derivatives = ca.Function("f", [x], [ca.gradient(value, x), ca.hessian(value, x)[0]])
    gradient, hessian = (part.full() for part in derivatives([1.3, 0.4]))
    step = 1e-5 * np.eye(2)
    for i in range(2):
        ahead, behind = (derivatives(np.array([1.3, 0.4]) + sign * step[i])[0].full() for sign in (1, -1))
        np.testing.assert_allclose((ahead - behind) / 2e-5, hessian[:, i : i + 1], atol=1e-7)
    np.testing.assert_allclose(gradient.ravel(), [np.cos(1.3) * 1.16, np.sin(1.3) * 0.8], atol=3e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_its_points_a_table_goes_on_straight(kind):
    table, step = one(kind), 1e-6
    for end, side in ((0.0, -1.0), (3.0, 1.0)):
        slope = (table(end) - table(end - side * step)) / (side * step)
        away = side * np.array([0.1, 2.0])
        np.testing.assert_allclose(table(end + away), table(end) + slope * away, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbol", [ca.SX, ca.MX])
def test_columns_and_rows_keep_their_shape(kind, symbol):
    for shape in ((4, 1), (1, 4), (2, 2)):
        x = symbol.sym("x", *shape)
        values = ca.Function("f", [x], [two(kind)(x, 0.5)])(np.reshape([0, 1, 2, 3], shape))
        np.testing.assert_allclose(values.full(), two(kind)(np.reshape([0, 1, 2, 3], shape), 0.5), atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [(X,), (X, Y), (Y, X, np.array([0.0, 0.1, 1.0, 5.0, 6.0]))])
def test_many_columns_are_evaluated_by_numpy_with_casadis_values(kind, axes):
    generator = np.random.default_rng(1)
    table = ocdl.Table(axes, generator.normal(size=tuple(axis.size for axis in axes)), kind=kind)
    points = np.stack([generator.choice(axis, 2 * MANY) for axis in axes])
    points[:, MANY:] += generator.normal(size=(len(axes), MANY))  # between the points and beyond
    x = ca.SX.sym("x", len(axes))
    function = ca.Function("f", [x], [ca.sin(x[0]) + table(*ca.vertsplit(x)) * x[-1], table(*ca.vertsplit(x))])
    assert vectorises(function)
    for mine, theirs in zip(Batch(function)(points), function.map(2 * MANY)(points), strict=True):
        np.testing.assert_allclose(mine, theirs.full(), atol=1e-12 * np.abs(mine).max())


def test_functions_that_numpy_does_not_know_are_left_to_casadi():
    x = ca.SX.sym("x")
    plain = ca.interpolant("plain", "linear", [X.tolist()], np.sin(X))
    slope = ca.gradient(one("bspline")(x), x)
    for value in (plain(x), slope):
        function = ca.Function("f", [x], [ca.densify(value)])
        assert not vectorises(function)
        at = np.linspace(0.0, 3.0, MANY)[None]
        np.testing.assert_array_equal(Batch(function)(at)[0], function.map(MANY)(at).full())


def test_tables_of_other_numbers_are_not_mixed_up():
    x, at = ca.SX.sym("x"), np.linspace(-1.0, 4.0, MANY)
    tables = [ocdl.Table(X, values, kind=kind) for kind in KINDS for values in (np.sin(X), np.cos(X), np.sin(X))]
    values = Batch(ca.Function("f", [x], [ca.vertcat(*(table(x) for table in tables))]))(at[None])[0]
    np.testing.assert_allclose(values, [table(at) for table in tables], atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0, 1], [0, 1], "cubic"), "kind='cubic'.*'linear', 'bspline'"),
        (([0, 1, 1], [0, 1, 2]), "at least 2 points that increase"),
        (([0, 1, 2], [0, 1, 2], "bspline"), "at least 4 points that increase"),
        (([0, 1], [0, 1, 2]), r"shape \(2,\) of the points is needed; got \(3,\)"),
        ((([0, 1], [0, 1, 2]), np.zeros((3, 2))), r"shape \(2, 3\) of the points is needed; got \(3, 2\)"),
        (([0, np.nan], [0, 1]), "points, ....*finite"),
        (([0, 1], ["a", "b"]), "values.*text"),
    ],
)
def test_what_is_no_table_is_refused(arguments, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.Table(*arguments)


def test_arguments_are_counted_and_numbers():
    with pytest.raises(ocdl.InvalidInput, match=r"table\(...\): 2 argument\(s\) are needed; got 1"):
        two("linear")(1.0)
    with pytest.raises(ocdl.InvalidInput, match=r"sine\(...\): .*text"):
        one("linear")("a")


# -- in a problem --------------------------------------------------------------------------------------------


def wagon(**changes):
    given = {
        "states": ["place", "speed"],
        "controls": ["push"],
        "dynamics": lambda speed, push: [speed, push - one("bspline")(speed)],
        "initial": [0.0, 0.5],
        "horizon": 1.0,
        "terminal": lambda place: (place - 1) ** 2,
        "running": lambda push: push**2,
    } | changes
    return ocdl.ControlProblem(**given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_interpolant_is_the_same_inside(kind):
    plain = ca.interpolant("plain", kind, [X.tolist()], np.sin(X))
    mine, theirs = (
        ocdl.solve(wagon(dynamics=dynamics), ocdl.Radau(8, 3), ocdl.Ipopt())
        for dynamics in (
            lambda speed, push: [speed, push - one(kind)(speed)],
            lambda speed, push: [speed, push - plain(speed)],
        )
    )
    assert mine.cost == pytest.approx(theirs.cost, abs=1e-10) and mine.status.name == theirs.status.name == "CONVERGED"


def test_the_routes_agree_on_a_table():
    depth = ocdl.Kutta4(10)
    problem = wagon(bounds=ocdl.Box(push=(-2, 2)))
    direct, indirect = (ocdl.solve(problem, depth, method) for method in (ocdl.Ipopt(), ocdl.ProjectedGradient()))
    assert direct.cost == pytest.approx(indirect.cost, abs=1e-8)
    assert ocdl.simulate(problem, direct).cost == pytest.approx(direct.certificate.cost, abs=1e-8)


TABLE = one("linear")
FOUND = {  # of a formula: which quantity, and how it follows it
    "a state": ({"running": lambda speed: TABLE(speed)}, ("x", 1, 1.0, 0.0)),
    "by position": ({"running": lambda x: TABLE(x[0])}, ("x", 0, 1.0, 0.0)),
    "a multiple": ({"running": lambda place: TABLE(place / 4)}, ("x", 0, 0.25, 0.0)),
    "affine": ({"running": lambda push: TABLE(1 - 2 * push)}, ("u", 0, -2.0, 1.0)),
    "depth": ({"running": lambda t: TABLE(t)}, ("t", 0, 1.0, 0.0)),
    "a parameter": ({"parameters": ["drag"], "penalty": lambda drag: TABLE(drag)}, ("p", 0, 1.0, 0.0)),
    "an end": ({"boundary": lambda speedT: TABLE(speedT)}, ("xT", 1, 1.0, 0.0)),
    "data": ({"data": [[2.0]], "running": lambda d: TABLE(d[0])}, ("d", 0, 1.0, 0.0)),
    "of two": ({"running": lambda place, speed: TABLE(place + speed)}, None),
    "no straight line": ({"running": lambda place: TABLE(place**2)}, None),
}


@pytest.mark.parametrize("kind", FOUND)
def test_what_a_table_is_read_with_is_found(kind):
    changes, wanted = FOUND[kind]
    problem = wagon(dynamics=lambda speed, push: [speed, push], **changes)
    found = [(r.vector, r.i, r.slope, r.offset) for r in problem.readings]
    assert found == ([wanted] if wanted else [])


def test_bounds_that_keep_outside_the_table_are_refused():
    with pytest.raises(ocdl.InvalidInput, match=r"sine in dynamics: its argument speed is in \[4, 5\] by"):
        wagon(bounds=ocdl.Box(speed=(4, 5)), initial=[0, 4])
    with pytest.raises(ocdl.InvalidInput, match=r"its argument -2 drag \+1 is in \[-3, -1\]"):
        wagon(parameters=["drag"], penalty=lambda drag: TABLE(1 - 2 * drag), bounds=ocdl.Box(drag=(1, 2)))
    fine = wagon(bounds=ocdl.Box(speed=(0, 3)))
    with pytest.raises(ocdl.InvalidInput, match="the table knows"):
        fine.with_numbers(bounds=ocdl.Box(speed=(-2, -1)), initial=[0, -1.5])
