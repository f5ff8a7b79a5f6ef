"""A solution's states, controls and parameters by their names, with their units, saved and loaded."""

import numpy as np
import pytest
from families import selection

import ocdl


@pytest.fixture(scope="module")
def solution():
    problem = ocdl.ControlProblem(
        states=["place", "speed"], controls=["force"], parameters=["drag"], units={"place": "km", "drag": "1/s"},
        dynamics=lambda speed, force, drag: [speed, force - drag * speed], initial=[0, 1], horizon=ocdl.Free(1, 2),
        running=lambda force: force**2, terminal=lambda place: (place - 1) ** 2,
        bounds=ocdl.Box(drag=(0.1, 0.3), force=(-1, 1)),
    )  # fmt: skip
    return ocdl.solve(problem, ocdl.Radau(4, degree=2, controls=ocdl.PerStage()), ocdl.Ipopt(), on_failure="return")


def test_entries_are_what_the_whole_arrays_hold(solution):
    np.testing.assert_array_equal(solution["speed"], solution.state.values[:, 0, 1])
    np.testing.assert_array_equal(solution["force"], solution.u.values[..., 0])
    assert solution["speed"].dims == ("t",) and solution["force"].dims == ("t", "stage")
    assert float(solution["drag"]) == solution.p.values[0] and float(solution["horizon"]) == solution.horizon
    np.testing.assert_array_equal(solution["x"], solution.state.values[:, 0])


def test_units_belong_to_values_and_survive_a_file(solution, tmp_path):
    solution.save(tmp_path / "s.nc")
    for one in (solution, ocdl.load(tmp_path / "s.nc")):
        assert one["place"].attrs["units"] == "km" and one["drag"].attrs["units"] == "1/s"
        assert "units" not in one["speed"].attrs and not any("units" in key for key in one.costate.attrs)
        assert not any("units" in key for key in one.gradient["p"].attrs)


def test_samples_keep_their_dimension():
    problem = ocdl.ControlProblem(
        states=["place"], dynamics=lambda u: u, initial=[[0.0], [1.0]], horizon=1.0, terminal=lambda place: place**2,
        bounds=ocdl.Box(u=(-1, 1)),
    )  # fmt: skip
    solution = ocdl.solve(problem, ocdl.ExplicitEuler(2), ocdl.Ipopt())
    assert solution["place"].dims == ("t", "sample") and solution["u0"].dims == ("t",)


def test_networks_have_whole_functions():
    grid = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.ExplicitEuler(2))
    solution = ocdl.solve(selection(), grid, ocdl.NeedleSteps(), on_failure="return")
    assert solution["a"].dims == ("t", "y") and solution["f"].dims == ("t", "y")
    with pytest.raises(ocdl.InvalidInput, match=r"\['c'\]: there is no such name; it has f, a, b\."):
        solution["c"]


@pytest.mark.parametrize("name", ["height", 0, None])
def test_other_names_are_refused(solution, name):
    with pytest.raises(ocdl.InvalidInput, match="no such name; it has x, u, p, horizon, place, speed, force, drag"):
        solution[name]
