"""Gradient and needle methods with conditions at the ends, by the augmented Lagrangian."""

import numpy as np
import pytest
from families import module
from pmp_problems import linear_quadratic
from test_extremals import bounded, energy, least_time

import ocdl

turnpike = module("turnpike")

INNER = [ocdl.LBFGSB(), ocdl.ProjectedGradient(tolerance=1e-7), ocdl.NeedleSteps()]
CASES = {  # x' = u, J = ½∫u²: least cost, and the costate −u
    "prescribed": (energy(initial=[0.0], final=[2.0]), 2.0, -2.0),
    "in an interval, which binds": (energy(initial=[0.0], final=[ocdl.Free(2, 3)]), 2.0, -2.0),
    "in an interval, which does not": (energy(initial=[0.0], final=[ocdl.Free(-1, 3)]), 0.0, 0.0),
    "boundary row": (energy(initial=[1.0], boundary=lambda x0, xT: xT - 3 * x0), 2.0, -2.0),
    "boundary interval": (energy(initial=[0.0], boundary=lambda xT: xT, bounds=ocdl.Box(boundary=(-4, -3))), 4.5, 3.0),
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_end_has_its_multiplier(case):
    problem, least, costate = CASES[case]
    solution = ocdl.solve(problem, ocdl.Gauss(layers=4, degree=2), ocdl.AugmentedLagrangian())
    assert solution.status is ocdl.Status.CONVERGED and solution.feasibility <= 1e-8
    assert solution.cost == pytest.approx(least, abs=1e-7)
    assert solution.costate.to_numpy() == pytest.approx(costate, abs=1e-6)


@pytest.mark.parametrize("inner", INNER, ids=lambda inner: inner.name)
def test_every_inner_method_reaches_the_end_of_the_turnpike(inner):
    solution = ocdl.solve(turnpike.problem(), turnpike.grid(), ocdl.AugmentedLagrangian(inner=inner))
    assert not solution.status.failed and solution.feasibility <= 1e-8
    assert solution.cost == pytest.approx(turnpike.REFERENCE, abs=1e-7)


def test_a_free_horizon_is_least():
    solution = ocdl.solve(least_time(), ocdl.Radau(layers=20, degree=3), ocdl.AugmentedLagrangian())
    assert not solution.status.failed
    assert solution.horizon == pytest.approx(2.0, abs=1e-7) and solution.cost == pytest.approx(2.0, abs=1e-7)


def test_parameters_and_a_terminal_loss_stay():
    """x' = u + p, x(0) = 0, x(1) = 2, J = ½∫u² + ½p² + x(1): u = p = 1."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u, p: u + p,
        initial=[0.0],
        final=[2.0],
        horizon=1.0,
        running=lambda u: u**2 / 2,
        terminal=lambda x, p: x[0] + p[0] ** 2 / 2,
        parameters=1,
    )
    solution = ocdl.solve(problem, ocdl.Gauss(layers=3, degree=1), ocdl.AugmentedLagrangian())
    assert solution.cost == pytest.approx(3.0, abs=1e-7) and solution.p.item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("t0", [0.0, 1.0, ocdl.Free(0, 1)])
def test_the_times_of_the_loss_are_the_true_ones(t0):
    """x' = u, |u| ≤ 1, from 0 to 1: T = t0 + 1, and J = T + (T − t0)/2 begins as early as it may."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u,
        initial=[0.0],
        boundary=lambda xT, T, t0: xT - (T - t0) ** 2,
        final=[1.0],
        t0=t0,
        horizon=ocdl.Free(0.1, 5, guess=2),
        terminal=lambda t, T, t0: t + (T - t0) / 2,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    begin = 0.0 if isinstance(t0, ocdl.Free) else t0
    for method in (ocdl.AugmentedLagrangian(), ocdl.IndirectShooting()):
        solution = ocdl.solve(problem, ocdl.Gauss(layers=3, degree=1), method)
        assert not solution.status.failed
        assert solution.cost == pytest.approx(begin + 1.5, abs=1e-6)


def test_without_ends_it_is_the_inner_method():
    grid = ocdl.Gauss(layers=6, degree=2)
    inner, outer = (ocdl.solve(linear_quadratic(), grid, m) for m in (ocdl.LBFGSB(), ocdl.AugmentedLagrangian()))
    assert np.array_equal(inner.u, outer.u)


def test_an_end_out_of_reach_is_no_success():
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[0.0], final=[2.0], horizon=1.0, bounds=ocdl.Box(u=(-1, 1))
    )
    grid = ocdl.Gauss(layers=3, degree=1)
    solution = ocdl.solve(problem, grid, ocdl.AugmentedLagrangian(max_iterations=5), on_failure="return")
    assert solution.status.failed and solution.feasibility == pytest.approx(1.0, abs=1e-6)
    assert "the ends are missed by 1.0e+00" in solution.detail


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (bounded(path=lambda x: x[0] - 1), "LBFGSB: .*path="),
        (energy(initial=[[0.0], [1.0]], final=[[2.0], [3.0]]), "AugmentedLagrangian: .* one sample"),
        (
            energy(initial=[ocdl.Free(-1, 1)], boundary=lambda x0, xT: xT - x0 - 1),
            "AugmentedLagrangian: boundary=... with free initial states",
        ),
    ],
)
def test_what_it_cannot_take_is_said(problem, said):
    with pytest.raises(ocdl.NotSupported, match=said):
        ocdl.solve(problem, ocdl.Gauss(layers=3, degree=1), ocdl.AugmentedLagrangian())


@pytest.mark.parametrize("options", [{"inner": "LBFGSB"}, {"penalty": 0}, {"tolerance": -1.0}, {"max_iterations": 0}])
def test_bad_options_are_refused(options):
    with pytest.raises(ocdl.InvalidInput, match=r"AugmentedLagrangian\("):
        ocdl.AugmentedLagrangian(**options)
