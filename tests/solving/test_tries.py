"""Several beginnings: sizes nobody guessed, starts that are stationary, and solves that end worse than they began."""

from dataclasses import dataclass

import casadi as ca
import numpy as np
import pytest
from families import selection
from scipy.optimize import brentq

import ocdl
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.tries import sizes

DEPTH = ocdl.Radau(12, 3)


def brachistochrone(horizon, **changes):
    """From (0, 0) to (10, 5) in least time under g = 9.81."""
    return ocdl.ControlProblem(
        **{
            "states": ["x", "y", "v"],
            "controls": ["angle"],
            "dynamics": lambda x, u: [x[2] * ca.sin(u[0]), x[2] * ca.cos(u[0]), 9.81 * ca.cos(u[0])],
            "initial": [0, 0, 0],
            "final": [10, 5, None],
            "horizon": horizon,
            "terminal": lambda t: t,
            "bounds": ocdl.Box(u=(-np.pi, np.pi)),
        }
        | changes
    )


def cycloid(x, y):
    """T = φ √(r/g) on x = r (φ − sin φ), y = r (1 − cos φ)."""
    angle = brentq(lambda phi: (phi - np.sin(phi)) / (1 - np.cos(phi)) - x / y, 0.1, 6.0)
    return angle * np.sqrt(y / (1 - np.cos(angle)) / 9.81)


@pytest.fixture(scope="module")
def guessed():
    return ocdl.solve(brachistochrone(ocdl.Free(0.1, 10, guess=2.0)), DEPTH, ocdl.Ipopt())


@pytest.mark.parametrize("horizon", [ocdl.Free(1e-3), ocdl.Free(0.1, 10)], ids=["unbounded", "two decades"])
def test_a_free_horizon_without_a_guess_begins_at_several(horizon, guessed):
    solution = ocdl.solve(brachistochrone(horizon), DEPTH, ocdl.Ipopt())
    assert solution.cost == pytest.approx(guessed.cost, abs=1e-7)
    assert cycloid(10, 5) < solution.cost < cycloid(10, 5) + 2e-3  # angles are constant in a layer
    assert solution.tree.attrs["notes"].count("J = ") == 3


def test_a_guess_is_the_only_beginning(guessed):
    assert "notes" not in guessed.tree.attrs
    free = brachistochrone(ocdl.Free(0.1, 10))
    assert "notes" not in ocdl.solve(free, DEPTH, ocdl.Ipopt(), start={"horizon": 2.0}).tree.attrs


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((1e-3, np.inf), (0.1, 1, 10)),
        ((0.1, 10), (0.1 * 10**0.5, 1, 10**0.5)),
        ((1e-3, 1e3), (1, 10, 100)),
        ((1.0, 5.0), ()),
    ],
)
def test_sizes_are_geometric_inside_the_interval(interval, expected):
    found = [size[0] for size in sizes(brachistochrone(ocdl.Free(*interval)), None)]
    np.testing.assert_allclose(found, expected if expected else [np.nan])


def test_own_positive_parameters_of_unknown_size_are_tried_too():
    """ẋ = −p x with x(1) = e⁻³ asked for."""
    decay = ocdl.ControlProblem(
        dynamics=lambda x, p: -p[0] * x,
        initial=[1.0],
        horizon=1.0,
        controls=1,
        parameters=["rate"],
        effort=lambda u: u[0] ** 2,
        terminal=lambda x: 1e3 * (x[0] - np.exp(-3)) ** 2,
        bounds=ocdl.Box(p=(1e-2, 1e3)),
    )
    solution = ocdl.solve(decay, DEPTH, ocdl.Ipopt())
    assert float(solution.p[0]) == pytest.approx(3.0, rel=1e-3)
    assert "from p = 1" in solution.tree.attrs["notes"]
    assert len(sizes(decay, {"p": [2.0]})) == 1


@dataclass(frozen=True)
class Fickle(ocdl.Method):
    """Answers with what ``ends`` says of a beginning's horizon."""

    ends: object = None

    def solve(self, problem, depth, start, *, progress=None):
        return Outcome(start.u, start.p, self.ends(start.p[-1]))


def short(**changes):
    return brachistochrone(ocdl.Free(0.1, 10), final=None, **changes)


def failing_first(horizon):
    if horizon < 0.9:
        raise ocdl.SolveFailed("Fickle: no luck.")
    return Status.STALLED if horizon < 2.0 else Status.ITERATION_LIMIT


def interrupted_second(horizon):
    if horizon > 0.9:
        raise KeyboardInterrupt
    return Status.CONVERGED


def test_a_try_that_fails_loses_no_other():
    solution = ocdl.solve(short(), DEPTH, Fickle(ends=failing_first))
    assert solution.cost == 1.0 and not solution.status.failed
    assert "1 more gave nothing" in solution.tree.attrs["notes"]


def test_ctrl_c_keeps_the_tries_before():
    solution = ocdl.solve(short(), DEPTH, Fickle(ends=interrupted_second))
    assert (solution.status, solution.cost) == (Status.INTERRUPTED, pytest.approx(0.1 * 10**0.5))


@pytest.mark.parametrize("status", [Status.ITERATION_LIMIT, Status.FAILED, Status.INTERRUPTED, Status.STALLED])
def test_nothing_worse_than_the_start_is_returned(status):
    @dataclass(frozen=True)
    class Worsening(ocdl.Method):
        def solve(self, problem, depth, start, *, progress=None):
            return Outcome(start.u + 0.5, start.p, status)

    quadratic = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[1.0], horizon=1.0, terminal=lambda x: x[0] ** 2, effort=lambda u: u[0] ** 2
    )
    solution = ocdl.solve(quadratic, DEPTH, Worsening(), start={"u": -0.5}, on_failure="return")
    assert solution.cost == pytest.approx(0.5)
    assert solution.status is status
    assert "J = 0.5 against 1" in solution.detail


def ring(samples=40):
    """Inside or outside of a ring: no linear readout tells, so that the controls have to."""
    points = np.random.default_rng(0).uniform(-1, 1, (samples, 2))
    return selection(
        initial=np.tile(points, (1, 2)),
        target=(np.sum(points**2, axis=1) < 0.5).astype(float),
        horizon=2.0,
        loss=ocdl.CrossEntropy(),
        readout=ocdl.Readout(weight=(-20, 20), bias=(-20, 20)),
        bounds=ocdl.Box(a=(-3, 3), b=(-3, 3)),
        regulariser=ocdl.Tikhonov(1e-3),
    )


@pytest.mark.parametrize(
    "method",
    [ocdl.InteriorPoint(max_iterations=60), ocdl.ProjectedGradient(max_iterations=60)],
    ids=lambda m: m.name,
)
def test_a_stationary_start_is_no_answer(method):
    grid = ocdl.Grid(ocdl.Midpoint(4), ocdl.ExplicitEuler(4))
    solution = ocdl.solve(ring(), grid, method, on_failure="return")
    assert "controls stay unused (J = 0.6" in solution.tree.attrs["notes"]
    assert solution.cost < 0.4
    assert ocdl.accuracy(ocdl.predict(ring(), grid, solution), ring().target) > 0.9


def test_one_sample_and_controls_in_use_are_left_alone():
    grid = ocdl.Grid(ocdl.Midpoint(2), ocdl.ExplicitEuler(4))
    for problem in (selection(), selection(initial=np.array([[0.1, 0.2], [0.5, -0.3]]), target=np.ones((2, 2)))):
        assert "unused" not in ocdl.solve(problem, grid, ocdl.InteriorPoint()).tree.attrs.get("notes", "")
