"""Scaling changes the numbers inside IPOPT only: the answer, its multipliers and its feasibility are the problem's."""

import numpy as np
import pytest

import ocdl
from ocdl.nlp.scaling import SCALES

GRID = ocdl.Radau(12, degree=3, controls=ocdl.PiecewiseLinear())


def beam(length=1.0, row=1.0, cost=1.0):
    """Bryson and Denham's problem in other units of length, of the row of path and of the cost; J = 4 cost."""
    return ocdl.ControlProblem(
        states=["x", "v"],
        controls=["u"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0, length],
        horizon=1.0,
        running=lambda u: cost * (u / length) ** 2 / 2,
        path=lambda x: row * (x[0] / length - 1 / 9),
        boundary=lambda xT: [row * xT[0] / length, row * (xT[1] / length + 1)],
    )


@pytest.fixture(scope="module")
def plain():
    return ocdl.solve(beam(), GRID, ocdl.Ipopt())


@pytest.mark.parametrize("scale", SCALES)
def test_the_same_answer_in_every_unit(plain, scale):
    solution = ocdl.solve(beam(3e4, 2e5, 5.0), GRID, ocdl.Ipopt(scale=scale))
    assert solution.status is ocdl.Status.CONVERGED and solution.feasibility <= 1e-9
    assert solution.cost == pytest.approx(5.0 * plain.cost, rel=1e-7)
    own, swept = solution.claim["costate"].to_numpy(), solution.costate.to_numpy()
    assert own == pytest.approx(swept, abs=1e-9 * np.max(np.abs(swept)))
    found = solution.multipliers["boundary_multiplier"].to_numpy() * 2e5 / 5.0
    assert found == pytest.approx(plain.multipliers["boundary_multiplier"].to_numpy(), rel=1e-4)


def test_rows_have_the_power_of_ten_of_their_derivatives_at_the_start():
    extras = ocdl.solve(beam(3e4, 2e5), GRID, ocdl.Ipopt(scale="rows")).extras
    np.testing.assert_array_equal(extras["scale_x"], [1.0, 1e4])  # of x(0) = 0 and v(0) = 3e4
    assert "scale_path" not in extras  # 2e5 / 3e4 · 1 lies between 0.1 and 10
    np.testing.assert_array_equal(extras["scale_boundary"], [1.0, 1e5])  # 2e5 / 3e4 · 1e4
    extras = ocdl.solve(beam(row=2e-4), GRID, ocdl.Ipopt(scale="rows")).extras
    np.testing.assert_array_equal(extras["scale_path"], [1e-4])
    asked = ocdl.Ipopt(scale="rows", scales={"path": 0.01, "x": [1.0, 2.0]})
    extras = ocdl.solve(beam(row=2e-4), GRID, asked).extras
    np.testing.assert_array_equal(extras["scale_path"], [0.01])
    np.testing.assert_array_equal(extras["scale_x"], [1.0, 2.0])


@pytest.mark.parametrize(("scale", "shown"), [("rows", 10.0 / 1e7), ("units", None), ("none", None)])
def test_a_steep_objective_has_the_power_of_ten_of_its_gradient(scale, shown):
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u,
        initial=[0.0],
        horizon=1.0,
        terminal=lambda x: -1e6 * x,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    solution = ocdl.solve(problem, ocdl.Radau(10, degree=2), ocdl.Ipopt(scale=scale))
    assert solution.cost == pytest.approx(-1e6, rel=1e-9)
    assert solution.extras.get("scale_objective") == shown  # 1/h = 10; 10 · 1e6 is its gradient


def test_nothing_is_scaled_where_nothing_is_asked():
    solution = ocdl.solve(beam(3e4, 2e5), GRID, ocdl.Ipopt(scale="none"))
    assert not solution.extras
    solution = ocdl.solve(beam(3e4, 2e5), GRID, ocdl.Ipopt(scale="none", scales={"boundary": [1e5, 1e4]}))
    np.testing.assert_array_equal(solution.extras["scale_boundary"], [1e5, 1e4])
    np.testing.assert_array_equal(solution.extras["scale_x"], [1.0, 1.0])


def test_a_scaled_answer_is_judged_in_the_users_units():
    method = ocdl.Ipopt(scales={"boundary": 1e12}, max_iterations=2)
    solution = ocdl.solve(beam(row=1e3), GRID, method, on_failure="return")
    x, v = solution.state[-1, 0].to_numpy()
    missed = 1e3 * max(abs(x), abs(v + 1))
    assert solution.attrs["violation of boundary"] == pytest.approx(missed, rel=1e-9)
    assert solution.feasibility >= missed * (1 - 1e-9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": "row"}, "one of units, rows, none is needed"),
        ({"scale": 1.0}, "one of units, rows, none is needed"),
        ({"scales": {"z": 1.0}}, "some of the keys x, u, p, path, boundary"),
        ({"scales": {"path": -1.0}}, "units are positive"),
    ],
)
def test_units_that_are_none_are_named(options, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.Ipopt(**options)


def test_a_wrong_number_of_rows_is_named():
    with pytest.raises(ocdl.InvalidInput, match=r"\{'boundary': ...\}\): one number or 2 are needed; got \(3,\)"):
        ocdl.solve(beam(), GRID, ocdl.Ipopt(scales={"boundary": [1, 1, 1]}))
