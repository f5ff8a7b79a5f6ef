"""What is wrong, in the user's own terms: out of reach, outside the box, NaN and where from, the worst rows."""

import re

import casadi as ca
import numpy as np
import pytest
from interrupts import PressesCtrlCLater

import ocdl
from ocdl.doors.report import solution_text
from ocdl.referee.labels import coefficients
from ocdl.solving import diagnosis
from ocdl.solving.compile import discretised

RADAU = ocdl.Radau(10, 3)


def cart(**changes):
    """x' = v, v' = push, from (0, 1); J = ½ ∫ push²."""
    return ocdl.ControlProblem(
        **{
            "states": ["x", "v"],
            "controls": ["push"],
            "dynamics": lambda x, u: [x[1], u],
            "initial": [0, 1],
            "horizon": 1.0,
            "running": lambda u: u**2 / 2,
            "bounds": ocdl.Box(u=(-9, 9)),
        }
        | changes
    )


def tank(**changes):
    """height' = push, from 1."""
    return cart(
        **{"states": ["height"], "dynamics": lambda u: u, "initial": [1.0], "bounds": ocdl.Box(u=(-1, 1))} | changes
    )


def failure(problem, depth=RADAU, method=None, **options):
    with pytest.raises(ocdl.SolveFailed) as caught:
        ocdl.solve(problem, depth, method or ocdl.Ipopt(), **options)
    return str(caught.value), caught.value.solution


def network(**changes):
    return ocdl.SelectionProblem(
        **{
            "activation": ocdl.Tanh(),
            "horizon": 1.0,
            "initial": [[0.5, 0.0], [0.0, 0.0]],
            "target": [[1.0, 0.2], [0.3, -1.25]],
            "bounds": ocdl.Box(a=(-1, 1), b=(-1, 1)),
        }
        | changes
    )


def test_a_target_out_of_reach_is_a_note_not_an_error(tmp_path):
    solution = ocdl.solve(
        network(),
        ocdl.Grid(ocdl.Midpoint(2), ocdl.Kutta4(4)),
        ocdl.ProjectedGradient(max_iterations=2),
        on_failure="return",
    )
    (note,) = solution.notes
    for said in ("1 of 4 targets", "[-1, 1]", "T = 1", "by up to 0.25", "f(y = 0.75), sample 1", "[-1, 1]", "-1.25"):
        assert said in note, note
    assert note in solution_text(solution)
    solution.save(tmp_path / "run.nc")
    assert ocdl.load(tmp_path / "run.nc").notes == [note]


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        ({"target": [[1.4, 0.9], [0.9, -0.9]]}, 0),
        ({"horizon": 0.5}, 1),
        ({"activation": ocdl.Sigmoid()}, 1),
        ({"activation": ocdl.Sigmoid(), "target": [[1.4, 0.9], [0.9, 0.1]]}, 0),
        ({"activation": ocdl.ReLU(), "target": 900.0}, 0),
        ({"activation": ocdl.ReLU(), "target": -0.1}, 1),
        ({"activation": ocdl.Identity(), "target": -99.0}, 0),
    ],
)
def test_reach_is_that_of_the_activation(changes, count):
    problem = network(**changes)
    discrete, _ = discretised(problem, ocdl.Grid(ocdl.Midpoint(2), ocdl.Kutta4(4)))
    assert len(diagnosis.target_notes(problem, discrete)) == count


def test_a_start_outside_its_box_is_named_with_the_entry():
    solution = ocdl.solve(
        cart(controls=["push", "brake"], dynamics=lambda x, u: [x[1], u[0] - u[1]], running=lambda u: u[0] ** 2 + u[1]),
        RADAU,
        ocdl.Ipopt(),
        start={"u": lambda t: [20 * t, -12 if t > 0.85 else 0]},
    )
    (note,) = solution.notes
    assert "brake at t = 0.9 = -12 lies below its lower bound -9" in note or "push at t = 0.9 = 18" in note, note
    assert "with 5 more entries of u" in note, note


def test_a_start_inside_its_box_is_not_mentioned():
    assert ocdl.solve(cart(), RADAU, ocdl.Ipopt(), start={"u": 9.0}).notes == []
    states = {"x": lambda t: [5 * t, 0]}
    bounded = cart(bounds=ocdl.Box(u=(-9, 9), x=(-2, 3)))
    (note,) = ocdl.solve(bounded, RADAU, ocdl.Ipopt(), start=states).notes
    assert "x at t = 1 = 5 lies above its upper bound 3" in note and "with 3 more entries of x" in note


NAN = [
    (
        {"dynamics": lambda x, u: u - np.sqrt(x[0] - 1.5)},
        "dynamics of height at t = .* sqrt.-0.5. is NaN, from height = 1",
    ),
    ({"running": lambda x, u: u**2 + np.log(x[0] - 2)}, r"running cost at t = .* log.-1. is NaN, from height = 1"),
    ({"terminal": lambda x: 1 / (x[0] - 1)}, r"terminal at the end: 1 / 0 is infinite, from height = 1"),
    ({"effort": lambda u: np.sqrt(u[0] - 0.25)}, r"effort at t = .* sqrt.-0.25. is NaN, from push = 0"),
    ({"path": lambda x, u: [x[0] - 9, np.log(u[0])]}, r"path row 1 at t = .* log.0. is infinite, from push = 0"),
    (
        {"boundary": lambda x0, xT: np.sqrt(x0[0] - xT[0] - 1)},
        r"boundary at the end: sqrt.-1. is NaN, from height at 0 = 1",
    ),
]


@pytest.mark.parametrize(("changes", "said"), NAN, ids=[next(iter(changes)) for changes, _ in NAN])
def test_the_formula_depth_and_argument_of_a_nan_are_named_by_ipopt(changes, said):
    message, solution = failure(tank(**changes))
    assert re.search("Not finite at the last iterate: " + said, message), message
    assert solution.status is ocdl.Status.NOT_A_NUMBER and "Not finite" in solution.detail


def test_a_derivative_that_is_not_finite_is_named():
    message, _ = failure(tank(running=lambda x, u: u**2 + np.sqrt(x[0] - 1)), ocdl.ExplicitEuler(4))
    assert "the first derivatives of running" in message and "infinite, from height = 1" in message, message


@pytest.mark.parametrize("method", [ocdl.NeedleSteps(), ocdl.ProjectedGradient()], ids=lambda method: method.name)
@pytest.mark.parametrize("depth", [ocdl.Kutta4(8), ocdl.Gauss(8, 2)], ids=lambda depth: type(depth).__name__)
def test_a_sweep_that_fails_at_the_start_says_what_it_met_and_keeps_its_states(method, depth):
    """height' = −2 from 1 leaves the domain of log(height − 0.2) at t = 0.4."""
    problem = tank(dynamics=lambda x, u: u - 2 + 1e-12 * np.log(x[0] - 0.2), running=None, terminal=lambda x: x[0])
    message, solution = failure(problem, depth, method)
    assert re.search(r"the state became nan in layer \d", message), message
    assert re.search(r"dynamics of height at t = .*log\(-0\.\d+\) is NaN, from height = ", message), message
    height = solution.state.values[:, 0, 0]
    known = np.isfinite(height)
    assert known[:3].all() and not known[-1]
    np.testing.assert_allclose(height[known], 1 - 2 * solution.state["t"].values[known], atol=1e-10)
    assert np.isnan(solution.cost) and solution.status is ocdl.Status.NOT_A_NUMBER and "NaN" in repr(solution)


def test_a_cost_that_is_nan_along_a_finite_state_is_explained_for_every_route():
    problem = tank(running=lambda x, u: np.log(x[0] - 2) * x[0])
    message, _ = failure(problem, RADAU, ocdl.LBFGSB())
    assert re.search(r"running cost at t = 0\.0\d+ \(layer 0\): log\(-1\) is NaN, from height = 1", message), message


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_route_that_trips_over_nan_says_where_it_is():
    message, _ = failure(tank(running=lambda x, u: np.log(x[0] - 2) * x[0]), RADAU, ocdl.ValueIteration())
    assert "ValueIteration: it broke off" in message
    assert "Not finite at the start: running cost at t = 0 (layer 0): log(-1) is NaN, from height = 1." in message


def test_samples_data_and_parameters_are_arguments_too():
    problem = tank(
        initial=[[1.0], [2.0]],
        data=[[3.0], [-4.0]],
        parameters=["gain"],
        bounds=ocdl.Box(u=(-1, 1), p=(0.5, 0.5)),
        terminal=lambda x, p, d: p[0] * np.sqrt(d[0]) * x[0],
    )
    message, _ = failure(problem)
    assert "terminal at the end, sample 1: sqrt(-4) is NaN, from d[0] = -4" in message, message


def test_discarded_nan_is_not_blamed():
    """The larger of NaN and 0 in a branch that is not taken."""
    problem = tank(running=lambda x, u: ca.if_else(x[0] > 5, ca.log(x[0] - 5), 0) + ca.log(u[0] - 7))
    message, _ = failure(problem)
    assert "log(-7) is NaN, from push = 0" in message, message


def test_unreachable_ends_are_named_as_dynamics_and_ends():
    message, solution = failure(cart(final=[3.0, None], bounds=ocdl.Box(u=(-1, 1))))
    assert solution.status is ocdl.Status.INFEASIBLE
    assert re.search(
        r"Unmet at the last iterate: dynamics of [xv] in layer \d+ \(t = [\d.]+\): residual [\d.]+", message
    )
    assert re.search(r"misses final state x at t = 1: 1\.\d+ below its value 3", message), message
    assert "loosen the bounds or ends, lengthen the horizon" in message
    assert solution.detail in message


def test_contradicting_boundary_rows_are_named():
    message, _ = failure(cart(boundary=lambda x0, xT: [xT[0], xT[1], xT[0] - 2.0]))
    assert re.search(r"boundary row [02]: [\d.]+ (above|below) its value 0", message), message
    assert "Check that the rows of boundary can hold together" in message
    assert message.count("boundary row 0: ") == 1
    assert "Contradiction: boundary row 0 − boundary row 2 = 2 follows from the dynamics" in message
    assert "coarser" not in message


def test_a_path_that_cannot_hold_is_named_with_depth_and_sample():
    problem = cart(initial=[[0, 1], [0, 2]], path=lambda x: x[1] - 1.5, bounds=ocdl.Box(u=(-1, 1)))
    message, _ = failure(problem)
    assert re.search(r"path row 0 at t = [\d.]+ \(layer \d+\), sample 1: 0\.\d+ above its bound 0", message), message


def test_at_the_iteration_limit_the_violated_bound_is_named():
    problem = cart(final=[0, -1], bounds=ocdl.Box(x=(-np.inf, [1 / 9, np.inf])))
    message, solution = failure(problem, RADAU, ocdl.Ipopt(max_iterations=2))
    assert re.search(r"; state x at t = [\d.]+: 0\.\d+ above its bound 0\.111", message), message
    assert "Raise max_iterations" in message
    found = float(re.search(r"; state x at t = [\d.]+: ([\d.]+) above", message)[1])
    swept = ocdl.certify(problem, RADAU, *coefficients(problem, RADAU, solution)).trajectory
    assert found == pytest.approx(float(swept.stages[..., 0].max()) - 1 / 9, rel=0.05)


def test_several_shooting_names_rows_too():
    message, _ = failure(cart(final=[3.0, None], bounds=ocdl.Box(u=(-1, 1))), ocdl.MultipleShooting(5))
    assert "dynamics of" in message and "final state x" in message
    message, _ = failure(tank(running=lambda x, u: u**2 + np.log(x[0] - 2)), ocdl.MultipleShooting(5))
    assert "running cost at t = " in message and "from height = 1" in message


def test_ctrl_c_on_a_constrained_problem_returns_the_iterate_with_its_multipliers(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.ipopt.progress_bar", PressesCtrlCLater)
    problem = cart(final=[0, -1], bounds=ocdl.Box(x=(-np.inf, [1 / 9, np.inf])), path=lambda u: [u[0] - 9, -9 - u[0]])
    solution = ocdl.solve(problem, RADAU, ocdl.Ipopt())
    assert solution.status is ocdl.Status.INTERRUPTED and len(solution.history["cost"]) == 5
    assert np.isfinite(solution.cost) and np.isfinite(solution.feasibility) and solution.certificate is not None
    again = ocdl.solve(problem, RADAU, ocdl.Ipopt(), start=solution) if not monkeypatch.undo() else None
    assert again.status is ocdl.Status.CONVERGED


def test_a_free_horizon_is_not_told_to_be_lengthened():
    free = cart(final=[3.0, None], horizon=ocdl.Free(0.5, 0.6), bounds=ocdl.Box(u=(-1, 1)))
    message, _ = failure(free)
    assert "lengthen" not in message and "begin at another horizon" in message, message


@pytest.mark.parametrize(
    "method",
    [ocdl.LBFGSB(), ocdl.NeedleSteps(), ocdl.ProjectedGradient(), ocdl.ProjectedNewton(), ocdl.InteriorPoint()],
    ids=lambda m: m.name,
)
def test_a_costate_that_is_not_finite_is_named_by_every_route(method):
    """A vehicle with drag −½ ‖v‖ v at rest: the derivative of ‖v‖ is 0/0, the cost is finite."""
    vehicle = ocdl.ControlProblem(
        states=["x", "v", "w"],
        dynamics=lambda x, u: [x[1], u[0] - 0.5 * ca.norm_2(x[1:]) * x[1], u[1] - 0.5 * ca.norm_2(x[1:]) * x[2]],
        initial=[0, 0, 0],
        horizon=1.0,
        controls=2,
        terminal=lambda x: (x[0] - 1) ** 2,
        running=lambda u: 0.1 * ca.sumsqr(u),
        bounds=ocdl.Box(u=(-3, 3)),
    )
    message, solution = failure(vehicle, ocdl.Kutta4(4), method)
    assert solution.status is ocdl.Status.NOT_A_NUMBER
    assert "the first derivatives of dynamics at t = 0 (layer 0): 0 / 0 is NaN, from v = 0, w = 0" in message, message
