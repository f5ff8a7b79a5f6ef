"""Names of states, controls and parameters as arguments of formulas, in boxes, ends and units."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.statement.sharing import sharing


def rocket(**changes):
    given = {
        "states": ["h", "v", "m"],
        "controls": ["thrust"],
        "parameters": ["beta"],
        "dynamics": lambda h, v, m, thrust, beta: [v, (thrust - beta * v**2) / m - 1 + 0 * h, -thrust],
        "initial": [0, 0, 1],
        "horizon": 2.0,
    } | changes
    return ocdl.ControlProblem(**given)


BY_POSITION = {
    "dynamics": lambda x, u, p: [x[1], (u[0] - p[0] * x[1] ** 2) / x[2] - 1, -u[0]],
    "running": lambda t, x, u: t * u[0] ** 2 + x[0],
    "terminal": lambda x, p: -x[0] * p[0],
    "path": lambda x, u: [u[0] - x[2], x[0]],
    "boundary": lambda x0, xT: [xT[2] - x0[2], xT[1]],
    "effort": lambda u, p: u[0] * p[0],
    "penalty": lambda p: p[0] ** 2,
}
BY_NAME = {
    "dynamics": lambda thrust, m, v, beta: [v, (thrust - beta * v**2) / m - 1, -thrust],
    "running": lambda thrust, h, t: t * thrust**2 + h,
    "terminal": lambda beta, h: -h * beta,
    "path": lambda thrust, x: [thrust - x[2], x[0]],  # mixed
    "boundary": lambda mT, m0, vT: [mT - m0, vT],
    "effort": lambda beta, u: u[0] * beta,
    "penalty": lambda beta: beta**2,
}


@pytest.mark.parametrize("role", BY_NAME)
def test_a_formula_by_names_is_the_formula_by_positions(role):
    named, placed = rocket(**{role: BY_NAME[role]}), rocket(**{role: BY_POSITION[role]})
    symbols = {"t": 1, "x": 3, "u": 1, "p": 1, "x0": 3, "xT": 3}
    s = {name: ca.SX.sym(name, size) for name, size in symbols.items()}
    both = ca.Function("both", list(s.values()), [problem.evaluate(role, **s) for problem in (named, placed)])
    at = [np.random.default_rng(i).uniform(0.5, 1.5, size) for i, size in enumerate(symbols.values())]
    first, second = both(*at)
    assert np.any(first.full() != 0.0)
    np.testing.assert_array_equal(first.full(), second.full())


def test_users_own_parameters_are_named_beside_a_free_horizon_and_free_ends():
    problem = rocket(initial=[ocdl.Free(0, 1), 0, 1], horizon=ocdl.Free(1, 3), penalty=lambda beta: beta)
    assert problem.P == 3
    assert float(problem.evaluate("penalty", p=ca.SX([7.0, 1.0, 2.0]))) == 7.0


def test_columns_of_a_columnwise_problem_are_rows_by_name():
    problem = ocdl.ControlProblem(
        states=["a", "b"], controls=["push"], dynamics=lambda a, b, push: ca.vertcat(b, push - a),
        initial=np.ones((3, 2)), horizon=1.0, columnwise=True,
    )  # fmt: skip
    x = ca.DM([[1, 2, 3], [4, 5, 6]])
    rate = problem.evaluate("dynamics", ca.DM, x=x, u=ca.DM(10), p=ca.DM.zeros(0))
    np.testing.assert_array_equal(rate.full(), [[4, 5, 6], [9, 8, 7]])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dynamics": lambda h, w: [h, w, h]}, "dynamics: .* t, x, u, p, d, z, t0, T, h, v, m, thrust, beta; got w"),
        ({"boundary": lambda h: h}, "boundary: .* x0, xT, t, p, d, t0, T, h0, v0, m0, hT, vT, mT, beta; got h"),
        ({"penalty": lambda thrust: thrust}, "penalty: .* from p, t0, T, beta; got thrust"),
        ({"states": ["x", "v", "m"], "dynamics": lambda x, v, m: [x, v, m]}, "x has a meaning of its own.*a state is"),
        ({"states": ["t", "v", "m"], "dynamics": lambda t: [t, t, t]}, "t has a meaning of its own.*rename the state"),
        ({"parameters": ["u"], "dynamics": lambda u: [u[0]] * 3}, "u has a meaning of its own.*a parameter is called"),
        ({"parameters": ["z"], "dynamics": lambda z: [z] * 3}, "z has a meaning of its own.*rename the parameter"),
        ({"controls": ["h"], "dynamics": lambda h: [h, h, h]}, "h may be an entry of x or of u; rename one"),
        ({"dynamics": print}, "dynamics: .*arguments.*got args"),
    ],
)
def test_what_is_not_clear_is_refused_in_words(changes, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        rocket(**changes)


def test_a_name_that_stands_for_a_whole_vector_still_does():
    """One control called u is both; a state x among others is x[0] unless names are used."""
    problem = rocket(states=["x", "v", "m"], controls=["u"], dynamics=lambda x, u: [x[1], u, -u])
    assert float(problem.rate(0, [1, 2, 3], [4], [0], [])[0]) == 2.0
    named = rocket(controls=["u"], dynamics=lambda h, v, u: [v, u - h, -u])
    np.testing.assert_array_equal(named.rate(0, [1, 2, 3], [4], [0], []).full().ravel(), [2, 3, -4])


def test_names_that_nobody_gave_are_no_arguments():
    with pytest.raises(ocdl.InvalidInput, match="from x0, xT, t, p, d, t0, T; got x1"):
        rocket(states=None, dynamics=lambda x: x, controls=1, parameters=0, boundary=lambda x1: x1)


def test_equal_formulas_share_what_is_compiled_but_not_their_arguments():
    named, placed = rocket(**{"running": BY_NAME["running"]}), rocket(**{"running": BY_POSITION["running"]})
    symbols = named.symbols()
    shared = sharing(placed, named)
    assert shared.built is named.built
    assert str(shared.evaluate("running", **symbols)) == str(named.evaluate("running", **symbols))


# -- numbers as formulas ------------------------------------------------------------------------------------


def test_a_number_is_a_formula():
    problem = rocket(dynamics=[1.0, 2, np.float64(3)], running=1.0, terminal=2, path=[0.0, -1.0])
    np.testing.assert_array_equal(problem.rate(0, [9, 9, 9], [9], [9], []).full().ravel(), [1, 2, 3])
    assert problem.rows("path") == 2 and float(problem.evaluate("running", **problem.symbols())) == 1.0


@pytest.mark.parametrize(
    ("role", "given"), [("running", True), ("running", np.nan), ("terminal", [1, 2]), ("path", "1")]
)
def test_what_is_no_number_is_no_formula(role, given):
    with pytest.raises(ocdl.InvalidInput, match=role):
        rocket(**{role: given})


# -- boxes, ends and units ----------------------------------------------------------------------------------


def test_a_box_by_names_is_the_box_by_positions():
    by_name = rocket(bounds=ocdl.Box(h=(0, None), m=(0.6, 1), thrust=(0, 3.5), beta=(0.1, 0.2)))
    x = ([0, -np.inf, 0.6], [np.inf, np.inf, 1])
    by_place = rocket(bounds=ocdl.Box(x=x, u=(0, 3.5), p=(0.1, 0.2)))
    for box in ("state_hull", "control_box", "parameter_box"):
        np.testing.assert_array_equal(getattr(by_name, box), getattr(by_place, box))


def test_a_box_by_names_may_depend_on_depth():
    problem = rocket(bounds=ocdl.Box(h=(lambda t: -1 - t, 5), v=(0, 1)))
    low, high = problem.state_box_at(np.array([0.0, 2.0]))
    np.testing.assert_array_equal(low, [[-1, 0, -np.inf], [-3, 0, -np.inf]])
    np.testing.assert_array_equal(high, np.tile([5, 1, np.inf], (2, 1)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bounds": ocdl.Box(h=(0, 1), x=(0, 1))}, "x holds all states, h among them"),
        ({"bounds": ocdl.Box(q=(0, 1))}, "path and boundary, and for h, v, m, thrust, beta; got {'q'}"),
        ({"bounds": ocdl.Box(h=([0, 1], 2))}, r"Box\(h=...\).*shape \(\)"),
        ({"controls": ["h"], "bounds": ocdl.Box(h=(0, 1)), "dynamics": lambda x: x}, "a state and a control.*'h'"),
        ({"initial": {"h": 0, "v": 0}}, r"initial=.*h, v, m; unknown \[\], missing \['m'\]"),
        ({"final": {"q": 0}}, r"final=.*unknown \['q'\]"),
        ({"units": {"q": "km"}}, r"units: unknown \['q'\]; the names are h, v, m, thrust, beta"),
        ({"units": {"h": 3}}, "units=.*texts by name"),
        ({"units": "km"}, "units='km'"),
    ],
)
def test_wrong_names_are_named(changes, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        rocket(**changes)


def test_ends_by_names():
    problem = rocket(initial={"m": 1, "h": ocdl.Free(0, 2), "v": 0}, final={"m": 0.6})
    assert problem.free_initial == ((0, 0),)
    np.testing.assert_array_equal(problem.final_box, [[[-np.inf, -np.inf, 0.6]], [[np.inf, np.inf, 0.6]]])


def test_new_numbers_by_names():
    problem = rocket(bounds=ocdl.Box(beta=(0.1, 0.2)))
    other = problem.with_numbers(
        initial={"m": 2, "h": 1, "v": 0}, parameters={"beta": 0.15}, bounds=ocdl.Box(thrust=(0, 1))
    )
    np.testing.assert_array_equal(other.x0, [[1, 0, 2]])
    np.testing.assert_array_equal(other.parameter_box, [[0.15], [0.15]])
    np.testing.assert_array_equal(other.control_box, [[0], [1]])
