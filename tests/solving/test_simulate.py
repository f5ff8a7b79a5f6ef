"""Simulations against exact solutions, the referee's re-integration, and as starts."""

import pickle

import numpy as np
import pytest
import xarray as xr
from families import selection

import ocdl
from ocdl.sweeps.sweeper import SweepFailed


def tank(**changes):
    """ẏ = u − k y: with u constant in between, y and ∫ y dt are known."""
    given = {
        "states": ["level"],
        "controls": ["inflow"],
        "parameters": ["leak"],
        "dynamics": lambda level, inflow, leak: inflow - leak * level,
        "initial": [1.0],
        "horizon": 2.0,
        "running": lambda level: level,
        "terminal": lambda level: level**2,
        "effort": lambda inflow: inflow,
        "penalty": lambda leak: 10 * leak,
        "bounds": ocdl.Box(inflow=(0, 2), leak=(0.5, 0.5)),
    } | changes
    return ocdl.ControlProblem(**given)


def exact(pieces, y=1.0, k=0.5):
    """The level at the end and ∫ y + u dt over pieces (duration, u)."""
    total = 0.0
    for h, u in pieces:
        rest, fall = u / k, np.exp(-k * h)
        total += rest * h + (y - rest) * (1 - fall) / k + u * h
        y = rest + (y - rest) * fall
    return y, total


STEPS = [(0.3, 2.0), (0.4, 0.0), (1.3, 1.0)]
EDGES, ROWS = [0, 0.3, 0.7, 2.0], [2.0, 0.0, 1.0]
GIVEN = {
    "by name": {"inflow": (EDGES, ROWS)},
    "whole": {"u": (EDGES, np.reshape(ROWS, (3, 1)))},
    "rows": (EDGES, ROWS),
    "equal layers": np.repeat(ROWS, [3, 4, 13])[:, None],
}


@pytest.mark.parametrize("kind", GIVEN)
def test_jumps_are_met_exactly_in_every_form(kind):
    found = ocdl.simulate(tank(), GIVEN[kind])
    level, running = exact(STEPS)
    assert float(found["level"][-1]) == pytest.approx(level, abs=1e-8)
    assert found.running_cost == pytest.approx(running, abs=1e-8)
    assert found.cost == pytest.approx(running + level**2 + 5.0, abs=1e-8)
    assert found.violations == {"controls": 0.0}


def test_a_smooth_control_and_a_looser_tolerance():
    """ẏ = t − y/2, y = 2t − 4 + 5 exp(−t/2)."""
    errors = []
    for tolerance in (1e-3, 1e-6, 1e-10):
        found = ocdl.simulate(tank(), lambda t: t, tolerance=tolerance)
        t = found["level"]["t"].to_numpy()
        errors.append(np.max(np.abs(found["level"] - (2 * t - 4 + 5 * np.exp(-t / 2)))))
        assert errors[-1] < 10 * tolerance
    assert errors[2] < errors[0]


@pytest.mark.parametrize(
    "feedback",
    [
        lambda t, x: -2 * x,
        lambda level: -2 * level,
        lambda x, p: [-4 * p[0] * x[0]],
        lambda x, leak: -4 * leak * x,
    ],
)
def test_a_feedback_sees_states_and_parameters(feedback):
    found = ocdl.simulate(tank(), feedback)
    t = found["level"]["t"].to_numpy()
    np.testing.assert_allclose(found["level"], np.exp(-2.5 * t), atol=1e-8)
    np.testing.assert_allclose(found["inflow"], -2 * np.exp(-2.5 * t), atol=1e-8)
    assert found.violations["controls"] == pytest.approx(2.0)


def test_a_disturbed_plant_is_another_problem():
    other = tank(dynamics=lambda t, level, inflow, leak: inflow - 2 * leak * level)
    assert float(ocdl.simulate(other, 0.0)["level"][-1]) == pytest.approx(np.exp(-2.0), abs=1e-8)
    assert float(ocdl.simulate(other, 0.0, initial={"level": 2})["level"][-1]) == pytest.approx(
        2 * np.exp(-2), abs=1e-8
    )


def test_samples_share_the_controls():
    problem = tank(initial=[[1.0], [3.0]], weights=[1, 3], running=None, effort=None, penalty=None)
    found = ocdl.simulate(problem, lambda t, x: -x.mean())
    assert found["level"].dims == ("t", "sample")
    np.testing.assert_allclose(found["level"].mean("sample"), 2 * np.exp(-1.5 * found["level"]["t"]), atol=1e-8)
    assert found.cost == pytest.approx(float(found["level"].values[-1] ** 2 @ [0.25, 0.75]))


def test_free_ends_are_parameters():
    problem = tank(initial=[ocdl.Free(0, 5)], horizon=ocdl.Free(1, 9), running=1.0, effort=None)
    found = ocdl.simulate(problem, {"inflow": ([0, 2, 4], [0, 1])}, parameters={"horizon": 4.0, "x0": [2.0]})
    assert found.running_cost == pytest.approx(4.0) and found.horizon == 4.0
    assert float(found["level"][-1]) == pytest.approx(exact([(2, 0), (2, 1)], y=2.0)[0], abs=1e-8)


def test_constraints_are_looked_at_everywhere_before_and_after_a_jump():
    problem = tank(
        path=lambda inflow, level: inflow - level, boundary=lambda levelT, level0: levelT - level0,
        final={"level": 1.0}, bounds=ocdl.Box(level=(0.8, 1.1), inflow=(-1, 1), leak=(0.5, 0.5)),
    )  # fmt: skip
    found = ocdl.simulate(problem, {"inflow": ([0, 1, 2], [3, -2])})
    peak, end = exact([(1, 3)])[0], exact([(1, 3), (1, -2)])[0]
    assert found.violations == pytest.approx(
        {"controls": 2.0, "state": max(peak - 1.1, 1.0 - end), "path": 2.0, "boundary": abs(end - 1.0)}, abs=1e-7
    )
    assert found.feasibility == max(found.violations.values()) and "violated by" in repr(found)


def test_times_asked_for_are_reported_alone():
    times = [0.0, 0.5, 0.7, 2.0]
    found = ocdl.simulate(tank(), (EDGES, ROWS), times=times)
    np.testing.assert_array_equal(found["level"]["t"], times)
    wanted = [1.0, exact([(0.3, 2), (0.2, 0)])[0], exact(STEPS[:2])[0], exact(STEPS)[0]]
    np.testing.assert_allclose(found["level"], wanted, atol=1e-8)
    np.testing.assert_array_equal(found["inflow"], [2, 0, 1, 1])  # after the jump


def test_a_stiff_plant_is_followed():
    fast = tank(dynamics=lambda level, inflow: 1e6 * (inflow - level), running=None)
    found = ocdl.simulate(fast, lambda t: np.cos(t), tolerance=1e-6)
    assert float(found["level"][-1]) == pytest.approx(np.cos(2.0), abs=1e-4)


def test_states_that_escape_are_told():
    with pytest.raises(SweepFailed, match=r"from t = (0.99|1)\S* on the states escape"):
        ocdl.simulate(tank(dynamics=lambda level: level**2), 0.0)


# -- with solutions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear()])
def test_a_solution_costs_what_the_referee_integrates(shape):
    problem = tank(running=lambda level, inflow: (level - 1) ** 2 + inflow**2, horizon=ocdl.Free(1, 2))
    solution = ocdl.solve(problem, ocdl.Radau(6, degree=3, controls=shape), ocdl.Ipopt())
    found = ocdl.simulate(problem, solution)
    assert found.cost == pytest.approx(solution.certificate.cost, abs=1e-8)
    assert found.feasibility < 1e-8 and found.horizon == pytest.approx(solution.horizon)


def test_controls_of_every_stage_are_their_polynomial():
    problem = tank(running=lambda level, inflow: (level - 1) ** 2 + inflow**2)
    solution = ocdl.solve(problem, ocdl.Radau(4, degree=2, controls=ocdl.PerStage()), ocdl.Ipopt())
    at = solution.u["depth"].values[:, 0]  # inside the layers
    np.testing.assert_allclose(
        ocdl.simulate(problem, solution, times=at)["inflow"], solution["inflow"][:, 0], atol=1e-12
    )


def test_a_network_costs_what_the_referee_integrates():
    grid = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.Radau(4, degree=3))
    solution = ocdl.solve(selection(), grid, ocdl.Ipopt(), on_failure="return")
    found = ocdl.simulate(selection(), solution, grid=grid)
    assert found.cost == pytest.approx(solution.certificate.cost, abs=1e-8)
    assert found["a"].dims == ("t", "y") and found.state.dims == ("t", "sample", "y")


def test_a_network_under_functions_of_width():
    """With σ the identity and b = 0, f(T) = f_I + ∫ a dt."""
    problem = selection(activation=ocdl.Identity(), initial=lambda y: y, target=lambda y: 0 * y)
    found = ocdl.simulate(problem, {"a": lambda y, t: np.sin(y) * t, "b": 0.0}, grid=ocdl.Midpoint(5))
    y = found["f"]["y"].to_numpy()
    np.testing.assert_allclose(found["f"][-1], y + np.sin(y) * problem.horizon**2 / 2, atol=1e-9)


def test_a_simulation_begins_a_solve():
    problem = tank(horizon=ocdl.Free(0.5, 50), terminal=lambda level: (level - 2) ** 2)
    found = ocdl.simulate(problem, lambda level: 1.5 - level / 4, parameters={"horizon": 3.0})
    depth = ocdl.Radau(5, degree=2)
    start = ocdl.solving.start.make_start(problem, depth, found, None)
    t = np.linspace(0, 3.0, 6)
    assert start.p[-1] == 3.0
    np.testing.assert_allclose(start.x[:, 0, 0], np.interp(t, found["level"]["t"], found["level"]))
    np.testing.assert_allclose(start.u[:, 0], np.interp(t[:-1], found["level"]["t"], found["inflow"]))
    assert ocdl.solve(problem, depth, ocdl.Ipopt(), start=found).status.name == "CONVERGED"


def test_a_record_is_labelled_and_can_be_sent_and_kept(tmp_path):
    found = pickle.loads(pickle.dumps(ocdl.simulate(tank(units={"level": "m"}), 1.0)))
    assert found["level"].attrs["units"] == "m" and float(found["leak"]) == 0.5
    assert repr(found).startswith("<ocdl.Simulation to T = 2: cost ")
    found.dataset.to_netcdf(tmp_path / "s.nc")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "s.nc"), found.dataset)


@pytest.mark.parametrize(
    ("controls", "options", "said"),
    [
        ({}, {}, "nothing is given for inflow"),
        ({"level": 1}, {}, "level is no control"),
        ({"flow": 1}, {}, "simulate(controls=...): unknown ['flow']"),
        ({"inflow": np.zeros((3, 2))}, {}, "controls['inflow']"),
        (lambda speed: speed, {}, "from t, x, p, level, leak; got speed"),
        (lambda t: [1, 2], {}, "at t = 0: 1 control(s) are needed; got the shape (2,)"),
        (lambda t: 1 / 0, {}, "called with t it raised ZeroDivisionError"),
        (np.zeros((3, 2)), {}, "rows of 1 control(s) are needed; got the shape (2,)"),
        ([np.nan], {}, "all values must be finite"),
        (None, {}, "real numbers in a regular array are needed; got NoneType"),
        (0.0, {"parameters": {"inflow": 1}}, "inflow is no parameter"),
        (0.0, {"parameters": {"leak": [1, 2]}}, "parameters['leak']: one number is needed"),
        (0.0, {"tolerance": 0}, "tolerance=0"),
        (0.0, {"times": [1, 0]}, "depths that increase are needed, in [0, 2]"),
        (0.0, {"times": [0, 3]}, "depths that increase are needed, in [0, 2]"),
        (0.0, {"grid": ocdl.Midpoint(2)}, "a ControlProblem needs none"),
        (0.0, {"initial": [1, 2]}, "initial: 1 sample(s) of 1 state(s) are needed"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(controls, options, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        ocdl.simulate(tank(), controls, **options)
    assert said in str(caught.value), str(caught.value)


def test_what_has_no_value_is_asked_for():
    with pytest.raises(ocdl.InvalidInput, match=r"leak has no value; give parameters={'leak': \.\.\.}"):
        ocdl.simulate(tank(bounds=ocdl.Box()), 0.0)
    with pytest.raises(ocdl.InvalidInput, match="a SelectionProblem needs a width"):
        ocdl.simulate(selection(), {"a": 0.0, "b": 0.0})
    with pytest.raises(ocdl.InvalidInput, match="give a SelectionProblem or a ControlProblem"):
        ocdl.simulate(3, 0.0)
